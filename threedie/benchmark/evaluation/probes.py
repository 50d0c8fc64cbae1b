"""Probes on cached features (`3die-v1`): labels, relative rotation, and the scene of a view.

Every probe sees all views of the train objects and is judged on all views of the val objects.

Shape suffixes: N = objects, V = views, M = N·V, R = judged rows, B = batch, D = features of a
part, O = outputs, K = classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from threedie.benchmark.evaluation.encoder import memory_for
from threedie.benchmark.evaluation.features import Gather
from threedie.benchmark.evaluation.heads import OnStep, fit_logistic, make_head, train_head
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import ProbeSettings
from threedie.benchmark.evaluation.targets import Truth, pass_pairs

_JUDGED_AT_ONCE = 8192
_ORDER = 1  # the stream of random numbers that shuffles; the head's own is the seed itself


def classification(
    train: Gather, truth: Truth, val: Gather, n_classes: int, settings: ProbeSettings
) -> Array:
    """(M val, K) logits of a linear probe."""
    class_M = torch.from_numpy(np.repeat(truth.class_N, truth.n_views)).to(train.device)
    linear = fit_logistic(train, class_M, n_classes, settings)
    return judge(linear, val, np.arange(len(val)))


def rotation(
    train: Gather,
    truth: Truth,
    val: Gather,
    judged: tuple[Ints, Ints],
    settings: ProbeSettings,
    *,
    hemisphere: str,
    seed: int,
    on_step: OnStep,
) -> Array:
    """(R, 4) predicted relative quaternions of pairs of val rows, not normalised."""
    head = rotation_head(train, truth, settings, hemisphere=hemisphere, seed=seed, on_step=on_step)
    return judge(head, val, *judged)


def rotation_head(
    train: Gather,
    truth: Truth,
    settings: ProbeSettings,
    *,
    hemisphere: str,
    seed: int,
    on_step: OnStep,
) -> nn.Module:
    """The trained probe of relative rotations: `judge` it on pairs of rows."""
    views = truth.n_views
    head = make_head(2 * train.dim, settings.hidden, 4, seed=seed, device=train.device)

    def batches() -> Iterator[tuple[Ints, Ints, Array]]:
        for number in count():
            pairs = pass_pairs(truth.n_objects, views, _rng(seed, number))
            yield *pairs.flat(views), truth.relative(pairs, hemisphere)

    fed = (
        (_pair(train, first, second), target)
        for (first, second), target in _cut(batches(), settings.batch_size, train.device)
    )
    _regress(head, fed, n_steps(len(train), settings), settings, on_step)
    return head


def scene(
    train: Gather,
    target_MO: Array,
    val: Gather,
    settings: ProbeSettings,
    *,
    seed: int,
    on_step: OnStep,
) -> Array:
    """(M val, O) outputs of one probe for all O targets of a view, each weighed alike.

    Targets are standardised while training, and put back.
    """
    mean, std = target_MO.mean(axis=0), target_MO.std(axis=0)
    std = np.where(std > 1e-9, std, 1.0)
    scaled_MO = (target_MO - mean) / std
    outputs = target_MO.shape[1]
    head = make_head(train.dim, settings.hidden, outputs, seed=seed, device=train.device)

    def batches() -> Iterator[tuple[Ints, Ints, Array]]:
        for number in count():
            order = _rng(seed, number).permutation(len(train))
            yield order, order, scaled_MO[order]

    fed = (
        (train(rows), target)
        for (rows, _), target in _cut(batches(), settings.batch_size, train.device)
    )
    _regress(head, fed, n_steps(len(train), settings), settings, on_step)
    return np.asarray(judge(head, val, np.arange(len(val))) * std + mean, dtype=np.float64)


def _regress(
    head: nn.Module,
    fed: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    settings: ProbeSettings,
    on_step: OnStep,
) -> None:
    with memory_for("a probe", "batch_size", settings.batch_size):
        train_head(
            head,
            islice(fed, steps),
            steps=steps,
            settings=settings,
            loss=F.mse_loss,
            on_step=on_step,
        )


def n_steps(rows: int, settings: ProbeSettings) -> int:
    """Steps of a probe that sees each of `rows` once an epoch."""
    epoch = -(-rows // settings.batch_size)
    steps = max(settings.epochs * epoch, settings.min_steps)
    return min(steps, settings.most_epochs * epoch) if settings.most_epochs else steps


def _cut(
    passes: Iterator[tuple[Ints, Ints, Array]], batch_size: int, device: torch.device
) -> Iterator[tuple[tuple[Ints, Ints], Tensor]]:
    """Batches of passes over the data; a pass's last one may be smaller."""
    for first, second, target in passes:
        for i in range(0, len(first), batch_size):
            cut = slice(i, i + batch_size)
            yield (first[cut], second[cut]), torch.from_numpy(target[cut]).float().to(device)


def _pair(features: Gather, first: Ints, second: Ints) -> Tensor:
    return torch.cat([features(first), features(second)], dim=1)


@torch.no_grad()
def judge(head: nn.Module, features: Gather, *rows: Ints) -> Array:
    """(R, O) outputs of a head for rows, or for pairs of rows."""
    out = list[NDArray[np.float64]]()
    for i in range(0, len(rows[0]), _JUDGED_AT_ONCE):
        parts = [features(r[i : i + _JUDGED_AT_ONCE]) for r in rows]
        out.append(head(torch.cat(parts, dim=1)).double().cpu().numpy())
    return np.concatenate(out)


def _rng(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, _ORDER, number]))
