"""Claims proved here, on sweeps.

- Where the asked views exist, the exact action recovers what is asked, on every axis; one that
  turns twice as far recovers twice that; one that does nothing recovers nothing.
- Nearest, best and chance are those of loops written from their definition.
- The best of its views bounds every predictor; gain is 1 there and 0 at chance.
- Hues are asked for on their circle, and only where they vary and the predictor is told.
- Objects to show are of different classes first; ids are those of the data set.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tests.benchmark.analysis.made import Moves, embedded_of, left, matrices, right, still, twice
from tests.benchmark.evaluation.fakes import FakeSplit, PosePredictor, poses
from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.questions import questions
from threedie.benchmark.analysis.shown import choose_shown, show
from threedie.benchmark.analysis.sweeps import Found, measure, sweep
from threedie.benchmark.analysis.turns import steps_deg
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.manifests.analysis import AXES, Axis, Sweep
from threedie.manifests.latents import quaternion_to_euler
from threedie.manifests.results import Numbers

STEPS = 8


def turntable(axis: Axis, n: int = 6) -> FakeSplit:
    """View 0 is anything; the others are view 0 turned about its own axis, in STEPS."""
    split = FakeSplit("val", n, STEPS + 1, 3)
    source = Rotation.from_euler("xyz", split.latents_NVL[:, 0, :3])
    for view, degrees in enumerate(steps_deg(STEPS)[1:], start=1):
        turned = source * Rotation.from_euler(axis, degrees, degrees=True)
        split.latents_NVL[:, view, :3] = quaternion_to_euler(np.asarray(turned.as_quat()))
    return split


def swept(embedded: Embedded, axes: tuple[Axis, ...]) -> list[Found]:
    return [sweep(embedded, question) for question in questions(embedded, axes, STEPS)]


def judged(embedded: Embedded, axes: tuple[Axis, ...]) -> dict[str, tuple[Sweep, Numbers]]:
    resampler = Resampler(embedded.n_objects, seed=0)
    return {
        f"{curve.name}_{curve.among}": (curve, numbers)
        for found in swept(embedded, axes)
        for curve, numbers in measure(found, resampler)
    }


def values(curve: Sweep) -> list[float]:
    return [float(n.value or 0) for n in curve.error_deg]


@pytest.mark.parametrize("axis", AXES)
def test_the_exact_action_recovers_what_is_asked(axis: Axis) -> None:
    found = judged(embedded_of(turntable(axis), Moves(right)), (axis,))
    curve, numbers = found[f"rotation_{axis}_object"]
    np.testing.assert_allclose(values(curve), 0, atol=1e-4)
    asked = np.array(curve.asked_deg)
    recovered = np.array(curve.recovered_deg, dtype=np.float64)
    gap = (recovered - asked + 180) % 360 - 180  # −180 is 180
    np.testing.assert_allclose(gap, 0, atol=1e-4)
    assert min(curve.agreement) == pytest.approx(1)
    assert numbers[f"rotation_{axis}_object_gain"].value == pytest.approx(1)
    everyone, summary = found[f"rotation_{axis}_val"]
    np.testing.assert_allclose(values(everyone), 0, atol=1e-4)
    assert summary[f"rotation_{axis}_val_own_object"].value == 1


@pytest.mark.parametrize("axis", AXES)
def test_an_embedding_that_has_the_sign_of_its_quaternion(axis: Axis) -> None:
    """The opposite point is another view: only the sign that training has finds the right one."""
    split = turntable(axis, 20)
    found = judged(embedded_of(split, PosePredictor(), poses(split)), (axis,))
    np.testing.assert_allclose(values(found[f"rotation_{axis}_object"][0]), 0, atol=1e-4)


def test_turning_twice_as_far_is_seen() -> None:
    curve, _ = judged(embedded_of(turntable("z"), Moves(twice)), ("z",))["rotation_z_object"]
    recovered = dict(zip(curve.asked_deg, curve.recovered_deg, strict=True))
    assert recovered[45.0] == pytest.approx(90)
    assert recovered[-45.0] == pytest.approx(-90)
    errors = dict(zip(curve.asked_deg, values(curve), strict=True))
    assert errors[45.0] == pytest.approx(45, abs=1e-4)
    assert errors[135.0] == pytest.approx(135, abs=1e-4)


def test_the_wrong_side_is_seen() -> None:
    """q·R turns about the world's axis: the views turned about the object's own are not there."""
    _, numbers = judged(embedded_of(turntable("z"), Moves(left)), ("z",))["rotation_z_object"]
    gain = numbers["rotation_z_object_gain"].value
    assert gain is not None
    assert gain < 0.9


def test_doing_nothing_recovers_nothing() -> None:
    curve, numbers = judged(embedded_of(turntable("y"), Moves(still)), ("y",))["rotation_y_object"]
    np.testing.assert_allclose(values(curve), np.abs(steps_deg(STEPS)), atol=1e-4)
    np.testing.assert_allclose(np.array(curve.recovered_deg, dtype=float), 0, atol=1e-6)
    best = numbers["rotation_y_object_best_deg"].value
    assert best == pytest.approx(0, abs=1e-4)


def test_nearest_best_and_chance_by_loops() -> None:
    split = FakeSplit("val", 5, 4, 2)
    weight = torch.randn(11, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    class Odd(Moves):
        def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
            return super().predict(e_NE, z_NG) @ weight

    embedded = embedded_of(split, Odd(right))
    (found,) = swept(embedded, ("x",))
    e = matrices(split).astype(np.float32).astype(np.float64)
    pose = [Rotation.from_euler("xyz", angles) for angles in split.latents_NVL[..., :3]]
    errors, bests, chances = np.zeros((3, 5, STEPS + 1))
    for n in range(5):
        for k, degrees in enumerate(steps_deg(STEPS)):
            target = pose[n][0] * Rotation.from_euler("x", degrees, degrees=True)
            moved = np.concatenate([target.as_matrix().reshape(-1), e[n, 0, 9:]]) @ weight.numpy()
            cosine = e @ moved / np.linalg.norm(e, axis=2)
            off = np.array(
                [[np.degrees((target.inv() * p).magnitude()) for p in pose[m]] for m in range(5)]
            )
            assert found.nearest_NK["object"][n, k] == n * 4 + cosine[n].argmax()
            assert found.nearest_NK["val"][n, k] == cosine.reshape(-1).argmax()
            best_of_all = off.reshape(-1)[found.true_NK["val"][n, k]]
            assert best_of_all == pytest.approx(off.min(), abs=1e-6)
            errors[n, k] = off[n, cosine[n].argmax()]
            bests[n, k], chances[n, k] = off[n].min(), off[n].mean()
    (curve, numbers), _ = list(measure(found, Resampler(5, seed=0)))
    np.testing.assert_allclose(values(curve), errors.mean(axis=0), atol=1e-4)
    kept = np.arange(STEPS + 1) != STEPS // 2  # asking for nothing does not count
    gain = 1 - (errors - bests)[:, kept].sum() / (chances - bests)[:, kept].sum()
    for kind, expected in {
        "error_deg": errors[:, kept].mean(),
        "best_deg": bests[:, kept].mean(),
        "chance_deg": chances[:, kept].mean(),
        "gain": gain,
    }.items():
        assert numbers[f"rotation_x_object_{kind}"].value == pytest.approx(expected, abs=1e-6)


class HuePredictor(Moves):
    """Turns the floor's hue on its circle; the embedding is (cos, sin)."""

    latent_group = "color"

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        turn = 2 * np.pi * z_NG[:, 0]
        x, y = e_NE[:, 0], e_NE[:, 1]
        moved = [turn.cos() * x - turn.sin() * y, turn.sin() * x + turn.cos() * y]
        return torch.stack([*moved, e_NE[:, 2]], dim=1)


