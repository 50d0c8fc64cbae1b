"""Figures of a run's log: loss terms, online probes and collapse indicators over steps."""

from __future__ import annotations

from collections.abc import Sequence

from threedie.benchmark.report.canvas import Drawing, Mark, style_of
from threedie.benchmark.report.chart import (
    WIDTH,
    Chart,
    Key,
    clipped,
    drawable,
    linear,
    logarithmic,
)
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import Run
from threedie.benchmark.training.log import Row

_MOST_POINTS, _MOST_TERMS = 80, 8
_PANELS = (
    ("loss", "Loss and its terms"),
    ("online", "Online probes"),
    ("repr", "Collapse indicators"),
)
_NO_TERMS = ("step", "pairs", "epoch", "lr", "seconds", "pairs_per_s", "data_wait")


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
