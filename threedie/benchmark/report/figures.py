"""What each figure shows: invariance against equivariance, curves over the rotation, training.

Every figure carries the same numbers as a table (`head`, `rows`), for those who can't see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from threedie.benchmark.grouping import merged
from threedie.benchmark.report.canvas import Box, Drawing, Mark, Style, Words, style_of
from threedie.benchmark.report.chart import (
    LARGEST,
    WIDTH,
    Axis,
    Chart,
    Key,
    clipped,
    drawable,
    linear,
    logarithmic,
)
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import GroupReport, MethodReport, Run
from threedie.benchmark.report.tables import class_tables
from threedie.benchmark.training.log import Row
from threedie.manifests.literature import Quoted, R2Kind, literature
from threedie.manifests.results import Curve

_PUBLISHED_CLASSES, _PUBLISHED_RECIPES = 55, (None, "3diebench")
_MOST_BINS, _MOST_POINTS, _MOST_TERMS = 60, 80, 8
_NAMES = {
    "top1": "top-1",
    "rotation_r2_global": "rotation R² (global)",
    "rotation_r2_uniform": "rotation R² (uniform)",
    "rotation_geodesic_deg": "rotation error in degrees",
    "mrr_val": "MRR (val)",
}
CURVES = ("top1", "rotation_geodesic_deg", "mrr_val", "rotation_r2_global")
_PANELS = (
    ("loss", "Loss and its terms"),
    ("online", "Online probes"),
    ("repr", "Collapse indicators"),
)
_NO_TERMS = ("step", "pairs", "epoch", "lr", "seconds", "pairs_per_s", "data_wait")


def scatter(report: GroupReport, kind: R2Kind, name: str) -> Drawing | None:
    """Top-1 against rotation R² of one kind; published values as hollow marks. None without both.

    Each mark is a method's mean over seeds, its cross the widest 95 % intervals of its seeds.
    """
    metric = f"rotation_r2_{kind}"
    placed = [
        (number, method, _middle(method, "top1"), _middle(method, metric))
        for number, method in enumerate(report.methods)
    ]
    ours = [(n, m, x, y) for n, m, x, y in placed if x is not None and y is not None]
    if not ours:
        return None
    quoted = quoted_beside(report, kind)
    sheet = Drawing(
        name,
        f"Invariance against equivariance, R² {kind}",
        f"Each mark is a method: further right is better at classes (top-1), further up at "
        f"rotations (R² {kind}). Lines are 95 % intervals over objects, dashed lines chance."
        + (
            " Hollow marks are published values, measured by others with other probes."
            if quoted
            else ""
        ),
        WIDTH,
        330.0,
        head=("method", "top-1", f"rotation R² ({kind})", "source"),
    )
    spans = [(_span(m, "top1"), _span(m, metric)) for _, m, _, _ in ours]
    base = [_chance(report, "top1"), _chance(report, metric)]
    xs = [x for _, _, x, _ in ours] + [v for s, _ in spans for v in s] + base[0]
    ys = [y for _, _, _, y in ours] + [v for _, s in spans for v in s] + base[1]
    xs += [q.top1 for q in quoted if q.top1 is not None]
    ys += [q.rotation_r2 for q in quoted if q.rotation_r2 is not None]
    sources = list(dict.fromkeys(q.source for q in quoted))
    keys = [Key(_label(m), style_of(n)) for n, m, _, _ in ours]
    said = {q.source: f"{q.source}: {q.setting}" for q in quoted}
    keys += [Key(said[source], _hollow(i), hollow=True) for i, source in enumerate(sources)]
    chart = Chart(sheet, linear("top-1 →", xs), linear(f"↑ rotation R² ({kind})", ys), legend=keys)
    for value in base[0]:
        chart.post(value)
    for value in base[1]:
        chart.rule(value)
    for q in quoted:
        says = f"{q.method}: top-1 {q.top1:.3f}, R² {q.rotation_r2:.3f} ({q.source}; {q.setting})"
        at = chart.at(float(q.top1 or 0), float(q.rotation_r2 or 0))
        sheet.add(Mark(at, _hollow(sources.index(q.source)).shape, "dim", hollow=True, says=says))
        sheet.rows.append((q.method, f"{q.top1:.3f}", f"{q.rotation_r2:.3f}", said[q.source]))
    for (n, m, x, y), (across, up) in zip(ours, spans, strict=True):
        style, label = style_of(n), shown(m.method.name)
        sheet.line([chart.at(v, y) for v in across], style.ink, width=1)
        sheet.line([chart.at(x, v) for v in up], style.ink, width=1)
        says = f"{label}: top-1 {x:.3f}, R² {y:.3f}"
        sheet.add(Mark(chart.at(x, y), style.shape, style.ink, says=says))
        sheet.rows.append((label, f"{x:.3f}", f"{y:.3f}", "here"))
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


def curve(report: GroupReport, metric: str, name: str) -> Drawing | None:
    """A metric over the size of the rotation: a method's mean over seeds; None without any."""
    found = [(n, m, _curves(m, metric)) for n, m in enumerate(report.methods)]
    found = [(n, m, curves) for n, m, curves in found if curves]
    if not found:
        return None
    axis, title = found[0][2][0].axis, _NAMES[metric]
    over = {"relative": "rotation between both views", "absolute": "rotation from upright"}[axis]
    sheet = Drawing(
        name,
        f"{title} over the size of the rotation",
        f"{title} (up) in bins of the {over} (right, degrees): the mean over seeds. Upright lines "
        "are 95 % intervals over objects, the widest of the seeds.",
        WIDTH,
        300.0,
        head=("method", "bin in degrees", title, "95 % interval"),
    )
    lines = [(n, m, _points(curves)) for n, m, curves in found]
    ys = [v for _, _, points in lines for _, mean, low, high in points for v in (mean, low, high)]
    edges = [e for _, _, curves in found for e in curves[0].edges_deg if drawable(e)]
    across = Axis(f"{over}, degrees", min(edges), max(edges), tuple(sorted(set(edges)))[:13])
    keys = [Key(_label(m), style_of(n)) for n, m, _ in lines]
    chart = Chart(sheet, across, linear(f"↑ {title}", ys), legend=keys)
    for place, (n, m, points) in enumerate(lines):
        _curve_of(sheet, chart, m, n, points, shift=4.0 * (place - (len(lines) - 1) / 2))
    return sheet


