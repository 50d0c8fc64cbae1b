"""Mugs and cups: the handle at +X, and always something that tells front from back as well."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import colour, metal, paint, pale, tone, wood
from threedie.render.shapes._parts import ball, box, lathe, ovals, rod, smooth, tube
from threedie.render.shapes._shape import Shape

WALL = 0.035

# Outer radius over height, both from 0 to 1, bottom to rim.
PROFILES = {
    "straight": [(1.0, 0.0), (1.0, 0.5), (1.0, 1.0)],
    "tapered": [(0.72, 0.0), (0.86, 0.5), (1.0, 1.0)],
    "bell": [(0.66, 0.0), (0.72, 0.4), (0.85, 0.75), (1.05, 1.0)],
    "barrel": [(0.8, 0.0), (1.02, 0.35), (1.0, 0.7), (0.88, 1.0)],
    "bowl": [(0.5, 0.0), (0.85, 0.3), (0.98, 0.65), (1.0, 1.0)],
}


def mug(draw: Draw) -> Shape:
    """Profile, height, handle, drink, saucer, and spoon, tea bag, straw or lid vary."""
    shape = Shape()
    glaze, handle = colour(draw, "glaze"), draw.pick((colour, pale))(draw, "handle")
    style = draw.pick(tuple(PROFILES))
    radius, high = draw.between(0.36, 0.48), draw.between(0.75, 1.15)
    if style == "bowl":
        radius, high = radius * 1.25, high * 0.75
    outer = [(r * radius, y * high) for r, y in smooth(PROFILES[style], 4).tolist()]
    inner = [(r - WALL, max(y, WALL)) for r, y in outer[::-1]]
    shape.add(glaze, lathe([(0, 0), *outer, *inner, (0, WALL)]))
    rim = outer[-1][0]
    drink = tone("drink", draw.between(0.04, 0.1), 0.7, draw.between(0.15, 0.6), roughness=0.2)
    level = outer[-2][1]
    shape.add(
        drink,
        lathe([(0, level - 0.1), (rim * 0.85, level - 0.1), (rim - WALL * 0.9, level), (0, level)]),
    )
    _handle(shape, draw, draw.pick((glaze, glaze, handle)), outer, high)
    if draw.chance(0.35):
        _saucer(shape, draw, glaze, outer[0][0])
    draw.pick((_spoon, _spoon, _tea_bag, _straw, _lid))(shape, draw, rim, high)
    return shape


def _saucer(shape: Shape, draw: Draw, glaze: Material, foot: float) -> None:
    """A long saucer that leaves room for biscuits in front of the cup."""
    reach, wide = draw.between(0.5, 0.8), foot + draw.between(0.12, 0.25)
    middle, half = -reach / 2, wide + reach / 2
    levels = [(-0.06, 0.8), (-0.02, 0.95), (0.03, 1.0), (0.04, 0.97), (0.003, 0.85)]
    rows = [(y, 0.0, middle, k * wide, k * half) for y, k in levels]
    shape.add(glaze, ovals("y", rows, power=3, sides=36))
    biscuit = wood(draw, "biscuit")
    for k in range(draw.count(1, 3)):
        size = (wide * 0.7, 0.06, 0.2)
        shape.add(
            biscuit, box(size, (0, 0.03 + 0.055 * k, -foot - reach * 0.55)).turned("y", 25 * k)
        )


def _handle(
    shape: Shape, draw: Draw, glaze: Material, outer: list[tuple[float, float]], high: float
) -> None:
    """A bow from high on the side to low on the side; its reach and corners vary."""
    low_y, high_y = high * draw.between(0.14, 0.3), high * draw.between(0.72, 0.88)
    reach = draw.between(0.3, 0.42)
    (low_r, _), (high_r, _) = (min(outer, key=lambda p: abs(p[1] - y)) for y in (low_y, high_y))
    out = max(low_r, high_r) + reach
    start, end = (high_r - 0.02, high_y, 0.0), (low_r - 0.02, low_y, 0.0)
    style = draw.pick(("ear", "square", "drop"))
    if style == "ear":
        path = [start, (out * 0.92, high_y + 0.02, 0.0), (out, (high_y + low_y) / 2, 0.0)]
        path += [(out * 0.85, low_y + 0.02, 0.0), end]
    elif style == "square":
        path = [start, (out * 0.97, high_y, 0.0), (out, high_y - 0.05, 0.0)]
        path += [(out, low_y + 0.05, 0.0), (out * 0.97, low_y, 0.0), end]
    else:
        path = [start, (out, high_y - 0.02, 0.0), (out * 0.85, high_y * 0.55, 0.0), end]
    curve = smooth(path, 5)
    shape.add(glaze, tube(curve, draw.between(0.04, 0.06)))


def _spoon(shape: Shape, draw: Draw, rim: float, high: float) -> None:
    """A spoon that stands in the mug, leaning on the front of the rim."""
    steel = metal(draw, "spoon")
    lean, turn = draw.between(24, 36), draw.between(-40, 40)
    long = draw.between(0.75, 0.95)
    stick = tube([(0, -high * 0.5, 0), (0, long * 0.75, 0)], [0.025, 0.03])
    bowl = ball((0.17, 0.3, 0.06), (0, long * 0.75, 0))
    for part in (stick, bowl):
        leaned = part.turned("x", -lean).moved(y=high, z=-rim * 0.72)
        shape.add(steel, leaned.turned("y", turn))


def _tea_bag(shape: Shape, draw: Draw, rim: float, high: float) -> None:
    """A string over the front of the rim with a big paper tag."""
    paper = paint(draw, "tag")
    drop = high * draw.between(0.3, 0.5)
    z = -rim - 0.06
    path = [
        (0, high * 0.85, -rim * 0.8),
        (0, high + 0.03, -rim),
        (0, high - 0.05, z),
        (0, high - drop, z),
    ]
    size = draw.between(0.26, 0.36)
    parts = [tube(smooth(path, 4), 0.014)]
    parts.append(box((size, size * 1.2, 0.03), (0, high - drop - size * 0.5, z - 0.02)))
    turn = draw.between(-25, 40)
    shape.add(paper, *(part.turned("y", turn) for part in parts))


def _straw(shape: Shape, draw: Draw, rim: float, high: float) -> None:
    """A drinking straw with a bend to the front."""
    path = [(0, high * 0.3, rim * 0.3), (0, high * 1.35, -rim * 0.25), (0, high * 1.5, -rim * 0.9)]
    part = tube(smooth(path, 4), 0.045)
    shape.add(paint(draw, "straw"), part.turned("y", draw.between(-30, 30)))


def _lid(shape: Shape, draw: Draw, rim: float, high: float) -> None:
    """A lid with a knob that lies open, tilted to the back."""
    cover = paint(draw, "lid")
    tilt = draw.between(30, 65)
    disc = lathe([(0, 0), (rim, 0), (rim, 0.05), (rim * 0.5, 0.1), (0, 0.12)])
    knob = ball((0.16, 0.14, 0.16), (0, 0.16, 0))
    for part in (disc, knob):
        shape.add(cover, part.turned("x", tilt, (0, 0, rim)).moved(y=high + 0.01))
    # The hinge holds the lid at the rim's back.
    shape.add(metal(draw, "hinge"), rod((-0.1, high, rim), (0.1, high, rim), 0.045))
