"""Probes as the official scripts train them (`sie-2023`): one random pair per object and epoch.

The backbone is frozen but in train mode while probes learn, so a picture's features depend on its
batch and BatchNorm's running statistics drift; val is read in eval mode with those. That can't be
cached, so pictures are encoded in every epoch. An encoder that has no such layers gives the same
features always, and its cached ones are used.

The official scripts train one probe per run. Here all learn from one stream of pairs: each has its
own head and optimiser and sees what it would see alone, and pictures are encoded once for all.

Shape suffixes: B = batch, D = representation, O = outputs of a probe, R = val objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.benchmark.evaluation.encoder import Encoder
from threedie.benchmark.evaluation.features import Gather, Progress
from threedie.benchmark.evaluation.heads import (
    Loss,
    check_finite,
    descend,
    make_head,
    make_optimizer,
)
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import ProbeSettings, Protocol
from threedie.benchmark.evaluation.targets import Pairs, Truth, object_pairs
from threedie.benchmark.reading.ahead import Job, choose_workers, work_ahead
from threedie.benchmark.reading.buffers import Buffers
from threedie.benchmark.reading.loader import decoding
from threedie.benchmark.reading.split import Split

_PREFETCH = 3
_TRAIN, _VAL = 1, 2  # streams of random pairs

Stream = Callable[[Pairs, int], Iterator[tuple[Tensor, Tensor]]]
"""(pairs, batch size) to the features of both views, (B, D) each, batch by batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What the probes say of val, each after its last epoch."""

    pairs: Pairs
    """One pair per val object; classification is of the first view."""
    outputs: Mapping[str, Mapping[str, Array]]
    """(R, O) by probe and part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Probe:
    """One head on one part."""

    name: str
    part: str
    columns: slice
    pair: bool
    settings: ProbeSettings
    head: nn.Sequential
    optimizer: torch.optim.Optimizer
    loss: Loss

    def inputs(self, x_BD: Tensor, y_BD: Tensor) -> Tensor:
        """What the head is given: both views, or the first."""
        x, y = x_BD[:, self.columns], y_BD[:, self.columns]
        return torch.cat([x, y], dim=1) if self.pair else x


