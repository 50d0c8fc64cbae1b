"""Laptops: keys to −Z, the screen at +Z; open by different angles, with or without number pad."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import colour, dark, metal, paint, pale
from threedie.render.shapes._parts import box, rod, rounded_box
from threedie.render.shapes._shape import Shape


def laptop(draw: Draw) -> Shape:
    """Size, angle, hinge, key layout, touch pad, picture on the screen and colours vary."""
    shape = Shape()
    case = draw.pick((metal, metal, colour))(draw, "case")
    black, glow = dark(draw, "black"), paint(draw, "picture")
    w, d = draw.between(1.0, 1.3), draw.between(0.7, 0.85)
    thick = draw.between(0.035, 0.08)
    soft = draw.chance(0.5)
    slab = rounded_box if soft else box
    shape.add(case, slab((w, thick, d), (0, thick / 2, 0)))
    _keys(shape, draw, black, draw.pick((pale, paint, metal))(draw, "pad"), w, d, thick)
    angle = draw.between(20, 45)
    screen = Shape()
    tall = d * draw.between(0.88, 1.0)
    screen.add(case, slab((w * 0.99, tall, 0.035), (0, tall / 2 + 0.03, 0.0)))
    screen.add(black, box((w * 0.93, tall * 0.88, 0.02), (0, tall / 2 + 0.03, -0.012)))
    _picture(screen, draw, glow, w, tall)
    hinge = (0.0, thick, d / 2 - 0.02)
    for material, part in screen.parts():
        shape.add(material, part.turned("x", angle).moved(*hinge))
    if draw.chance(0.5):
        shape.add(black, rod((-w * 0.4, thick, hinge[2]), (w * 0.4, thick, hinge[2]), 0.035))
    else:
        for side in (-1, 1):
            a, b = side * w * 0.25, side * w * 0.4
            shape.add(black, rod((a, thick, hinge[2]), (b, thick, hinge[2]), 0.04))
    if draw.chance(0.4):
        mouse = (draw.pick((-1, 1)) * (w / 2 + 0.2), 0.04, draw.between(-0.3, 0.0))
        shape.add(case, rounded_box((0.17, 0.09, 0.28), mouse, 0.044))
        shape.add(black, box((0.03, 0.03, 0.06), (mouse[0], 0.08, mouse[2] - 0.07)))
    return shape


def _keys(
    shape: Shape, draw: Draw, black: Material, pad: Material, w: float, d: float, thick: float
) -> None:
    rows, columns = draw.count(4, 5), draw.count(9, 12)
    field, left = w * draw.pick((0.88, 0.66)), -w * 0.44
    pitch, deep = field / columns, d * 0.48 / rows
    for row in range(rows):
        for column in range(columns):
            x, z = left + (column + 0.5) * pitch, d * 0.36 - (row + 0.5) * deep
            shape.add(black, box((pitch * 0.84, 0.03, deep * 0.82), (x, thick, z)))
    if field < w * 0.8:
        size = (w * 0.18, 0.03, d * 0.46)
        shape.add(black, box(size, (w * 0.35, thick, d * 0.12)))
    shape.add(pad, box((w * 0.26, 0.012, d * 0.24), (left + field / 2, thick, -d * 0.3)))


def _picture(screen: Shape, draw: Draw, glow: Material, w: float, tall: float) -> None:
    """Windows on the screen, of one colour."""
    split = draw.between(0.3, 0.6)
    middle = tall / 2 + 0.03
    wide = w * 0.84
    screen.add(
        glow, box((wide * split, tall * 0.74, 0.01), (wide * (split - 1) / 2, middle, -0.021))
    )
    rows = draw.count(1, 4)
    pitch = tall * 0.74 / rows
    for k in range(rows):
        at = middle - tall * 0.37 + (k + 0.5) * pitch
        size = (wide * (0.95 - split), pitch * 0.8, 0.01)
        screen.add(glow, box(size, (wide * (split + 0.05) / 2, at, -0.021)))
