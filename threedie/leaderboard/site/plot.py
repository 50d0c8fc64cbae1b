"""Invariance against equivariance: every ranked entry, and the front that no other beats."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from threedie.benchmark.report.canvas import Dots, Drawing, Mark, Point, Style, Words, text_width
from threedie.benchmark.report.chart import Axis, Chart, Key, clipped, drawable, linear
from threedie.leaderboard.site.cells import number
from threedie.leaderboard.site.collect import Entry
from threedie.leaderboard.site.rank import pareto
from threedie.leaderboard.site.rows import name_of

ACROSS, UP = "all/top1", "all/rotation_r2_uniform"
FAMILIES = {
    "equivariant": Style("s0", "circle"),
    "invariant": Style("s1", "square"),
    "supervised": Style("s2", "triangle"),
    "other": Style("s3", "diamond"),
}
_CROWD = 120
"""More than so many rows are drawn small: the front in full, the others as dim dots."""
_INTERVALS = 24
_NAMES = 10
_WIDTH, _HEIGHT = 480.0, 350.0


@dataclass(frozen=True, slots=True)
class _Placed:
    entry: Entry
    at: tuple[float, float]
    on_front: bool

    @property
    def says(self) -> str:
        name = ", ".join(filter(None, name_of(self.entry)))
        return f"{name}: {_say(*self.at)}"


def front(entries: Sequence[Entry]) -> list[Entry]:
    """Ranked entries that no other ranked one beats in top-1 and rotation R² together."""
    return [placed.entry for placed in _placed(entries) if placed.on_front]


def plot(entries: Sequence[Entry], selftests: Sequence[Entry]) -> Drawing | None:
    """The figure; None where no entry is ranked.

    Args:
        entries: all; those without a rank are not drawn.
        selftests: the lines of the one called "constant" are drawn and said where axes reach them.
    """
    placed = _placed(entries)
    if not placed:
        return None
    crowded = len(placed) > _CROWD
    dots = " Dim dots are the other entries." if crowded else ""
    spans = " Thin lines are 95 % intervals." if len(placed) <= _INTERVALS else ""
    chance = _chance(selftests)
    axes = _axes(placed, spans=bool(spans))
    lines = _lines(axes, chance) if chance else ""
    steps = ""
    if sum(one.on_front for one in placed) > 1:
        steps = " The dashed grey steps join the entries that no other beats in both."
    sheet = Drawing(
        "pareto",
        "Invariance against equivariance",
        "Further right is better at classes, further up at rotations."
        f"{steps}{spans}{dots}{lines} The table has the same numbers.",
        _WIDTH,
        _HEIGHT,
    )
    chart = _chart(sheet, axes, placed, chance)
    _steps(sheet, chart, placed)
    if crowded:
        _dots(sheet, chart, placed)
    for one in sorted(placed, key=lambda p: p.on_front):
        if one.on_front or not crowded:
            _mark(sheet, chart, one, spans=bool(spans))
    _names(sheet, chart, [p for p in placed if p.on_front])
    return sheet


def _placed(entries: Sequence[Entry]) -> list[_Placed]:
    found = []
    for entry in entries:
        x, y = entry.value(ACROSS), entry.value(UP)
        if entry.ranked and x is not None and y is not None and drawable(x) and drawable(y):
            found.append((entry, (x, y)))
    on_front = set(pareto([at for _, at in found]))
    return [_Placed(entry, at, i in on_front) for i, (entry, at) in enumerate(found)]


def _chance(selftests: Sequence[Entry]) -> tuple[float, float] | None:
    """What one answer for everything scores; often far below what is worth drawing."""
    for entry in selftests:
        x, y = entry.value(ACROSS), entry.value(UP)
        if entry.slug == "constant" and x is not None and y is not None:
            return x, y
    return None


def _axes(placed: Sequence[_Placed], *, spans: bool) -> tuple[Axis, Axis]:
    xs, ys = [p.at[0] for p in placed], [p.at[1] for p in placed]
    if spans:
        xs += [end for p in placed for end in _span(p.entry, ACROSS)]
        ys += [end for p in placed for end in _span(p.entry, UP)]
    return linear("Top-1 accuracy →", xs), linear("↑ Rotation R² (uniform)", ys)


def _lines(axes: tuple[Axis, Axis], chance: tuple[float, float]) -> str:
    """What the straight dashed lines are, of those that are within the axes."""
    says = f"top-1 {number('top1', chance[0])}", f"R² {number('rotation_r2_uniform', chance[1])}"
    ways = zip(("upright", "level"), axes, chance, says, strict=True)
    drawn = [(way, said) for way, axis, at, said in ways if axis.low <= at <= axis.high]
    if not drawn:
        return ""
    named = " and ".join(way for way, _ in drawn)
    kind = "lines are" if len(drawn) > 1 else "line is"
    said = ", ".join(said for _, said in drawn)
    return f" The straight dashed {kind} one answer for everything ({named}: {said})."


def _chart(
    sheet: Drawing,
    axes: tuple[Axis, Axis],
    placed: Sequence[_Placed],
    chance: tuple[float, float] | None,
) -> Chart:
    families = {p.entry.submission.method.family for p in placed}
    keys = [Key(family, style) for family, style in FAMILIES.items() if family in families]
    chart = Chart(sheet, *axes, legend=keys)
    if chance:
        chart.post(chance[0])
        chart.rule(chance[1])
    return chart


def _say(top1: float, r2: float) -> str:
    return f"top-1 {number('top1', top1)}, R² {number('rotation_r2_uniform', r2)}"


def _steps(sheet: Drawing, chart: Chart, placed: Sequence[_Placed]) -> None:
    """The border of what is beaten by the front."""
    corners = sorted(p.at for p in placed if p.on_front)
    points = list[Point]()
    for (x, y), (_, lower) in itertools.pairwise(corners):
        points += [chart.at(x, y), chart.at(x, lower)]
    sheet.line([*points, *(chart.at(*c) for c in corners[-1:])], "dim", width=1, dashed=True)


def _mark(sheet: Drawing, chart: Chart, one: _Placed, *, spans: bool) -> None:
    style = FAMILIES[one.entry.submission.method.family]
    if spans:
        x, y = one.at
        sheet.line([chart.at(v, y) for v in _span(one.entry, ACROSS)], style.ink, width=1)
        sheet.line([chart.at(x, v) for v in _span(one.entry, UP)], style.ink, width=1)
    sheet.add(Mark(chart.at(*one.at), style.shape, style.ink, says=one.says))


def _dots(sheet: Drawing, chart: Chart, placed: Sequence[_Placed]) -> None:
    """Those that are not on the front; of several on one pixel, one."""
    spots = [chart.at(*one.at) for one in placed if not one.on_front]
    whole = dict.fromkeys((float(round(x)), float(round(y))) for x, y in spots)
    if whole:
        sheet.add(Dots(tuple(whole), "dim"))


def _span(entry: Entry, key: str) -> list[float]:
    found = entry.measured(*key.split("/"))
    if found is None or found.low is None or found.high is None:
        return []
    return [v for v in (found.low, found.high) if drawable(v)]


def _names(sheet: Drawing, chart: Chart, named: Sequence[_Placed]) -> None:
    """Beside the marks of the front, where they don't stand in each other's way."""
    taken = list[tuple[float, float, float]]()
    for one in named[:_NAMES]:
        x, y = chart.at(*one.at)
        text = clipped(name_of(one.entry)[0], 18)
        wide = text_width(text, 11)
        right = x + 8 + wide < sheet.width - 14
        left = x + 8 if right else x - 8 - wide
        if all(abs(y - b) > 12 or left > c or left + wide < a for a, b, c in taken):
            taken.append((left, y, left + wide))
            sheet.add(Words((left, y - 7), text, "text", 11))
