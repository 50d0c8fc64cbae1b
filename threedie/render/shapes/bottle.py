"""Bottles with a side: sprayers, pumps, canisters with a grip, flasks, oil jugs; spout to −Z."""

from __future__ import annotations

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import colour, metal, paint, pale
from threedie.render.shapes._parts import blocks, box, ovals, rod, smooth, tube
from threedie.render.shapes._shape import Shape

KINDS = ("sprayer", "pump", "canister", "flask", "jug")


def bottle(draw: Draw) -> Shape:
    """Kind, proportions, cross-section, shoulder, label and colours vary."""
    shape = Shape()
    skin, cap = colour(draw, "skin"), draw.pick((colour, pale))(draw, "cap")
    kind = draw.pick(KINDS)
    rx, ratio = draw.between(0.18, 0.26), draw.between(0.62, 0.85)
    rz, power = rx * ratio, draw.pick((2.0, 2.0, 3.0, 5.0))
    high, shoulder = draw.between(0.5, 0.72), draw.between(0.1, 0.22)
    neck = draw.between(0.05, 0.075)
    # A neck off the middle, as on real spray bottles, already tells front from back.
    off = -rz * draw.between(0.15, 0.4) if kind in ("sprayer", "canister") else 0.0
    waist = draw.between(0.82, 1.0)
    curve = [(0.0, 1.0), (0.5, waist), (1.0, 1.0)]
    body = [(0.0, 0.0, 0.0, rx * 0.93, rz * 0.93)]
    body += [(0.02 + y * high, 0.0, 0.0, k * rx, k * rz) for y, k in smooth(curve, 3).tolist()]
    body.append((high + shoulder * 0.6, 0.0, off * 0.5, (rx + neck) * 0.52, (rz + neck) * 0.52))
    body += [(high + shoulder + up, 0.0, off, neck, neck) for up in (0.0, 0.06)]
    shape.add(skin, ovals("y", body, power=power, sides=28))
    _label(shape, draw, body[2:6], power)
    top = high + shoulder + 0.05
    draw_top = {
        "sprayer": _sprayer,
        "pump": _pump,
        "canister": _canister,
        "flask": _flask,
        "jug": _jug,
    }
    draw_top[kind](shape, draw, skin, cap, (top, off, neck, rz))
    return shape


Rows = list[tuple[float, float, float, float, float]]
Neck = tuple[float, float, float, float]
"""Height, z and radius of the neck, depth of the body."""


def _label(shape: Shape, draw: Draw, rows: Rows, power: float) -> None:
    """A band of paper around the body."""
    paper = draw.pick((pale, paint))(draw, "label")
    band = [(y, x, z, rx + 0.006, rz + 0.006) for y, x, z, rx, rz in rows]
    shape.add(paper, ovals("y", band, power=power, sides=28))


def _sprayer(shape: Shape, draw: Draw, skin: Material, cap: Material, at: Neck) -> None:
    """A trigger head: nozzle and trigger to the front, a hump to the back."""
    y, z, r, _ = at
    shape.add(cap, rod((0, y - 0.04, z), (0, y + 0.06, z), r * 1.35, r * 1.2))
    reach, up = draw.between(0.2, 0.28), draw.between(0.1, 0.14)
    head = [(z - reach, -0.035, 0.035, y + up, y + up + 0.07)]
    head += [(z - 0.03, -0.045, 0.045, y + 0.03, y + up + 0.1)]
    shape.add(cap, blocks("z", [*head, (z + 0.14, -0.03, 0.03, y + 0.06, y + up + 0.05)]))
    accent = paint(draw, "trigger")
    shape.add(
        accent, rod((0, y + up + 0.035, z - reach - 0.04), (0, y + up + 0.035, z - reach), 0.04)
    )
    path = [(0, y + up, z - 0.12), (0, y + 0.02, z - 0.15), (0, y - 0.14, z - reach - 0.01)]
    shape.add(accent, tube(smooth(path, 4), 0.03))


def _pump(shape: Shape, draw: Draw, skin: Material, cap: Material, at: Neck) -> None:
    """A soap pump: a stem with a long beak to the front."""
    y, z, r, _ = at
    shape.add(cap, rod((0, y - 0.04, z), (0, y + 0.05, z), r * 1.4, sides=20))
    high, reach = draw.between(0.1, 0.2), draw.between(0.24, 0.34)
    shape.add(metal(draw, "stem"), rod((0, y, z), (0, y + high, z), r * 0.4))
    head = y + high
    path = [(0, head, z + 0.09), (0, head + 0.03, z), (0, head + 0.02, z - reach * 0.7)]
    path.append((0, head - 0.06, z - reach))
    shape.add(cap, tube(smooth(path, 4), [0.06, *[0.055] * 7, *[0.035] * 5]))


def _canister(shape: Shape, draw: Draw, skin: Material, cap: Material, at: Neck) -> None:
    """A detergent bottle: a screw cap off the middle, a big grip behind."""
    y, z, r, depth = at
    wide = r * draw.between(1.5, 1.9)
    shape.add(
        cap, rod((0, y - 0.05, z), (0, y + draw.between(0.08, 0.16), z), wide, wide * 0.9, 20)
    )
    low = y * draw.between(0.2, 0.35)
    out = depth + draw.between(0.1, 0.16)
    path = [
        (0, y - 0.1, z + 0.05),
        (0, y - 0.12, out * 0.9),
        (0, y * 0.6, out),
        (0, low, depth * 0.8),
    ]
    shape.add(skin, tube(smooth(path, 5), draw.between(0.04, 0.055)))


def _flask(shape: Shape, draw: Draw, skin: Material, cap: Material, at: Neck) -> None:
    """A sports bottle: a wide lid with a bent mouthpiece and a carrying loop."""
    y, z, r, depth = at
    wide = min(depth, r * 2.2)
    shape.add(cap, rod((0, y - 0.08, z), (0, y + 0.06, z), wide, wide * 0.9, 24))
    path = [(0, y + 0.02, 0), (0, y + 0.13, -0.02), (0, y + 0.19, -0.12), (0, y + 0.2, -0.24)]
    accent = paint(draw, "mouthpiece")
    shape.add(accent, tube(smooth(path, 4), 0.035))
    out = depth + draw.between(0.08, 0.14)
    low = y - draw.between(0.3, 0.45)
    path = [(0, y, wide * 0.6), (0, y, out), (0, (y + low) / 2, out + 0.02), (0, low, depth * 0.85)]
    shape.add(draw.pick((cap, accent)), tube(smooth(path, 4), 0.03))


def _jug(shape: Shape, draw: Draw, skin: Material, cap: Material, at: Neck) -> None:
    """An oil or sauce bottle: a pouring spout to the front, a loop handle at the neck behind."""
    y, _, r, depth = at
    tall = draw.between(0.12, 0.25)
    shape.add(skin, rod((0, y - 0.02, 0), (0, y + tall, 0), r * 0.95, r * 0.8, 20))
    path = [(0, y + tall - 0.06, 0), (0, y + tall + 0.05, -0.03), (0, y + tall + 0.1, -0.16)]
    shape.add(metal(draw, "spout"), tube(smooth(path, 4), [*[0.04] * 6, *[0.025] * 3]))
    shape.add(cap, box((r * 2.2, 0.05, r * 2.2), (0, y + tall, 0)))
    path = [(0, y + tall - 0.05, 0), (0, y + tall - 0.02, depth), (0, y, depth * 1.35)]
    shape.add(skin, tube(smooth([*path, (0, y - 0.3, depth * 0.7)], 5), 0.035))
