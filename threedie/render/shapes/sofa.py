"""Sofas: the back at +Z; one to three seats, a chaise on one side, arms, cushions, feet."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes import _furniture as furniture
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import fabric, metal, paint, wood
from threedie.render.shapes._parts import box, rod, rounded_box
from threedie.render.shapes._shape import Shape

FLOOR = 0.14
"""Height of the feet."""


def sofa(draw: Draw) -> Shape:
    """Seats, back, arms (round, square, slim or one only), chaise, cushions and feet vary."""
    shape = Shape()
    cover, pad = fabric(draw, "cover"), fabric(draw, "cushion")
    seats = draw.count(2, 4)
    wide = draw.between(0.56, 0.68)
    w, d = seats * wide, draw.between(0.82, 0.95)
    seat_top, back = draw.between(0.4, 0.48), draw.between(0.72, 0.95)
    chaise = draw.pick((-1, 1)) if seats > 2 and draw.chance(0.45) else 0
    two_tone = draw.pick((cover, cover, pad))
    shape.add(
        cover, rounded_box((w, seat_top - FLOOR - 0.1, d), (0, (seat_top - 0.1 + FLOOR) / 2, 0))
    )
    shape.add(
        cover,
        rounded_box((w, back - FLOOR, 0.2), (0, (back + FLOOR) / 2 + 0.01, d / 2 + 0.06), 0.06),
    )
    whole = draw.chance(0.3)
    for k in range(1 if whole else seats):
        x, span = (0.0, w) if whole else ((k - (seats - 1) / 2) * wide, wide)
        long = d + (0.6 if chaise and k == (0 if chaise < 0 else seats - 1) and not whole else 0.0)
        middle = (d - long) / 2 - 0.03
        shape.add(
            two_tone, rounded_box((span * 0.97, 0.16, long), (x, seat_top - 0.03, middle), 0.05)
        )
        upright = rounded_box((span * 0.96, back - seat_top, 0.17), (0, 0, 0), 0.06).turned("x", 10)
        shape.add(two_tone, upright.moved(x, (back + seat_top) / 2 + 0.02, d / 2 - 0.08))
    if chaise and not whole:
        x = chaise * (w - wide) / 2
        base = (wide, seat_top - FLOOR - 0.1, 0.66)
        shape.add(cover, rounded_box(base, (x, (seat_top - 0.1 + FLOOR) / 2 + 0.005, -d / 2 - 0.3)))
    _arms(shape, draw, cover, w, d, seat_top)
    _cushions(shape, draw, draw.pick((paint, fabric))(draw, "throw"), w, d, seat_top)
    style = draw.pick(("square", "round", "splayed"))
    feet = furniture.legs(style, w / 2 - 0.06, d / 2 - 0.06, FLOOR + 0.02, 0.03)
    shape.add(draw.pick((wood, metal))(draw, "feet"), *feet)
    return shape


def _arms(shape: Shape, draw: Draw, cover: Material, w: float, d: float, seat: float) -> None:
    style = draw.pick(("square", "rolled", "slim"))
    up = seat + draw.between(0.14, 0.24)
    for side in draw.pick(((-1, 1), (-1, 1), (-1, 1), (-1,), (1,))):
        thick = 0.1 if style == "slim" else 0.18
        x = side * (w / 2 + thick / 2 - 0.01)
        size = (thick, up - FLOOR, d + 0.1)
        shape.add(cover, rounded_box(size, (x, (up + FLOOR) / 2 - 0.01, 0.03), 0.04))
        if style == "rolled":
            shape.add(cover, rod((x, up, -d / 2 - 0.03), (x, up, d / 2 + 0.08), 0.12, sides=20))


def _cushions(shape: Shape, draw: Draw, throw: Material, w: float, d: float, seat: float) -> None:
    """Loose cushions, and sometimes a blanket over the back."""
    for _ in range(draw.count(0, 3)):
        x = draw.between(-0.4, 0.4) * w
        cushion = rounded_box((0.38, 0.36, 0.13), (0, 0, 0), 0.06).turned("x", 20)
        cushion = cushion.turned("y", draw.between(-25, 25))
        shape.add(throw, cushion.moved(x, seat + 0.2, d / 2 - 0.28))
    if draw.chance(0.35):
        x = draw.between(-0.3, 0.3) * w
        shape.add(throw, box((0.42, 0.06, d * 0.9), (x, seat + 0.045, -0.06)))
