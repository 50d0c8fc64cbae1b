"""Claims proved here, on intervals.

- They are the percentiles of the metric recomputed from rows of resampled objects.
- They cover: about 95 of 100 intervals of a mean hold the truth; views of an object do not count
  as independent.
- Replicates are the same whether summed by object or row by row (the bins of a median).
- One object, or a metric that most resamples do not have, gives no interval; the seed decides all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from threedie.benchmark.evaluation import bootstrap
from threedie.benchmark.evaluation import metrics as m
from threedie.benchmark.evaluation.bootstrap import Resampler

N, ROWS = 12, 5
OBJECTS = np.repeat(np.arange(N), ROWS)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def by_hand(make: Callable[[m.Ints], m.Statistic], seed: int, resamples: int) -> list[float]:
    """Percentiles of the metric on rows that are really repeated."""
    draws = np.random.Generator(np.random.PCG64(seed))
    values = []
    for _ in range(resamples):
        drawn = draws.integers(N, size=N)
        rows = np.concatenate([np.flatnonzero(n == OBJECTS) for n in drawn])
        values.append(make(rows).value())
    return [float(np.percentile(values, q)) for q in (2.5, 97.5)]


@pytest.mark.parametrize("kind", ["mean", "r2_global", "r2_uniform", "balanced"])
def test_intervals_are_those_of_repeated_rows(kind: str, rng: np.random.Generator) -> None:
    target = rng.normal(size=(N * ROWS, 3))
    predicted = target + rng.normal(size=target.shape)
    hits, labels = (target[:, 0] > 0).astype(float), OBJECTS % 3

    def make(rows: m.Ints) -> m.Statistic:
        if kind == "mean":
            return m.mean(target[rows, 0])
        if kind == "balanced":
            return m.balanced(hits[rows], labels[rows], 3)
        score = m.r2_global if kind == "r2_global" else m.r2_uniform
        return score(predicted[rows], target[rows])

    whole = make(np.arange(N * ROWS))
    number = Resampler(N, seed=7, resamples=300).number(whole, OBJECTS)
    assert number.value == pytest.approx(whole.value())
    assert [number.low, number.high] == pytest.approx(by_hand(make, 7, 300))
    assert number.n == N


def test_replicates_are_the_same_by_object_and_by_row(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    degrees = rng.uniform(0, 180, size=N * ROWS)
    resampler = Resampler(N, seed=7, resamples=50)
    for whole in (m.median_deg(degrees), m.balanced(1.0 * (degrees > 90), OBJECTS % 3, 3)):
        found = []
        for sparse in (0, 10**9):
            monkeypatch.setattr(bootstrap, "_SPARSE", sparse)
            monkeypatch.setattr(bootstrap, "_CHUNK_ROWS", 7 * N * ROWS)
            found.append(resampler.replicates(whole, OBJECTS))
        assert found[0] == pytest.approx(found[1])
        assert len(found[0]) == 50
        assert found[0].std() > 0


def test_groups_are_the_metric_of_their_rows(rng: np.random.Generator) -> None:
    target = rng.normal(size=(N * ROWS, 3))
    predicted = target + rng.normal(size=target.shape)
    group = rng.integers(4, size=N * ROWS)
    group[OBJECTS == 0] = 1
    statistic = m.r2_uniform(predicted, target)
    found = Resampler(N, seed=0, resamples=50).by_group(statistic, OBJECTS, group, 5)
    for t in range(4):
        rows = group == t
        assert found[t].value == pytest.approx(m.r2_uniform(predicted[rows], target[rows]).value())
        assert found[t].n == len(np.unique(OBJECTS[rows]))
    assert found[4].value is None
    assert found[4].note
    assert found[4].n == 0


def test_intervals_cover_and_know_that_views_are_not_independent() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        objects = np.repeat(np.arange(40), 20)
        values = rng.normal(size=40)[objects] + 0.1 * rng.normal(size=800)
        number = Resampler(40, seed=seed, resamples=200).number(m.mean(values), objects)
        assert number.low is not None
        assert number.high is not None
        covered += number.low <= 0.0 <= number.high
        # Were rows resampled, the interval would be √20 times narrower.
        assert 0.4 < number.high - number.low < 0.9
    assert 86 <= covered <= 99


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=N * ROWS)
    one, same, other = (
        Resampler(N, seed=seed, resamples=100).number(m.mean(values), OBJECTS) for seed in (1, 1, 2)
    )
    assert one == same
    assert (one.low, one.high) != (other.low, other.high)


def test_where_there_is_no_interval() -> None:
    alone = Resampler(1, seed=0).number(m.mean(np.ones(3)), np.zeros(3, dtype=np.int64))
    assert (alone.value, alone.low, alone.high, alone.n) == (1.0, None, None, 1)
    none = Resampler(N, seed=0, resamples=0).number(m.mean(np.ones(N * ROWS)), OBJECTS)
    assert (none.value, none.low) == (1.0, None)
    # One object of twelve has the denominator: 35 % of the resamples miss it, the rest has it.
    rare = np.where(OBJECTS == 0, 1.0, 0.0)
    assert Resampler(N, seed=0).number(m.ratio(rare, rare), OBJECTS).low == 1.0
