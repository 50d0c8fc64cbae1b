"""Materials in plausible, varied colours. Tones are chosen as hue, saturation, value in sRGB."""

from __future__ import annotations

import colorsys

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw


def tone(
    name: str,
    hue: float,
    saturation: float,
    value: float,
    *,
    roughness: float = 0.5,
    metallic: float = 0.0,
) -> Material:
    """A material of one colour, all numbers in 0..1; stored in linear RGB."""
    r, g, b = (round(c**2.2, 4) for c in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return Material(
        name=name,
        base_color=(r, g, b),
        roughness=round(roughness, 3),
        metallic=round(metallic, 3),
    )


def wood(draw: Draw, name: str = "wood") -> Material:
    """From birch to walnut."""
    hue, value = draw.between(0.055, 0.10), draw.between(0.32, 0.85)
    return tone(name, hue, draw.between(0.45, 0.68), value, roughness=draw.between(0.35, 0.7))


def paint(draw: Draw, name: str = "paint") -> Material:
    """A strong colour, glossy or matt."""
    saturation, value = draw.between(0.55, 0.95), draw.between(0.55, 0.95)
    return tone(name, draw.unit(), saturation, value, roughness=draw.between(0.2, 0.6))


def fabric(draw: Draw, name: str = "fabric") -> Material:
    """A softer colour, always rough."""
    saturation, value = draw.between(0.15, 0.65), draw.between(0.4, 0.9)
    return tone(name, draw.unit(), saturation, value, roughness=draw.between(0.75, 0.95))


def pale(draw: Draw, name: str = "white") -> Material:
    """Near white: linen, porcelain, paper."""
    saturation, value = draw.between(0.02, 0.14), draw.between(0.85, 0.97)
    return tone(name, draw.unit(), saturation, value, roughness=draw.between(0.3, 0.8))


def dark(draw: Draw, name: str = "dark") -> Material:
    """Near black: rubber, ebony, tinted glass."""
    saturation, value = draw.between(0.0, 0.3), draw.between(0.1, 0.22)
    return tone(name, draw.unit(), saturation, value, roughness=draw.between(0.2, 0.7))


def metal(draw: Draw, name: str = "metal") -> Material:
    """Steel, or now and then brass."""
    brass = draw.chance(0.25)
    hue, saturation = (0.12, 0.5) if brass else (0.6, draw.between(0.0, 0.1))
    value, roughness = draw.between(0.55, 0.85), draw.between(0.25, 0.5)
    # Fully metallic surfaces mirror the empty surroundings of the scene, which is black.
    return tone(name, hue, saturation, value, roughness=roughness, metallic=draw.between(0.3, 0.7))


def colour(draw: Draw, name: str = "colour") -> Material:
    """Paint, pale or dark, as the case of an appliance may be."""
    return draw.pick((paint, paint, pale, dark))(draw, name)
