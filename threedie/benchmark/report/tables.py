"""Numbers as cells: methods, runs, classes, tests of collapse and of the predictor.

Means and spreads are `grouping`'s, as in `3die compare`: no number is computed here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from threedie.benchmark.compare import COLUMNS, Column, comparison
from threedie.benchmark.grouping import cell, merged
from threedie.benchmark.report.chart import drawable
from threedie.benchmark.report.palette import heat
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import GroupReport, MethodReport, Run
from threedie.benchmark.report.verdict import at_chance, is_collapsed, is_trivial
from threedie.manifests.classes import class_name
from threedie.manifests.results import Number

MISSING = "–"
MOST_CLASSES = 120
_REFERENCES = {
    "identity": "identity (a predictor that does nothing)",
    "oracle": "oracle (the true target)",
}
_FLOOR = {"random": "untrained", "supervised": "labels given"}
PER_CLASS = (("top1", "top-1", 2), ("rotation_geodesic_deg", "rotation error, degrees", 0))


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell."""

    text: str
    key: str = ""
    """What it is sorted by."""
    note: str = ""
    """A second line: an interval, or why there is no value."""
    heat: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row; its name is a header cell."""

    name: str
    cells: tuple[Cell, ...]
    kind: str = ""
    """A word about the row: "reference", "untrained"."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    head: tuple[str, ...]
    lines: tuple[Line, ...]
    references: tuple[Line, ...] = ()
    """Rows that are never sorted among the others."""


def metric_table(report: GroupReport) -> Table:
    """`3die compare`'s table, intervals below the values, and the reference rows apart."""
    table = comparison(report.group)
    columns = table.columns
    lines = [
        Line(
            shown(row.name),
            (
                Cell(str(len(row.seeds)), str(len(row.seeds))),
                *(_cell(row.cells.get(c, []), method, c) for c in columns),
            ),
            _FLOOR.get(method.method.name, ""),
        )
        for row, method in zip(table.rows[1:], report.methods, strict=True)
    ]
    chance = Line(
        "chance",
        (Cell(MISSING), *(Cell(cell(table.rows[0].cells.get(c, []), c.digits)) for c in columns)),
        "reference",
    )
    others = [_reference(report, who, said, columns) for who, said in _REFERENCES.items()]
    kept = tuple(line for line in others if any(c.text != MISSING for c in line.cells))
    return Table(("seeds", *(c.title for c in columns)), tuple(lines), (chance, *kept))


def _cell(values: Sequence[float], method: MethodReport, column: Column) -> Cell:
    if not values:
        numbers = [
            run.results.metrics.get(column.part, {}).get(column.metric) for run in method.runs
        ]
        why = next((n.note for n in numbers if n is not None and n.note), "not evaluated")
        return Cell(MISSING, "", shown(why) if why != "not evaluated" else "")
    numbers_here = method.method.numbers(column.part, column.metric)
    note = _interval(numbers_here[0], column.digits) if len(numbers_here) == 1 else ""
    return Cell(shown(cell(values, column.digits)), repr(merged(values)[0]), note)


def _interval(number: Number, digits: int) -> str:
    if number.low is None or number.high is None:
        return ""
    return shown(f"{number.low:.{digits}f} to {number.high:.{digits}f}")


def _reference(report: GroupReport, who: str, said: str, columns: Sequence[Column]) -> Line:
    cells = [Cell(MISSING)]
    for column in columns:
        numbers = [
            run.results.references.get(who, {}).get(column.metric)
            for run in report.runs
            if column.part == "all"
        ]
        values = [n.value for n in numbers if n is not None and n.value is not None]
        cells.append(Cell(shown(cell(values, column.digits))))
    return Line(said, tuple(cells), "reference")


