"""Guitars, upright with the strings to −Z: acoustic, single cut, two horns, offset, V and bass."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, metal, paint, pale, wood
from threedie.render.shapes._parts import Part, ball, blocks, box, prism, rod, smooth
from threedie.render.shapes._shape import Shape

# Right and left edge of the body, (x, y), from the bottom to the neck. No body is the same on
# both sides: a guitar that is could be turned about its neck and hardly change.
OUTLINES = {
    "acoustic": (
        [
            (0.0, 0.0),
            (0.3, 0.03),
            (0.4, 0.2),
            (0.29, 0.46),
            (0.29, 0.56),
            (0.24, 0.64),
            (0.07, 0.6),
        ],
        [(0.0, 0.0), (0.3, 0.03), (0.4, 0.2), (0.27, 0.5), (0.3, 0.75), (0.22, 0.88), (0.06, 0.9)],
    ),
    "single": (
        [
            (0.0, 0.0),
            (0.25, 0.02),
            (0.34, 0.18),
            (0.23, 0.42),
            (0.27, 0.53),
            (0.25, 0.62),
            (0.07, 0.44),
        ],
        [
            (0.0, 0.0),
            (0.25, 0.02),
            (0.34, 0.18),
            (0.22, 0.42),
            (0.28, 0.66),
            (0.22, 0.82),
            (0.06, 0.84),
        ],
    ),
    "horns": (
        [
            (0.0, 0.0),
            (0.22, 0.0),
            (0.32, 0.14),
            (0.21, 0.4),
            (0.25, 0.54),
            (0.27, 0.68),
            (0.08, 0.46),
        ],
        [
            (0.0, 0.0),
            (0.24, 0.03),
            (0.32, 0.2),
            (0.22, 0.45),
            (0.29, 0.72),
            (0.33, 0.98),
            (0.08, 0.66),
        ],
    ),
    "offset": (
        [
            (0.0, 0.06),
            (0.2, -0.06),
            (0.4, 0.04),
            (0.27, 0.3),
            (0.24, 0.42),
            (0.25, 0.56),
            (0.08, 0.46),
        ],
        [
            (0.0, 0.06),
            (0.2, 0.14),
            (0.33, 0.3),
            (0.25, 0.52),
            (0.29, 0.74),
            (0.3, 0.95),
            (0.08, 0.66),
        ],
    ),
}
SOUTH = 0.3
"""Where the bridge is, above the body's bottom."""


def guitar(draw: Draw) -> Shape:
    """Body, depth, neck length, headstock, pickups or sound hole, handedness and colours vary."""
    shape = Shape()
    kind = draw.pick((*OUTLINES, "acoustic", "vee"))
    body = wood(draw, "body") if kind == "acoustic" or draw.chance(0.2) else paint(draw, "body")
    neck, fittings, black = wood(draw, "neck"), metal(draw, "fittings"), dark(draw, "black")
    deep = draw.between(0.2, 0.26) if kind == "acoustic" else draw.between(0.08, 0.12)
    front = -deep / 2
    if kind == "vee":
        shape.add(body, *_vee(deep, draw.between(0.22, 0.32)))
        join = 0.62
    else:
        shape.add(body, _body(kind, deep, draw.between(0.92, 1.08)))
        join = {"acoustic": 0.88, "single": 0.7, "horns": 0.6, "offset": 0.62}[kind]
    _front(shape, draw, kind, front, fittings, black)
    top = join + draw.between(0.62, 0.8)
    _neck(shape, draw, neck, black, fittings, (join, top, front))
    if draw.chance(0.5):
        mirrored = Shape()  # left-handed
        for material, part in shape.parts():
            mirrored.add(material, part.scaled(x=-1))
        return mirrored
    return shape


def _body(kind: str, deep: float, wide: float) -> Part:
    right, left = (smooth(edge, 4).tolist() for edge in OUTLINES[kind])
    outline = [(x * wide, y) for x, y in right] + [(-x * wide, y) for x, y in left[:0:-1]]
    # The prism stands on its outline in x and z; turned, the outline's second axis points up.
    return prism(outline, -deep / 2, deep / 2).turned("x", -90)


