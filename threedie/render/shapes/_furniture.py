"""What several pieces of furniture share: legs, drawers."""

from __future__ import annotations

import math

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._parts import Part, box, rod, smooth, tube
from threedie.render.shapes._shape import Shape

LEGS = ("square", "round", "splayed", "sled", "stretched")


def legs(style: str, x: float, z: float, height: float, thick: float) -> list[Part]:
    """Legs from the floor (y = 0) to a height, at ±x and ±z: one of LEGS."""
    if style == "sled":
        return [_runner(side * x, z, height, thick * 0.6) for side in (-1, 1)]
    corners = [(sx, sz) for sx in (-1, 1) for sz in (-1, 1)]
    if style == "square":
        size = (thick * 1.4, height, thick * 1.4)
        return [box(size, (sx * x, height / 2, sz * z)) for sx, sz in corners]
    out = 0.16 * height if style == "splayed" else 0.0
    parts = [
        rod((sx * (x + out), 0, sz * (z + out)), (sx * x, height, sz * z), thick * 0.55, thick)
        for sx, sz in corners
    ]
    if style == "stretched":
        low = height * 0.35
        parts += [rod((s * x, low, -z), (s * x, low, z), thick * 0.5) for s in (-1, 1)]
        parts.append(rod((-x, low, 0), (x, low, 0), thick * 0.5))
    return parts


def swivel(height: float, reach: float, thick: float, spokes: int = 5) -> list[Part]:
    """A column on a star with castors, standing on y = 0."""
    parts = [rod((0, thick * 2, 0), (0, height, 0), thick * 1.2)]
    for k in range(spokes):
        angle = 2 * math.pi * (k + 0.25) / spokes
        x, z = reach * math.cos(angle), reach * math.sin(angle)
        parts.append(rod((0, thick * 3, 0), (x, thick * 2, z), thick * 1.1, thick * 0.7))
        parts.append(rod((x, thick, z - thick * 0.7), (x, thick, z + thick * 0.7), thick))
    return parts


def drawers(
    shape: Shape,
    front: Material,
    knob: Material,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    count: int,
) -> None:
    """Drawer fronts with handles, one above the other, on a front that lies at z (facing −Z)."""
    height = (y[1] - y[0]) / count
    width, middle = x[1] - x[0], (x[0] + x[1]) / 2
    for k in range(count):
        at = y[0] + (k + 0.5) * height
        shape.add(front, box((width * 0.9, height * 0.84, 0.03), (middle, at, z - 0.005)))
        shape.add(knob, box((width * 0.4, 0.022, 0.03), (middle, at + height * 0.12, z - 0.032)))


def _runner(x: float, z: float, height: float, radius: float) -> Part:
    path = [(x, height, -z), (x, radius * 3, -z), (x, radius, -z * 0.85)]
    return tube(smooth([*path, *((px, py, -pz) for px, py, pz in path[::-1])], 4), radius)
