"""Pianos: uprights and grands, the keys to −Z; a stool, a music stand and an open lid at will."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, fabric, metal, paint, pale, wood
from threedie.render.shapes._parts import box, prism, rod, rounded_box, smooth
from threedie.render.shapes._shape import Shape


def piano(draw: Draw) -> Shape:
    """Upright or grand, size, legs, lid, music, pedals and stool vary."""
    shape = Shape()
    case = draw.pick((dark, wood, wood, pale, paint))(draw, "case")
    ivory, ebony = pale(draw, "ivory"), dark(draw, "ebony")
    w = draw.between(1.35, 1.5)
    kind = draw.pick((_upright, _grand))
    front = kind(shape, draw, case, metal(draw, "brass"), w)
    _keyboard(shape, case, ivory, ebony, w, front)
    if kind is _upright or draw.chance(0.55):  # upside down, a lone upright looks much the same
        _stool(shape, draw, case, front)
    return shape


def _keyboard(
    shape: Shape, case: Material, ivory: Material, ebony: Material, w: float, front: float
) -> None:
    """White keys with gaps, black keys in groups of two and three, cheeks at both ends."""
    shape.add(case, box((w - 0.004, 0.1, 0.34), (0, 0.64, front + 0.15)))
    count = 28
    pitch = (w - 0.2) / count
    for k in range(count):
        x = (k - (count - 1) / 2) * pitch
        shape.add(ivory, box((pitch * 0.88, 0.04, 0.2), (x, 0.695, front + 0.11)))
        if k % 7 not in (2, 6) and k < count - 1:
            shape.add(ebony, box((pitch * 0.5, 0.05, 0.12), (x + pitch / 2, 0.715, front + 0.17)))
    for side in (-1, 1):
        shape.add(case, box((0.08, 0.16, 0.33), (side * (w / 2 - 0.035), 0.7, front + 0.156)))


def _upright(shape: Shape, draw: Draw, case: Material, brass: Material, w: float) -> float:
    high, deep = draw.between(1.05, 1.35), draw.between(0.32, 0.42)
    shape.add(case, box((w - 0.02, high, deep), (0, high / 2, deep / 2)))
    shape.add(case, box((w + 0.06, 0.05, deep + 0.06), (0, high, deep / 2 - 0.01)))
    shape.add(case, box((w * 0.82, (high - 0.8) * 0.7, 0.03), (0, (high + 0.82) / 2, -0.005)))
    front = -0.32
    if draw.chance(0.6):
        for side in (-1, 1):
            shape.add(
                case,
                rod((side * w * 0.44, 0, front + 0.1), (side * w * 0.44, 0.62, front + 0.1), 0.035),
            )
    else:
        for side in (-1, 1):
            shape.add(case, box((0.07, 0.62, 0.3), (side * w * 0.46, 0.31, front + 0.17)))
    for k in range(draw.count(2, 3)):
        shape.add(brass, box((0.05, 0.03, 0.16), (-0.1 + 0.1 * k, 0.08, -0.06)))
    if draw.chance(0.6):
        shape.add(
            brass, box((0.5, 0.28, 0.02), (0, high * 0.5 + 0.4, -0.06)).turned("x", 8, (0, 0.8, 0))
        )
    return front


def _grand(shape: Shape, draw: Draw, case: Material, brass: Material, w: float) -> float:
    """The curved case is long on the bass side (−X); the lid stands open over it."""
    long = draw.between(1.3, 1.9)
    half = w / 2
    bend = [(half, 0.45), (half * 0.75, 0.62), (half * 0.3, long * 0.6), (0.05, long * 0.85)]
    curve = smooth(
        [*bend, (-half * 0.4, long), (-half * 0.85, long * 0.97), (-half, long * 0.85)], 4
    )
    outline = [(-half, 0.0), (half, 0.0), *((float(x), float(z)) for x, z in curve)]
    shape.add(case, prism(outline, 0.6, 0.9))
    shape.add(brass, prism([(x * 0.93, 0.05 + z * 0.93) for x, z in outline], 0.85, 0.904))
    if draw.chance(0.7):
        lid = prism([(x, z) for x, z in outline if z >= 0], 0.91, 0.94)
        shape.add(case, lid.turned("z", draw.between(22, 38), (-half, 0.91, 0)))
        prop = (half * 0.55, 0.9, long * 0.3)
        shape.add(case, rod(prop, (half * 0.35, 1.38, long * 0.3), 0.018))
    shape.add(case, box((0.6, 0.26, 0.02), (0, 1.02, 0.12)).turned("x", 15, (0, 0.9, 0.12)))
    for x, z in ((-half * 0.85, 0.12), (half * 0.85, 0.12), (-half * 0.5, long * 0.82)):
        shape.add(case, rod((x, 0, z), (x, 0.62, z), 0.035, 0.06))
    shape.add(case, box((0.16, 0.5, 0.05), (0, 0.36, 0.22)))
    for k in range(3):
        shape.add(brass, box((0.04, 0.03, 0.16), (-0.06 + 0.06 * k, 0.1, 0.15)))
    return -0.28


def _stool(shape: Shape, draw: Draw, case: Material, front: float) -> None:
    """A bench for one or two, or a round stool."""
    z = front - draw.between(0.3, 0.42)
    cover = fabric(draw, "cover")
    if draw.chance(0.3):
        shape.add(cover, rod((0, 0.44, z), (0, 0.5, z), 0.19, sides=24))
        shape.add(case, rod((0, 0, z), (0, 0.45, z), 0.12, 0.04))
        return
    wide = draw.between(0.5, 0.95)
    shape.add(cover, rounded_box((wide, 0.08, 0.34), (0, 0.46, z)))
    for x in (-1, 1):
        for side in (-1, 1):
            at = (x * (wide / 2 - 0.04), 0.22, z + side * 0.13)
            shape.add(case, box((0.05, 0.44, 0.05), at))
