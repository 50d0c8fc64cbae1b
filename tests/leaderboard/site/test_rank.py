"""Claims proved here, on ranks.

- Rows whose replicates differ by more than they vary have ranks of their own; rows that can't be
  told apart share a range; a copy of a row shares its rank.
- What all rows share (the draws of objects) does not blur ranks: tests are paired. The p of two
  rows is that of a textbook's z-test.
- Holm is applied to a row's own comparisons: checked against a plain loop over sorted p.
- A row's range holds its true ranks in 95 % of boards or more (simulated).
- A third row never turns the order of two round, and never changes the p of their pair.
- Lower is better where it is; the order of rows is no matter; one row, or none, is no error.
- The Pareto front is those that no other beats: checked against all pairs.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from threedie.leaderboard.site.rank import RankRange, p_of_pair, pareto, rank_ranges


def around(value: float, spread: float, seed: int, count: int = 500) -> list[float]:
    """Replicates with exactly this mean and standard deviation."""
    noise = np.random.default_rng(seed).normal(size=count)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return [float(v) for v in value + spread * noise]


def ranges(values: list[float], spreads: list[float], **options: bool) -> list[str]:
    rows = [around(v, s, i) for i, (v, s) in enumerate(zip(values, spreads, strict=True))]
    return [str(r) for r in rank_ranges(values, rows, higher=options.get("higher", True))]


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
    row = around(0.7, 0.01, 1)
    got = rank_ranges([0.7, 0.7, 0.2], [row, row, around(0.2, 0.01, 2)], higher=True)
    assert got == [RankRange(1, 2), RankRange(1, 2), RankRange(3, 3)]


def test_rows_that_do_not_vary_are_told_apart_by_any_difference() -> None:
    got = rank_ranges([0.5, 0.6, 0.5], [[0.5] * 9, [0.6] * 9, [0.5] * 9], higher=True)
    assert [str(r) for r in got] == ["2–3", "1", "2–3"]


def test_what_rows_share_does_not_blur_their_ranks() -> None:
    shared = np.array(around(0.0, 0.05, 7))
    rows = [list(shared + around(v, 0.002, i)) for i, v in enumerate((0.70, 0.72))]
    assert [str(r) for r in rank_ranges([0.70, 0.72], rows, higher=True)] == ["2", "1"]
    alone = [around(v, 0.05, i) for i, v in enumerate((0.70, 0.72))]
    assert [str(r) for r in rank_ranges([0.70, 0.72], alone, higher=True)] == ["1–2", "1–2"]


def test_p_is_that_of_a_z_test() -> None:
    a, b = around(0.70, 0.01, 1), around(0.72, 0.02, 2)
    spread = float(np.std(np.array(a) - np.array(b), ddof=1))
    expected = 2 * (1 - NormalDist().cdf(0.02 / spread))
    assert p_of_pair((0.70, a), (0.72, b)) == pytest.approx(expected, rel=1e-9)
    assert p_of_pair((0.70, a), (0.70, a)) == 1.0
    assert p_of_pair((0.5, [0.5] * 4), (0.6, [0.6] * 4)) == 0.0


def by_hand(values: list[float], rows: list[list[float]], alpha: float) -> list[tuple[int, int]]:
    """Holm over the sorted p of each row, as a book has it."""
    found = []
    for i, value in enumerate(values):
        pairs = sorted(
            (p_of_pair((value, rows[i]), (values[j], rows[j])), values[j])
            for j in range(len(values))
            if j != i
        )
        better = worse = 0
        for k, (p, other) in enumerate(pairs):
            if p > alpha / (len(pairs) - k):
                break
            better, worse = better + (other > value), worse + (other < value)
        found.append((1 + better, len(values) - worse))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_holm_is_that_of_the_books(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [float(v) for v in rng.normal(0.7, 0.02, 12)]
    rows = [around(v, float(rng.uniform(0.002, 0.02)), 100 + i) for i, v in enumerate(values)]
    got = rank_ranges(values, rows, higher=True)
    assert [(r.best, r.worst) for r in got] == by_hand(values, rows, 0.05)


def test_ranges_hold_the_true_ranks() -> None:
    """Eight rows, some of them equal in truth; 95 % of rows and more are covered, in 300 boards."""
    rng = np.random.default_rng(3)
    truth = np.array([0.70, 0.70, 0.705, 0.71, 0.71, 0.71, 0.72, 0.74])
    spread_N = rng.uniform(0.002, 0.008, 8)
    covered = np.zeros(8)
    for _ in range(300):
        value_N = truth + spread_N * rng.normal(size=8) + rng.normal(0, 0.02)
        noise_NB = spread_N[:, None] * rng.normal(size=(8, 200)) + rng.normal(0, 0.02, 200)
        found = rank_ranges(list(value_N), list(value_N[:, None] + noise_NB), higher=True)
        for i, r in enumerate(found):
            highest, lowest = 1 + (truth > truth[i]).sum(), 8 - (truth < truth[i]).sum()
            covered[i] += r.best <= highest and r.worst >= lowest
    assert (covered / 300).min() >= 0.94  # 0.95 less the error of 300 draws
    assert all(r.worst - r.best < 7 for r in found)  # and they say something


@pytest.mark.parametrize("seed", range(20))
def test_a_third_row_turns_no_order_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [float(v) for v in rng.normal(0.7, 0.03, 6)]
    rows = [around(v, 0.01, 10 * seed + i) for i, v in enumerate(values)]
    whole = rank_ranges(values, rows, higher=True)
    for i, j in ((a, b) for a in range(6) for b in range(a)):
        pair = rank_ranges([values[i], values[j]], [rows[i], rows[j]], higher=True)
        ahead = values[i] > values[j]
        for one, other in (pair, (whole[i], whole[j])):
            first, second = (one, other) if ahead else (other, one)
            assert first.best <= second.best
            assert first.worst <= second.worst
        alone = p_of_pair((values[i], rows[i]), (values[j], rows[j]))
        if alone > 0.05:  # a larger board can only make it harder to tell them apart
            assert whole[i].best <= whole[j].worst
            assert whole[j].best <= whole[i].worst


def test_the_order_of_rows_is_no_matter() -> None:
    values = [0.7, 0.71, 0.5, 0.72, 0.69]
    rows = [around(v, 0.008, i) for i, v in enumerate(values)]
    straight = rank_ranges(values, rows, higher=True)
    turned = rank_ranges(values[::-1], rows[::-1], higher=True)
    assert straight == turned[::-1]


def test_one_row_or_none() -> None:
    assert rank_ranges([], [], higher=True) == []
    assert rank_ranges([0.5], [[0.5, 0.6]], higher=True) == [RankRange(1, 1)]
    assert rank_ranges([0.5, 0.6], [[0.5], [0.6]], higher=True) == [RankRange(1, 2)] * 2


def test_the_front_is_those_that_no_other_beats() -> None:
    assert pareto([(1, 1), (0, 2), (2, 0), (0, 0), (1, 0)]) == [2, 0, 1]
    assert sorted(pareto([(1, 1), (1, 1), (0, 1), (1, 0)])) == [0, 1]
    rng = np.random.default_rng(5)
    points = [(float(x), float(y)) for x, y in rng.integers(0, 12, (200, 2))]

    def beaten(p: tuple[float, float]) -> bool:
        return any(q[0] >= p[0] and q[1] >= p[1] and q != p for q in points)

    assert sorted(pareto(points)) == [i for i, p in enumerate(points) if not beaten(p)]
    assert pareto([]) == []
