"""What test_scene.py runs inside Blender: `python -m tests.render.in_blender NAME SCRATCH`.

A process of its own per test: bpy may hang when an interpreter shuts down, so this one leaves with
os._exit after printing its answer as one JSON line.
"""

from __future__ import annotations

import colorsys
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from tests.render.poses import POSES
from threedie.manifests.latents import Latents
from threedie.manifests.recipes import QUALITIES, RECIPES
from threedie.render.meshes.mesh import Material, ObjFile, TriangleMesh
from threedie.render.scene import Stage

SCRATCH = Path(sys.argv[2])
MATERIALS = (
    Material(name="dark", base_color=(0.0, 0.0, 0.0)),
    Material(name="mark", base_color=(1.0, 1.0, 1.0)),
)
CUBE = [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
SIDES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def stage(size: int) -> Stage:
    quality = QUALITIES["standard"]
    return Stage(RECIPES["3diebench"], quality, size=size, threads=1, scratch=SCRATCH)


def latents(
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    floor: float = 0.3,
    theta: float = 0.0,
    phi: float = 0.0,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Latents:
    return Latents(
        rotation_x_rad=angles[0],
        rotation_y_rad=angles[1],
        rotation_z_rad=angles[2],
        floor_hue=floor,
        spot_theta_rad=theta,
        spot_phi_rad=phi,
        spot_hue=0.1,
        translation=shift,
    )


def boxes(*parts: tuple[list[float], list[float], int]) -> TriangleMesh:
    """Boxes given as (centre, half sizes, material)."""
    corners = [np.array(CUBE) * half + centre for centre, half, _ in parts]
    quads = [np.array(SIDES) + 8 * i for i in range(len(parts))]
    faces = np.concatenate([q[:, pick] for q in quads for pick in ([0, 1, 2], [0, 2, 3])])
    materials = [m for _, _, material in parts for m in [material] * 12]
    return TriangleMesh(
        vertices_V3=np.concatenate(corners),
        faces_F3=faces,
        material_F=np.array(materials),
        materials=MATERIALS,
    )


def poses() -> Any:
    """Where a white cube above a black plate is seen, for every pose: (column, row)."""
    view = stage(128)
    view.load(boxes(([0.25, 0.10, 0.15], [0.04] * 3, 1), ([0.0, -0.14, 0.0], [0.3, 0.001, 0.3], 0)))
    found = []
    for rx, ry, rz, shift in POSES:
        white = view.render(latents((rx, ry, rz), shift=shift)).astype(float).min(axis=2)
        rows, columns = np.nonzero(white > 0.75 * white.max())
        found.append([columns.mean() + 0.5, rows.mean() + 0.5])
    return found


def frames() -> Any:
    """Bounding boxes on the stage of one box, as arrays and as an OBJ file."""
    one = boxes(([5.0, 2.0, -3.0], [0.4, 0.2, 0.1], 0))
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in one.vertices_V3.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (one.faces_F3 + 1).tolist()]
    path = SCRATCH / "one.obj"
    path.write_text("\n".join(lines))
    view, found = stage(32), []
    for source in (one, ObjFile(path=path)):
        view.load(source)
        points = np.array([v.co for v in view._object.data.vertices])
        found.append([points.min(axis=0).tolist(), points.max(axis=0).tolist()])
    return found


def colors() -> Any:
    """Hue of the floor's corner, and which half is brighter under light from either side."""
    view = stage(64)
    view.load(boxes(([0.0] * 3, [0.05] * 3, 0)))
    hues = [_hue(view.render(latents(floor=h))[-6:, :6]) for h in (0.0, 1 / 3, 2 / 3)]
    sides = []
    for phi in (0.0, np.pi):
        picture = view.render(latents(floor=0.5, theta=np.pi / 4, phi=phi)).astype(float)
        sides.append(float(picture[:, :32].mean() - picture[:, 32:].mean()))
    return {"hues": hues, "sides": sides}


def _hue(pixels: NDArray[np.uint8]) -> float:
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0) / 255
    return colorsys.rgb_to_hsv(red, green, blue)[0]


def vertex_colors() -> Any:
    """Mean colour of the middle of a box whose vertices are red, then green."""
    view, one, found = stage(64), boxes(([0.0] * 3, [0.4] * 3, 0)), []
    for color in ([0.8, 0.0, 0.0], [0.0, 0.8, 0.0]):
        view.load(replace(one, color_V3=np.tile(color, (8, 1))))
        found.append(view.render(latents())[24:40, 24:40].reshape(-1, 3).mean(axis=0).tolist())
    return found


def repeats() -> Any:
    """Is a view the same after other objects, and what is left when all are gone."""
    view = stage(32)
    thing, other = boxes(([0.0] * 3, [0.2] * 3, 1)), boxes(([1.0] * 3, [0.1] * 3, 0))
    view.load(thing)
    first = view.render(latents((0.3, 0.0, 0.0))).tobytes()
    for _ in range(3):
        view.load(other)
        view.render(latents())
    view.load(thing)
    again = view.render(latents((0.3, 0.0, 0.0))).tobytes()
    view.clear()
    left = [len(kind) for kind in (bpy.data.meshes, bpy.data.materials, bpy.data.images)]
    return {"same": first == again, "left": left}


ANSWERS: dict[str, Callable[[], Any]] = {
    "poses": poses,
    "frames": frames,
    "colors": colors,
    "repeats": repeats,
    "vertex_colors": vertex_colors,
}

if __name__ == "__main__":
    sys.stderr.write("\nANSWER " + json.dumps(ANSWERS[sys.argv[1]]()) + "\n")
    sys.stderr.flush()
    os._exit(0)
