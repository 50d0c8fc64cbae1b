"""A drawing: lines, marks, boxes and words on a sheet, in pixels from the top left corner.

Whatever draws one (svg.py, png.py) needs no more than this, so a figure is made once for the page
and for files. Colours are names of palette.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

_S, _T = 3.6, 4.4
MARKS: dict[str, tuple[Point, ...] | None] = {
    "circle": None,
    "square": ((-_S, -_S), (_S, -_S), (_S, _S), (-_S, _S)),
    "triangle": ((0, -_T), (_T, _S), (-_T, _S)),
    "diamond": ((0, -5), (5, 0), (0, 5), (-5, 0)),
    "drop": ((0, _T), (_T, -_S), (-_T, -_S)),
    "bar": ((-5, -2), (5, -2), (5, 2), (-5, 2)),
    "post": ((-2, -5), (2, -5), (2, 5), (-2, 5)),
}
"""Outlines around (0, 0); the circle has a radius of 4."""
RADIUS = 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """An open path."""

    points: tuple[Point, ...]
    ink: str
    width: float = 1.5
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign for one value."""

    at: Point
    shape: str
    ink: str
    hollow: bool = False
    says: str = ""
    """Shown when pointed at."""


@dataclass(frozen=True, slots=True)
class Dots:
    """Many small round marks that are nobody's in particular."""

    points: tuple[Point, ...]
    ink: str
    width: float = 5.0


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    at: Point
    size: Point
    ink: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; `at` is on its base line."""

    at: Point
    text: str
    ink: str = "text"
    size: float = 12.0
    anchor: Anchor = "start"


@dataclass(slots=True)
class Drawing:
    """One figure."""

    name: str
    """Of its files: letters, digits and dashes."""
    title: str
    says: str
    """What is to be seen, for those who can't, and how to read it."""
    width: float
    height: float
    shapes: list[Line | Mark | Dots | Box | Words] = field(default_factory=list)
    head: tuple[str, ...] = ()
    """Of the table with the same numbers."""
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def line(self, points: Sequence[Point], ink: str, **style: float | bool) -> None:
        """Add a path of two points or more."""
        if len(points) > 1:
            self.shapes.append(Line(tuple(points), ink, **style))  # type: ignore[arg-type]

    def add(self, shape: Mark | Dots | Box | Words) -> None:
        """Add anything else."""
        self.shapes.append(shape)


@dataclass(frozen=True, slots=True)
class Style:
    """How one series is drawn."""

    ink: str
    shape: str


def style_of(number: int) -> Style:
    """Of the series with this number: 56 pairs of colour and mark."""
    return Style(f"s{number % 8}", list(MARKS)[number % len(MARKS)])


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide a text is in pixels; there are no font metrics here."""
    return 0.56 * size * len(text)
