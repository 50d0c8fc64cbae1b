"""Figures of a metric over the size of the rotation, a line for each method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from threedie.benchmark.grouping import merged
from threedie.benchmark.report.canvas import Drawing, Mark, style_of
from threedie.benchmark.report.chart import LARGEST, WIDTH, Axis, Chart, Key, drawable, linear
from threedie.benchmark.report.runs import GroupReport, MethodReport
from threedie.benchmark.report.tables import legend_name
from threedie.manifests.results import Curve

_MOST_BINS = 60
CURVES = {
    "top1": "top-1",
    "rotation_geodesic_deg": "rotation error in degrees",
    "mrr_val": "MRR (val)",
    "rotation_r2_global": "rotation R² (global)",
}
"""Metrics that have a figure, and their names for people."""


def curve(report: GroupReport, metric: str, name: str) -> Drawing | None:
    """A metric over the size of the rotation: a method's mean over seeds; None without any."""
    found = [(n, m, _curves(m, metric)) for n, m in enumerate(report.methods)]
    found = [(n, m, curves) for n, m, curves in found if curves]
    if not found:
        return None
    axis, title = found[0][2][0].axis, CURVES[metric]
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
    keys = [Key(legend_name(m), style_of(n)) for n, m, _ in lines]
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
    style, label, path = style_of(number), legend_name(method), []
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
