"""The metrics, as formulas over sums of rows: one formula gives the value, its interval, its curve.

A row is one judged thing: a view, a pair of views, a query. A `Statistic` says what each row adds
to a few sums and how the metric follows from them; so resampling objects is a matrix product.

Shape suffixes: R = rows, O = outputs, K = classes, S = sums, J = blocks of sums; leading dots of a
formula's argument are resamples or groups. Quaternions are xyzw. All numbers are float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_VARIANCE = 1e-9
"""An output whose values span less than this is a constant: it has no R²."""
_BINS_PER_DEGREE = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """A metric of rows."""

    rows_RS: Array
    """What each row adds to the sums."""
    formula: Callable[[Array], Array]
    """(…, J, S) sums to (…): NaN where the metric is undefined."""
    block_R: Ints | None = None
    """Which block of sums a row adds to; None: there is one block."""
    blocks: int = 1
    """J."""
    undefined: str = "there is nothing to measure"
    """Why, where the formula gives NaN."""
    exact: float | None = None
    """The value of all rows, where the formula on sums is an approximation of it."""

    def value(self) -> float:
        """Of all rows; NaN where undefined."""
        if self.exact is not None:
            return self.exact
        zeros = np.zeros(len(self.rows_RS), dtype=np.int64)
        return float(self.formula(self.sums(zeros, 1))[0])

    def sums(self, group_R: Ints, groups: int) -> Array:
        """(groups, J, S): the sums of each group's rows."""
        block = self.block_R if self.block_R is not None else 0
        place = group_R * self.blocks + block
        columns = [
            np.bincount(place, weights=column, minlength=groups * self.blocks)
            for column in self.rows_RS.T
        ]
        return np.stack(columns, axis=-1).astype(np.float64).reshape(groups, self.blocks, -1)


def mean(values_R: Array) -> Statistic:
    """Arithmetic mean of the rows."""
    return ratio(values_R, np.ones(len(values_R)))


def ratio(over_R: Array, under_R: Array, *, undefined: str = "nothing to divide by") -> Statistic:
    """Sum of `over` divided by sum of `under`."""
    rows = np.stack([over_R, under_R], axis=1).astype(np.float64)
    return Statistic(rows_RS=rows, formula=_ratio, undefined=undefined)


def one_minus_ratio(over_R: Array, under_R: Array, *, undefined: str) -> Statistic:
    """One minus `ratio`."""
    rows = np.stack([over_R, under_R], axis=1).astype(np.float64)
    return Statistic(rows_RS=rows, formula=lambda sums: 1 - _ratio(sums), undefined=undefined)


def balanced(hit_R: Array, label_R: Ints, n_classes: int) -> Statistic:
    """Mean over classes of the share of hits in the class; absent classes do not count."""
    rows = np.stack([hit_R, np.ones(len(hit_R))], axis=1).astype(np.float64)
    return Statistic(rows_RS=rows, formula=_mean_of_ratios, block_R=label_R, blocks=n_classes)


def median_deg(degrees_R: Array) -> Statistic:
    """Median of angles in 0..180. Exact; its interval is from bins of 0.1°."""
    bins = 180 * _BINS_PER_DEGREE
    block = np.clip((degrees_R * _BINS_PER_DEGREE).astype(np.int64), 0, bins - 1)
    return Statistic(
        rows_RS=np.ones((len(degrees_R), 1)),
        formula=_median_of_histogram,
        block_R=block,
        blocks=bins,
        exact=float(np.median(degrees_R)) if len(degrees_R) else float("nan"),
    )


def r2_global(predicted_RO: Array, target_RO: Array) -> Statistic:
    """1 − SSres / SStot with one scalar mean over all outputs.

    The R² of SIE, CapsIE, EquiCaps and ContextSSL. Its constant predictor does not score 0: the
    outputs' different means count as variance. Where no output varies there is nothing to predict,
    whatever their means are, and the score is undefined.
    """
    constant = not len(_varying(target_RO))
    centred = np.zeros_like(target_RO) if constant else target_RO - target_RO.mean()
    rows = np.stack(
        [
            np.square(target_RO - predicted_RO).sum(axis=1),
            centred.sum(axis=1),
            np.square(centred).sum(axis=1),
            np.full(len(target_RO), target_RO.shape[1], dtype=np.float64),
        ],
        axis=1,
    )
    return Statistic(
        rows_RS=rows, formula=_r2_of_sums, undefined="the target has the same value everywhere"
    )


def r2_uniform(predicted_RO: Array, target_RO: Array) -> Statistic:
    """Mean over outputs of 1 − SSres / SStot, each with its own mean; constant outputs left out.

    The R² of seq-JEPA and of scikit-learn's `uniform_average`. A constant predictor scores 0.
    """
    kept = _varying(target_RO)
    target, predicted = target_RO[:, kept], predicted_RO[:, kept]
    centred = target - target.mean(axis=0) if len(target) else target
    count = np.ones((len(target), max(1, len(kept))))
    parts = [np.square(target - predicted), centred, np.square(centred), count]
    return Statistic(
        rows_RS=np.concatenate(parts, axis=1),
        formula=lambda sums: _mean_over_outputs(sums, len(kept)),
        undefined="no output has any variance",
    )


