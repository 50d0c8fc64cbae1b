"""Claims proved here, on ranks.

- Rows whose replicates differ by more than they vary have ranks of their own; rows that can't be
  told apart share a range; a copy of a row shares its rank.
- What all rows share (the draws of objects) does not blur ranks: tests are paired. The p of two
  rows is that of a z-test where objects vary, and Welch's t-test where seeds do.
- Holm is applied to a row's own comparisons: checked against a plain loop over sorted p.
- A row's range holds its true ranks in 95 % of boards or more (simulated), with three seeds too.
- A third row never turns the order of two round, and never changes the p of their pair.
- Lower is better where it is; the order of rows is no matter; one row, or none, is no error.
- The Pareto front is those that no other beats: checked against all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from threedie.leaderboard.site.rank import RankRange, Sample, p_of_pair, pareto, rank_ranges


def around(value: float, spread: float, seed: int, count: int = 500) -> list[float]:
    """Replicates with exactly this mean and standard deviation."""
    noise = np.random.default_rng(seed).normal(size=count)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return [float(v) for v in value + spread * noise]


def row(value: float, replicates: Sequence[float], std: float = 0.0, seeds: int = 3) -> Sample:
    return Sample(value=value, replicates=replicates, std=std, seeds=seeds)


def rows_around(values: Sequence[float], spreads: Sequence[float], first: int = 0) -> list[Sample]:
    both = enumerate(zip(values, spreads, strict=True), start=first)
    return [row(v, around(v, s, i)) for i, (v, s) in both]


def texts(rows: Sequence[Sample], *, higher: bool = True) -> list[str]:
    return [str(r) for r in rank_ranges(rows, higher=higher)]


def ranges(values: list[float], spreads: list[float], *, higher: bool = True) -> list[str]:
    return texts(rows_around(values, spreads), higher=higher)


def test_rows_far_apart_have_ranks_of_their_own() -> None:
    assert ranges([0.5, 0.9, 0.7], [0.01] * 3) == ["3", "1", "2"]
    assert ranges([0.5, 0.9, 0.7], [0.01] * 3, higher=False) == ["1", "3", "2"]


def test_rows_that_can_not_be_told_apart_share_a_range() -> None:
    assert ranges([0.9, 0.70, 0.701, 0.699, 0.2], [0.01] * 5) == ["1", "2–4", "2–4", "2–4", "5"]
    assert ranges([0.9, 0.2], [1.0, 1.0]) == ["1–2", "1–2"]


def test_a_row_between_two_can_be_like_both() -> None:
    """0.50 and 0.56 are told apart; 0.53 is like either: ranges overlap, they are no groups."""
    assert ranges([0.56, 0.53, 0.50], [0.012] * 3) == ["1–2", "1–3", "2–3"]


def test_a_copy_shares_its_rank() -> None:
    copied = row(0.7, around(0.7, 0.01, 1))
    assert texts([copied, copied, row(0.2, around(0.2, 0.01, 2))]) == ["1–2", "1–2", "3"]


def test_rows_that_do_not_vary_are_told_apart_by_any_difference() -> None:
    assert texts([row(v, [v] * 9) for v in (0.5, 0.6, 0.5)]) == ["2–3", "1", "2–3"]


def test_what_rows_share_does_not_blur_their_ranks() -> None:
    shared = np.array(around(0.0, 0.05, 7))
    both = [row(v, list(shared + around(v, 0.002, i))) for i, v in enumerate((0.70, 0.72))]
    assert texts(both) == ["2", "1"]
    assert texts(rows_around((0.70, 0.72), (0.05, 0.05))) == ["1–2", "1–2"]


def test_p_is_that_of_a_z_test_where_objects_vary() -> None:
    a, b = around(0.70, 0.01, 1), around(0.72, 0.02, 2)
    spread = float(np.std(np.array(a) - np.array(b), ddof=1))
    expected = 2 * (1 - NormalDist().cdf(0.02 / spread))
    assert p_of_pair(row(0.70, a), row(0.72, b)) == pytest.approx(expected, rel=1e-4)
    assert p_of_pair(row(0.70, a), row(0.70, a)) == 1.0
    assert p_of_pair(row(0.5, [0.5] * 4), row(0.6, [0.6] * 4)) == 0.0


@pytest.mark.parametrize(("first", "second"), [(3, 3), (3, 5), (10, 4)])
@pytest.mark.parametrize("gap", [0.5, 2.0, 4.0])
def test_p_is_that_of_welch_where_seeds_vary(first: int, second: int, gap: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    a = np.array(around(0.0, 1.0, 1, first))
    b = np.array(around(gap, 1.5, 2, second))
    replicates = around(0.0, 1.0 / first**0.5, 3), around(gap, 1.5 / second**0.5, 4)
    both = [np.array(r) - np.mean(r) for r in replicates]
    apart = both[1] - both[0] * (both[0] @ both[1]) / (both[0] @ both[0])  # no shared part
    apart *= 1.5 / second**0.5 / apart.std(ddof=1)
    got = p_of_pair(row(0.0, list(both[0]), 1.0, first), row(gap, list(gap + apart), 1.5, second))
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert got == pytest.approx(expected, rel=0.08)  # the approximation's own error


def by_hand(rows: Sequence[Sample], alpha: float) -> list[tuple[int, int]]:
    """Holm over the sorted p of each row, as a book has it."""
    found = []
    for one in rows:
        pairs = sorted((p_of_pair(one, o), o.value) for o in rows if o is not one)
        better = worse = 0
        for k, (p, other) in enumerate(pairs):
            if p > alpha / (len(pairs) - k):
                break
            better, worse = better + (other > one.value), worse + (other < one.value)
        found.append((1 + better, len(rows) - worse))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_holm_is_that_of_the_books(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [float(v) for v in rng.normal(0.7, 0.02, 12)]
    rows = rows_around(values, rng.uniform(0.002, 0.02, 12).tolist(), first=100)
    got = rank_ranges(rows, higher=True)
    assert [(r.best, r.worst) for r in got] == by_hand(rows, 0.05)


TRUTH = np.array([0.70, 0.70, 0.705, 0.71, 0.71, 0.71, 0.72, 0.74])


def covered(found: Sequence[RankRange]) -> NDArray[np.bool_]:
    """Whether each range holds all ranks that the row has in truth; equal rows have several."""
    highest, lowest = (
        [1 + (t < TRUTH).sum() for t in TRUTH],
        [8 - (t > TRUTH).sum() for t in TRUTH],
    )
    both = zip(found, highest, lowest, strict=True)
    return np.array([r.best <= high and r.worst >= low for r, high, low in both])


def test_ranges_hold_the_true_ranks() -> None:
    """Eight rows, some of them equal in truth; 300 boards whose objects vary."""
    rng = np.random.default_rng(3)
    spread_N = rng.uniform(0.002, 0.008, 8)
    hits = np.zeros(8)
    for _ in range(300):
        value_N = TRUTH + spread_N * rng.normal(size=8) + rng.normal(0, 0.02)
        noise_NB = spread_N[:, None] * rng.normal(size=(8, 200)) + rng.normal(0, 0.02, 200)
        found = rank_ranges(
            [row(v, v + e) for v, e in zip(value_N, noise_NB, strict=True)], higher=True
        )
        hits += covered(found)
    assert (hits / 300).min() >= 0.94  # 0.95 less the error of 300 draws
    assert all(r.worst - r.best < 7 for r in found)  # and they say something


@pytest.mark.parametrize("seeds", [3, 5])
def test_ranges_hold_the_true_ranks_with_few_seeds(seeds: int) -> None:
    """Training varies, seeds are resampled as the verifier does; a normal law would miss 24 %."""
    rng = np.random.default_rng(seeds)
    hits = np.zeros(8)
    for _ in range(300):
        run_NS = TRUTH[:, None] + rng.normal(0, 0.01, (8, seeds))
        value_N, std_N = run_NS.mean(axis=1), run_NS.std(axis=1, ddof=1)
        drawn_NBS = np.take_along_axis(
            run_NS[:, None, :], rng.integers(0, seeds, (8, 200, seeds)), axis=2
        )
        wide = (seeds / (seeds - 1)) ** 0.5
        replicate_NB = value_N[:, None] + wide * (drawn_NBS.mean(axis=2) - value_N[:, None])
        rows = [
            row(float(v), r, float(s), seeds)
            for v, r, s in zip(value_N, replicate_NB, std_N, strict=True)
        ]
        hits += covered(rank_ranges(rows, higher=True))
    assert hits.mean() / 300 >= 0.94


@pytest.mark.parametrize("seed", range(20))
def test_a_third_row_turns_no_order_round(seed: int) -> None:
    values = [float(v) for v in np.random.default_rng(seed).normal(0.7, 0.03, 6)]
    rows = rows_around(values, [0.01] * 6, first=10 * seed)
    whole = rank_ranges(rows, higher=True)
    for i, j in ((a, b) for a in range(6) for b in range(a)):
        pair = rank_ranges([rows[i], rows[j]], higher=True)
        ahead = values[i] > values[j]
        for one, other in (pair, (whole[i], whole[j])):
            first, second = (one, other) if ahead else (other, one)
            assert first.best <= second.best
            assert first.worst <= second.worst
        if p_of_pair(rows[i], rows[j]) > 0.05:  # a larger board makes it harder to tell them apart
            assert whole[i].best <= whole[j].worst
            assert whole[j].best <= whole[i].worst


def test_the_order_of_rows_is_no_matter() -> None:
    rows = rows_around([0.7, 0.71, 0.5, 0.72, 0.69], [0.008] * 5)
    assert rank_ranges(rows, higher=True) == rank_ranges(rows[::-1], higher=True)[::-1]


def test_one_row_or_none() -> None:
    assert rank_ranges([], higher=True) == []
    assert texts([row(0.5, [0.5, 0.6])]) == ["1"]
    assert texts([row(0.5, [0.5]), row(0.6, [0.6])]) == ["1–2", "1–2"]


def test_the_front_is_those_that_no_other_beats() -> None:
    assert pareto([(1, 1), (0, 2), (2, 0), (0, 0), (1, 0)]) == [2, 0, 1]
    assert sorted(pareto([(1, 1), (1, 1), (0, 1), (1, 0)])) == [0, 1]
    rng = np.random.default_rng(5)
    points = [(float(x), float(y)) for x, y in rng.integers(0, 12, (200, 2))]

    def beaten(p: tuple[float, float]) -> bool:
        return any(q[0] >= p[0] and q[1] >= p[1] and q != p for q in points)

    assert sorted(pareto(points)) == [i for i, p in enumerate(points) if not beaten(p)]
    assert pareto([]) == []
