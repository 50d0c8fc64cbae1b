"""Numbers, levels and states as the pages have them: short text, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from threedie.leaderboard.metrics import METRICS
from threedie.manifests.verification import LEVELS, Level, Measured
from threedie.words import fixed

MISSING = "—"
SHAPES: dict[Level, str] = dict(zip(LEVELS, "○◔◑◕●★", strict=True))
"""How far a level goes: emptier to fuller."""
MEANINGS: dict[Level, str] = {
    "reported": "what somebody says; never ranked",
    "recomputed": "every number computed from submitted predictions",
    "re-probed": "probes learnt anew from submitted features",
    "re-run": "submitted weights, run on the val pictures",
    "fresh-render": "new views of the val objects, rendered from a secret seed",
    "retrained": "trained anew from the submitted configuration",
}


UNPROVED = (
    "“Recomputed” does not prove that a network made the predictions, since the truth of val is "
    "public; re-run and what goes further do."
)


@dataclass(frozen=True, slots=True)
class KeyMetric:
    """A column of the main tables."""

    part: str
    metric: str
    short: str
    """Its heading."""
    said: str
    """The same in full."""

    @property
    def key(self) -> str:
        """`part/metric`."""
        return f"{self.part}/{self.metric}"

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return is_higher(self.metric)


COLUMNS = (
    KeyMetric("all", "rotation_r2_uniform", "Rotation R²", "rotation R² (uniform)"),
    KeyMetric("all", "top1", "Top-1", "top-1 accuracy"),
    KeyMetric("equi", "rotation_r2_uniform", "R², equi part", "rotation R² (uniform), equi part"),
    KeyMetric("all", "rotation_geodesic_deg_median", "Error°", "median rotation error, degrees"),
    KeyMetric("all", "mrr_val", "MRR", "mean reciprocal rank"),
)
"""The first is the one that the index is sorted by."""


def is_higher(metric: str) -> bool:
    """Whether more of a metric is better."""
    found = METRICS.get(metric)
    return found.higher if found else not _is_degrees(metric)


def failure(levels: Iterable[Level]) -> str:
    """`failed re-run, fresh-render`; empty where no level failed."""
    named = ", ".join(levels)
    return f"failed {named}" if named else ""


def title(metric: str) -> str:
    """What a metric is called."""
    found = METRICS.get(metric)
    return found.title if found else metric


def number(metric: str, value: float | None, *, digits: int | None = None) -> str:
    """A value: a fraction with three digits, degrees with one, — for nothing."""
    if value is None:
        return MISSING
    if abs(value) >= 1e4:
        return f"{value:.2e}".replace("-", "−")
    places = digits if digits is not None else 1 if _is_degrees(metric) else 3
    return fixed(value, places).replace("-", "−")


def interval(metric: str, found: Measured | None) -> str:
    """`0.712–0.741`, `−0.003 to 0.001`, or nothing."""
    if found is None or found.low is None or found.high is None:
        return ""
    between = " to " if min(found.low, found.high) < 0 else "–"
    return f"{number(metric, found.low)}{between}{number(metric, found.high)}"


def _is_degrees(metric: str) -> bool:
    found = METRICS.get(metric)
    return found.unit == "degrees" if found else "_deg" in metric