def _vee(deep: float, spread: float) -> list[Part]:
    """Two wings that meet at the neck, the right one shorter."""
    d = deep / 2
    left = [(-0.22, -spread - 0.22, -spread + 0.08, -d, d), (0.75, -0.13, 0.1, -d, d)]
    right = [(0.08, spread - 0.1, spread + 0.16, -d * 0.99, d * 0.99)]
    right.append((0.745, -0.099, 0.125, -d * 0.99, d * 0.99))
    return [blocks("y", left), blocks("y", right)]


def _front(
    shape: Shape, draw: Draw, kind: str, z: float, fittings: Material, black: Material
) -> None:
    """Sound hole and bridge, or pickups, pickguard, bridge and knobs."""
    if kind == "acoustic":
        shape.add(black, rod((0, 0.6, z - 0.004), (0, 0.6, z + 0.05), 0.105, sides=24))
        shape.add(black, box((0.3, 0.05, 0.05), (0, 0.24, z - 0.01)))
        if draw.chance(0.6):
            shape.add(
                fittings, rod((0.13, 0.42, z - 0.003), (0.13, 0.42, z + 0.03), 0.09, sides=20)
            )
        return
    for k in range(draw.count(1, 3)):
        size = (0.17, 0.045, 0.05)
        shape.add(black, box(size, (0, SOUTH + 0.09 + 0.1 * k, z - 0.012)))
    shape.add(fittings, box((0.16, 0.06, 0.05), (0, SOUTH - 0.04, z - 0.016)))
    for k in range(draw.count(1, 3)):
        at = (0.17 + 0.045 * k, SOUTH - 0.06 - 0.07 * k)
        shape.add(fittings, rod((*at, z - 0.05), (*at, z + 0.02), 0.025))
    if kind != "vee" and draw.chance(0.6):
        guard = [(0.14, 0.03, 0.2), (0.34, 0.03, 0.19), (0.5, 0.03, 0.16)]
        plate = [(y, a, b, z - 0.006, z + 0.02) for y, a, b in guard]
        shape.add(pale(draw, "guard"), blocks("y", plate))


def _neck(
    shape: Shape,
    draw: Draw,
    neck: Material,
    black: Material,
    fittings: Material,
    place: tuple[float, float, float],
) -> None:
    """Neck, fingerboard, strings and a headstock bent to the back with its tuners."""
    join, top, z = place
    shape.add(
        neck,
        blocks(
            "y",
            [(join - 0.2, -0.045, 0.045, z + 0.004, z + 0.07), (top, -0.033, 0.033, z, z + 0.05)],
        ),
    )
    board = [
        (join - 0.1, -0.048, 0.048, z - 0.025, z + 0.01),
        (top + 0.004, -0.036, 0.036, z - 0.02, z + 0.01),
    ]
    shape.add(black, blocks("y", board))
    for k in range(4):
        x = -0.03 + 0.02 * k
        shape.add(
            fittings, rod((x, SOUTH, z - 0.045), (x * 0.8, top + 0.05, z - 0.025), 0.003, sides=5)
        )
    bend = draw.between(8, 18)
    about = (0.0, top, z)
    one_side = draw.chance(0.6)
    wide = draw.between(0.06, 0.085)
    out = wide * 1.9 if one_side else wide
    head = [(top - 0.02, -0.034, 0.034, z, z + 0.04), (top + 0.06, -out, wide, z, z + 0.04)]
    head.append((top + 0.28, -out * draw.between(0.7, 1.1), wide * 0.5, z, z + 0.04))
    shape.add(neck, blocks("y", head).turned("x", bend, about))
    for k in range(6 if one_side else 3):
        y = top + 0.07 + (0.033 if one_side else 0.065) * k
        for side in (-1,) if one_side else (-1, 1):
            x = side * (out if side < 0 else wide * 0.8)
            peg = rod((x * 0.8, y, z + 0.02), (x + side * 0.035, y, z + 0.02), 0.01)
            button = ball((0.035, 0.022, 0.03), (x + side * 0.045, y, z + 0.02))
            shape.add(fittings, peg.turned("x", bend, about), button.turned("x", bend, about))
