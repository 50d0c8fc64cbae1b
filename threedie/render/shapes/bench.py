"""Garden and park benches: always a back (+Z), four backs, four kinds of feet, arms at will."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes import _furniture as furniture
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, metal, paint, tone, wood
from threedie.render.shapes._parts import Part, box, rod, smooth, tube
from threedie.render.shapes._shape import Shape


def bench(draw: Draw) -> Shape:
    """Length, planks, back, feet, arms (none, one, two, with a middle one) vary."""
    shape = Shape()
    planks = draw.pick((wood, wood, paint))(draw, "planks")
    frame = draw.pick((metal, dark, wood, _stone))(draw, "frame")
    w, d, h = draw.between(1.1, 1.7), draw.between(0.42, 0.55), draw.between(0.4, 0.48)
    count = draw.count(1, 5)
    pitch = d / count
    for k in range(count):
        z = -d / 2 + (k + 0.5) * pitch
        shape.add(planks, box((w, 0.045, pitch - (0.025 if count > 1 else 0)), (0, h, z)))
    ends = [-0.42 * w, 0.42 * w]
    if w > 1.5:
        ends.insert(1, 0.0)
    _feet(shape, draw, frame, ends, w, d, h)
    up, lean = draw.between(0.38, 0.52), draw.between(5, 18)
    hinge = {"y": h, "z": d / 2}
    for x in ends:
        post = box((0.055, up + 0.05, 0.04), (x, up / 2 - 0.02, 0.035))
        shape.add(frame, post.turned("x", lean).moved(**hinge))
    for part in _back(draw, w, up):
        shape.add(planks, part.turned("x", lean).moved(**hinge))
    for x in draw.pick(((), (-1,), (1,), (-1, 1), (-1, 1), (-1, 0, 1))):
        _arm(shape, frame, x * w * 0.44, d, h)
    return shape


def _stone(draw: Draw, name: str) -> Material:
    return tone(name, 0.1, 0.08, draw.between(0.55, 0.75), roughness=0.9)


def _feet(
    shape: Shape, draw: Draw, frame: Material, ends: list[float], w: float, d: float, h: float
) -> None:
    style = draw.pick(("blocks", "trestle", "scroll", "legs"))
    if style == "legs":
        shape.add(frame, *furniture.legs("square", w * 0.42, d * 0.4, h, 0.045))
        shape.add(frame, box((w * 0.84, 0.06, 0.04), (0, h * 0.45, 0)))
        return
    for x in ends:
        if style == "blocks":
            shape.add(frame, box((0.14, h, d * 0.85), (x, h / 2 - 0.01, 0)))
        elif style == "trestle":
            for s in (-1, 1):
                leg = rod((x, 0, s * d * 0.45), (x, h, -s * d * 0.3), 0.03)
                shape.add(frame, leg)
        else:
            path = [(x, 0.0, -d * 0.5), (x, h * 0.5, -d * 0.25), (x, h * 0.8, 0)]
            path += [(px, py, -pz) for px, py, pz in path[-2::-1]]
            shape.add(frame, tube(smooth(path, 5), 0.03), rod((x, h * 0.8, 0), (x, h, 0), 0.03))


def _back(draw: Draw, w: float, up: float) -> list[Part]:
    """The back's boards, upright on the origin."""
    style = draw.pick(("boards", "boards", "pickets", "panel", "crosses"))
    low, high = up * 0.3, up
    if style == "panel":
        return [box((w, high - low + 0.05, 0.035), (0, (low + high) / 2, 0))]
    if style == "boards":
        count = draw.count(2, 4)
        pitch = (high - low + 0.06) / count
        rows = [low + (k + 0.5) * pitch for k in range(count)]
        return [box((w, pitch * 0.72, 0.035), (0, y, 0)) for y in rows]
    parts = [box((w, 0.07, 0.045), (0, y, 0)) for y in (low, high)]
    count = draw.count(7, 13) if style == "pickets" else draw.count(2, 4)
    pitch = w * 0.94 / count
    for k in range(count):
        x = -w * 0.47 + (k + 0.5) * pitch
        if style == "pickets":
            parts.append(box((pitch * 0.45, high - low, 0.025), (x, (low + high) / 2, 0)))
        else:
            a, b = x - pitch * 0.46, x + pitch * 0.46
            parts += [rod((a, low, 0), (b, high, 0), 0.018), rod((b, low, 0), (a, high, 0), 0.018)]
    return parts


def _arm(shape: Shape, frame: Material, x: float, d: float, h: float) -> None:
    shape.add(frame, box((0.07, 0.04, d * 1.05), (x, h + 0.22, d * 0.08)))
    shape.add(frame, box((0.05, 0.24, 0.05), (x, h + 0.1, -d * 0.38)))
