"""Claims proved here, on latents and rotations.

- The order of the array is the published one, and rows go there and back.
- Angles become SciPy's quaternions (extrinsic xyz, xyzw), down to their sign, in any batch shape.
- Products, conjugates and inv(R1)·R2 are SciPy's; the way back to angles gives the same rotation.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from threedie.errors import ManifestError
from threedie.manifests.latents import (
    COLUMNS,
    TRANSLATION_COLUMNS,
    Array,
    Latents,
    euler_to_quaternion_xyzw,
    quaternion_conjugate_xyzw,
    quaternion_multiply_xyzw,
    quaternion_to_euler,
    relative_rotation_xyzw,
)

ANGLE = st.floats(-math.pi, math.pi)
ANGLES = st.tuples(ANGLE, ANGLE, ANGLE)


def random_angles(n: int) -> Array:
    """(n, 3) angles of the full turn, and all multiples of 90°."""
    rng = np.random.Generator(np.random.PCG64(3))
    quarters = np.array(np.meshgrid(*[np.arange(-2, 3) * math.pi / 2] * 3)).reshape(3, -1).T
    return np.concatenate([rng.uniform(-math.pi, math.pi, (n, 3)), quarters])


def test_the_published_order() -> None:
    latents = Latents(
        rotation_x_rad=1.0,
        rotation_y_rad=2.0,
        rotation_z_rad=3.0,
        floor_hue=4.0,
        spot_theta_rad=5.0,
        spot_phi_rad=6.0,
        spot_hue=7.0,
        translation=(8.0, 9.0, 10.0),
    )
    assert latents.to_array().tolist() == [float(i) for i in range(1, 11)]
    assert COLUMNS + TRANSLATION_COLUMNS == (
        "rx",
        "ry",
        "rz",
        "floor_hue",
        "spot_theta",
        "spot_phi",
        "spot_hue",
        "tx",
        "ty",
        "tz",
    )


@given(st.lists(st.floats(-10, 10), min_size=7, max_size=7))
def test_seven_numbers_go_there_and_back(values: list[float]) -> None:
    row = np.array(values)
    assert Latents.from_array(row).translation == (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(Latents.from_array(row).to_array(), row)


@given(st.lists(st.floats(0.1, 10), min_size=10, max_size=10))
def test_ten_numbers_go_there_and_back(values: list[float]) -> None:
    row = np.array(values)
    np.testing.assert_array_equal(Latents.from_array(row).to_array(), row)


@pytest.mark.parametrize("shape", [(6,), (8,), (9,), (11,), (1, 7), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ManifestError, match="7 or 10 numbers"):
        Latents.from_array(np.zeros(shape))


def test_quaternions_are_scipys_with_their_signs() -> None:
    angles = random_angles(2000)
    expected = Rotation.from_euler("xyz", angles).as_quat()
    np.testing.assert_allclose(euler_to_quaternion_xyzw(angles), expected, atol=1e-12)


def test_a_quarter_turn_by_hand() -> None:
    half = math.sqrt(0.5)
    for axis in range(3):
        angles = np.zeros(3)
        angles[axis] = math.pi / 2
        expected = np.zeros(4)
        expected[axis], expected[3] = half, half
        np.testing.assert_allclose(euler_to_quaternion_xyzw(angles), expected, atol=1e-15)


@given(ANGLES)
def test_a_batch_is_its_rows(angles: tuple[float, float, float]) -> None:
    one = euler_to_quaternion_xyzw(np.array(angles))
    many = euler_to_quaternion_xyzw(np.tile(np.array(angles), (2, 5, 1)))
    assert many.shape == (2, 5, 4)
    assert (many == one).all()


@given(ANGLES)
def test_quaternions_have_length_one(angles: tuple[float, float, float]) -> None:
    assert np.linalg.norm(euler_to_quaternion_xyzw(np.array(angles))) == pytest.approx(1.0)


def test_extrinsic_xyz_is_rz_ry_rx() -> None:
    """A vector by three plain matrices, and by q·v·q⁻¹."""
    for rx, ry, rz in random_angles(50):
        cx, sx, cy, sy = math.cos(rx), math.sin(rx), math.cos(ry), math.sin(ry)
        cz, sz = math.cos(rz), math.sin(rz)
        matrix = (
            np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
            @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        )
        q = euler_to_quaternion_xyzw(np.array([rx, ry, rz]))
        vector = np.array([0.3, -0.5, 0.8])
        turned = quaternion_multiply_xyzw(
            quaternion_multiply_xyzw(q, np.append(vector, 0.0)), quaternion_conjugate_xyzw(q)
        )
        np.testing.assert_allclose(turned, [*(matrix @ vector), 0.0], atol=1e-12)


def test_products_are_scipys() -> None:
    first, second = random_angles(500), random_angles(500)[::-1]
    expected = Rotation.from_euler("xyz", first) * Rotation.from_euler("xyz", second)
    found = quaternion_multiply_xyzw(
        euler_to_quaternion_xyzw(first), euler_to_quaternion_xyzw(second)
    )
    np.testing.assert_allclose(
        Rotation.from_quat(found).as_matrix(), expected.as_matrix(), atol=1e-12
    )


def test_relative_rotations_are_inv_r1_r2() -> None:
    first, second = random_angles(500), random_angles(500)[::-1]
    one, two = Rotation.from_euler("xyz", first), Rotation.from_euler("xyz", second)
    found = relative_rotation_xyzw(first, second)
    np.testing.assert_allclose(
        Rotation.from_quat(found).as_matrix(), (one.inv() * two).as_matrix(), atol=1e-12
    )
    wrong = (two * one.inv()).as_matrix()
    assert np.abs(Rotation.from_quat(found).as_matrix() - wrong).max() > 0.1


@given(ANGLES, ANGLES)
def test_a_relative_rotation_leads_from_one_to_the_other(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> None:
    a, b = np.array(first), np.array(second)
    arrived = quaternion_multiply_xyzw(euler_to_quaternion_xyzw(a), relative_rotation_xyzw(a, b))
    np.testing.assert_allclose(arrived, euler_to_quaternion_xyzw(b), atol=1e-12)


@given(ANGLES)
def test_no_turn_is_the_unit_quaternion(angles: tuple[float, float, float]) -> None:
    found = relative_rotation_xyzw(np.array(angles), np.array(angles))
    np.testing.assert_allclose(found, [0, 0, 0, 1], atol=1e-12)


def test_the_way_back_gives_the_same_rotation_in_range() -> None:
    angles = random_angles(2000)
    back = quaternion_to_euler(euler_to_quaternion_xyzw(angles))
    assert np.abs(back[:, [0, 2]]).max() <= math.pi
    assert np.abs(back[:, 1]).max() <= math.pi / 2
    one, two = (Rotation.from_euler("xyz", a).as_matrix() for a in (angles, back))
    steep = np.abs(np.abs(back[:, 1]) - math.pi / 2) < 1e-6  # there x and z turn about one axis
    assert steep.sum() < 100
    np.testing.assert_allclose(one[~steep], two[~steep], atol=1e-9)


@given(ANGLE, st.floats(-1.55, 1.55), ANGLE)
def test_angles_in_range_come_back(rx: float, ry: float, rz: float) -> None:
    back = quaternion_to_euler(euler_to_quaternion_xyzw(np.array([rx, ry, rz])))
    turns = (back - [rx, ry, rz]) / (2 * math.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)


def test_golden_latents_are_within_the_papers_ranges(golden_dir: Path) -> None:
    cases = sorted(golden_dir.glob("render/images/latents.npz"))
    assert cases, f"no golden latents in {golden_dir}"
    with np.load(cases[0]) as table:
        for name in table.files:
            assert table[name].shape[1] == len(COLUMNS)
            assert np.abs(table[name][:, :3]).max() <= math.pi / 2
