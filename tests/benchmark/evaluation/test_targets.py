"""Claims proved here, on targets.

- Relative rotations are SciPy's inv(R1)·R2, sign included; positive-w is the same rotation.
- Hues are points of a circle and the light a unit vector; labels are places among train's.
- Pairs are two different views of one object: every view once a pass, `partners` times when judged.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.benchmark.evaluation.fakes import FakeSplit, truth_of
from threedie.benchmark.evaluation.targets import (
    SCENE_OUTPUTS,
    Pairs,
    class_numbers,
    judged_pairs,
    object_pairs,
    pass_pairs,
    scene_outputs,
)

N, V = 30, 8


@pytest.fixture
def split() -> FakeSplit:
    return FakeSplit("val", N, V, 5)


def ends(split: FakeSplit, pairs: Pairs) -> tuple[Rotation, Rotation]:
    euler = split.latents_NVL[..., :3]
    return (
        Rotation.from_euler("xyz", euler[pairs.object_R, pairs.first_R]),
        Rotation.from_euler("xyz", euler[pairs.object_R, pairs.second_R]),
    )


def test_relative_rotations_are_scipys(split: FakeSplit) -> None:
    pairs, truth = judged_pairs(N, V, 7, seed=0), truth_of(split)
    first, second = ends(split, pairs)
    expected = (first.inv() * second).as_quat()
    raw = truth.relative(pairs, "scipy")
    assert raw == pytest.approx(expected, abs=1e-12)
    assert (raw[:, 3] < 0).any()
    positive = truth.relative(pairs, "positive-w")
    assert (positive[:, 3] >= 0).all()
    assert np.abs((positive * raw).sum(axis=1)) == pytest.approx(np.ones(len(raw)))
    assert truth.angle_deg(pairs) == pytest.approx(
        np.degrees((first.inv() * second).magnitude()), abs=1e-6
    )
    upright = np.degrees(Rotation.from_euler("xyz", split.latents_NVL[0, :, :3]).magnitude())
    assert truth.tilt_deg()[:V] == pytest.approx(upright)


def test_latents_are_what_a_predictor_is_told(split: FakeSplit) -> None:
    pairs, truth = judged_pairs(N, V, 2, seed=0), truth_of(split)
    hues = split.latents_NVL[..., [3, 6]]
    change = hues[pairs.object_R, pairs.second_R] - hues[pairs.object_R, pairs.first_R]
    assert truth.hue_change(pairs) == pytest.approx(change)
    both = truth.latents(pairs, "rotation+color")
    assert both.dtype == np.float32
    assert both[:, :4] == pytest.approx(truth.relative(pairs, "scipy"), abs=1e-6)
    assert both[:, 4:] == pytest.approx(change, abs=1e-6)
    assert truth.latents(pairs, "rotation").shape[1] == 4
    assert truth.latents(pairs, "color") == pytest.approx(change, abs=1e-6)


def test_the_scene_of_a_view() -> None:
    latents = np.zeros((1, 1, 7))
    latents[0, 0, 3:] = [0.25, np.pi / 6, np.pi / 2, 0.5]
    found = scene_outputs(latents)[0, 0]
    assert found[SCENE_OUTPUTS["floor_hue"]] == pytest.approx([0, 1], abs=1e-12)
    assert found[SCENE_OUTPUTS["light_hue"]] == pytest.approx([-1, 0], abs=1e-12)
    # 30° from the vertical, towards +y
    assert found[SCENE_OUTPUTS["light_direction"]] == pytest.approx([0, 0.5, np.sqrt(0.75)])


def test_class_numbers() -> None:
    places = class_numbers(np.array([40, 3, 7, 99]), np.array([3, 40, 54]))
    assert places.tolist() == [1, 0, -1, -1]


def test_a_pass_shows_every_view_once_beside_another_of_its_object() -> None:
    pairs = pass_pairs(N, V, np.random.default_rng(0))
    seen = Counter(zip(pairs.object_R.tolist(), pairs.first_R.tolist(), strict=True))
    assert set(seen.values()) == {1}
    assert len(seen) == N * V
    assert (pairs.first_R != pairs.second_R).all()
    assert set(pairs.second_R.tolist()) == set(range(V))
    assert (np.diff(pairs.object_R) != 0).mean() > 0.8  # shuffled


def test_an_official_epoch_shows_every_object_once() -> None:
    pairs = object_pairs(N, V, np.random.default_rng(0))
    assert sorted(pairs.object_R.tolist()) == list(range(N))
    assert (pairs.first_R != pairs.second_R).all()
    draws = Counter(
        (int(p.first_R[0]), int(p.second_R[0]))
        for p in (object_pairs(1, 3, np.random.default_rng(i)) for i in range(600))
    )
    assert len(draws) == 6  # each ordered pair of 3 views, about 100 times
    assert min(draws.values()) > 60


@pytest.mark.parametrize(("partners", "expected"), [(3, 3), (7, 7), (50, 7)])
def test_judged_pairs_are_different_and_as_many_as_asked(partners: int, expected: int) -> None:
    pairs = judged_pairs(N, V, partners, seed=1)
    assert (pairs.first_R != pairs.second_R).all()
    triples = set(
        zip(pairs.object_R.tolist(), pairs.first_R.tolist(), pairs.second_R.tolist(), strict=True)
    )
    assert len(triples) == len(pairs.object_R) == N * V * expected
    again = judged_pairs(N, V, partners, seed=1)
    assert np.array_equal(pairs.second_R, again.second_R)
    first, second = pairs.flat(V)
    assert np.array_equal(first, pairs.object_R * V + pairs.first_R)
    assert np.array_equal(second // V, pairs.object_R)
