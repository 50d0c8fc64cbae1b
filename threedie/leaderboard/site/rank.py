"""Ranks as far as the data tell them: ranges of ranks, the test of two rows, the Pareto front.

Rows are compared in pairs, on the bootstrap replicates that the verifier wrote: all entries of a
list have the same draws of objects, so the replicates' differences are paired. Three seeds say
little of how training varies: the difference is referred to Student's t, with Welch and
Satterthwaite's degrees of freedom (those of the seeds; objects are many). A row's rank range is a
95 % interval for its rank: from 1 + the rows that are surely better, to all rows less those that
are surely worse; "surely" by Holm's procedure over the row's own comparisons. There is no score
over metrics, so the order of two rows never depends on a third.

Shape suffixes: N = rows, B = replicates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
_SAME = 1e-12
"""Of the sum of both variances: a difference that varies less does not vary."""

_MOST_FREEDOM = 1e6

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One metric of one row."""

    value: float
    """Mean over seeds."""
    replicates: Sequence[float]
    """B bootstrap values."""
    std: float
    """Over seeds, unbiased."""
    seeds: int


@dataclass(frozen=True, slots=True)
class RankRange:
    """Ranks that a row may have; 1 is best."""

    best: int
    worst: int

    def __str__(self) -> str:
        return f"{self.best}" if self.best == self.worst else f"{self.best}–{self.worst}"


def rank_ranges(rows: Sequence[Sample], *, higher: bool, alpha: float = ALPHA) -> list[RankRange]:
    """The rank range of each row.

    Args:
        rows: with replicates of one length, of the same draws.
        higher: whether more is better.
        alpha: error that is allowed for each row's range.
    """
    if not rows:
        return []
    z_NN = _scores(rows) if higher else -_scores(rows)
    sure_NN = _holm(np.abs(z_NN), alpha)
    better_N = (sure_NN & (z_NN < 0)).sum(axis=1)
    worse_N = (sure_NN & (z_NN > 0)).sum(axis=1)
    return [
        RankRange(1 + int(b), len(rows) - int(w)) for b, w in zip(better_N, worse_N, strict=True)
    ]


def p_of_pair(first: Sample, second: Sample) -> float:
    """Two-sided p of no difference, of two rows alone."""
    return math.erfc(abs(float(_scores([first, second])[0, 1])) / math.sqrt(2))


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Those that no other beats in one number and equals or beats in the other; more is better."""
    order = sorted(range(len(points)), key=lambda i: (-points[i][0], -points[i][1]))
    front, highest, at = [], -math.inf, math.inf
    for i in order:
        x, y = points[i]
        if y > highest or (y == highest and x == at):
            front.append(i)
            highest, at = y, x
    return front


def _scores(rows: Sequence[Sample]) -> Array:
    """How sure each difference is, row less column, on the scale of a normal deviate."""
    value_N = np.array([row.value for row in rows])
    replicate_NB = np.array([row.replicates for row in rows], float)
    if replicate_NB.shape[1] < 2:
        return np.zeros((len(rows), len(rows)))
    variance_NN = _variances(replicate_NB)
    gap_NN = value_N[:, None] - value_N[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        t_NN = np.where(gap_NN == 0, 0.0, gap_NN / np.sqrt(variance_NN))
    return _as_normal(t_NN, _freedom(rows, variance_NN))


def _variances(replicate_NB: Array) -> Array:
    """Of the difference of each two rows, draw by draw."""
    centred_NB = replicate_NB - replicate_NB.mean(axis=1, keepdims=True)
    shared_NN = centred_NB @ centred_NB.T / (replicate_NB.shape[1] - 1)
    own_N = shared_NN.diagonal()
    sum_NN = own_N[:, None] + own_N[None, :]
    variance_NN: Array = sum_NN - 2 * shared_NN
    variance_NN[variance_NN <= _SAME * sum_NN] = 0.0
    return variance_NN


def _freedom(rows: Sequence[Sample], variance_NN: Array) -> Array:
    """Degrees of freedom: few where a variance is that of few seeds, no limit where of objects."""
    of_seeds_N = np.array([row.std**2 / row.seeds for row in rows])
    part_N = of_seeds_N**2 / np.array([max(row.seeds - 1, 1) for row in rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom_NN = variance_NN**2 / (part_N[:, None] + part_N[None, :])
    clipped_NN: Array = np.clip(np.nan_to_num(freedom_NN, nan=_MOST_FREEDOM), 1.0, _MOST_FREEDOM)
    return clipped_NN


def _as_normal(t_NN: Array, freedom_NN: Array) -> Array:
    """The normal deviate that is as rare as t (Wallace 1959; its p is within 8 %)."""
    with np.errstate(over="ignore"):
        size_NN = np.sqrt(freedom_NN * np.log1p(t_NN**2 / freedom_NN))
    z_NN: Array = np.sign(t_NN) * size_NN * (8 * freedom_NN + 1) / (8 * freedom_NN + 3)
    return z_NN


def _holm(size_NN: Array, alpha: float) -> NDArray[np.bool_]:
    """Which differences of each row are sure, its own N − 1 comparisons being one family."""
    count = len(size_NN)
    if count < 2:
        return np.zeros((count, count), bool)
    size_NN = size_NN.copy()
    np.fill_diagonal(size_NN, -1.0)  # last in its row's order
    normal = NormalDist()
    bars = [normal.inv_cdf(1 - alpha / (2 * left)) for left in range(count - 1, 0, -1)]
    order_NN = np.argsort(-size_NN, axis=1, kind="stable")
    sorted_NN = np.take_along_axis(size_NN, order_NN, axis=1)
    passed_NN = np.logical_and.accumulate(sorted_NN >= np.array([*bars, np.inf]), axis=1)
    sure_NN = np.zeros_like(passed_NN)
    np.put_along_axis(sure_NN, order_NN, passed_NN, axis=1)
    return sure_NN
