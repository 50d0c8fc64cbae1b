"""American mailboxes on a post: the door at −Z, the flag on the right; round, gabled or square."""

from __future__ import annotations

import math

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import colour, metal, paint, wood
from threedie.render.shapes._parts import Part, box, loft, rod
from threedie.render.shapes._shape import Shape


def mailbox(draw: Draw) -> Shape:
    """Roof, proportions, post, door (shut or open), flag (up or down) and newspaper tube vary."""
    shape = Shape()
    case, post = colour(draw, "case"), draw.pick((wood, wood, metal))(draw, "post")
    flag, knob = paint(draw, "flag"), metal(draw, "knob")
    w, h, long = draw.between(0.2, 0.28), draw.between(0.14, 0.2), draw.between(0.5, 0.65)
    outline = _outline(draw.pick(("round", "gable", "flat")), w, h)
    shape.add(case, _extrude(outline, -long / 2, long / 2))
    door = _extrude([(x * 1.07, y * 1.05 - 0.004) for x, y in outline], -0.02, 0.01)
    pull = box((0.05, 0.07, 0.04), (0, h * 1.15, -0.03))
    opened = draw.between(50, 95) if draw.chance(0.35) else 0.0
    for material, part in ((case, door), (knob, pull)):
        shape.add(material, part.turned("x", -opened).moved(z=-long / 2 - 0.01))
    if opened:  # the inside, seen as a dark wall just behind the opening
        inner = [(x * 0.9, y * 0.92 + 0.01) for x, y in outline]
        shape.add(knob, _extrude(inner, -long / 2 - 0.006, -long / 2 + 0.02))
    _flag(shape, draw, flag, w / 2, h, long)
    _stand(shape, draw, post, case, w, long)
    return shape


def _outline(style: str, w: float, h: float) -> list[tuple[float, float]]:
    """The box's cross-section from its floor at y = 0, (x, y)."""
    half = w / 2
    if style == "gable":
        return [(-half, 0), (half, 0), (half, h), (0, h + half * 1.1), (-half, h)]
    if style == "flat":
        return [
            (-half, 0),
            (half, 0),
            (half, h + 0.05),
            (half * 0.8, h + 0.1),
            (-half * 0.8, h + 0.1),
            (-half, h + 0.05),
        ]
    arch = [math.pi * k / 12 for k in range(13)]
    return [(-half, 0), (half, 0), *((half * math.cos(t), h + half * math.sin(t)) for t in arch)]


def _extrude(outline: list[tuple[float, float]], front: float, back: float) -> Part:
    return loft([[(x, y, z) for x, y in outline] for z in (front, back)])


def _flag(shape: Shape, draw: Draw, flag: Material, x: float, h: float, long: float) -> None:
    """A metal flag, up or down, on the right side."""
    stick = draw.between(0.24, 0.32)
    parts = [box((0.02, stick, 0.035), (0, stick / 2, 0))]
    parts.append(box((0.022, 0.13, 0.17), (0, stick - 0.03, 0.08)))
    parts.append(rod((-0.03, 0, 0), (0.03, 0, 0), 0.035))
    lie = draw.pick((0.0, 0.0, 88.0))
    for part in parts:
        shape.add(flag, part.turned("x", lie).moved(x + 0.015, h * 0.75, -long * 0.2))


def _stand(shape: Shape, draw: Draw, post: Material, case: Material, w: float, long: float) -> None:
    """A post off the middle, with a brace, a newspaper tube or an arm in front of the pole."""
    deep, thick = draw.between(0.75, 1.0), draw.between(0.035, 0.055)
    style = draw.pick(("brace", "tube", "arm"))
    shape.add(post, box((w * 0.8, 0.04, long * 0.9), (0, -0.015, 0)))
    if style == "arm":
        z = long * 0.5 + 0.08
        shape.add(post, box((2 * thick, deep + 0.45, 2 * thick), (0, 0.225 - deep / 2, z)))
        shape.add(post, box((thick * 1.6, thick * 1.6, long + 0.3), (0, -0.06, 0.09)))
        shape.add(post, rod((0, -0.06, -long * 0.15), (0, -0.4, z), thick * 0.7))
        return
    z = long * draw.between(0.1, 0.25)
    shape.add(post, box((2 * thick, deep, 2 * thick), (0, -deep / 2, z)))
    if style == "tube":
        size = (w * 0.75, 0.13, long * 0.8)
        shape.add(case, box(size, (0, -0.13, -0.02)))
    else:
        for side in (-1, 1):
            end = z + side * 0.18
            shape.add(post, rod((0, -0.3, z), (0, -0.02, end), thick * 0.7))
    if draw.chance(0.4):
        shape.add(post, box((0.3, 0.05, 0.3), (0, -deep, z)))
