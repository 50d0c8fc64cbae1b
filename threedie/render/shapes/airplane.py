"""Airplanes: airliners, business jets, fighters, propeller planes, biplanes; the nose is at −Z."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, metal, paint, pale
from threedie.render.shapes._parts import Part, ball, box, loft, ovals, rod
from threedie.render.shapes._shape import Shape

KINDS = ("airliner", "business", "fighter", "propeller", "biplane")


def airplane(draw: Draw) -> Shape:
    """Kind, proportions, sweep, engines, tail and livery vary."""
    shape = Shape()
    skin = draw.pick((pale, pale, metal, paint))(draw, "skin")
    livery, glass = paint(draw, "livery"), dark(draw, "glass")
    kind = draw.pick(KINDS)
    slim = draw.between(0.055, 0.075) if kind in KINDS[:3] else draw.between(0.06, 0.08)
    shape.add(skin, _fuselage(slim, rise=draw.between(0.1, 0.5)))
    if kind in ("airliner", "business"):
        _jet(shape, draw, skin, livery, glass, slim, rear=kind == "business")
    elif kind == "fighter":
        _fighter(shape, draw, skin, livery, glass, slim)
    else:
        _propeller(shape, draw, skin, livery, glass, slim, double=kind == "biplane")
    return shape


def _fuselage(r: float, rise: float) -> Part:
    """A tube with a round nose and a tail that rises to its end."""
    nose = [(-0.5, 0.05), (-0.49, 0.3), (-0.46, 0.6), (-0.41, 0.86), (-0.34, 1.0), (0.12, 1.0)]
    tail = [(0.26, 0.82), (0.38, 0.55), (0.47, 0.3), (0.5, 0.18)]
    stations = [(z, 0.0, -0.15 * r * (1 - k), k * r, k * r) for z, k in nose]
    stations += [(z, 0.0, rise * r * (1 - k), k * r, k * r) for z, k in tail]
    return ovals("z", stations)


def _wing(
    root: tuple[float, float, float],
    tip: tuple[float, float, float],
    chord: float,
    tip_chord: float,
) -> Part:
    """Both wings: from the middle of the body to the tips, (x, y, z) being the leading edge."""
    rings = []
    for side in (-1, 0, 1):
        (x, y, z), c = (root, chord) if side == 0 else (tip, tip_chord)
        thick = 0.06 * c
        profile = [(y, z), (y + thick, z + 0.35 * c), (y, z + c), (y - thick * 0.5, z + 0.35 * c)]
        rings.append([(side * x, *point) for point in profile])
    return loft(rings)


def _fin(y: float, z: float, height: float, chord: float, sweep: float, x: float = 0.0) -> Part:
    """An upright tail fin."""
    rings = []
    for up, c, back in ((0.0, chord, 0.0), (height, chord * 0.55, sweep)):
        start = z + back
        ring = [
            (x, start),
            (x + 0.006, start + c * 0.4),
            (x, start + c),
            (x - 0.006, start + c * 0.4),
        ]
        rings.append([(px, y + up, pz) for px, pz in ring])
    return loft(rings)


def _jet(
    shape: Shape,
    draw: Draw,
    skin: Material,
    livery: Material,
    glass: Material,
    r: float,
    *,
    rear: bool,
) -> None:
    span, chord, sweep = draw.between(0.4, 0.52), draw.between(0.17, 0.23), draw.between(0.12, 0.25)
    lift = draw.between(0.0, 0.07)
    shape.add(
        skin, _wing((0, -r * 0.6, -0.12), (span, -r * 0.6 + lift, -0.12 + sweep), chord, 0.07)
    )
    high = draw.between(0.15, 0.2)
    shape.add(livery, _fin(r * 0.4, 0.32, high, 0.17, 0.1))
    level = r * 0.4 + high if rear or draw.chance(0.2) else r * 0.5
    shape.add(livery, _wing((0, level, 0.38), (0.17, level + 0.015, 0.45), 0.1, 0.05))
    engine = draw.pick((metal, paint))(draw, "engine")
    spots = [(r + 0.035, r * 0.4, 0.22)] if rear else [(0.17, -r * 0.6 - 0.03, -0.12)]
    if not rear and draw.chance(0.35):
        spots.append((0.31, -r * 0.6 - 0.01, -0.03))
    for x, y, z in spots:
        for side in (-1, 1):
            hull = [(z, side * x, y, 0.026, 0.026), (z + 0.05, side * x, y, 0.034, 0.034)]
            shape.add(engine, ovals("z", [*hull, (z + 0.14, side * x, y, 0.02, 0.02)], sides=14))
            shape.add(glass, rod((side * x, y, z - 0.002), (side * x, y, z + 0.02), 0.022))
            if rear:
                shape.add(skin, box((0.05, 0.012, 0.07), (side * (x - 0.035), y, z + 0.06)))
    _windows(shape, glass, r, count=draw.count(8, 18))
    shape.add(glass, ball((r * 1.3, r * 0.7, 0.05), (0, r * 0.45, -0.435)))


def _windows(shape: Shape, glass: Material, r: float, count: int) -> None:
    # A bar across the body shows as one window on each side.
    for k in range(count):
        z = -0.33 + 0.5 * k / (count - 1)
        reach = 2.03 * r if z < 0.12 else 1.9 * r
        shape.add(glass, box((reach * 0.975, 0.016, 0.012), (0, r * 0.25, z)))


def _fighter(
    shape: Shape, draw: Draw, skin: Material, livery: Material, glass: Material, r: float
) -> None:
    span, sweep = draw.between(0.28, 0.36), draw.between(0.25, 0.42)
    shape.add(livery, _wing((0, 0, -0.2), (span, -0.01, -0.2 + sweep), 0.62, 0.62 - sweep - 0.12))
    shape.add(glass, ball((r * 1.1, r * 1.9, 0.22), (0, r * 0.75, -0.26)))
    if draw.chance(0.5):
        for side in (-1, 1):
            fin = _fin(0, 0.28, 0.16, 0.17, 0.1).turned("z", -side * draw.between(8, 22))
            shape.add(skin, fin.moved(side * r * 1.1, r * 0.3))
    else:
        shape.add(skin, _fin(r * 0.3, 0.24, draw.between(0.18, 0.24), 0.24, 0.16))
    shape.add(livery, _wing((0, 0, 0.36), (0.18, 0, 0.47), 0.13, 0.06))
    nozzle = metal(draw, "nozzle")
    for side in draw.pick(((0,), (-1, 1))):
        x = side * r * 0.65
        shape.add(nozzle, rod((x, r * 0.2, 0.3), (x, r * 0.2, 0.53), r * 0.62))
        shape.add(skin, box((r * 0.9, r * 1.3, 0.34), ((side or 1) * r * 0.9, -r * 0.1, -0.02)))
        if side == 0:
            shape.add(skin, box((r * 0.9, r * 1.3, 0.34), (-r * 0.9, -r * 0.1, -0.02)))


def _propeller(
    shape: Shape,
    draw: Draw,
    skin: Material,
    livery: Material,
    glass: Material,
    r: float,
    *,
    double: bool,
) -> None:
    span, chord = draw.between(0.45, 0.58), draw.between(0.15, 0.2)
    metal_parts = metal(draw)
    high = double or draw.chance(0.6)
    y = r * (2.4 if double else 1.15) if high else -r * 0.7
    shape.add(livery, _wing((0, y, -0.27), (span, y + 0.02, -0.25), chord, chord * 0.75))
    if double:
        shape.add(livery, _wing((0, -r * 0.8, -0.24), (span * 0.95, -r * 0.8, -0.22), chord, 0.13))
        struts = [(0.3, -r * 0.8, y), (span * 0.85, -r * 0.8, y), (r * 0.5, r * 0.5, y)]
    else:
        struts = [(span * 0.5, y, -r * 0.6)] if high else []
    for side in (-1, 1):
        for x, low, up in struts:
            foot = x if double else r * 0.5
            shape.add(metal_parts, rod((side * x, low, -0.18), (side * foot, up, -0.17), 0.008))
        wheel = (side * 0.11, -r * 1.9, -0.26)
        shape.add(metal_parts, rod((side * r * 0.5, -r * 0.6, -0.24), wheel, 0.008))
        shape.add(glass, rod((side * 0.1, *wheel[1:]), (side * 0.125, *wheel[1:]), 0.04))
    shape.add(livery, _fin(r * 0.4, 0.36, draw.between(0.13, 0.18), 0.14, 0.06))
    shape.add(livery, _wing((0, r * 0.5, 0.38), (0.19, r * 0.5, 0.41), 0.1, 0.07))
    shape.add(
        glass,
        ball((r * 1.6, r * 1.5, 0.18), (0, r * 0.75, -0.22 if high and not double else -0.08)),
    )
    shape.add(metal_parts, ball((0.05, 0.05, 0.09), (0, 0, -0.51)))
    blades = draw.count(2, 4)
    for k in range(blades):
        blade = box((0.026, 0.15, 0.01), (0, 0.08, -0.52)).turned("z", 20 + 360 * k / blades)
        shape.add(glass, blade)
