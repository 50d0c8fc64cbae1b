"""The metrics of a board: what they are called, what they can be, what they mean.

A dict to read: entries are judged by these and by no others, `reported` values are held against
their ranges, and pages explain them with these words. Formulas in full: docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_SHARE_OF = "share of listed val views"


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardMetric:
    """One metric."""

    name: str
    title: str
    unit: Literal["fraction", "degrees"]
    """Of values, in files and on pages alike: never percent."""
    better: Literal["higher", "lower"]
    low: float | None
    """The least it can be; None: no bound."""
    high: float
    formula: str
    chance: str
    """What knowing nothing scores."""
    perfect: float
    """What the oracle scores."""
    parts: Literal["each", "all"] = "all"
    """Whether each part of the representation has it, or only all of it."""
    ranked: bool = True
    """False: known from papers, for `reported`; a board does not measure it."""

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return self.better == "higher"


def _share(name: str, title: str, formula: str, chance: str, **more: object) -> BoardMetric:
    given = {"unit": "fraction", "better": "higher", "low": 0.0, "high": 1.0, "perfect": 1.0}
    return BoardMetric(
        name=name,
        title=title,
        formula=formula,
        chance=chance,
        **{**given, **more},  # type: ignore[arg-type]
    )


def _r2(of: str, title: str, kind: str, chance: str, **more: object) -> BoardMetric:
    mean = "one mean m over all outputs" if kind == "global" else "each output's own mean, averaged"
    formula = f"1 − Σ(t − p)² / Σ(t − m)², {mean}"
    name = f"{of}_r2_{kind}"
    return _share(name, f"{title} R² ({kind})", formula, chance, low=None, **more)


def _degrees(of: str, title: str, how: str, angle: str, **more: object) -> BoardMetric:
    suffix = "" if how == "mean" else "_median"
    return _share(
        f"{of}_geodesic_deg{suffix}",
        f"{title} error, {how}",
        f"{how} of {angle}",
        "of the constant answer: depends on the data",
        unit="degrees",
        better="lower",
        high=180.0,
        perfect=0.0,
        **more,
    )


def _regressed(
    of: str, title: str, angle: str, constant: str, parts: Literal["each", "all"] = "all"
) -> tuple[BoardMetric, ...]:
    return (
        _r2(of, title, "global", constant, parts=parts),
        _r2(of, title, "uniform", "0: the constant answer", parts=parts),
        _degrees(of, title, "mean", angle, parts=parts),
        _degrees(of, title, "median", angle, parts=parts),
    )


_BOARD = (
    _share(
        "top1",
        "Top-1",
        f"{_SHARE_OF} whose likeliest class is the true one",
        "share of val's most frequent class",
        parts="each",
    ),
    _share(
        "top5",
        "Top-5",
        f"{_SHARE_OF} whose class is among the five likeliest; undefined below six classes",
        "share of val's five most frequent classes",
        parts="each",
    ),
    _share(
        "balanced_top1",
        "Top-1, balanced",
        "mean over classes of the share of hits in the class",
        "1 / classes",
        parts="each",
    ),
    *_regressed(
        "rotation",
        "Rotation",
        "the angle between predicted and true relative rotation",
        "not 0: the constant quaternion scores 0.245 on 3DIEBench (0.229 with SciPy's signs)",
        parts="each",
    ),
    *_regressed("floor_hue", "Floor hue", "the angle on the circle of hues", "near 0"),
    *_regressed("light_hue", "Light hue", "the angle on the circle of hues", "near 0"),
    *_regressed(
        "light_direction",
        "Light direction",
        "the angle between directions",
        "not 0: the constant answer scores 0.75 on 3DIEBench, as the light stands high",
    ),
    _share(
        "mrr_val",
        "MRR",
        "view 0 is moved to the listed view: mean of 1 / rank of that view among the views of its "
        "object; ties averaged",
        "(1 + 1/2 + … + 1/V) / V: 0.090 for 50 views",
    ),
    *(
        _share(
            f"h_at_{k}_val",
            f"H@{k}",
            f"share of ranks ≤ {k}, ranks as in MRR; undefined where there are no more than {k} "
            "views",
            f"{k} / V: {k / 50:.2f} for 50 views",
        )
        for k in (1, 2, 5, 10)
    ),
    _share(
        "pre_val",
        "PRE",
        "mean of 1 − ⟨q, q'⟩²: rotations of the listed view and of the val view nearest to view 0 "
        "moved to it",
        "of a random val view: depends on the data",
        better="lower",
        perfect=0.0,
    ),
)
_QUOTED = (
    *(
        _r2("color", "Hue differences", kind, "near 0", ranked=False)
        for kind in ("global", "uniform")
    ),
    *(
        _share(name, title, "as its source says", "as its source says", ranked=False)
        for name, title in (
            ("mrr_train", "MRR, train"),
            *((f"h_at_{k}_train", f"H@{k}, train") for k in (1, 2, 5, 10)),
        )
    ),
    *(
        _share(
            name,
            title,
            "as its source says",
            "as its source says",
            better="lower",
            perfect=0.0,
            ranked=False,
        )
        for name, title in (("pre_train", "PRE, train"), ("pre_val_all", "PRE, val among all"))
    ),
)

METRICS: dict[str, BoardMetric] = {metric.name: metric for metric in _BOARD}
"""What a board measures, in the order of its tables."""
QUOTED: dict[str, BoardMetric] = {metric.name: metric for metric in (*_BOARD, *_QUOTED)}
"""What `reported` can hold."""


def out_of_range(name: str, value: float) -> tuple[str, str] | None:
    """What is wrong with a reported value: the name of the refusal, and what it says.

    Args:
        name: of the metric.
        value: as somebody's file has it.
    """
    metric = QUOTED.get(name)
    if metric is None:
        return "unknown-metric", f"no metric is called so. Known: {', '.join(QUOTED)}"
    if metric.unit == "fraction" and metric.high < value <= 100:
        return (
            "percent-for-fraction",
            f"{value:g} is more than {metric.high:g}: values are fractions, not percent",
        )
    if value > metric.high or (metric.low is not None and value < metric.low):
        low = "−∞" if metric.low is None else f"{metric.low:g}"
        return "out-of-range", f"{value:g} is not within {low} to {metric.high:g} ({metric.unit})"
    return None