def test_hues_are_swept_on_their_circle() -> None:
    split = FakeSplit("val", 6, STEPS + 1, 3)
    split.latents_NVL[:, 1:, 3] = np.arange(STEPS) / STEPS
    split.latents_NVL[..., 6] = 0.25  # the light's never varies: it is not asked for
    turn = 2 * np.pi * split.latents_NVL[..., 3:4]
    own = np.arange(6.0)[:, None, None].repeat(STEPS + 1, axis=1)
    embedded = embedded_of(
        split, HuePredictor(right), np.concatenate([np.cos(turn), np.sin(turn), own], axis=2)
    )
    found = judged(embedded, ("x",))
    assert set(found) == {"floor_hue_object", "floor_hue_val"}
    curve, numbers = found["floor_hue_object"]
    np.testing.assert_allclose(curve.asked_deg, 45 * np.arange(STEPS))
    np.testing.assert_allclose(np.array(curve.recovered_deg, float), curve.asked_deg, atol=1e-4)
    assert numbers["floor_hue_object_gain"].value == pytest.approx(1)
    none = embedded_of(split, Moves(right))
    assert [q.name for q in questions(none, ("x", "z"), STEPS)] == ["rotation_x", "rotation_z"]


def test_objects_to_show() -> None:
    labels = np.array([0] * 5 + [1] * 3 + [2])
    chosen = choose_shown(labels, 5, seed=0)
    assert sorted(labels[chosen[:3]]) == [0, 1, 2]
    assert sorted(labels[chosen]) == [0, 0, 1, 1, 2]
    assert len(set(chosen)) == 5
    assert len(choose_shown(labels, 50, seed=0)) == 9
    split = turntable("z")
    embedded = embedded_of(split, Moves(right))
    founds = swept(embedded, ("z",))
    (shown,) = show(founds, embedded, split.objects_N, np.array([4]))
    assert shown.object == split.objects_N[4]
    (row,) = shown.sweeps
    assert row.nearest == row.true
    assert row.nearest[2:4] == (2, 3)
    assert {(view.object, view.view) for view in row.nearest_in_val} == {
        (shown.object, view) for view in row.nearest
    }
