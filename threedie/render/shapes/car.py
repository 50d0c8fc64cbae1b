"""Cars: sedans, hatchbacks, estates, vans, pickups, coupes, open cars; the nose is at −Z."""

from __future__ import annotations

from dataclasses import dataclass

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import dark, metal, paint, pale, tone
from threedie.render.shapes._parts import blocks, box, ovals, rod
from threedie.render.shapes._shape import Shape


@dataclass(frozen=True)
class Body:
    """A kind of car; lengths along the car as fractions from nose (0) to tail (1)."""

    cabin: tuple[float, float, float, float]
    """Windscreen's foot, roof's front, roof's end, rear window's foot."""
    size: tuple[float, float, float]
    """Width, height, length in metres."""
    deck: float = 1.03
    """Height of the tail relative to the waist."""


BODIES = {
    "sedan": Body((0.30, 0.44, 0.72, 0.86), (1.75, 1.42, 4.6)),
    "hatchback": Body((0.25, 0.44, 0.85, 0.98), (1.7, 1.48, 3.8)),
    "estate": Body((0.28, 0.43, 0.92, 0.985), (1.78, 1.48, 4.7)),
    "offroad": Body((0.30, 0.38, 0.94, 0.98), (1.85, 1.85, 4.3)),
    "van": Body((0.10, 0.26, 0.98, 0.995), (1.9, 2.0, 4.8)),
    "pickup": Body((0.27, 0.37, 0.55, 0.60), (1.85, 1.75, 5.1), deck=0.72),
    "coupe": Body((0.38, 0.53, 0.72, 0.98), (1.85, 1.25, 4.4)),
    "open": Body((0.36, 0.44, 0.45, 0.46), (1.75, 1.25, 4.1)),
}


def car(draw: Draw) -> Shape:
    """Kind, proportions, ride height, rack or spoiler, colours vary."""
    shape = Shape()
    kind = draw.pick(tuple(BODIES))
    body = BODIES[kind]
    w, h, long = (length * draw.between(0.94, 1.06) for length in body.size)
    skin = draw.pick((paint, paint, pale, metal))(draw, "skin")
    glass, tyre = dark(draw, "glass"), dark(draw, "tyre")
    trim = metal(draw, "trim")
    ride = draw.between(0.2, 0.3) + (0.08 if kind in ("offroad", "pickup") else 0.0)
    waist = ride + (0.62 if kind == "van" else 0.5) * (h - ride)
    hood = waist * (draw.between(0.78, 0.86) if kind == "van" else draw.between(0.79, 0.88))
    z = [(at - 0.5) * long for at in body.cabin]
    _hull(shape, skin, body, w, long, ride, waist, hood)
    roof = _cabin(shape, skin, glass, kind, z, w, waist, h)
    _wheels(shape, tyre, trim, w, long, draw.between(0.31, 0.36) + 0.3 * (ride - 0.25))
    _ends(shape, draw, trim, w, long, ride, hood, waist * body.deck)
    if kind == "pickup":
        _cargo(shape, skin, tyre, w, z[3] + 0.02, long / 2 - 0.03, waist, body.deck)
    elif kind == "open":
        _seats(shape, tyre, w, z[3], waist)
    elif kind == "offroad":
        at = (0.0, waist * 0.95, long / 2 - 0.05)
        shape.add(tyre, rod(at, (*at[:2], at[2] + 0.24), 0.36, sides=24))
        shape.add(trim, rod(at, (*at[:2], at[2] + 0.26), 0.2))
    elif draw.chance(0.35):
        middle, reach = (z[1] + z[2]) / 2, (z[2] - z[1]) * 0.42
        for side in (-1, 1):
            x = side * roof * 0.8
            shape.add(trim, rod((x, h + 0.07, middle - reach), (x, h + 0.07, middle + reach), 0.03))
            for end in (-0.8, 0.8):
                shape.add(trim, box((0.05, 0.12, 0.05), (x, h + 0.02, middle + end * reach)))
    if kind in ("sedan", "coupe", "hatchback") and draw.chance(0.3):
        shape.add(skin, box((w * 0.9, 0.04, 0.3), (0, waist + 0.2, long / 2 - 0.12)))
        for side in (-1, 1):
            shape.add(
                skin, box((0.06, 0.3, 0.15), (side * w * 0.36, waist + 0.06, long / 2 - 0.14))
            )
    return shape


def _hull(
    shape: Shape,
    skin: Material,
    body: Body,
    w: float,
    long: float,
    ride: float,
    waist: float,
    hood: float,
) -> None:
    front, _, _, rear = ((at - 0.5) * long for at in body.cabin)
    half, deck = long / 2, waist * body.deck
    profile = [
        (-half, hood * 0.82, 0.8),
        (-half + 0.08, hood * 0.93, 0.92),
        (-half + 0.35, hood * 0.97, 0.99),
        (min(front - 0.05, -half + 0.6), hood, 1.0),
        (front + 0.1, waist, 1.0),
        (rear - 0.05, waist, 1.0),
        (min(rear + 0.02, half - 0.2), deck, 1.0),
        (half - 0.1, deck, 0.97),
        (half, deck * 0.93, 0.88),
    ]
    stations = []
    for z, top, wide in sorted(profile):
        low = ride + (0.1 if abs(z) > half - 0.05 else 0.0)
        stations.append((z, 0.0, (top + low) / 2, w / 2 * wide, (top - low) / 2))
    shape.add(skin, ovals("z", stations, power=7, sides=36))


