"""Invariance against equivariance: top-1 against rotation R², published values beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from threedie.benchmark.grouping import merged
from threedie.benchmark.report.canvas import Drawing, Mark, Point, Style, style_of
from threedie.benchmark.report.chart import WIDTH, Chart, Key, drawable, linear
from threedie.benchmark.report.runs import GroupReport, MethodReport
from threedie.benchmark.report.tables import legend_name
from threedie.manifests.literature import Quoted, R2Kind, literature

_PUBLISHED_CLASSES, _PUBLISHED_RECIPES = 55, (None, "3diebench")
_HOLLOW = ("circle", "square", "diamond", "triangle")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A method's mean over seeds, and the widest ends of its seeds' intervals (or none)."""

    name: str
    style: Style
    at: Point
    across: list[float]
    up: list[float]


def scatter(report: GroupReport, kind: R2Kind, name: str) -> Drawing | None:
    """The figure for one kind of R²; published values are hollow. None where no method has both.

    Args:
        report: the group.
        kind: of R²; values of the other kind are never in the same figure.
        name: of the files.
    """
    metric = f"rotation_r2_{kind}"
    ours = _placed(report, metric)
    if not ours:
        return None
    quoted = quoted_beside(report, kind)
    hollow = " Hollow marks are published values, measured by others with other probes."
    sheet = Drawing(
        name,
        f"Invariance against equivariance, R² {kind}",
        f"Each mark is a method: further right is better at classes (top-1), further up at "
        f"rotations (R² {kind}). Lines are 95 % intervals over objects, dashed lines chance."
        f"{hollow if quoted else ''}",
        WIDTH,
        330.0,
        head=("method", "top-1", f"rotation R² ({kind})", "source"),
    )
    chance = _chance(report, "top1"), _chance(report, metric)
    chart = _chart(sheet, kind, ours, quoted, chance)
    _draw_quoted(sheet, chart, quoted)
    for placed in ours:
        _draw(sheet, chart, placed)
    return sheet


def quoted_beside(report: GroupReport, kind: R2Kind) -> list[Quoted]:
    """Published values of this kind of R², where the data have the published rotations."""
    if report.group.first.dataset.recipe not in _PUBLISHED_RECIPES:
        return []
    return [q for q in literature() if q.r2_kind == kind and q.top1 is not None]


def is_published_data(report: GroupReport) -> bool:
    """Whether the data have the recipe and the classes of the published set."""
    data = report.group.first.dataset
    return data.recipe in _PUBLISHED_RECIPES and data.classes == _PUBLISHED_CLASSES


def _placed(report: GroupReport, metric: str) -> list[_Placed]:
    found = []
    for number, method in enumerate(report.methods):
        x, y = _middle(method, "top1"), _middle(method, metric)
        if x is not None and y is not None:
            spans = _span(method, "top1"), _span(method, metric)
            found.append(_Placed(legend_name(method), style_of(number), (x, y), *spans))
    return found


def _chart(
    sheet: Drawing,
    kind: R2Kind,
    ours: Sequence[_Placed],
    quoted: Sequence[Quoted],
    chance: tuple[list[float], list[float]],
) -> Chart:
    """Axes over all that is drawn, chance as dashed lines, and the legend."""
    xs = [v for p in ours for v in (p.at[0], *p.across)] + chance[0] + [_at(q)[0] for q in quoted]
    ys = [v for p in ours for v in (p.at[1], *p.up)] + chance[1] + [_at(q)[1] for q in quoted]
    keys = [Key(p.name, p.style) for p in ours]
    for source, style in _styles(quoted).items():
        keys.append(Key(source, style, hollow=True))
    chart = Chart(sheet, linear("top-1 →", xs), linear(f"↑ rotation R² ({kind})", ys), legend=keys)
    for value in chance[0]:
        chart.post(value)
    for value in chance[1]:
        chart.rule(value)
    return chart


def _draw(sheet: Drawing, chart: Chart, placed: _Placed) -> None:
    x, y = placed.at
    sheet.line([chart.at(v, y) for v in placed.across], placed.style.ink, width=1)
    sheet.line([chart.at(x, v) for v in placed.up], placed.style.ink, width=1)
    says = f"{placed.name}: top-1 {x:.3f}, R² {y:.3f}"
    sheet.add(Mark(chart.at(x, y), placed.style.shape, placed.style.ink, says=says))
    sheet.rows.append((placed.name, f"{x:.3f}", f"{y:.3f}", "here"))


def _draw_quoted(sheet: Drawing, chart: Chart, quoted: Sequence[Quoted]) -> None:
    styles = _styles(quoted)
    for q in quoted:
        (x, y), style = _at(q), styles[_source(q)]
        says = f"{q.method}: top-1 {x:.3f}, R² {y:.3f} ({_source(q)})"
        sheet.add(Mark(chart.at(x, y), style.shape, style.ink, hollow=True, says=says))
        sheet.rows.append((q.method, f"{x:.3f}", f"{y:.3f}", _source(q)))


def _styles(quoted: Sequence[Quoted]) -> dict[str, Style]:
    """A hollow mark for each source."""
    sources = dict.fromkeys(map(_source, quoted))
    return {source: Style("dim", _HOLLOW[i % len(_HOLLOW)]) for i, source in enumerate(sources)}


def _source(quoted: Quoted) -> str:
    return f"{quoted.source}: {quoted.setting}"


def _at(quoted: Quoted) -> Point:
    """Of a row that has both numbers."""
    return quoted.top1 or 0.0, quoted.rotation_r2 or 0.0


def _middle(method: MethodReport, metric: str) -> float | None:
    values = [v for v in method.method.values("all", metric) if drawable(v)]
    return merged(values)[0] if values else None


def _span(method: MethodReport, metric: str) -> list[float]:
    """The lowest and the highest end of the seeds' intervals; empty without intervals."""
    numbers = method.method.numbers("all", metric)
    ends = [v for n in numbers for v in (n.low, n.high) if v is not None and drawable(v)]
    return [min(ends), max(ends)] if ends else []


def _chance(report: GroupReport, metric: str) -> list[float]:
    number = report.group.first.chance.get(metric)
    return [number.value] if number and number.value is not None and drawable(number.value) else []
