"""Skateboards: nose at −Z, kicked tail at +Z, the rear wheels further in than the front ones."""

from __future__ import annotations

import math

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, metal, paint, pale, wood
from threedie.render.shapes._parts import Part, ball, blocks, box, rod
from threedie.render.shapes._shape import Shape

KINDS = ("popsicle", "cruiser", "pintail", "old school")


def skateboard(draw: Draw) -> Shape:
    """Outline, width, kick, concave, trucks, wheels, rails and colours vary."""
    shape = Shape()
    deck, grip = (
        draw.pick((paint, wood))(draw, "deck"),
        draw.pick((dark, dark, paint))(draw, "grip"),
    )
    trucks, wheels = metal(draw, "trucks"), draw.pick((paint, pale))(draw, "wheels")
    kind = draw.pick(KINDS)
    half = draw.between(0.12, 0.15) * (1.15 if kind == "old school" else 1.0)
    kick, lift = draw.between(0.14, 0.2), 0.0
    if kind == "popsicle":
        lift = draw.between(0.03, 0.05)
    shape.add(deck, _deck(kind, half, kick, lift, 0.0, 0.022))
    shape.add(grip, _deck(kind, half * 0.985, kick, lift, 0.018, 0.028))
    size = draw.between(0.04, 0.06)
    for z, scale in ((draw.between(-0.36, -0.31), 1.0), (draw.between(0.13, 0.18), 1.0)):
        _truck(shape, trucks, wheels, z, half * 0.85, size * scale)
    if draw.chance(0.4):
        rail = paint(draw, "rails")
        for side in (-1, 1):
            shape.add(rail, box((0.018, 0.02, 0.3), (side * half * 0.7, -0.008, -0.09)))
    if draw.chance(0.5):
        _stripes(shape, deck, half, draw.count(1, 3))
    if draw.chance(0.4):  # a guard under the tail
        guard = box((half * 0.9, 0.03, 0.06), (0, kick * 0.62, 0.445)).turned(
            "x", -28, (0, kick * 0.6, 0.44)
        )
        shape.add(trucks, guard)
    return shape


def _stripes(shape: Shape, deck: Material, half: float, count: int) -> None:
    """Bars of bare deck showing through the grip tape, towards the nose."""
    for k in range(count):
        shape.add(deck, box((half * 1.5, 0.01, 0.03), (0, 0.0255, -0.2 + 0.06 * k)))


def _deck(kind: str, half: float, kick: float, lift: float, low: float, high: float) -> Part:
    """A bent plate between two heights above the deck's underside."""
    stations = []
    for k in range(41):
        z = -0.5 + k / 40
        wide = max(half * _outline(kind, z), 0.004)
        y = kick * max(0.0, (z - 0.24) / 0.26) ** 1.5 + lift * max(0.0, (-0.36 - z) / 0.14)
        stations.append((z, -wide, wide, y + low, y + high))
    return blocks("z", stations)


def _outline(kind: str, z: float) -> float:
    """Half the width at z, relative to the widest place."""

    def end(room: float, power: float) -> float:
        """1 in the middle, round to 0 at the end of the board."""
        inside = min(1.0, (0.5 - abs(z)) / room)
        return float((1 - (1 - inside) ** power) ** (1 / power))

    if kind == "popsicle":
        return end(0.16, 2.2)
    if kind == "old school":
        return (
            end(0.16, 2.5) * (1.0 + 0.12 * math.cos(3 * z)) / 1.12
            if z < 0
            else end(0.06, 3.0) * (0.95 - 0.5 * z)
        )
    if kind == "cruiser":
        return end(0.38, 1.7) if z < 0 else end(0.08, 2.5) * (1.0 - 0.35 * z)
    return end(0.3, 2.0) if z < 0 else end(0.42, 1.6)


def _truck(
    shape: Shape, trucks: Material, wheels: Material, z: float, reach: float, radius: float
) -> None:
    """Base plate, hanger, axle and two wheels below the deck."""
    y = -0.035 - radius * 0.8
    shape.add(trucks, box((0.08, 0.02, 0.11), (0, -0.008, z)))
    shape.add(
        trucks,
        blocks(
            "y",
            [(y - 0.01, -0.06, 0.06, z - 0.02, z + 0.02), (0, -0.025, 0.025, z - 0.03, z + 0.03)],
        ),
    )
    shape.add(trucks, rod((-reach, y, z), (reach, y, z), 0.012))
    for side in (-1, 1):
        inner, outer = side * (reach - radius * 0.9), side * (reach + 0.01)
        shape.add(wheels, rod((inner, y, z), (outer, y, z), radius, sides=20))
        shape.add(trucks, ball((0.03, 0.03, 0.03), (outer, y, z), sides=8))
