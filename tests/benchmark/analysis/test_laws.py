"""Claims proved here, on the laws of a group action.

- Moves turn from the right: q_ab·q_bc is q_ac, sign included, and the first is the left factor.
- The exact action keeps every law; q and −q are one move for it, and opposite ones for quaternions.
- Each law is broken by the predictor that breaks it: wrong order, twice as far, twice as long,
  a constant turn, nothing at all; and by as much as can be computed by hand.
- With another view's latents a predictor that ignores them is no worse; one that uses them is.
- A collapsed embedding has no ratios, two views have no composition.
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
from threedie.benchmark.analysis.laws import NEED_THREE, draw_triples, measure_laws
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.manifests.latents import quaternion_to_euler
from threedie.manifests.results import Numbers


@pytest.fixture
def split() -> FakeSplit:
    return FakeSplit("val", 12, 6, 3)


def laws(embedded: Embedded) -> Numbers:
    triples = draw_triples(embedded.n_objects, embedded.n_views, 0)
    return measure_laws(embedded, triples, Resampler(embedded.n_objects, seed=0))


def value(numbers: Numbers, name: str) -> float:
    found = numbers[name].value
    assert found is not None
    return found


def test_which_way_round_by_hand() -> None:
    """A quarter turn about x, then one about the object's own z."""
    split = FakeSplit("val", 1, 3, 1)
    first, second = Rotation.from_euler("x", 90, True), Rotation.from_euler("z", 90, True)
    views = [Rotation.identity(), first, first * second]
    split.latents_NVL[0, :, :3] = [
        quaternion_to_euler(np.asarray(view.as_quat(), dtype=np.float64)) for view in views
    ]
    embedded = embedded_of(split, Moves(right))
    zero = np.zeros(1, dtype=np.int64)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(embedded.latents(zero, zero, zero + 1), [[half, 0, 0, half]])
    np.testing.assert_allclose(
        embedded.latents(zero, zero + 1, zero + 2), [[0, 0, half, half]], atol=1e-12
    )
    both = embedded.latents(zero, zero, zero + 2)
    np.testing.assert_allclose(np.abs(both), [[0.5, 0.5, 0.5, 0.5]])
    e = torch.cat([torch.eye(3).reshape(-1), torch.zeros(2)]).double()[None]
    for act, same in ((right, True), (left, False)):
        once = Moves(act).predict(e, torch.from_numpy(both))
        moved = e
        for q in (first, second):
            moved = Moves(act).predict(moved, torch.tensor(q.as_quat())[None])
        assert bool(torch.allclose(once, moved, atol=1e-12)) is same


def test_products_of_latents_have_the_sign_of_the_whole(split: FakeSplit) -> None:
    embedded = embedded_of(split, Moves(right))
    t = draw_triples(12, 6, 0)
    assert t.c_R is not None
    assert all((x != y).all() for x, y in ((t.a_R, t.b_R), (t.b_R, t.c_R), (t.a_R, t.c_R)))
    ab, bc, ac = (
        embedded.latents(t.object_R, x, y)
        for x, y in ((t.a_R, t.b_R), (t.b_R, t.c_R), (t.a_R, t.c_R))
    )
    product = (Rotation.from_quat(ab) * Rotation.from_quat(bc)).as_quat()
    sign = np.sign((product * ac).sum(axis=1))
    np.testing.assert_allclose(product * sign[:, None], ac, atol=1e-12)
    by_hand = ab[:, 3] * bc[:, 3] - (ab[:, :3] * bc[:, :3]).sum(axis=1)
    np.testing.assert_allclose(by_hand, ac[:, 3], atol=1e-12)


def test_the_exact_action_keeps_every_law(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, Moves(right)))
    for law in ("prediction", "identity", "inverse", "composition", "two_steps", "double_cover"):
        for kind in ("cosine_error", "cosine_ratio", "square_ratio"):
            assert value(numbers, f"{law}_{kind}") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "rotation_gain") == pytest.approx(1, abs=1e-9)
    assert value(numbers, "composition_swapped_cosine_ratio") > 0.3
    assert numbers["composition_cosine_error"].n == 12


def test_quaternions_are_a_double_cover(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, PosePredictor(), poses(split)))
    assert value(numbers, "composition_cosine_error") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "double_cover_cosine_error") == pytest.approx(2)


def test_the_wrong_order_is_seen(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, Moves(left)))
    assert value(numbers, "composition_swapped_cosine_ratio") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "composition_cosine_ratio") > 0.3
    assert value(numbers, "identity_cosine_ratio") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "inverse_cosine_ratio") == pytest.approx(0, abs=1e-9)


