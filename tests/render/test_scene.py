"""The scene, against geometry and physics instead of pictures.

Claims: a rotation (rx, ry, rz) moves a marked point to the pixel that SciPy's extrinsic xyz
rotation and a pinhole camera predict, and a translation is applied before it; the bounding box is
centred and not scaled; +Y up becomes +Z up the same way for OBJ files and for arrays; the floor has
the asked hue; the spot light comes from its side; vertex colours are seen; the same view is the
same bytes again; meshes that are taken off the stage leave nothing behind.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.render.poses import POSES

pytestmark = pytest.mark.bpy


def in_blender(name: str, scratch: Path) -> Any:
    """What a function of in_blender.py answers, from a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.render.in_blender", name, str(scratch)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    lines = [line for line in run.stderr.splitlines() if line.startswith("ANSWER ")]
    assert lines, run.stderr
    return json.loads(lines[0].removeprefix("ANSWER "))


def project(point: NDArray[np.float64], size: int) -> tuple[float, float]:
    """Pixel (column, row) of a point in the scene: a pinhole at 2.5·(0, sin 45°, cos 45°)."""
    camera = 2.5 * np.array([0.0, math.sin(math.pi / 4), math.cos(math.pi / 4)])
    forward = -camera / np.linalg.norm(camera)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    offset = point - camera
    scale = size / 2 / math.tan(0.691111 / 2) / (offset @ forward)
    return size / 2 + float(scale * (offset @ right)), size / 2 - float(scale * (offset @ up))


def test_a_pose_moves_a_mark_to_the_predicted_pixel(tmp_path: Path) -> None:
    # In ShapeNet's frame the mark is at (.25, .10, .15) and y runs from -.141 to .14 over all;
    # the scene centres that and turns (x, y, z) to (x, -z, y).
    mark = np.array([0.25, -0.15, 0.10 - (0.14 - 0.141) / 2])
    found = in_blender("poses", tmp_path)
    for (rx, ry, rz, shift), pixel in zip(POSES, found, strict=True):
        turned = Rotation.from_euler("xyz", [rx, ry, rz]).apply(mark + np.array(shift))
        assert np.allclose(pixel, project(turned, 128), atol=4.0), (rx, ry, rz, shift)


def test_obj_files_and_arrays_stand_the_same_way_centred_and_unscaled(tmp_path: Path) -> None:
    for low, high in in_blender("frames", tmp_path):
        assert np.allclose(low, [-0.4, -0.1, -0.2], atol=1e-5)
        assert np.allclose(high, [0.4, 0.1, 0.2], atol=1e-5)


def test_floor_hue_and_light_direction_are_what_was_asked(tmp_path: Path) -> None:
    found = in_blender("colors", tmp_path)
    for hue, wanted in zip(found["hues"], (0.0, 1 / 3, 2 / 3), strict=True):
        assert abs((hue - wanted + 0.5) % 1 - 0.5) < 0.06
    # The camera looks along -y, so +x is on the picture's left; light from +x (phi = 0) through
    # the origin falls on the floor beyond it, on the right.
    assert found["sides"][0] < -2
    assert found["sides"][1] > 2


def test_vertex_colours_are_seen(tmp_path: Path) -> None:
    red, green = in_blender("vertex_colors", tmp_path)
    assert red[0] > 2 * max(red[1:])
    assert green[1] > 2 * max(green[0], green[2])


def test_the_same_view_is_the_same_bytes_and_objects_leave_nothing(tmp_path: Path) -> None:
    found = in_blender("repeats", tmp_path)
    assert found["same"]
    assert found["left"][:2] == [1, 1]  # the floor
    assert found["left"][2] <= 2  # Render Result, Viewer Node
