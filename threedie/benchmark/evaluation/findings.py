"""From predictions to named metrics: one function per kind of probe, the same for chance rows.

Names end in the metric: `rotation_r2_global`, `floor_hue_geodesic_deg_median`, `mrr_val`.
docs/metrics.md has each formula.

Shape suffixes: N = objects, V = views, R = rows, O = outputs, K = classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.metrics import Array, Ints, Statistic
from threedie.benchmark.evaluation.targets import SCENE_OUTPUTS, Pairs, Truth
from threedie.manifests.results import Number

if TYPE_CHECKING:
    from threedie.benchmark.evaluation.retrieval import Ranks, Retrieved

HITS = (1, 2, 5, 10)
TOP5_CLASSES = 6
"""With fewer classes, top-5 is always right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Where rows come from: for intervals, curves and classes."""

    split: Literal["train", "val"]
    object_R: Ints
    angle_R: Array
    """Degrees."""
    axis: Literal["relative", "absolute"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A metric of rows."""

    name: str
    statistic: Statistic
    rows: Rows
    curve: bool = True
    """Whether it makes sense over a part of the rows."""


@dataclass(frozen=True, slots=True)
class Given:
    """A number without rows: no interval, no curve."""

    name: str
    number: Number


Finding = Measured | Given


def undefined(name: str, why: str) -> Given:
    """A metric that this data set, method or protocol does not have."""
    return Given(name, Number(value=None, n=0, note=why))


def view_rows(truth: Truth) -> Rows:
    """Every val view, over the angle of its rotation from upright."""
    objects = np.repeat(np.arange(truth.n_objects), truth.n_views)
    return Rows(split="val", object_R=objects, angle_R=truth.tilt_deg(), axis="absolute")


def pair_rows(truth: Truth, pairs: Pairs) -> Rows:
    """Pairs of val views, over the angle between them."""
    angle_R = truth.angle_deg(pairs)
    return Rows(split="val", object_R=pairs.object_R, angle_R=angle_R, axis="relative")


def first_view_rows(truth: Truth, pairs: Pairs) -> Rows:
    """The first view of each pair, over the angle of its rotation from upright."""
    angle_R = truth.tilt_deg()[pairs.flat(truth.n_views)[0]]
    return Rows(split="val", object_R=pairs.object_R, angle_R=angle_R, axis="absolute")


def query_rows(truth: Truth, split: Literal["train", "val"]) -> Rows:
    """Queries 0 → v of every object, over the angle between view 0 and view v."""
    shape = (truth.n_objects, truth.n_views)
    objects = np.broadcast_to(np.arange(shape[0])[:, None], shape).reshape(-1)
    seconds = np.broadcast_to(np.arange(shape[1]), shape).reshape(-1)
    pairs = Pairs(object_R=objects, first_R=np.zeros_like(objects), second_R=seconds)
    return Rows(split=split, object_R=objects, angle_R=truth.angle_deg(pairs), axis="relative")


def classified(logits_RK: Array, class_R: Ints, rows: Rows, *, prefix: str = "") -> list[Finding]:
    """top1, top5, balanced_top1. A row whose class is not in the train split is a miss."""
    n_classes, known = logits_RK.shape[1], class_R >= 0
    if n_classes < 2:
        why = "the train split has one class"
        return [undefined(f"{prefix}{name}", why) for name in ("top1", "top5", "balanced_top1")]
    safe = np.maximum(class_R, 0)
    top1 = metrics.top_hits(logits_RK, safe, 1) * known
    top5 = metrics.top_hits(logits_RK, safe, 5) * known
    block = np.where(known, class_R, n_classes)
    even = metrics.balanced(top1, block, n_classes + 1)
    few = f"with {n_classes} classes, five guesses are always right"
    return [
        Measured(name=f"{prefix}top1", statistic=metrics.mean(top1), rows=rows),
        undefined(f"{prefix}top5", few)
        if n_classes < TOP5_CLASSES
        else Measured(name=f"{prefix}top5", statistic=metrics.mean(top5), rows=rows),
        Measured(name=f"{prefix}balanced_top1", statistic=even, rows=rows, curve=False),
    ]