def _varying(target_RO: Array) -> Ints:
    """Numbers of the outputs that are no constants."""
    spread = np.ptp(target_RO, axis=0) if len(target_RO) else np.zeros(target_RO.shape[1])
    return np.flatnonzero(spread > NO_VARIANCE)


def _ratio(sums: Array) -> Array:
    over, under = sums[..., 0, 0], sums[..., 0, 1]
    return _divide(over, under)


def _mean_of_ratios(sums: Array) -> Array:
    return _nanmean(_divide(sums[..., 0], sums[..., 1]))


def _r2_of_sums(sums: Array) -> Array:
    return _r2(*np.moveaxis(sums[..., 0, :], -1, 0))


def _mean_over_outputs(sums: Array, outputs: int) -> Array:
    if not outputs:
        return np.full(sums.shape[:-2], np.nan)
    four = sums[..., 0, :].reshape(*sums.shape[:-2], 4, outputs)
    return _nanmean(_r2(*np.moveaxis(four, -2, 0)))


def _r2(residual: Array, total: Array, squares: Array, count: Array) -> Array:
    """From sums of squared residuals, of targets (shifted by any constant) and their squares."""
    spread = squares - _divide(np.square(total), count)
    constant = ~(spread > NO_VARIANCE**2 * np.maximum(count, 1.0))
    score: Array = np.where(constant, np.nan, 1 - residual / np.where(constant, 1.0, spread))
    return score


def _median_of_histogram(sums: Array) -> Array:
    """The bin's middle where half of the rows are passed."""
    counts = sums[..., 0].cumsum(axis=-1)
    total = counts[..., -1:]
    place = (counts < total / 2).sum(axis=-1)
    return np.where(total[..., 0] > 0, (place + 0.5) / _BINS_PER_DEGREE, np.nan)


def _divide(over: Array, under: Array) -> Array:
    safe = np.where(under > 0, under, 1.0)
    return np.where(under > 0, over / safe, np.nan)


def _nanmean(values: Array) -> Array:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


def top_hits(logits_RK: Array, label_R: Ints, k: int) -> Array:
    """(R,) 1 where the label is among the k largest; of equal ones the lower class comes first."""
    own = np.take_along_axis(logits_RK, label_R[:, None], axis=1)
    before = np.arange(logits_RK.shape[1]) < label_R[:, None]
    ahead = ~(logits_RK <= own) | ((logits_RK == own) & before)  # NaN is never a hit
    return np.asarray(ahead.sum(axis=1) < k, dtype=np.float64)


def geodesic_deg(a_R4: Array, b_R4: Array) -> Array:
    """Angle of the rotation between two quaternions of any length and sign, 0..180 degrees.

    Through atan2 and not acos: that loses half of the digits near 0. A zero quaternion is taken
    for the identity.
    """
    a, b = _unit(a_R4), _unit(b_R4)
    a = a * np.where((a * b).sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    half = np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return np.asarray(np.degrees(4 * half), dtype=np.float64)


def _unit(q_R4: Array) -> Array:
    length = np.linalg.norm(q_R4, axis=-1, keepdims=True)
    identity = np.array([0.0, 0.0, 0.0, 1.0])
    unit: Array = np.where(length > 0, q_R4 / np.where(length > 0, length, 1.0), identity)
    return unit


def direction_deg(a_R3: Array, b_R3: Array) -> Array:
    """Angle between two directions of any length, 0..180 degrees."""
    cross = np.linalg.norm(np.cross(a_R3, b_R3), axis=-1)
    return np.asarray(np.degrees(np.arctan2(cross, (a_R3 * b_R3).sum(axis=-1))), dtype=np.float64)


def circle_deg(a_R2: Array, b_R2: Array) -> Array:
    """Angle between two points (cos, sin) of the hue circle, 0..180 degrees."""
    turned = a_R2[..., 0] * b_R2[..., 1] - a_R2[..., 1] * b_R2[..., 0]
    return np.asarray(
        np.degrees(np.arctan2(np.abs(turned), (a_R2 * b_R2).sum(axis=-1))), dtype=np.float64
    )


def rotation_distance(a_R4: Array, b_R4: Array) -> Array:
    """1 − ⟨q, q'⟩² of unit quaternions: SIE's PRE of one prediction, 0..1."""
    distance = 1 - np.square((a_R4 * b_R4).sum(axis=-1))
    return np.asarray(np.clip(distance, 0.0, 1.0), dtype=np.float64)


def reciprocal_rank(greater_R: Ints, equal_R: Ints) -> Array:
    """1/rank of the target, averaged over all orders of the candidates that tie with it.

    Args:
        greater_R: candidates that score higher than the target.
        equal_R: candidates that score the same, the target among them: at least 1.
    """
    ranks = np.arange(1, int((greater_R + equal_R).max(initial=0)) + 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / ranks)])
    span_R = harmonic[greater_R + equal_R] - harmonic[greater_R]
    return np.asarray(span_R / equal_R, dtype=np.float64)


def hits_at(k: int, greater_R: Ints, equal_R: Ints) -> Array:
    """1 where the target's rank is at most k, averaged over all orders of ties."""
    return np.asarray(np.clip(k - greater_R, 0, equal_R) / equal_R, dtype=np.float64)