def _cabin(
    shape: Shape,
    skin: Material,
    glass: Material,
    kind: str,
    z: list[float],
    w: float,
    waist: float,
    h: float,
) -> float:
    """Windows all round under a painted roof on pillars; returns half the roof's width."""
    low, high = w * 0.47, w * (0.44 if kind == "van" else 0.39)
    base, top = waist - 0.06, h - 0.03
    if kind == "open":
        screen = [(base, -low, low, z[0], z[0] + 0.08), (top, -high, high, z[1], z[1] + 0.05)]
        shape.add(glass, blocks("y", screen))
        return high
    shape.add(glass, blocks("y", [(base, -low, low, z[0], z[3]), (top, -high, high, z[1], z[2])]))
    edge = 0.05
    roof = [(h - 0.09, -high - 0.03, high + 0.03, z[1] - edge, z[2] + edge)]
    shape.add(skin, blocks("y", [*roof, (h, -high * 0.9, high * 0.9, z[1] + 0.1, z[2] - 0.08)]))
    pillars = [(z[0], z[1]), (z[3], z[2]), ((z[1] + z[2]) / 2,) * 2]
    for foot, head in pillars:
        for side in (-1, 1):
            a, b = (side * low, waist - 0.05, foot), (side * high, h - 0.06, head)
            shape.add(skin, rod(a, b, 0.05, sides=8))
    if kind == "van":
        start = z[1] + 0.3 * (z[2] - z[1])
        rear = [(base, -low - 0.03, low + 0.03, start, z[3] + 0.02)]
        shape.add(
            skin, blocks("y", [*rear, (h - 0.01, -high - 0.02, high + 0.02, start, z[2] + 0.03)])
        )
    return high


def _wheels(
    shape: Shape, tyre: Material, trim: Material, w: float, long: float, radius: float
) -> None:
    for z in (-0.32 * long, 0.27 * long):
        for side in (-1, 1):
            x = side * w / 2
            shape.add(tyre, rod((x * 0.75, radius, z), (x * 1.03, radius, z), radius, sides=24))
            shape.add(
                trim, rod((x * 0.9, radius, z), (x * 1.05, radius, z), radius * 0.6, sides=16)
            )


def _ends(
    shape: Shape,
    draw: Draw,
    trim: Material,
    w: float,
    long: float,
    ride: float,
    hood: float,
    deck: float,
) -> None:
    """Bumpers, headlights in the trim's metal, red lights behind."""
    red = tone("light", 0.0, 0.9, 0.75, roughness=0.3)
    shape.add(trim, box((w * 0.86, 0.14, 0.16), (0, ride + 0.2, -long / 2)))
    shape.add(trim, box((w * 0.86, 0.14, 0.12), (0, ride + 0.2, long / 2)))
    round_lights = draw.chance(0.5)
    for side in (-1, 1):
        x, y = side * w * 0.33, (ride + 0.2 + hood * 0.93) / 2 + 0.03
        if round_lights:
            shape.add(trim, rod((x, y, -long / 2 - 0.03), (x, y, -long / 2 + 0.2), 0.1))
        else:
            shape.add(trim, box((w * 0.18, 0.12, 0.2), (x, y, -long / 2 + 0.06)))
        shape.add(red, box((w * 0.12, 0.2, 0.2), (side * w * 0.38, deck * 0.8, long / 2 - 0.08)))


def _cargo(
    shape: Shape,
    skin: Material,
    lining: Material,
    w: float,
    start: float,
    end: float,
    waist: float,
    deck: float,
) -> None:
    """A pickup's open bed: dark floor, three walls."""
    low, middle = waist * deck, (start + end) / 2
    shape.add(lining, box((w * 0.86, 0.04, end - start), (0, low, middle)))
    tall = waist - low + 0.1
    for side in (-1, 1):
        at = (side * w * 0.455, low + tall / 2 - 0.08, middle)
        shape.add(skin, box((0.09, tall, end - start + 0.01), at))
    shape.add(skin, box((w * 0.93, tall - 0.02, 0.08), (0, low + tall / 2 - 0.08, end - 0.02)))


def _seats(shape: Shape, lining: Material, w: float, z: float, waist: float) -> None:
    shape.add(lining, box((w * 0.72, 0.06, 0.9), (0, waist, z + 0.5)))
    for side in (-1, 1):
        seat = box((w * 0.27, 0.45, 0.14), (side * w * 0.19, waist + 0.14, z + 0.75))
        shape.add(lining, seat.turned("x", 10, (0, waist, z + 0.75)))