_CurvePoint = tuple[tuple[float, float], float, float, float]


def _curve_of(
    sheet: Drawing,
    chart: Chart,
    method: MethodReport,
    number: int,
    points: list[_CurvePoint],
    shift: float,
) -> None:
    """One line; methods stand beside each other in a bin, so that intervals can be told apart."""
    style, label, path = style_of(number), shown(method.method.name), []
    shift = max(-14.0, min(14.0, shift))
    for (first, last), mean, low, high in points:
        x, y = chart.at((first + last) / 2, mean)
        ends = [(x + shift, chart.at(0, v)[1]) for v in (low, high)]
        sheet.line(ends, style.ink, width=1)
        path.append((x + shift, y))
        sheet.rows.append(
            (label, f"{first:g} to {last:g}", f"{mean:.3f}", f"{low:.3f} to {high:.3f}")
        )
    sheet.line(path, style.ink)
    for at in path:
        sheet.add(Mark(at, style.shape, style.ink))


def _curves(method: MethodReport, metric: str) -> list[Curve]:
    """Of all seeds, with one set of bins; nothing where there are too many to be seen."""
    found = [r.results.curves.get("all", {}).get(metric) for r in method.runs]
    curves = [c for c in found if c is not None and 0 < len(c.points) <= _MOST_BINS]
    if not curves:
        return []
    edges = curves[0].edges_deg
    rising = all(drawable(b) and a < b for a, b in pairwise((-LARGEST, *edges)))
    same = [c for c in curves if rising and c.edges_deg == edges]
    return same if same and _points(same) else []


def _points(curves: Sequence[Curve]) -> list[_CurvePoint]:
    """(bin, mean, lowest, highest) of each bin that has a value in some seed."""
    points: list[_CurvePoint] = []
    edges = curves[0].edges_deg
    for i, ends in enumerate(pairwise(edges)):
        numbers = [c.points[i] for c in curves if drawable(c.points[i].value)]
        values = [n.value for n in numbers if n.value is not None]
        if values:
            sides = [v for n in numbers for v in (n.low, n.high, n.value) if drawable(v)]
            known = [v for v in sides if v is not None]
            points.append((ends, merged(values)[0], min(known), max(known)))
    return points


def training(run: Run, name: str) -> list[Drawing]:
    """Loss terms, online probes and collapse indicators over steps; those that the log has."""
    rows = thinned(run.log)
    found = (_panel(rows, kind, title, f"{name}-{kind}") for kind, title in _PANELS)
    return [sheet for sheet in found if sheet is not None]


