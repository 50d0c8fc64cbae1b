"""Claims proved here, on the sampler of latents.

- The numbers of one view are pinned, for each recipe: a change makes all data sets other ones.
- A view depends on its own key only: not on order, on the number of views, on the name of the class
  among its two; and every part of the key counts.
- Draws are in their recipe's range, fill it evenly, and `so3` is uniform over rotations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from threedie.manifests.latents import Array, euler_to_quaternion_xyzw
from threedie.manifests.recipes import RECIPES, latents_in_range
from threedie.render.sampler import sample_latents, sample_object

PINNED = {
    "3diebench": [
        1.2428203738731054,
        1.4605171133990669,
        -1.482623633620917,
        0.6481766595010423,
        0.580542197956411,
        5.124131778241149,
        0.937036669061487,
    ],
    "3diebench-t": [
        1.2643614517277708,
        0.36233278506993294,
        -1.3966119947782625,
        0.10446451082446728,
        0.44786295779446866,
        3.634935148868491,
        0.5568208751923406,
        0.1460757431911638,
        0.4507999165672629,
        0.41362865809442806,
    ],
    "3diebench-ood": [
        -1.8678393821383783,
        2.5635833979219775,
        -1.8482833679053656,
        0.6317434361121065,
        0.32545644805413165,
        1.250398858916478,
        0.9229352990616885,
    ],
    "so3": [
        2.4345979822903048,
        1.09416530295292,
        -3.052959959932228,
        0.5571673086513078,
        0.5242670399855331,
        0.46996715008789114,
        0.12573368007210328,
    ],
    "yaw": [0.0, 0.0, -1.1430136547609946, 0.6, 0.39269908169872414, 0.7853981633974483, 0.1],
}
VIEWS = 4000


def many(name: str) -> Array:
    """Thousands of draws of a recipe."""
    return sample_object(RECIPES[name], seed=11, class_id="zebra", object_id="z", views=VIEWS)


@pytest.mark.parametrize("name", RECIPES)
def test_one_view_is_pinned(name: str) -> None:
    found = sample_latents(
        RECIPES[name], seed=0, class_id="chair", object_id="chair-0000", view=2
    ).to_array()
    # so3 goes through the C library's sine and arctangent: their last bit may differ.
    np.testing.assert_allclose(found, PINNED[name], rtol=1e-13 if name == "so3" else 0)


@given(st.permutations(range(6)), st.integers(1, 6))
def test_order_and_number_of_views_do_not_count(order: list[int], views: int) -> None:
    recipe = RECIPES["3diebench-t"]
    whole = sample_object(recipe, seed=3, class_id="mug", object_id="m", views=6)
    for view in order:
        alone = sample_latents(recipe, seed=3, class_id="mug", object_id="m", view=view)
        assert alone.to_array().tolist() == whole[view].tolist()
    fewer = sample_object(recipe, seed=3, class_id="mug", object_id="m", views=views)
    assert fewer.tolist() == whole[:views].tolist()


def test_nothing_global_is_drawn_from() -> None:
    def draw() -> list[float]:
        latents = sample_latents(RECIPES["so3"], seed=3, class_id="c", object_id="m", view=0)
        return [float(x) for x in latents.to_array()]

    first = draw()
    np.random.seed(0)  # noqa: NPY002
    assert draw() == first


def test_both_names_of_a_class_are_one_stream() -> None:
    named, numbered = (
        sample_object(RECIPES["3diebench"], seed=0, class_id=c, object_id="a", views=3)
        for c in ("chair", "03001627")
    )
    assert named.tolist() == numbered.tolist()


KEY = st.tuples(
    st.integers(0, 2**63),
    st.sampled_from(["3diebench", "3diebench-ood"]),
    st.text(max_size=5),
    st.text(max_size=5),
    st.integers(0, 9999),
)


@given(KEY, KEY)
def test_every_part_of_the_key_counts(
    a: tuple[int, str, str, str, int], b: tuple[int, str, str, str, int]
) -> None:
    hues = [
        sample_latents(RECIPES[r], seed=s, class_id=c, object_id=o, view=v).floor_hue
        for s, r, c, o, v in (a, b)
    ]
    assert (hues[0] == hues[1]) == (a == b)


def test_neighbours_in_the_key_differ() -> None:
    base = (0, "3diebench", "zebra", "a", 0)
    keys = [
        base,
        (1, "3diebench", "zebra", "a", 0),
        (0, "3diebench-ood", "zebra", "a", 0),
        (0, "3diebench", "zebr", "aa", 0),
        (0, "3diebench", "zebra", "b", 0),
        (0, "3diebench", "zebra", "a", 1),
        (0, "3diebench", "zebra", "a0", 0),
        (0, "3diebench", "03001627", "a", 0),
    ]
    hues = {
        sample_latents(RECIPES[r], seed=s, class_id=c, object_id=o, view=v).floor_hue
        for s, r, c, o, v in keys
    }
    assert len(hues) == len(keys)


@pytest.mark.parametrize("name", RECIPES)
def test_draws_are_in_range_and_of_the_right_width(name: str) -> None:
    rows = many(name)
    assert rows.shape == (VIEWS, RECIPES[name].latent_size)
    assert rows.dtype == np.float64
    assert latents_in_range(RECIPES[name], rows).all()


def evenness(values: Array, low: float, high: float) -> float:
    """p-value of the Kolmogorov-Smirnov test against an even law."""
    p: float = stats.kstest(values, "uniform", args=(low, high - low)).pvalue
    return p


def test_ranges_are_filled_evenly() -> None:
    quarter = math.pi / 2
    limits = [(-quarter, quarter)] * 3 + [
        (0, 1),
        (0, math.pi / 4),
        (0, 2 * math.pi),
        (0, 1),
        *[(-0.5, 0.5)] * 3,
    ]
    rows = many("3diebench-t")
    for column, (low, high) in enumerate(limits):
        assert evenness(rows[:, column], low, high) > 1e-3
    correlation = np.corrcoef(rows.T) - np.eye(10)
    assert np.abs(correlation).max() < 5 / math.sqrt(VIEWS)


def test_the_outer_law_is_even_on_both_sides() -> None:
    rows = many("3diebench-ood")[:, :3]
    assert np.abs(rows).min() >= math.pi / 2
    for column in rows.T:
        assert evenness(np.abs(column), math.pi / 2, math.pi) > 1e-3
        assert abs((column > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(VIEWS)


def test_yaw_is_a_full_turn_and_nothing_else() -> None:
    rows = many("yaw")
    assert evenness(rows[:, 2], -math.pi, math.pi) > 1e-3
    assert len(np.unique(np.delete(rows, 2, axis=1), axis=0)) == 1


def test_so3_is_uniform_over_rotations() -> None:
    """E[q qᵀ] = I/4; the angle's law has density (1 − cos a)/π; the images of e_z are even in z."""
    quaternions = euler_to_quaternion_xyzw(many("so3")[:, :3])
    second_moment = quaternions.T @ quaternions / VIEWS
    # Var(q_i q_j) is at most 1/16 on the unit sphere in four dimensions
    assert np.abs(second_moment - np.eye(4) / 4).max() < 5 * 0.25 / math.sqrt(VIEWS)
    angle = 2 * np.arccos(np.clip(np.abs(quaternions[:, 3]), 0, 1))
    law = stats.kstest(angle, lambda a: (a - np.sin(a)) / math.pi)
    assert law.pvalue > 1e-3
    x, y, _, _ = quaternions.T
    assert evenness(1 - 2 * (x**2 + y**2), -1.0, 1.0) > 1e-3


def test_the_papers_law_is_not_uniform_over_rotations() -> None:
    """So the test above can see the difference."""
    quaternions = euler_to_quaternion_xyzw(many("3diebench")[:, :3])
    second_moment = quaternions.T @ quaternions / VIEWS
    assert np.abs(second_moment - np.eye(4) / 4).max() > 0.1
