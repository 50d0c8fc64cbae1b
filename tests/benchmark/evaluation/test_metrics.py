"""Claims proved here, on the metrics.

- Each agrees with a hand-checked case and with a slow reference written from its equation.
- r2_global has one mean over all outputs, r2_uniform one for each and none for constant outputs.
- Angles are those of rotations: blind to sign and length of a quaternion, exact near 0 and 180.
- Ties are averaged over all orders; NaN is never a hit.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from threedie.benchmark.evaluation import metrics as m


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_r2_by_hand() -> None:
    """Two outputs with means 0 and 10: the difference of the means is variance to one of them."""
    target = np.array([[-1.0, 9.0], [1.0, 11.0]])
    predicted = np.array([[0.0, 9.0], [1.0, 11.0]])
    # residual 1; about the mean of all, 5: 36 + 16 + 16 + 36 = 104
    assert m.r2_global(predicted, target).value() == pytest.approx(1 - 1 / 104)
    # outputs: 1 - 1/2 and 1 - 0/2
    assert m.r2_uniform(predicted, target).value() == pytest.approx(0.75)


def test_r2_against_their_equations(rng: np.random.Generator) -> None:
    target = rng.normal(size=(50, 4)) * [1, 2, 3, 4] + [0, 5, -2, 1]
    predicted = target + rng.normal(size=target.shape)
    ss_res = sum((t - p) ** 2 for t, p in zip(target.flat, predicted.flat, strict=True))
    ss_tot = sum((t - target.mean()) ** 2 for t in target.flat)
    assert m.r2_global(predicted, target).value() == pytest.approx(1 - ss_res / ss_tot)
    each = [
        1 - ((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum()
        for t, p in zip(target.T, predicted.T, strict=True)
    ]
    assert m.r2_uniform(predicted, target).value() == pytest.approx(np.mean(each))


def test_constant_predictors(rng: np.random.Generator) -> None:
    target = rng.normal(size=(200, 2)) + np.array([0.0, 3.0])
    constant = np.broadcast_to(target.mean(axis=0), target.shape)
    assert m.r2_uniform(constant, target).value() == pytest.approx(0.0, abs=1e-12)
    assert m.r2_global(constant, target).value() > 0.5


def test_twice_the_error_loses_four_times_as_much(rng: np.random.Generator) -> None:
    target, off = rng.normal(size=(80, 3)), rng.normal(size=(80, 3))
    for score in (m.r2_global, m.r2_uniform):
        losses = [1 - score(target + by * off, target).value() for by in (0.1, 0.2)]
        assert losses[1] / losses[0] == pytest.approx(4.0)


def test_constant_outputs_are_left_out(rng: np.random.Generator) -> None:
    target = np.column_stack([rng.normal(size=30), np.full(30, 0.7), rng.normal(size=30)])
    predicted = target + 0.5
    with_it = m.r2_uniform(predicted, target).value()
    assert with_it == pytest.approx(m.r2_uniform(predicted[:, [0, 2]], target[:, [0, 2]]).value())
    nothing = m.r2_uniform(predicted[:, 1:2], target[:, 1:2])
    assert np.isnan(nothing.value())
    assert "variance" in nothing.undefined
    assert np.isnan(m.r2_global(predicted[:, 1:2], target[:, 1:2]).value())
    fixed = np.broadcast_to([0.3, 0.9], (30, 2))  # two constants are no variance to explain
    assert np.isnan(m.r2_global(fixed + 0.01, fixed).value())


def test_geodesic_is_the_rotations_own_angle(rng: np.random.Generator) -> None:
    a, b = (Rotation.random(100, random_state=i) for i in (1, 2))
    expected = np.degrees((a.inv() * b).magnitude())
    scale = rng.uniform(0.1, 9, size=(100, 1)) * rng.choice([-1, 1], size=(100, 1))
    assert m.geodesic_deg(a.as_quat() * scale, b.as_quat()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 1e-3, 90.0, 179.999999, 180.0])
def test_geodesic_is_exact_at_the_ends(degrees: float) -> None:
    half = np.radians(degrees) / 2
    turned = np.array([[0.0, 0.0, np.sin(half), np.cos(half)]])
    assert m.geodesic_deg(turned, np.array([[0, 0, 0, 1.0]]))[0] == pytest.approx(
        degrees, rel=1e-7, abs=1e-12
    )


def test_a_zero_quaternion_is_no_number_less() -> None:
    assert m.geodesic_deg(np.zeros((1, 4)), np.array([[0, 0, 1.0, 0]]))[0] == pytest.approx(180)


def test_angles_of_directions_and_hues() -> None:
    assert m.direction_deg(np.array([[2.0, 0, 0]]), np.array([[0, 0.1, 0]]))[0] == 90
    assert m.direction_deg(np.array([[1.0, 0, 0]]), np.array([[-3.0, 0, 0]]))[0] == 180
    hue = np.array([0.99, 0.25, 0.0]) * 2 * np.pi
    other = np.array([0.01, 0.75, 0.125]) * 2 * np.pi
    a, b = (np.column_stack([np.cos(h), np.sin(h)]) for h in (hue, other))
    assert m.circle_deg(3.0 * a, b) == pytest.approx([7.2, 180.0, 45.0])


def test_rotation_distance_by_hand() -> None:
    """PRE's term: 0 for q and −q, 1 for half a turn, 1/2 for a quarter."""
    identity = np.array([[0.0, 0, 0, 1]])
    quarter = np.array([[np.sqrt(0.5), 0, 0, np.sqrt(0.5)]])
    half = np.array([[1.0, 0, 0, 0]])
    found = [m.rotation_distance(identity, q)[0] for q in (-identity, half, quarter)]
    assert found == pytest.approx([0, 1, 0.5])


def test_ranks_average_over_all_orders_of_ties() -> None:
    for greater, equal in itertools.product(range(4), range(1, 5)):
        ranks = np.arange(greater + 1, greater + equal + 1)
        g, e = np.array([greater]), np.array([equal])
        assert m.reciprocal_rank(g, e)[0] == pytest.approx(np.mean(1 / ranks))
        for k in (1, 2, 5, 10):
            assert m.hits_at(k, g, e)[0] == pytest.approx(np.mean(ranks <= k))


def test_top_hits_by_hand() -> None:
    logits = np.array([[3.0, 1, 2], [1, 1, 1], [0, 5, 5], [np.nan, 0, 0], [0, np.nan, 1]])
    labels = np.array([2, 1, 1, 0, 2])
    assert m.top_hits(logits, labels, 1).tolist() == [0, 0, 1, 0, 0]
    assert m.top_hits(logits, labels, 2).tolist() == [1, 1, 1, 0, 1]


def test_balanced_is_the_mean_over_classes_that_are_there() -> None:
    hits, labels = np.array([1.0, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 0, 2, 2])
    assert m.balanced(hits, labels, 4).value() == pytest.approx((0.75 + 0.5) / 2)


def test_median_and_ratio(rng: np.random.Generator) -> None:
    degrees = rng.uniform(0, 180, 301)
    assert m.median_deg(degrees).value() == np.median(degrees)
    binned = m.median_deg(degrees)
    sums = binned.sums(np.zeros(301, dtype=np.int64), 1)
    assert binned.formula(sums)[0] == pytest.approx(np.median(degrees), abs=0.1)
    assert m.ratio(np.array([1.0, 2]), np.array([2.0, 4])).value() == 0.5
    assert m.one_minus_ratio(np.array([1.0]), np.array([4.0]), undefined="x").value() == 0.75
    assert np.isnan(m.ratio(np.array([1.0]), np.array([0.0])).value())
