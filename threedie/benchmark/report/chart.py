"""Axes, grid and legend of a chart on a drawing: from values to pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from threedie.benchmark.report.canvas import Drawing, Mark, Point, Style, Words, text_width

LARGEST = 1e9
"""What is larger is not drawn: no metric is."""
WIDTH = 440.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 30.0, 38.0
_ROW = 18.0


@dataclass(frozen=True, slots=True)
class Axis:
    """What is measured along one side, and where its ticks are."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        if self.logarithmic:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def drawable(value: Any) -> bool:
    """Whether it is a number that has a place on an axis."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) <= LARGEST  # NaN is not


def linear(label: str, values: Iterable[float]) -> Axis:
    """An axis over the values (0 to 1 without any), with round ticks."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    pad = 0.06 * (high - low)
    if pad < 1e-6 * max(abs(low), abs(high), 1e-3):
        pad = max(0.05, 0.05 * abs(high))
    return Axis(label, low - pad, high + pad, _round_ticks(low - pad, high + pad))


def logarithmic(label: str, values: Sequence[float]) -> Axis:
    """An axis over positive values, with a tick at each power of ten (and 2, 5 on a short one)."""
    low, high = min(values) / 1.15, max(values) * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    step = max(1, len(powers) // 5)
    ticks = [10.0**p for p in powers[::step]]
    if len(powers) <= 3:
        ticks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    return Axis(label, low, high, tuple(t for t in ticks if low <= t <= high), logarithmic=True)


def _round_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return tuple((first + i) * step for i in range(most + 2) if (first + i) * step <= high + 1e-12)


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend."""

    label: str
    style: Style
    hollow: bool = False


class Chart:
    """A framed field on a drawing.

    Args:
        drawing: what is drawn on; its height grows with the legend.
        x: the axis below.
        y: the axis at the left, its label above.
        legend: what the marks mean, below the field.
    """

    def __init__(self, drawing: Drawing, x: Axis, y: Axis, legend: Sequence[Key] = ()) -> None:
        self.drawing, self._x, self._y = drawing, x, y
        self._left, self._right = _LEFT, drawing.width - _RIGHT
        self._top, self._bottom = _TOP, drawing.height - _BOTTOM
        self._frame()
        self._legend(legend)

    def at(self, x: float, y: float) -> Point:
        """The pixel of a value; what lies beyond the axes is put on the frame."""
        across, up = (min(1.0, max(0.0, p)) for p in (self._x.place(x), self._y.place(y)))
        width, height = self._right - self._left, self._bottom - self._top
        return self._left + across * width, self._bottom - up * height

    def rule(self, y: float) -> None:
        """A dashed line across, for a reference."""
        if self._y.low <= y <= self._y.high:
            ends = [self.at(self._x.low, y), self.at(self._x.high, y)]
            self.drawing.line(ends, "dim", width=1.2, dashed=True)

    def post(self, x: float) -> None:
        """The same upwards."""
        if self._x.low <= x <= self._x.high:
            ends = [self.at(x, self._y.low), self.at(x, self._y.high)]
            self.drawing.line(ends, "dim", width=1.2, dashed=True)

    def _frame(self) -> None:
        sheet = self.drawing
        for tick in self._y.ticks:
            x, y = self.at(self._x.low, tick)
            sheet.line([(x, y), (self._right, y)], "line", width=1)
            sheet.add(Words((x - 6, y + 4), _tick(tick, self._y), "dim", 11, "end"))
        for tick in self._x.ticks:
            x, y = self.at(tick, self._y.low)
            sheet.line([(x, self._top), (x, y)], "line", width=1)
            sheet.add(Words((x, y + 15), _tick(tick, self._x), "dim", 11, "middle"))
        sheet.add(Words((4, 14), self._y.label, "text", 12))
        sheet.add(Words((self._right, self._bottom + 31), self._x.label, "text", 12, "end"))

    def _legend(self, keys: Sequence[Key]) -> None:
        x, y = self._left, self._bottom + 52
        for key in keys:
            wide = 20 + text_width(key.label) + 10
            if x > self._left and x + wide > self._right:
                x, y = self._left, y + _ROW
            self.drawing.add(
                Mark((x + 5, y - 4), key.style.shape, key.style.ink, hollow=key.hollow)
            )
            self.drawing.add(Words((x + 15, y), key.label))
            x += wide
        if keys:
            self.drawing.height = y + 10


def clipped(label: str, letters: int = 26) -> str:
    """At most so many letters of it."""
    return label if len(label) <= letters else f"{label[: letters - 1]}…"


def _tick(value: float, axis: Axis) -> str:
    if axis.logarithmic or max(abs(axis.low), abs(axis.high)) >= 1e4:
        return f"{value:g}".replace("-", "−")
    steps = [b - a for a, b in zip(axis.ticks, axis.ticks[1:], strict=False)] or [1.0]
    digits = max(0, min(4, -math.floor(math.log10(min(steps)) + 1e-9)))
    if abs(min(steps) * 10**digits - round(min(steps) * 10**digits)) > 1e-6:
        digits += 1  # steps of 0.25
    return f"{value:.{digits}f}".replace("-", "−") if value else "0"
