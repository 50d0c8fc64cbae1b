"""Colours by what they are for, in a light and a dark theme: of the page, of SVG and of PNG files.

The series are told apart by colour-blind people too (after Okabe and Ito, darker on white, lighter
on black), and each has a mark of its own besides. A test computes the contrast of all of them.
"""

from __future__ import annotations

LIGHT: dict[str, str] = {
    "page": "#f6f6f4",
    "card": "#ffffff",
    "line": "#d9d9d4",
    "text": "#1d1d1b",
    "dim": "#5a5a55",
    "link": "#0b57a4",
    "good": "#1a6b3c",
    "warn": "#8a5300",
    "bad": "#a8201a",
    "s0": "#0b66b0",
    "s1": "#c24a00",
    "s2": "#00785a",
    "s3": "#a03d7d",
    "s4": "#846800",
    "s5": "#5a4fcf",
    "s6": "#c22525",
    "s7": "#4f4f4b",
    "h0": "#ffffff",
    "h1": "#e3eef8",
    "h2": "#c6ddf1",
    "h3": "#a9cbea",
    "h4": "#8cbae3",
    "h5": "#6fa8dc",
}
DARK: dict[str, str] = {
    "page": "#161615",
    "card": "#1f1f1d",
    "line": "#3d3d3a",
    "text": "#ececea",
    "dim": "#acaca6",
    "link": "#8bbcf0",
    "good": "#74cf97",
    "warn": "#f0b35a",
    "bad": "#ff8f88",
    "s0": "#5db4f0",
    "s1": "#ff9d57",
    "s2": "#3ecfa5",
    "s3": "#eb9fcd",
    "s4": "#dcc03c",
    "s5": "#aca6ff",
    "s6": "#ff8f88",
    "s7": "#c9c9c4",
    "h0": "#1f1f1d",
    "h1": "#1d2e3f",
    "h2": "#1c3b56",
    "h3": "#1b476c",
    "h4": "#1a5383",
    "h5": "#195f99",
}
SERIES, HEATS = 8, 6


def tokens(theme: dict[str, str]) -> str:
    """The colours as CSS variables."""
    return " ".join(f"--{name}: {color};" for name, color in theme.items())


def heat(share: float) -> str:
    """The colour of a cell whose value lies at this share (0..1) of the scale."""
    return f"h{min(HEATS - 1, max(0, int(share * HEATS)))}"
