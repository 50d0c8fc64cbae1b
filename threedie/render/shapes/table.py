"""Tables and desks. None is round and plain: drawers, a wing, a flap or a hutch give it a side."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes import _furniture as furniture
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import metal, paint, pale, wood
from threedie.render.shapes._parts import box, ovals
from threedie.render.shapes._shape import Shape

KINDS = ("pedestal", "wing", "flap", "hutch", "tilted")


def table(draw: Draw) -> Shape:
    """Kind, size, legs, side, drawers and what is fixed to the top vary."""
    shape = Shape()
    top = draw.pick((wood, wood, pale, paint))(draw, "top")
    frame = draw.pick((wood, metal, paint))(draw, "frame")
    w, d, h = draw.between(1.1, 1.6), draw.between(0.6, 0.85), draw.between(0.62, 0.78)
    side = draw.pick((-1, 1))
    kind = draw.pick(KINDS)
    if kind == "pedestal":
        _pedestal(shape, draw, top, frame, w, d, h, side)
    elif kind == "wing":
        _wing(shape, draw, top, frame, w, d, h, side)
    elif kind == "flap":
        _flap(shape, draw, top, frame, w, d, h, side)
    elif kind == "hutch":
        _hutch(shape, draw, top, frame, w, d, h, side)
    else:
        _tilted(shape, draw, top, frame, w, d, h, side)
    return shape


def _stand(shape: Shape, draw: Draw, frame: Material, w: float, d: float, h: float) -> None:
    thick = draw.between(0.025, 0.045)
    style = draw.pick(furniture.LEGS)
    inset = 0.14 * h if style == "splayed" else 0.0
    x, z = w / 2 - 2 * thick - inset, d / 2 - 2 * thick - inset
    shape.add(frame, *furniture.legs(style, x, z, h - 0.01, thick))


def _pedestal(
    shape: Shape,
    draw: Draw,
    top: Material,
    frame: Material,
    w: float,
    d: float,
    h: float,
    side: int,
) -> None:
    """A desk: drawers under one end, legs or a board under the other, a screen at the back."""
    wide = w * draw.between(0.3, 0.4)
    middle = side * (w / 2 - wide / 2 - 0.03)
    shape.add(top, box((w, 0.045, d), (0, h, 0)))
    shape.add(frame, box((wide, h - 0.07, d * 0.92), (middle, h / 2 + 0.02, 0)))
    x = (middle - wide / 2, middle + wide / 2)
    knob = metal(draw, "handle")
    furniture.drawers(
        shape, top, knob, x=x, y=(0.08, h - 0.04), z=-d * 0.46, count=draw.count(2, 4)
    )
    far = -side * (w / 2 - 0.06)
    if draw.chance(0.5):
        shape.add(frame, box((0.045, h - 0.01, d * 0.9), (far, h / 2 - 0.005, 0)))
    else:
        for z in (-1, 1):
            shape.add(frame, box((0.06, h - 0.01, 0.06), (far, h / 2 - 0.005, z * d * 0.42)))
    shape.add(frame, box((w * 0.9, h * 0.45, 0.03), (0, h * 0.76, d * 0.4)))


def _wing(
    shape: Shape,
    draw: Draw,
    top: Material,
    frame: Material,
    w: float,
    d: float,
    h: float,
    side: int,
) -> None:
    """An L-shaped desk: a second top at a right angle on one side."""
    reach = d * draw.between(0.7, 1.2)
    narrow = d * draw.between(0.7, 0.95)
    shape.add(top, box((w, 0.05, d), (0, h, 0)))
    x, z = side * (w / 2 - narrow / 2), -d / 2 - reach / 2
    shape.add(top, box((narrow, 0.048, reach), (x, h, z + 0.001)))
    _stand(shape, draw, frame, w, d, h)
    for k in (-1, 1):
        at = (x + k * (narrow / 2 - 0.06), h / 2 - 0.005, -d / 2 - reach + 0.07)
        shape.add(frame, box((0.06, h - 0.01, 0.06), at))
    if draw.chance(0.5):
        shape.add(frame, box((w * 0.85, h * 0.4, 0.03), (0, h * 0.78, d * 0.36)))


def _flap(
    shape: Shape,
    draw: Draw,
    top: Material,
    frame: Material,
    w: float,
    d: float,
    h: float,
    side: int,
) -> None:
    """A drop-leaf table: one leaf is up, the other hangs; sometimes its ends are round."""
    leaf = w * draw.between(0.28, 0.38)
    core = w - leaf
    if draw.chance(0.4):
        stations = [(h - 0.022, 0, 0, core / 2, d / 2), (h + 0.022, 0, 0, core / 2, d / 2)]
        shape.add(top, ovals("y", stations, power=5, sides=40))
    else:
        shape.add(top, box((core, 0.044, d), (0, h, 0)))
    hang = box((0.035, leaf, d * 0.96), (0, -leaf / 2, 0)).turned("z", side * draw.between(3, 12))
    shape.add(top, hang.moved(side * (core / 2 + 0.025), h + 0.01))
    _stand(shape, draw, frame, core, d, h)
    shape.add(frame, box((core * 0.86, 0.1, d * 0.8), (0, h - 0.07, 0)))
    x = (-core * 0.3, core * 0.3)
    furniture.drawers(shape, top, metal(draw), x=x, y=(h - 0.12, h - 0.02), z=-d * 0.4, count=1)


def _hutch(
    shape: Shape,
    draw: Draw,
    top: Material,
    frame: Material,
    w: float,
    d: float,
    h: float,
    side: int,
) -> None:
    """A writing table with a raised shelf along the back and, on one side, a small cupboard."""
    up = draw.between(0.22, 0.4)
    shape.add(top, box((w, 0.045, d), (0, h, 0)))
    shape.add(top, box((w * 0.98, 0.03, d * 0.34), (0, h + up, d * 0.32)))
    shape.add(frame, box((w * 0.94, up, 0.025), (0, h + up / 2, d * 0.46)))
    for k in range(draw.count(2, 4)):
        x = -side * (w * 0.47 - k * w * 0.16)
        shape.add(frame, box((0.025, up, d * 0.3), (x, h + up / 2, d * 0.32)))
    wide = w * draw.between(0.25, 0.35)
    x = side * (w * 0.48 - wide / 2)
    shape.add(frame, box((wide, up, d * 0.3), (x, h + up / 2, d * 0.31)))
    shape.add(top, box((wide * 0.8, up * 0.7, 0.02), (x, h + up / 2, d * 0.155)))
    _stand(shape, draw, frame, w, d, h)


def _tilted(
    shape: Shape,
    draw: Draw,
    top: Material,
    frame: Material,
    w: float,
    d: float,
    h: float,
    side: int,
) -> None:
    """A drawing table: the top rises to the back, a tray hangs on one side."""
    tilt = draw.between(12, 32)
    board = box((w, 0.045, d * 1.1), (0, h + d * 0.28, 0))
    ledge = box((w * 0.9, 0.07, 0.03), (0, h + d * 0.28 + 0.03, -d * 0.53))
    about = (0.0, h + d * 0.28, 0.0)
    shape.add(top, board.turned("x", -tilt, about))
    shape.add(frame, ledge.turned("x", -tilt, about))
    for k in (-1, 1):
        x = k * w * 0.4
        shape.add(frame, box((0.06, h + d * 0.26, 0.09), (x, (h + d * 0.26) / 2 + 0.01, 0.02)))
        shape.add(frame, box((0.07, 0.05, d), (x, 0.025, 0)))
    shape.add(frame, box((w * 0.8, 0.06, 0.04), (0, h * draw.between(0.25, 0.5), 0.02)))
    tray = metal(draw, "tray")
    x = side * (w * 0.5 + 0.16)
    shape.add(tray, box((0.36, 0.03, d * 0.6), (x, h * 0.85, 0)))
    shape.add(tray, box((w * 0.12, 0.05, 0.06), (side * w * 0.43, h * 0.85 - 0.03, 0)))
