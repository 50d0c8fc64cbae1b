"""Do two sets of predictions for one list agree: row by row, and in every metric?

Shape suffixes: M = rows of the list, N = objects, B = replicates, J, S = blocks and sums of a
Statistic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from threedie.benchmark.evaluation.findings import Measured
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import Items
from threedie.leaderboard.levels.evidence import check
from threedie.leaderboard.recompute import hemisphere, judge
from threedie.manifests.verification import Check

SIGMAS = 3.0
_RESAMPLES, _MEASURED_ON = 300, 200
_Numbers = dict[str, Measured]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """How far apart two honest sets of predictions can be, on a val split of 200 objects or more.

    Of fewer, n, it is √(200 / n) times that, or 3 σ of a metric's paired difference over objects if
    this is more (Student's, so 3 is 4 for a dozen objects). Least shares are 3 σ of a share lower.
    """

    fraction: float
    """Of top1, mrr, h_at_k, pre: shares."""
    r2: float
    degrees: float
    same_class: float
    """Least share of rows with the same likeliest class."""
    turned: float
    """Most that predicted quaternions differ: mean square, in variances of the true ones. (The
    angle says nothing where a probe knows little: its outputs are near the mean.)"""
    same_rank: float
    """Least share of rows whose target stands at the same place."""

    def share(self, least: float, n_objects: int) -> float:
        """The least share of rows for a val split of so many objects."""
        sigma = math.sqrt(least * (1 - least) / n_objects)
        return max(0.0, least - SIGMAS * sigma)

    def of(self, metric: str, n_objects: int) -> float:
        """Most that a metric may differ for a val split of so many objects."""
        kind = self.degrees if "_deg" in metric else self.r2 if "_r2_" in metric else self.fraction
        return kind * _smaller(n_objects)

    def turn(self, n_objects: int) -> float:
        """Most that quaternions may differ: probes of fewer objects have learnt from fewer."""
        return self.turned * _smaller(n_objects)


def _smaller(n_objects: int) -> float:
    return math.sqrt(max(1.0, _MEASURED_ON / n_objects))


def agreement(
    given: Items, found: Items, truth: FrozenTruth, tolerance: Tolerance, *, seed: int
) -> tuple[list[Check], dict[str, float]]:
    """Compare an entry's predictions of one run with those that were made again.

    Args:
        given: the entry's.
        found: made again, for the same list.
        truth: the board's.
        tolerance: how far apart they may be.
        seed: of the run, for the names of checks.

    Returns:
        Checks, and found minus given by `part/metric`.
    """
    said, metrics = _metrics(given, found, truth, tolerance)
    checks = [
        _parts(given, found),
        *_classes(given, found, truth, tolerance),
        *_rotations(given, found, truth, tolerance),
        *_ranks(given, found, truth, tolerance),
        said,
    ]
    named = [one.model_copy(update={"name": f"seed-{seed}-{one.name}"}) for one in checks]
    return named, metrics


def _parts(given: Items, found: Items) -> Check:
    same = set(given.top5) == set(found.top5) and set(given.rotation) == set(found.rotation)
    same = same and given.has_predictor == found.has_predictor
    says = f"parts {', '.join(sorted(found.top5))}; predictor: {found.has_predictor}"
    return check("parts", same, says)


def _classes(
    given: Items, found: Items, truth: FrozenTruth, tolerance: Tolerance
) -> Iterator[Check]:
    least = tolerance.share(tolerance.same_class, len(truth.objects))
    for part in sorted(set(given.top5) & set(found.top5)):
        same = float((given.top5[part][:, 0] == found.top5[part][:, 0]).mean())
        says = f"{same:.2%} of rows have the same likeliest class; {least:.1%} must"
        yield check(f"classes-{_dashed(part)}", same >= least, says)


def _rotations(
    given: Items, found: Items, truth: FrozenTruth, tolerance: Tolerance
) -> Iterator[Check]:
    wanted_M4 = truth.truth.relative(truth.listed.pairs(), hemisphere(truth.protocol))
    spread = float(np.square(wanted_M4 - wanted_M4.mean(axis=0)).sum())
    allowed = tolerance.turn(len(truth.objects))
    for part in sorted(set(given.rotation) & set(found.rotation)):
        square = float(np.square(given.rotation[part] - found.rotation[part]).sum())
        apart = square / max(spread, 1e-12)
        says = f"quaternions differ by {apart:.4f} of the true ones' variance"
        yield check(
            f"rotations-{_dashed(part)}",
            apart <= allowed,
            f"{says}; {allowed:.3f} may be",
        )


def _ranks(given: Items, found: Items, truth: FrozenTruth, tolerance: Tolerance) -> Iterator[Check]:
    least = tolerance.share(tolerance.same_rank, len(truth.objects))
    if given.greater_M is None or found.greater_M is None:
        return
    same = float((given.greater_M == found.greater_M).mean())
    says = f"{same:.2%} of rows have the same rank; {least:.1%} must"
    yield check("ranks", same >= least, says)


def _dashed(part: str) -> str:
    return part.replace("_", "-")[:30]


def _metrics(
    given: Items, found: Items, truth: FrozenTruth, tolerance: Tolerance
) -> tuple[Check, dict[str, float]]:
    pair = _numbers(given, truth), _numbers(found, truth)
    deltas = {
        name: pair[1][name].statistic.value() - pair[0][name].statistic.value()
        for name in pair[0]
        if name in pair[1]
    }
    deltas = {name: delta for name, delta in deltas.items() if np.isfinite(delta)}
    n = len(truth.objects)
    allowed = {name: tolerance.of(name, n) for name in deltas}
    for name, delta in deltas.items():
        if abs(delta) > allowed[name]:
            sigma = _paired_sigma(pair[0][name], pair[1][name], n)
            allowed[name] = max(allowed[name], SIGMAS * (1 + 4 / max(n - 1, 1)) * sigma)
    worst = sorted(deltas, key=lambda name: -abs(deltas[name]) / allowed[name])
    beyond = [name for name in worst if abs(deltas[name]) > allowed[name]]
    shown = "; ".join(f"{n} {deltas[n]:+.4f} of ±{allowed[n]:.4f}" for n in (beyond or worst)[:8])
    says = f"{len(beyond)} of {len(deltas)} metrics differ by more than may be. {shown}"
    return check("metrics", not beyond, says), deltas


def _numbers(items: Items, truth: FrozenTruth) -> _Numbers:
    """By `part/metric`; medians are left out: they are of the rows that means are of."""
    return {
        f"{part}/{name}": one
        for part, named in judge(items, truth).items()
        for name, one in named.items()
        if isinstance(one, Measured) and not name.endswith("_median")
    }


def _paired_sigma(one: Measured, other: Measured, n_objects: int) -> float:
    """Standard deviation of a metric's difference over resampled objects; 0 for fewer than two."""
    if n_objects < 2:
        return 0.0
    rng = np.random.Generator(np.random.PCG64(0))
    draws_BN = rng.multinomial(n_objects, [1 / n_objects] * n_objects, size=_RESAMPLES)
    values = []
    for found in (one, other):
        sums_NJS = found.statistic.sums(found.rows.object_R, n_objects)
        drawn = (draws_BN.astype(np.float64) @ sums_NJS.reshape(n_objects, -1)).reshape(
            -1, *sums_NJS.shape[1:]
        )
        values.append(found.statistic.formula(drawn))
    apart = values[1] - values[0]
    return float(np.nanstd(apart)) if np.isfinite(apart).any() else 0.0
