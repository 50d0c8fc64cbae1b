"""Chairs: six backs, seven kinds of feet, with or without arms and cushion; the back is at +Z."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes import _furniture as furniture
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import fabric, metal, paint, wood
from threedie.render.shapes._parts import Part, box, rod, rounded_box, smooth, tube
from threedie.render.shapes._shape import Shape

BACKS = ("panel", "slats", "ladder", "hoop", "cross", "shell")


def chair(draw: Draw) -> Shape:
    """Size, feet, back, lean, arms and cushion vary."""
    shape = Shape()
    frame = draw.pick((wood, wood, metal, paint))(draw, "frame")
    cover = draw.pick((fabric, fabric, paint))(draw, "cover")
    w, d, h = draw.between(0.40, 0.54), draw.between(0.40, 0.5), draw.between(0.40, 0.5)
    thick = draw.between(0.018, 0.028)
    shape.add(frame, box((w, 0.035, d), (0, h, 0)))
    shape.add(cover, rounded_box((w * 0.97, 0.08, d * 0.97), (0, h + 0.04, 0), 0.035))
    _feet(shape, draw, frame, w, d, h, thick)
    back = _back(draw, frame, cover, w, draw.between(0.38, 0.62), thick)
    lean = draw.between(4, 16)
    for material, part in back:
        shape.add(material, part.turned("x", lean).moved(y=h, z=d / 2 - thick))
    if draw.chance(0.45):
        _arms(shape, frame, w, d, h, draw.between(0.18, 0.24), thick)
    return shape


def _feet(
    shape: Shape, draw: Draw, frame: Material, w: float, d: float, h: float, thick: float
) -> None:
    style = draw.pick((*furniture.LEGS, "swivel", "cantilever"))
    x, z = w / 2 - thick, d / 2 - thick
    if style == "swivel":
        shape.add(frame, *furniture.swivel(h, max(w, d) * 0.6, thick))
    elif style == "cantilever":
        path = [(x, h, z), (x, h - 0.03, -z), (x, thick, -z), (x, thick, z)]
        tubes = [tube(smooth([(s * px, py, pz) for px, py, pz in path], 6), thick) for s in (-1, 1)]
        shape.add(frame, *tubes, rod((-x, thick, z), (x, thick, z), thick))
    else:
        shape.add(frame, *furniture.legs(style, x, z, h, thick))


def _back(
    draw: Draw, frame: Material, cover: Material, w: float, high: float, thick: float
) -> list[tuple[Material, Part]]:
    """An upright back standing on the origin, before it leans."""
    style = draw.pick(BACKS)
    x, count = w / 2 - thick, draw.count(3, 6)
    if style == "hoop":
        arch = smooth([(-x, 0, 0), (-x * 1.05, high * 0.6, 0), (0, high, 0), (x, high * 0.6, 0)])
        arch = smooth([*arch[::5], (x, 0, 0)], 5)
        rods = [k / (count + 1) * 2 - 1 for k in range(1, count + 1)]
        bars = [rod((x * k, 0, 0), (x * k, high * (0.98 - 0.3 * k * k), 0), 0.012) for k in rods]
        return [(frame, part) for part in (tube(arch, thick), *bars)]
    if style == "shell":
        size = (w * 0.98, high, 0.09)
        return [(cover, rounded_box(size, (0, high / 2 + 0.05, 0), 0.05))]
    parts = [(frame, rod((s * x, -0.05, 0), (s * x, high, 0), thick)) for s in (-1, 1)]
    if style == "panel":
        size = (w * 0.88, high * 0.62, 0.06)
        return [*parts, (cover, rounded_box(size, (0, high * 0.66, 0), 0.03))]
    parts.append((frame, box((w, 0.07, 0.03), (0, high, 0))))
    if style == "slats":
        ends = [((k / (count + 1) - 0.5) * 2 * x) for k in range(1, count + 1)]
        parts += [(frame, box((0.03, high, 0.018), (at, high / 2, 0))) for at in ends]
    elif style == "ladder":
        rungs = [high * (0.25 + 0.6 * k / count) for k in range(count)]
        parts += [(frame, box((2 * x, 0.045, 0.02), (0, at, 0))) for at in rungs]
    else:
        low = high * 0.2
        parts.append((frame, rod((-x, low, 0), (x, low, 0), thick * 0.8)))
        parts += [(frame, rod((-s * x, low, 0), (s * x, high, 0), 0.014)) for s in (-1, 1)]
    return parts


def _arms(
    shape: Shape, frame: Material, w: float, d: float, h: float, up: float, thick: float
) -> None:
    for side in (-1, 1):
        x = side * (w / 2 + thick)
        shape.add(frame, rod((x, h - 0.02, -d * 0.35), (x, h + up, -d * 0.38), thick))
        shape.add(frame, rounded_box((0.06, 0.035, d * 1.02), (x, h + up, d * 0.02), 0.015))
        # The rest reaches into the leaning back, or it would hang in the air.
        shape.add(frame, rod((x, h + up, d * 0.5), (x * 0.85, h + up, d * 0.58), thick * 0.8))