def cached_stream(features: Gather, n_views: int) -> Stream:
    """Pairs from features: for encoders whose features do not depend on the batch."""

    def stream(pairs: Pairs, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        first, second = pairs.flat(n_views)
        for i in range(0, len(first), batch_size):
            yield features(first[i : i + batch_size]), features(second[i : i + batch_size])

    return stream


def live_stream(encoder: Encoder, split: Split, size: int, mode: str) -> Stream:
    """Pairs from pictures; each of the two views is a batch of its own, as in the scripts."""
    buffers = Buffers(keep=_PREFETCH + 2)

    def stream(pairs: Pairs, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        jobs = (
            _picture_job(split, pairs, slice(i, i + batch_size), size, buffers)
            for i in range(0, len(pairs.object_R), batch_size)
        )
        for images_2BCHW in work_ahead(jobs, workers=choose_workers(None), prefetch=_PREFETCH):
            encoder.set_mode("train" if mode == "train" else "eval")
            yield encoder(images_2BCHW[0]), encoder(images_2BCHW[1])

    return stream


def _picture_job(
    split: Split, pairs: Pairs, cut: slice, size: int, buffers: Buffers
) -> Job[Tensor]:
    objects = np.tile(pairs.object_R[cut], 2)
    views = np.concatenate([pairs.first_R[cut], pairs.second_R[cut]])
    images = buffers.take((2, len(objects) // 2, size, size, 3))
    pieces = decoding(split, objects, views, images.flatten(0, 1))
    return Job(pieces, partial(images.permute, 0, 1, 4, 2, 3))


def train_and_judge(
    protocol: Protocol,
    parts: Mapping[str, slice],
    train: tuple[Stream, Truth],
    val: tuple[Stream, Truth],
    *,
    dim: int,
    n_classes: int,
    device: torch.device,
    seed: int,
    on_progress: Progress,
) -> Judged:
    """Train every probe on every part, and judge each after its last epoch.

    Args:
        protocol: with the settings of the probes.
        parts: columns of the representation.
        train: pairs and targets to learn from.
        val: those to be judged on.
        dim: D.
        n_classes: of the train split.
        device: of the probes.
        seed: of heads, pairs and order.
        on_progress: is told the stage "probes" and the epoch.
    """
    stream, truth = train
    probes = _make_probes(protocol, parts, dim, n_classes, device, seed, truth.n_views > 1)
    epochs = max(probe.settings.epochs for probe in probes)
    rng = np.random.Generator(np.random.PCG64([seed, _VAL]))
    judged = object_pairs(val[1].n_objects, val[1].n_views, rng)
    outputs: dict[str, dict[str, Array]] = {}
    for epoch in range(epochs):
        on_progress("probes", epoch, epochs)
        learning = [probe for probe in probes if epoch < probe.settings.epochs]
        _epoch(learning, stream, truth, protocol, seed, epoch)
        done = [probe for probe in learning if probe.settings.epochs == epoch + 1]
        if done:
            for probe, out in zip(done, _judge(done, val[0], judged), strict=True):
                outputs.setdefault(probe.name, {})[probe.part] = out
    on_progress("probes", epochs, epochs)
    return Judged(pairs=judged, outputs=outputs)


def _make_probes(
    protocol: Protocol,
    parts: Mapping[str, slice],
    dim: int,
    n_classes: int,
    device: torch.device,
    seed: int,
    has_pairs: bool,
) -> list[_Probe]:
    rows: list[tuple[str, ProbeSettings | None, int, bool, Loss]] = [
        ("classification", protocol.classification, n_classes, False, F.cross_entropy),
        ("rotation", protocol.rotation, 4, True, F.mse_loss),
        ("color", protocol.color, 2, True, F.mse_loss),
    ]
    made = []
    for name, settings, outputs, pair, loss in rows:
        for part, columns in parts.items():
            if settings is None or (pair and not has_pairs):
                continue
            width = len(range(dim)[columns]) * (2 if pair else 1)
            head = make_head(width, settings.hidden, outputs, seed=seed, device=device)
            made.append(
                _Probe(
                    name=name,
                    part=part,
                    columns=columns,
                    pair=pair,
                    settings=settings,
                    head=head,
                    optimizer=make_optimizer(head, settings),
                    loss=loss,
                )
            )
    return made


def _epoch(
    probes: list[_Probe], stream: Stream, truth: Truth, protocol: Protocol, seed: int, epoch: int
) -> None:
    """One pair per object, in an order and with views of this epoch's own."""
    rng = np.random.Generator(np.random.PCG64([seed, _TRAIN, epoch]))
    pairs = object_pairs(truth.n_objects, truth.n_views, rng)
    batch_size, place = probes[0].settings.batch_size, 0
    targets = _targets(truth, pairs, protocol)
    value = torch.zeros((), device=next(probes[0].head.parameters()).device)
    for x_BD, y_BD in stream(pairs, batch_size):
        cut = slice(place, place + len(x_BD))
        place += len(x_BD)
        for probe in probes:
            target = targets[probe.name][cut].to(x_BD.device)
            inputs = probe.inputs(x_BD, y_BD)
            value = value + descend(probe.head, probe.optimizer, inputs, target, probe.loss)
    check_finite(value)


def _targets(truth: Truth, pairs: Pairs, protocol: Protocol) -> dict[str, Tensor]:
    labels: Ints = truth.class_N[pairs.object_R]
    return {
        "classification": torch.from_numpy(labels),
        "rotation": torch.from_numpy(truth.relative(pairs, protocol.hemisphere)).float(),
        "color": torch.from_numpy(truth.hue_change(pairs)).float(),
    }


@torch.no_grad()
def _judge(probes: list[_Probe], stream: Stream, judged: Pairs) -> list[Array]:
    found: list[list[Tensor]] = [[] for _ in probes]
    for x_BD, y_BD in stream(judged, probes[0].settings.batch_size):
        for probe, out in zip(probes, found, strict=True):
            out.append(probe.head(probe.inputs(x_BD, y_BD)).double().cpu())
    return [torch.cat(out).numpy() for out in found]