def run_table(report: GroupReport) -> Table:
    """A row for each run: its value and its 95 % interval over objects."""
    used = comparison(report.group).columns
    lines = []
    for method in report.methods:
        for run in method.runs:
            cells = []
            for column in used:
                number = run.results.metrics.get(column.part, {}).get(column.metric)
                cells.append(number_cell(number, column.digits))
            lines.append(Line(f"{shown(method.method.name)} s{run.seed}", tuple(cells)))
    return Table(tuple(c.title for c in used), tuple(lines))


def number_cell(number: Number | None, digits: int = 3) -> Cell:
    """A value over its interval, or a dash over the reason."""
    if number is None:
        return Cell(MISSING)
    if number.value is None:
        return Cell(MISSING, "", shown(number.note or ""))
    return Cell(shown(f"{number.value:.{digits}f}"), repr(number.value), _interval(number, digits))


def test_table(report: GroupReport) -> Table:
    """Collapse, and what a predictor is worth beside doing nothing; a row for each run."""
    head = (
        "effective rank",
        "of",
        "view cosine",
        "object cosine",
        "between / within",
        "collapse",
        "error",
        "error of identity",
        "gain",
        "MRR",
        "predictor",
    )
    lines = [
        Line(f"{shown(method.method.name)} s{run.seed}", tuple(_tests(run)))
        for method in report.methods
        for run in method.runs
    ]
    return Table(head, tuple(lines))


def _tests(run: Run) -> Iterator[Cell]:
    found = run.results.metrics.get("all", {})
    yield number_cell(found.get("effective_rank"), 1)
    yield Cell(str(run.results.encoder.dim), str(run.results.encoder.dim))
    for name in ("view_cosine", "object_cosine", "between_over_within"):
        yield number_cell(found.get(name))
    yield Cell("✗ collapsed" if is_collapsed(run) else "✓ none")
    error, gain = found.get("equivariance_error"), found.get("equivariance_gain")
    if error is None or error.value is None:
        yield from (Cell(MISSING) for _ in range(4))
        yield Cell("no predictor")
        return
    yield number_cell(error)
    yield number_cell(run.results.references.get("identity", {}).get("equivariance_error"))
    yield number_cell(gain)
    yield number_cell(found.get("mrr_val"))
    trivial, blind = is_trivial(run), at_chance(run, "mrr_val")
    said = ["no better than doing nothing"] * trivial + ["ranks at chance"] * blind
    yield Cell(f"✗ {', '.join(said)}" if said else "✓ moves towards the target")


def class_tables(report: GroupReport) -> list[tuple[str, Table]]:
    """Class by method, the mean over seeds; darker is better."""
    return [
        (title, table)
        for metric, title, digits in PER_CLASS
        if (table := _class_table(report, metric, digits)).lines
    ]


def _class_table(report: GroupReport, metric: str, digits: int) -> Table:
    values = [_by_class(method, metric) for method in report.methods]
    classes = sorted(
        dict.fromkeys(c for found in values for c in found), key=lambda c: (class_name(c), c)
    )
    means = {
        (c, i): merged(found[c])[0] for i, found in enumerate(values) for c in classes if c in found
    }
    sound = [v for v in means.values() if drawable(v)]
    low, high = (min(sound), max(sound)) if sound else (0.0, 1.0)
    falling = metric.endswith("deg")

    def shaded(name: str, i: int) -> Cell:
        value = means.get((name, i))
        if value is None:
            return Cell(MISSING)
        share = (value - low) / (high - low) if high > low and drawable(value) else 0.5
        color = heat(1 - share if falling else share)
        return Cell(shown(f"{value:.{digits}f}"), repr(value), heat=color)

    return Table(
        tuple(shown(method.method.name) for method in report.methods),
        tuple(
            Line(shown(class_name(c)), tuple(shaded(c, i) for i in range(len(report.methods))))
            for c in classes[:MOST_CLASSES]
        ),
    )


def _by_class(method: MethodReport, metric: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in method.runs:
        for name, number in run.results.per_class.get("all", {}).get(metric, {}).items():
            if number.value is not None:
                found.setdefault(name, []).append(number.value)
    return found


__all__ = ["COLUMNS", "Cell", "Line", "Table"]
