"""Control and new views judged by one set of probes, and their difference in units of its σ.

Shape suffixes: n = chosen objects, V = views of each, M = rows of both sets' list, B = replicates,
S, J = sums and blocks of a Statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from threedie.benchmark.evaluate_run import Subject
from threedie.benchmark.evaluation.context import open_context, read_features
from threedie.benchmark.evaluation.findings import Measured
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.items import About, Items
from threedie.benchmark.evaluation.judge_listed import probe_listed
from threedie.benchmark.evaluation.metrics import Array, Ints, Statistic
from threedie.benchmark.evaluation.protocols import Protocol
from threedie.benchmark.evaluation.record import Log
from threedie.benchmark.evaluation.retrieval import MovedSplit, Ranks, at_rest, retrieve
from threedie.benchmark.evaluation.stages import Context
from threedie.benchmark.reading.split import Split
from threedie.leaderboard.levels.fresh_views import Drawn
from threedie.leaderboard.recompute import judge

METRICS = ("top1", "rotation_r2_uniform", "mrr_val")
"""Of the whole representation."""
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of both sets."""

    control: float
    fresh: float
    sigma: float
    """Of fresh − control, from the paired bootstrap over objects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What probes say of control and new views."""

    items: Items
    truth: FrozenTruth
    """Of both sets, as one val split of 2n objects."""

    @property
    def n(self) -> int:
        """Chosen objects."""
        return len(self.truth.objects) // 2

    def differences(self, seed: int) -> dict[str, Difference]:
        """By metric; what the method or the data do not have is left out.

        Args:
            seed: of the bootstrap.
        """
        rng = np.random.Generator(np.random.PCG64(seed))
        draws_Bn = rng.multinomial(self.n, [1 / self.n] * self.n, size=_RESAMPLES)
        found = judge(self.items, self.truth)["all"]
        return {
            name: _difference(one.statistic, one.rows.object_R, draws_Bn.astype(np.float64))
            for name in METRICS
            if isinstance(one := found.get(name), Measured) and np.isfinite(one.statistic.value())
        }

    def control_hits(self) -> dict[tuple[int, int], bool]:
        """Whether the likeliest class is right, by (chosen object, view of the control)."""
        listed, right_M = self.truth.listed, self._right()
        rows = zip(listed.object_M, listed.view_M, right_M, strict=True)
        return {(int(i), int(v)): bool(hit) for i, v, hit in rows if i < self.n}

    def _right(self) -> Array:
        classes_M = self.truth.labels_N[self.truth.listed.object_M]
        return np.asarray(self.items.top5["all"][:, 0] == classes_M)


def _difference(statistic: Statistic, object_R: Ints, draws_Bn: Array) -> Difference:
    n = draws_Bn.shape[1]
    sums_2nJS = statistic.sums(object_R, 2 * n)
    halves = sums_2nJS[:n], sums_2nJS[n:]
    control, fresh = (float(statistic.formula(half.sum(axis=0)[None])[0]) for half in halves)
    drawn = [
        statistic.formula((draws_Bn @ half.reshape(n, -1)).reshape(-1, *half.shape[1:]))
        for half in halves
    ]
    return Difference(control, fresh, float(np.nanstd(drawn[1] - drawn[0])))


def judge_drawn(
    subject: Subject,
    train: Split,
    drawn: Drawn,
    protocol: Protocol,
    *,
    device: str,
    batch_size: int,
    on_progress: Callable[[str, int, int], None],
) -> Judged:
    """Encode, train probes on the official train views, judge both sets.

    Args:
        subject: the encoder, and how its pictures must be.
        train: official.
        drawn: both sets.
        protocol: whose probes.
        device: where.
        batch_size: pictures at a time.
        on_progress: is told (stage, done, of how many).
    """
    log = Log()
    context, predictor, _ = open_context(
        subject.encoder,
        {"train": train, "val": drawn.split},
        protocol=replace(protocol, scene=None),
        device=device,
        size=subject.size,
        normalise=subject.normalise,
        on_progress=on_progress,
        log=log,
    )
    features = read_features(
        context, ("train", "val"), identity=None, cache=None, batch_size=batch_size, log=log
    )
    context = replace(context, features=features)
    truth = freeze(f"{protocol.name}/{protocol.version}", train, drawn.split)
    items = _probed(context, truth)
    if predictor is not None and truth.listed.n_views > 1:
        items = _with_ranks(items, truth, context, predictor, batch_size)
    return Judged(items=items, truth=truth)


def _probed(context: Context, truth: FrozenTruth) -> Items:
    """Classes and rotations, of the whole representation."""
    told = probe_listed(
        context.features["train"],
        context.truths["train"],
        context.features["val"].data_MD[truth.listed.flat_M],
        truth.listed,
        parts={"all": context.parts.get("all", slice(0, context.dim))},
        n_classes=context.n_classes,
        protocol=context.protocol,
        seed=context.seed,
        device=context.device,
        on_progress=context.on_progress,
    )
    return Items(
        about=About(
            protocol=truth.protocol,
            list_sha256=truth.sha256,
            classes=context.n_classes,
            parts=("all",),
            seed=0,
        ),
        row_M=truth.listed.flat_M,
        top5=told.top5,
        rotation=told.rotation,
        scene={},
    )


def _with_ranks(
    items: Items, truth: FrozenTruth, context: Context, predictor: object, batch_size: int
) -> Items:
    """Retrieval within objects; among all of val nothing is asked, and `nearest` is the target."""
    with at_rest(predictor, context.device):  # type: ignore[arg-type]  # of open_context
        moved = MovedSplit(
            context.features["val"],
            context.truths["val"],
            predictor,  # type: ignore[arg-type]  # likewise
            device=context.device,
            batch_size=batch_size,
        )
        ranks: Ranks = retrieve(moved, context.on_progress, "retrieval").ranks["predictor"]
    flat_M = truth.listed.flat_M
    return replace(
        items,
        greater_M=ranks.greater_NV.reshape(-1)[flat_M],
        equal_M=ranks.equal_NV.reshape(-1)[flat_M],
        nearest_M=flat_M,
    )