def _panel(rows: list[Row], kind: str, title: str, name: str) -> Drawing | None:
    lines = {term: _line(rows, term) for term in _terms(rows, kind)}
    lines = {term: points for term, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    values = [y for points in lines.values() for _, y in points]
    steps = [x for points in lines.values() for x, _ in points]
    spread = min(values) > 0 and max(values) > 20 * min(values)
    up = logarithmic("↑ value (log scale)", values) if spread else linear("↑ value", values)
    sheet = Drawing(
        name,
        title,
        f"{title} over training steps, each point the mean of its steps.",
        WIDTH,
        260.0,
        head=("quantity", "first", "last"),
    )
    styles = {term: style_of(i) for i, term in enumerate(lines)}
    keys = [Key(clipped(shown(term)), style) for term, style in styles.items()]
    chart = Chart(sheet, linear("step", steps), up, legend=keys)
    for term, points in lines.items():
        style, path = styles[term], [chart.at(x, y) for x, y in points]
        sheet.line(path, style.ink)
        for at in (path[0], path[-1]):
            sheet.add(Mark(at, style.shape, style.ink))
        sheet.rows.append((shown(term), f"{points[0][1]:.4g}", f"{points[-1][1]:.4g}"))
    return sheet


def _terms(rows: Sequence[Row], kind: str) -> list[str]:
    names = dict.fromkeys(key for row in rows for key in row if key not in _NO_TERMS)
    groups = [n for n in names if n.partition("_")[0] in ("online", "repr")]
    if kind == "loss":
        chosen = [n for n in names if n not in groups]
    else:
        chosen = [n for n in groups if n.startswith(f"{kind}_")]
    return chosen[:_MOST_TERMS]


def _line(rows: Sequence[Row], term: str) -> list[tuple[float, float]]:
    return [(float(r["step"]), float(r[term])) for r in rows if drawable(r.get(term))]


def thinned(log: Sequence[Row]) -> list[Row]:
    """At most 80 lines: neighbours become their mean, the step of the last."""
    usable = [row for row in log if drawable(row.get("step"))]
    size = -(-len(usable) // _MOST_POINTS) or 1
    return [_mean_row(usable[i : i + size]) for i in range(0, len(usable), size)]


def _mean_row(rows: Sequence[Row]) -> Row:
    keys = dict.fromkeys(key for row in rows for key in row)
    found: Row = {}
    for key in keys:
        values = [float(row[key]) for row in rows if drawable(row.get(key))]
        if values:
            found[key] = sum(values) / len(values)
    return {**found, "step": rows[-1]["step"]}


def all_figures(reports: Sequence[GroupReport]) -> Iterator[Drawing]:
    """Every figure under a name of its own, for files."""
    for number, report in enumerate(reports, start=1):
        yield from group_figures(report, number)
        classes = class_map(report, f"group-{number}-classes")
        if classes is not None:
            yield classes
        for run in report.runs:
            label = re.sub(r"[^A-Za-z0-9]+", "-", run.results.encoder.name).strip("-")[:40] or "run"
            yield from training(run, f"{run.anchor}-{label}-s{run.seed}"[:90])


def group_figures(report: GroupReport, number: int) -> list[Drawing]:
    """The figures across the methods of a group."""
    found = [
        *(
            scatter(report, kind, f"group-{number}-scatter-{kind}")
            for kind in ("global", "uniform")
        ),
        *(
            curve(report, metric, f"group-{number}-curve-{metric.replace('_', '-')}")
            for metric in CURVES
        ),
    ]
    return [sheet for sheet in found if sheet is not None]


def class_map(report: GroupReport, name: str) -> Drawing | None:
    """The page's first table of classes as a figure, for a paper; None without classes."""
    tables = class_tables(report)
    if not tables:
        return None
    title, table = tables[0]
    wide, high, left, top = 64.0, 20.0, 110.0, 40.0
    sheet = Drawing(
        name,
        f"{title} by class and method",
        "A deeper colour is better.",
        left + wide * len(table.head) + 10,
        top + high * len(table.lines) + 10,
    )
    for i, method in enumerate(table.head):
        sheet.add(
            Words((left + wide * (i + 0.5), top - 8), clipped(method, 9), size=11, anchor="middle")
        )
    for j, line in enumerate(table.lines):
        y = top + high * j
        sheet.add(Words((left - 6, y + 14), clipped(line.name, 16), size=11, anchor="end"))
        for i, cell in enumerate(line.cells):
            if cell.heat:
                sheet.add(Box((left + wide * i, y), (wide, high), cell.heat))
            sheet.add(Words((left + wide * (i + 0.5), y + 14), cell.text, size=11, anchor="middle"))
    sheet.add(Words((4, 14), f"{title} by class"))
    return sheet


def _label(method: MethodReport) -> str:
    return clipped(shown(method.method.name))


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


def _hollow(source: int) -> Style:
    return Style("dim", ("circle", "square", "diamond", "triangle")[source % 4])
