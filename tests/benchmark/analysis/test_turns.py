"""Claims proved here, on turns about an axis.

- They are SciPy's, with w >= 0; the ends of a sweep are one rotation.
- Signs are those that training has: of the relative rotation to a view with these Euler angles.
- The twist of a turn about an axis is its angle, sign and all, whatever the sign of q; a turn about
  another axis has none.
- The axes of a data set are those that something turns about.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from threedie.benchmark.analysis.turns import (
    steps_deg,
    turned_axes,
    turns,
    twist_deg,
    with_signs_of_euler,
)
from threedie.benchmark.evaluation.metrics import geodesic_deg
from threedie.manifests.analysis import AXES, Axis
from threedie.manifests.latents import euler_to_quaternion_xyzw, relative_rotation_xyzw


@pytest.mark.parametrize("axis", AXES)
def test_turns_are_scipys(axis: Axis) -> None:
    asked = steps_deg(24)
    assert (len(asked), asked[0], asked[12], asked[-1]) == (25, -180, 0, 180)
    q = turns(axis, asked)
    expected = Rotation.from_euler(axis, asked[:, None], degrees=True).as_matrix()
    np.testing.assert_allclose(Rotation.from_quat(q).as_matrix(), expected, atol=1e-12)
    assert (q[:, 3] >= 0).all()
    assert geodesic_deg(q[0], q[-1]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_twist_of_a_turn_is_its_angle(axis: Axis, sign: int) -> None:
    asked = steps_deg(24)[1:-1]
    found = twist_deg(sign * turns(axis, asked), axis)
    np.testing.assert_allclose(found, asked, atol=1e-9)
    other: Axis = "y" if axis == "x" else "x"
    np.testing.assert_allclose(twist_deg(turns(other, asked), axis), 0, atol=1e-9)


def test_signs_are_those_of_training() -> None:
    """Views in the ranges of Euler angles: the move from one to the other, sign and all."""
    rng = np.random.default_rng(0)
    euler = rng.uniform(-1, 1, (2, 200, 3)) * [np.pi, np.pi / 2, np.pi]
    q = relative_rotation_xyzw(euler[0], euler[1])
    assert 0.3 < (q[:, 3] < 0).mean() < 0.7
    source = euler_to_quaternion_xyzw(euler[0])
    for given in (q, -q):
        np.testing.assert_allclose(with_signs_of_euler(given, source), q, atol=1e-12)


def test_the_axes_of_a_data_set() -> None:
    x, z = turns("x", np.array([10.0, 20.0])), turns("z", np.array([1.0]))
    assert turned_axes(z) == ("z",)
    assert turned_axes(np.concatenate([x, z])) == ("x", "z")
    assert turned_axes(turns("y", np.zeros(3))) == ()
