"""Beds: the head at +Z, five headboards, pillows, a blanket that leaves some of the sheet bare."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes import _furniture as furniture
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import fabric, metal, paint, pale, wood
from threedie.render.shapes._parts import ball, box, ovals, rod, rounded_box, smooth, tube
from threedie.render.shapes._shape import Shape

LONG = 2.0


def bed(draw: Draw) -> Shape:
    """Width, headboard, footboard, legs or drawers, pillows, blanket and canopy vary."""
    shape = Shape()
    frame = draw.pick((wood, wood, metal, paint))(draw, "frame")
    linen, cover, extra = pale(draw, "linen"), fabric(draw, "cover"), fabric(draw, "pillow")
    w = draw.pick((0.95, 1.2, 1.45, 1.7))
    low = draw.between(0.12, 0.3)
    shape.add(frame, box((w + 0.08, 0.2, LONG + 0.06), (0, low + 0.1, 0)))
    shape.add(linen, rounded_box((w, 0.26, LONG), (0, low + 0.29, 0), 0.07))
    top = low + 0.42
    _blanket(shape, draw, cover, w, top)
    _pillows(shape, draw, linen, extra, w, top)
    style = draw.pick(("panel", "slats", "arch", "shelf", "posts"))
    _headboard(shape, draw, style, frame, cover, w, top)
    if style != "posts" and draw.chance(0.5):
        shape.add(frame, box((w + 0.1, top * 0.85, 0.06), (0, top * 0.42 + 0.02, -LONG / 2 - 0.05)))
    if low > 0.2 and draw.chance(0.5):
        shape.add(frame, box((w * 0.96, low, LONG * 0.94), (0, low / 2, 0)))
    else:
        legs = furniture.legs("square", w / 2 - 0.02, LONG / 2 - 0.04, low + 0.02, 0.055)
        shape.add(frame, *legs)
    return shape


def _blanket(shape: Shape, draw: Draw, cover: Material, w: float, top: float) -> None:
    long = LONG * draw.between(0.45, 0.72)
    drop = draw.between(0.14, 0.3)
    size = (w + 0.1, drop, long)
    middle = -LONG / 2 + long / 2 - 0.02
    shape.add(cover, rounded_box(size, (0, top + 0.03 - drop / 2, middle), 0.05))
    if draw.chance(0.5):
        fold = (w + 0.11, 0.07, 0.2)
        shape.add(cover, rounded_box(fold, (0, top + 0.04, middle + long / 2 - 0.05), 0.03))


def _pillows(
    shape: Shape, draw: Draw, linen: Material, extra: Material, w: float, top: float
) -> None:
    count = 1 if w < 1.1 else draw.count(1, 2) + (w > 1.6)
    wide = min(0.62, w * 0.9 / count)
    # One pillow in a wide bed lies on one side.
    start = -w * 0.45 + wide / 2
    for k in range(count):
        pillow = rounded_box((wide * 0.94, 0.16, 0.42), (0, 0, 0), 0.075).turned("x", -18)
        shape.add(linen, pillow.moved(start + k * wide, top + 0.08, LONG / 2 - 0.28))
    if draw.chance(0.55):
        cushion = rounded_box((0.4, 0.36, 0.13), (0, 0, 0), 0.06).turned("x", 35)
        x = draw.between(-0.3, 0.3) * w
        shape.add(extra, cushion.moved(x, top + 0.2, LONG / 2 - 0.55))


def _headboard(
    shape: Shape,
    draw: Draw,
    style: str,
    frame: Material,
    cover: Material,
    w: float,
    top: float,
) -> None:
    high, z = top + draw.between(0.42, 0.75), LONG / 2 + 0.07
    if style == "panel":
        shape.add(frame, rounded_box((w + 0.14, high, 0.1), (0, high / 2, z), 0.04))
        if draw.chance(0.6):
            size = (w * 0.9, (high - top) * 0.9, 0.06)
            shape.add(cover, rounded_box(size, (0, (high + top) / 2, z - 0.05), 0.03))
    elif style == "arch":
        heights = smooth([(0.0, 1.0), (0.5, 0.93), (0.85, 0.72), (1.0, 0.5)], 3)
        rows = [(h * high, 0, z, x * (w / 2 + 0.06), 0.04) for x, h in heights[1:]][::-1]
        floor = (0.0, 0.0, z, w / 2 + 0.06, 0.04)
        shape.add(frame, ovals("y", [floor, *rows, (high, 0, z, w * 0.08, 0.04)], power=8))
    elif style == "shelf":
        shape.add(frame, box((w + 0.16, high, 0.05), (0, high / 2, z + 0.2)))
        for y in (top + 0.1, high - 0.02):
            shape.add(frame, box((w + 0.17, 0.05, 0.26), (0, y, z + 0.1)))
        for side in (-1, 1):
            at = (side * (w / 2 + 0.05), high / 2, z + 0.1)
            shape.add(frame, box((0.05, high - 0.03, 0.24), at))
    elif style == "slats":
        for k in range(count := draw.count(4, 9)):
            x = (k / (count - 1) - 0.5) * w
            shape.add(frame, rod((x, top * 0.6, z), (x, high, z), 0.025))
        path = [(-w / 2 - 0.04, 0, z), (-w / 2 - 0.04, high, z), (w / 2 + 0.04, high, z)]
        shape.add(frame, tube([*path, (w / 2 + 0.04, 0, z)], 0.04))
    else:
        _posts(shape, draw, frame, cover, w, high, z)


def _posts(
    shape: Shape, draw: Draw, frame: Material, cover: Material, w: float, high: float, z: float
) -> None:
    """Four posts with knobs and boards between them, or a cloth canopy over the head."""
    canopy = draw.chance(0.4)
    x = w / 2 + 0.05
    for end, tall in ((1.0, 1.75 if canopy else high), (-1.0, high * 0.65)):
        for side in (-1, 1):
            shape.add(frame, rod((side * x, 0, end * z), (side * x, tall, end * z), 0.045))
            shape.add(frame, ball((0.14, 0.14, 0.14), (side * x, tall + 0.03, end * z)))
        board = tall * 0.4 if end < 0 else high * 0.6
        shape.add(frame, box((2 * x, board, 0.05), (0, min(tall, high) * 0.9 - board / 2, end * z)))
    if canopy:
        deep = draw.between(0.5, 0.8)
        shape.add(cover, box((2 * x + 0.06, 0.12, deep), (0, 1.68, z - deep / 2 + 0.03)))
        shape.add(cover, box((2 * x - 0.1, 1.75 - high, 0.02), (0, (1.7 + high) / 2, z)))