def test_turning_twice_as_far_is_seen(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, Moves(twice)))
    assert value(numbers, "identity_cosine_ratio") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "prediction_cosine_ratio") > 0.3
    assert value(numbers, "composition_cosine_ratio") > 0.3


def test_twice_the_length_is_seen_by_squares_alone(split: FakeSplit) -> None:
    """‖2x − x‖² over ‖x − y‖², of real views."""
    numbers = laws(embedded_of(split, Moves(still, scale=2.0)))
    assert value(numbers, "identity_cosine_error") == pytest.approx(0, abs=1e-9)
    t, e = draw_triples(12, 6, 0), matrices(split).astype(np.float32).astype(np.float64)
    lengths = np.square(e[t.object_R, t.a_R]).sum(axis=1)
    apart = np.square(e[t.object_R, t.a_R] - e[t.object_R, t.b_R]).sum(axis=1)
    expected = lengths.sum() / apart.sum()
    assert value(numbers, "identity_square_ratio") == pytest.approx(expected)
    assert value(numbers, "inverse_square_ratio") == pytest.approx(9 * expected)  # 4x − x


def test_doing_nothing_is_as_wrong_as_another_view(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, Moves(still)))
    assert value(numbers, "prediction_cosine_ratio") == pytest.approx(1)
    assert value(numbers, "prediction_square_ratio") == pytest.approx(1)
    assert value(numbers, "composition_cosine_ratio") == pytest.approx(0, abs=1e-12)
    assert value(numbers, "rotation_gain") == pytest.approx(0, abs=1e-12)


class Hued:
    """An embedding (hue circle of the floor, pose) that only its hue moves, or only its pose."""

    latent_group = "rotation+color"

    def __init__(self, hue: bool) -> None:
        self._hue = hue

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        turn = 2 * np.pi * z_NG[:, 4] * self._hue
        x, y = e_NE[:, 0], e_NE[:, 1]
        hue = torch.stack([turn.cos() * x - turn.sin() * y, turn.sin() * x + turn.cos() * y], dim=1)
        pose = e_NE[:, 2:] if self._hue else PosePredictor().predict(e_NE[:, 2:], z_NG[:, :4])
        return torch.cat([hue, pose], dim=1)


@pytest.mark.parametrize(
    ("hue", "used", "ignored"), [(True, "hues", "rotation"), (False, "rotation", "hues")]
)
def test_which_latents_are_used(split: FakeSplit, hue: bool, used: str, ignored: str) -> None:
    turn = 2 * np.pi * split.latents_NVL[..., 3:4]
    values = np.concatenate([np.cos(turn), np.sin(turn), poses(split)], axis=2)
    numbers = laws(embedded_of(split, Hued(hue), values))
    assert value(numbers, f"{used}_gain") > 0.2
    assert value(numbers, f"{ignored}_gain") == pytest.approx(0, abs=1e-9)


def test_a_predictor_of_one_half_of_the_quaternions() -> None:
    """Full turns about one axis have either sign; this predictor knows w >= 0 only."""
    split = FakeSplit("val", 20, 6, 3, law="yaw")

    def half(pose: Tensor, q: Tensor) -> Tensor:
        return torch.where(q[:, 3, None, None] < 0, pose, right(pose, q))

    numbers = laws(embedded_of(split, Moves(half)))
    assert value(numbers, "prediction_positive_w_cosine_error") == pytest.approx(0, abs=1e-9)
    assert value(numbers, "prediction_cosine_ratio") > 0.1
    assert value(numbers, "double_cover_cosine_ratio") > 0.5
    angle = split.latents_NVL[..., 2]
    t = draw_triples(20, 6, 0)
    far = np.abs(angle[t.object_R, t.b_R] - angle[t.object_R, t.a_R]) > np.pi
    assert value(numbers, "negative_w_share") == pytest.approx(far.mean())


def test_a_collapsed_embedding_has_no_ratios(split: FakeSplit) -> None:
    numbers = laws(embedded_of(split, Moves(still), np.ones((12, 6, 11))))
    assert numbers["prediction_cosine_ratio"].value is None
    assert "one embedding" in (numbers["prediction_cosine_ratio"].note or "")
    assert value(numbers, "view_cosine_error") == pytest.approx(0, abs=1e-12)


def test_two_views_have_no_composition() -> None:
    numbers = laws(embedded_of(FakeSplit("val", 5, 2, 2), Moves(right)))
    assert not any(f"{law}_cosine_error" in numbers for law in NEED_THREE)
    assert value(numbers, "inverse_cosine_ratio") == pytest.approx(0, abs=1e-9)
