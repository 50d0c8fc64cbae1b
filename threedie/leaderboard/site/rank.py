"""Ranks as far as the data tell them: ranges of ranks, the test of two rows, the Pareto front.

Rows are compared in pairs, on the bootstrap replicates that the verifier wrote: all entries of a
list have the same draws of objects, so the replicates' differences are paired. A row's rank range
is a 95 % interval for its rank: from 1 + the rows that are surely better, to all rows less those
that are surely worse; "surely" by Holm's procedure over the row's own comparisons. There is no
score over metrics, so the order of two rows never depends on a third.

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

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankRange:
    """Ranks that a row may have; 1 is best."""

    best: int
    worst: int

    def __str__(self) -> str:
        return f"{self.best}" if self.best == self.worst else f"{self.best}–{self.worst}"


def rank_ranges(
    values: Sequence[float],
    replicates: Sequence[Sequence[float]],
    *,
    higher: bool,
    alpha: float = ALPHA,
) -> list[RankRange]:
    """The rank range of each row.

    Args:
        values: N means over seeds.
        replicates: N times B; all of one length, of the same draws.
        higher: whether more is better.
        alpha: error that is allowed for each row's range.
    """
    count = len(values)
    if not count:
        return []
    z_NN = _scores(np.array(values, float), np.array(replicates, float))
    if not higher:
        z_NN = -z_NN
    sure_NN = _holm(np.abs(z_NN), alpha)
    better_N = (sure_NN & (z_NN < 0)).sum(axis=1)
    worse_N = (sure_NN & (z_NN > 0)).sum(axis=1)
    return [RankRange(1 + int(b), count - int(w)) for b, w in zip(better_N, worse_N, strict=True)]


def p_of_pair(first: tuple[float, Sequence[float]], second: tuple[float, Sequence[float]]) -> float:
    """Two-sided p of no difference, of two rows alone: value and replicates of each."""
    z_NN = _scores(np.array([first[0], second[0]]), np.array([first[1], second[1]], float))
    return math.erfc(abs(float(z_NN[0, 1])) / math.sqrt(2))


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


def _scores(value_N: Array, replicate_NB: Array) -> Array:
    """Difference over its standard deviation, row less column; ±inf where it does not vary."""
    if replicate_NB.shape[1] < 2:
        return np.zeros((len(value_N), len(value_N)))
    centred_NB = replicate_NB - replicate_NB.mean(axis=1, keepdims=True)
    shared_NN = centred_NB @ centred_NB.T / (replicate_NB.shape[1] - 1)
    own_N = shared_NN.diagonal()
    sum_NN = own_N[:, None] + own_N[None, :]
    variance_NN = sum_NN - 2 * shared_NN
    variance_NN[variance_NN <= _SAME * sum_NN] = 0.0
    gap_NN = value_N[:, None] - value_N[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        z_NN = gap_NN / np.sqrt(variance_NN)
    return np.where(gap_NN == 0, 0.0, z_NN)


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