def regressed(
    name: str,
    predicted_RO: Array,
    target_RO: Array,
    rows: Rows,
    degrees: Callable[[Array, Array], Array] | None,
) -> list[Finding]:
    """Both R², and the mean and median error in degrees where outputs are a place on a sphere."""
    r2 = {
        "r2_global": metrics.r2_global(predicted_RO, target_RO),
        "r2_uniform": metrics.r2_uniform(predicted_RO, target_RO),
    }
    found: list[Finding] = [
        Measured(name=f"{name}_{kind}", statistic=statistic, rows=rows)
        for kind, statistic in r2.items()
    ]
    if degrees is None:
        return found
    names = (f"{name}_geodesic_deg", f"{name}_geodesic_deg_median")
    if np.isnan(r2["r2_global"].value()):
        return found + [undefined(n, "this data set does not vary it") for n in names]
    error_R = degrees(predicted_RO, target_RO)
    return [
        *found,
        Measured(name=names[0], statistic=metrics.mean(error_R), rows=rows),
        Measured(name=names[1], statistic=metrics.median_deg(error_R), rows=rows, curve=False),
    ]


def rotated(predicted_R4: Array, target_R4: Array, rows: Rows) -> list[Finding]:
    """The relative rotation of pairs."""
    return regressed("rotation", predicted_R4, target_R4, rows, metrics.geodesic_deg)


def recolored(predicted_R2: Array, target_R2: Array, rows: Rows) -> list[Finding]:
    """The differences of both hues of pairs; they are not wrapped, so they have no angle."""
    return regressed("color", predicted_R2, target_R2, rows, None)


def seen(predicted_R7: Array, target_R7: Array, rows: Rows) -> list[Finding]:
    """Floor hue, light hue and light direction of views."""
    found: list[Finding] = []
    for name, columns in SCENE_OUTPUTS.items():
        error = metrics.direction_deg if name == "light_direction" else metrics.circle_deg
        found += regressed(name, predicted_R7[:, columns], target_R7[:, columns], rows, error)
    return found


def ranked(ranks: Ranks, rows: Rows, n_views: int) -> list[Finding]:
    """Mrr and h_at_k, within objects."""
    return placed(ranks.greater_NV.reshape(-1), ranks.equal_NV.reshape(-1), rows, n_views)


def placed(greater: Ints, equal: Ints, rows: Rows, n_views: int) -> list[Finding]:
    """The same, of ranks by row."""
    reciprocal = metrics.mean(metrics.reciprocal_rank(greater, equal))
    found: list[Finding] = [Measured(name=f"mrr_{rows.split}", statistic=reciprocal, rows=rows)]
    for k in HITS:
        name = f"h_at_{k}_{rows.split}"
        hits = metrics.mean(metrics.hits_at(k, greater, equal))
        found.append(
            undefined(name, f"with {n_views} views, all are among the first {k}")
            if k >= n_views
            else Measured(name=name, statistic=hits, rows=rows)
        )
    return found


def moved(retrieved: Retrieved, rows: Rows) -> list[Finding]:
    """equivariance_error of the predictor and equivariance_gain over doing nothing; v = 0 is out.

    The error is the mean of 1 − cosine between prediction and target; gain = 1 − error / error of
    doing nothing: 1 is the oracle, 0 is doing nothing, less is worse than that.
    """
    error_R, kept = _but_the_source(retrieved.error_NV, rows)
    nothing_R, _ = _but_the_source(retrieved.identity_error_NV, rows)
    # Of views that embed alike only rounding is left, and that is no error to improve on.
    base_R = nothing_R if nothing_R.mean() > 1e-9 else np.zeros_like(nothing_R)
    gain = metrics.one_minus_ratio(
        error_R, base_R, undefined="all views of an object have one embedding: nothing to gain"
    )
    return [
        Measured(name="equivariance_error", statistic=metrics.mean(error_R), rows=kept),
        Measured(name="equivariance_gain", statistic=gain, rows=kept),
    ]


def unmoved(retrieved: Retrieved, rows: Rows) -> list[Finding]:
    """equivariance_error of doing nothing."""
    error_R, kept = _but_the_source(retrieved.identity_error_NV, rows)
    return [Measured(name="equivariance_error", statistic=metrics.mean(error_R), rows=kept)]


def _but_the_source(values_NV: Array, rows: Rows) -> tuple[Array, Rows]:
    """Rows of the views 1 … V − 1."""
    kept_NV = np.ones(values_NV.shape, dtype=bool)
    kept_NV[:, 0] = False
    kept = kept_NV.reshape(-1)
    fewer = replace(rows, object_R=rows.object_R[kept], angle_R=rows.angle_R[kept])
    return values_NV.reshape(-1)[kept], fewer
