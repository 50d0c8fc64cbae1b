"""Do two sets of predictions for one list agree: row by row, and in every metric?

Shape suffixes: M = rows of the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from threedie.benchmark.evaluation.findings import Measured
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.evaluation.metrics import geodesic_deg
from threedie.leaderboard.levels.evidence import check
from threedie.leaderboard.recompute import judge
from threedie.manifests.verification import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """How far apart two honest sets of predictions can be."""

    fraction: float
    """Of top1, mrr, h_at_k, pre: shares."""
    r2: float
    degrees: float
    same_class: float
    """Least share of rows with the same likeliest class."""
    turned_deg: float
    """Most that the median row's rotations are apart."""
    same_rank: float
    """Least share of rows whose target stands at the same place."""

    def of(self, metric: str) -> float:
        """Most that a metric may differ."""
        if "_deg" in metric:
            return self.degrees
        return self.r2 if "_r2_" in metric else self.fraction


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
    checks = [
        *_parts(given, found),
        *_classes(given, found, tolerance),
        *_rotations(given, found, tolerance),
        *_retrieved(given, found, tolerance),
    ]
    deltas = _deltas(given, found, truth)
    beyond = {n: d for n, d in deltas.items() if not abs(d) <= tolerance.of(n.partition("/")[2])}
    worst = max(deltas, key=lambda n: abs(deltas[n]) / tolerance.of(n.partition("/")[2]))
    said = ", ".join(f"{n} {d:+.4f}" for n, d in (beyond or {worst: deltas[worst]}).items())
    checks.append(
        check(
            "metrics",
            not beyond,
            f"{len(deltas)} metrics; {'beyond' if beyond else 'nearest to'} tolerance "
            f"({tolerance.fraction:g} of shares, {tolerance.r2:g} of R², {tolerance.degrees:g}°): "
            f"{said}",
        )
    )
    named = [one.model_copy(update={"name": f"seed-{seed}-{one.name}"}) for one in checks]
    return named, deltas


def _parts(given: Items, found: Items) -> Iterator[Check]:
    same = set(given.top5) == set(found.top5) and set(given.rotation) == set(found.rotation)
    same = same and given.has_predictor == found.has_predictor
    yield check(
        "parts",
        same,
        f"parts {', '.join(sorted(found.top5))}; "
        f"{'with' if found.has_predictor else 'without'} a predictor",
    )


def _classes(given: Items, found: Items, tolerance: Tolerance) -> Iterator[Check]:
    for part in sorted(set(given.top5) & set(found.top5)):
        same = float((given.top5[part][:, 0] == found.top5[part][:, 0]).mean())
        says = f"{same:.2%} of rows have the same likeliest class; {tolerance.same_class:.1%} must"
        yield check(f"classes-{_dashed(part)}", same >= tolerance.same_class, says)


def _rotations(given: Items, found: Items, tolerance: Tolerance) -> Iterator[Check]:
    for part in sorted(set(given.rotation) & set(found.rotation)):
        apart = float(np.median(geodesic_deg(given.rotation[part], found.rotation[part])))
        says = f"rotations are {apart:.2f}° apart (median); {tolerance.turned_deg:g}° may be"
        yield check(f"rotations-{_dashed(part)}", apart <= tolerance.turned_deg, says)


def _retrieved(given: Items, found: Items, tolerance: Tolerance) -> Iterator[Check]:
    if given.greater_M is None or found.greater_M is None:
        return
    same = float((given.greater_M == found.greater_M).mean())
    says = f"{same:.2%} of rows have the same rank; {tolerance.same_rank:.1%} must"
    yield check("ranks", same >= tolerance.same_rank, says)


def _dashed(part: str) -> str:
    return part.replace("_", "-")[:30]


def _deltas(given: Items, found: Items, truth: FrozenTruth) -> dict[str, float]:
    values = [
        {
            f"{part}/{name}": one.statistic.value()
            for part, named in judge(items, truth).items()
            for name, one in named.items()
            if isinstance(one, Measured)
        }
        for items in (given, found)
    ]
    shared = [name for name in values[0] if name in values[1]]
    apart = {name: values[1][name] - values[0][name] for name in shared}
    return {name: delta for name, delta in apart.items() if np.isfinite(delta)}
