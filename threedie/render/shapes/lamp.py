"""Lamps with an arm: jointed, gooseneck, arc, swing arm, banker's, several heads; light to −Z."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import colour, fabric, metal, paint, pale, tone
from threedie.render.shapes._parts import Part, ball, box, lathe, ovals, rod, smooth, tube
from threedie.render.shapes._shape import Shape


def lamp(draw: Draw) -> Shape:
    """Kind, arm angles, shade, foot and colours vary."""
    shape = Shape()
    frame = draw.pick((metal, metal, paint))(draw, "frame")
    kind = draw.pick((_jointed, _gooseneck, _arc, _swing, _banker, _heads))
    kind(shape, draw, frame)
    return shape


def _foot(shape: Shape, draw: Draw, frame: Material, radius: float) -> None:
    """A flat foot on y = 0: a disc, a square, or a dome."""
    style = draw.pick(("disc", "square", "dome"))
    if style == "square":
        shape.add(frame, box((radius * 1.8, 0.05, radius * 1.8), (0, 0.025, 0)))
    elif style == "disc":
        shape.add(frame, rod((0, 0, 0), (0, 0.05, 0), radius, sides=28))
    else:
        shape.add(
            frame, lathe([(0, 0), (radius, 0), (radius * 0.85, 0.05), (0.04, 0.12), (0, 0.12)])
        )


def _shade(draw: Draw, size: float) -> list[Part]:
    """An open shade hanging from the origin, and the bulb in it."""
    style = draw.pick(("cone", "drum", "dome"))
    if style == "dome":
        arc = [(0.2, 0.0), (0.6, -0.15), (0.9, -0.45), (1.0, -0.8)]
    elif style == "cone":
        arc = [(0.25, 0.05), (1.0, -0.95)]
    else:
        arc = [(0.72, 0.1), (0.95, -0.95)]
    outer = [(r * size, y * size) for r, y in arc]
    inner = [(r - 0.03 * size, y) for r, y in outer[::-1]]
    if style == "drum":  # a disc closes it, or the bulb hangs on nothing
        return [lathe([*outer, *inner]), rod((0, 0, 0), (0, -0.05 * size, 0), 0.8 * size, sides=20)]
    return [lathe([(0, outer[0][1]), *outer, *inner, (0, inner[-1][1] - 0.05 * size)])]


def _hang(
    shape: Shape,
    draw: Draw,
    cover: Material,
    at: tuple[float, float, float],
    size: float,
    tilt: float,
) -> None:
    """Shade and bulb at a point, tilted towards the front by degrees about X."""
    glow = tone("bulb", 0.13, 0.25, 1.0, roughness=0.3)
    bulb = ball((size * 0.8, size * 0.9, size * 0.8), (0, -size * 0.65, 0))
    for material, part in [(cover, p) for p in _shade(draw, size)] + [(glow, bulb)]:
        shape.add(material, part.turned("x", tilt).moved(*at))


def _jointed(shape: Shape, draw: Draw, frame: Material) -> None:
    """A desk lamp with two arms and joints."""
    cover, joint = colour(draw, "shade"), metal(draw, "joint")
    _foot(shape, draw, frame, draw.between(0.16, 0.22))
    elbow = (0.0, draw.between(0.38, 0.5), draw.between(0.12, 0.25))
    head = (0.0, elbow[1] + draw.between(0.1, 0.3), elbow[2] - draw.between(0.4, 0.55))
    for a, b in (((0.0, 0.05, 0.0), elbow), (elbow, head)):
        gap = draw.pick((0.0, 0.035))  # one bar or two side by side
        for x in (-gap, gap) if gap else (0.0,):
            shape.add(frame, rod((x, a[1], a[2]), (x, b[1], b[2]), 0.02))
        shape.add(joint, rod((-0.055, a[1], a[2]), (0.055, a[1], a[2]), 0.035))
    shape.add(joint, ball((0.1, 0.1, 0.1), head))
    _hang(shape, draw, cover, head, draw.between(0.13, 0.18), draw.between(10, 40))


def _gooseneck(shape: Shape, draw: Draw, frame: Material) -> None:
    """One bent tube."""
    _foot(shape, draw, frame, draw.between(0.15, 0.2))
    high, reach = draw.between(0.55, 0.8), draw.between(0.3, 0.45)
    path = [
        (0, 0.03, 0.06),
        (0, high * 0.6, 0.08),
        (0, high, -reach * 0.3),
        (0, high * 0.85, -reach),
    ]
    shape.add(frame, tube(smooth(path, 6), 0.022))
    _hang(
        shape,
        draw,
        colour(draw, "shade"),
        path[-1],
        draw.between(0.13, 0.18),
        draw.between(-15, 25),
    )


def _arc(shape: Shape, draw: Draw, frame: Material) -> None:
    """A floor lamp: a long bow over a heavy foot."""
    _foot(shape, draw, frame, draw.between(0.2, 0.26))
    high, reach = draw.between(1.2, 1.5), draw.between(0.6, 0.9)
    path = [(0, 0, 0), (0, high * 0.65, 0.06), (0, high, -reach * 0.4), (0, high * 0.84, -reach)]
    shape.add(frame, tube(smooth(path, 6), 0.028))
    _hang(shape, draw, colour(draw, "shade"), path[-1], draw.between(0.2, 0.27), 0)


def _swing(shape: Shape, draw: Draw, frame: Material) -> None:
    """A floor lamp with a level arm and a cloth shade, sometimes with a small table."""
    _foot(shape, draw, frame, draw.between(0.18, 0.22))
    high, reach = draw.between(0.95, 1.3), draw.between(0.3, 0.45)
    shape.add(frame, rod((0, 0.01, 0), (0, high + 0.05, 0), 0.025))
    shape.add(frame, rod((0, high, 0.08), (0, high, -reach), 0.02))
    shape.add(frame, rod((0, high - 0.25, 0), (0, high, -reach * 0.6), 0.014))
    cover = draw.pick((pale, fabric))(draw, "shade")
    _hang(shape, draw, cover, (0, high + 0.02, -reach), draw.between(0.19, 0.25), 0)
    if draw.chance(0.4):
        shape.add(
            draw.pick((paint, pale))(draw, "table"), rod((0, 0.5, 0), (0, 0.53, 0), 0.22, sides=24)
        )


def _banker(shape: Shape, draw: Draw, frame: Material) -> None:
    """A half-round glass roof on a bent stem, a pull chain at one end."""
    _foot(shape, draw, frame, draw.between(0.15, 0.2))
    high, wide = draw.between(0.42, 0.55), draw.between(0.24, 0.32)
    path = [(0, 0, 0.06), (0, high * 0.7, 0.1), (0, high + 0.06, 0.02), (0, high + 0.02, -0.12)]
    shape.add(frame, tube(smooth(path, 5), 0.025))
    roof = [(-wide, -0.01, -0.2, 0.08, 0.13), (wide, -0.01, -0.2, 0.08, 0.13)]
    shape.add(paint(draw, "shade"), ovals("x", roof, sides=20).turned("x", 25).moved(y=high))
    shape.add(
        pale(draw, "tube"),
        rod((-wide * 0.8, high - 0.05, -0.16), (wide * 0.8, high - 0.05, -0.16), 0.05),
    )
    x = wide * 0.7
    shape.add(
        frame,
        rod((x, high - 0.2, -0.16), (x, high, -0.16), 0.012),
        ball((0.05,) * 3, (x, high - 0.2, -0.16)),
    )


def _heads(shape: Shape, draw: Draw, frame: Material) -> None:
    """A floor lamp with two or three heads at different heights, all facing the front half."""
    _foot(shape, draw, frame, draw.between(0.18, 0.22))
    count = draw.count(2, 3)
    high = draw.between(1.0, 1.25)
    shape.add(frame, rod((0, 0.01, 0), (0, high, 0), 0.025))
    covers = [paint(draw, "shade"), pale(draw, "other shade")]
    for k in range(count):
        level = high * (1 - 0.2 * k)
        branch = Shape()
        reach = draw.between(0.22, 0.34)
        branch.add(frame, rod((0, level - 0.12, 0), (0, level, -reach), 0.018))
        _hang(branch, draw, covers[k % 2], (0, level, -reach), draw.between(0.12, 0.16), 25)
        for material, part in branch.parts():
            shape.add(material, part.turned("y", (k - (count - 1) / 2) * 70))
