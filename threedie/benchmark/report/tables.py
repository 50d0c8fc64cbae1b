"""Numbers as cells: methods, runs, classes, tests of collapse and of the predictor.

Means and spreads are `grouping`'s, as in `3die compare`: no number is computed here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from threedie.benchmark.compare import Column, comparison
from threedie.benchmark.grouping import cell, merged
from threedie.benchmark.report.chart import clipped, drawable
from threedie.benchmark.report.palette import heat
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import GroupReport, MethodReport, Run
from threedie.benchmark.report.verdict import at_chance, is_collapsed, is_trivial
from threedie.manifests.classes import class_name
from threedie.manifests.results import Number
from threedie.words import fixed, plural

MISSING = "–"
_NOT_EVALUATED = "not evaluated"
MOST_CLASSES = 120
_REFERENCES = {"identity": "a predictor that does nothing", "oracle": "the true target"}
_FLOOR = {"random": "untrained", "supervised": "labels given"}
PER_CLASS = (("top1", "top-1", 2), ("rotation_geodesic_deg", "rotation error, degrees", 0))


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell."""

    text: str
    key: str = ""
    """What it is sorted by."""
    note: str = ""
    """A second line: the spread over seeds, or an interval."""
    why: str = ""
    """Of a missing value."""
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
    chance = _reference(
        "chance", "knows nothing", [_value(table.rows[0].cells.get(c, []), c) for c in columns]
    )
    others = [
        _reference(who, said, _others(report, who, columns)) for who, said in _REFERENCES.items()
    ]
    kept = tuple(line for line in others if any(c.text != MISSING for c in line.cells))
    return Table(("seeds", *(c.title for c in columns)), tuple(lines), (chance, *kept))


def _cell(values: Sequence[float], method: MethodReport, column: Column) -> Cell:
    """A mean over its spread, or the one value over its interval."""
    if not values:
        asked = [run.results.metrics.get(column.part, {}) for run in method.runs]
        found = [numbers[column.metric] for numbers in asked if column.metric in numbers]
        return Cell(MISSING, why=next((shown(n.note) for n in found if n.note), _NOT_EVALUATED))
    if len(values) > 1:
        return _value(values, column)
    return number_cell(method.method.numbers(column.part, column.metric)[0], column.digits)


def _value(values: Sequence[float], column: Column) -> Cell:
    """What `3die compare` prints, the spread below the mean."""
    if not values:
        return Cell(MISSING, why=_NOT_EVALUATED)
    mean, _, spread = cell(values, column.digits).partition(" ± ")
    return Cell(shown(mean), repr(merged(values)[0]), shown(f"± {spread}") if spread else "")


def _interval(number: Number, digits: int) -> str:
    if number.low is None or number.high is None:
        return ""
    return shown(f"{fixed(number.low, digits)} to {fixed(number.high, digits)}")


def _reference(who: str, said: str, cells: Sequence[Cell]) -> Line:
    return Line(who, (Cell(MISSING, why="nothing was trained"), *cells), said)


def _others(report: GroupReport, who: str, columns: Sequence[Column]) -> list[Cell]:
    """A predictor one can do without, over all runs; it has no parts."""
    cells = []
    for column in columns:
        asked = [run.results.references.get(who, {}).get(column.metric) for run in report.runs]
        values = [n.value for n in asked if n is not None and n.value is not None]
        cells.append(_value(values if column.part == "all" else [], column))
    return cells


def label(method: MethodReport, run: Run) -> str:
    """`sie s0`: a run among those of its method."""
    return f"{shown(method.method.name)} s{shown(run.seed, longest=24)}"


def legend_name(method: MethodReport) -> str:
    """Of a method in a figure: shorter than in a table."""
    return clipped(shown(method.method.name))


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
            lines.append(Line(label(method, run), tuple(cells)))
    return Table(tuple(c.title for c in used), tuple(lines))


def number_cell(number: Number | None, digits: int = 3) -> Cell:
    """A value over its interval, or a dash."""
    if number is None or number.value is None:
        return Cell(MISSING, why=shown((number and number.note) or _NOT_EVALUATED))
    return Cell(shown(fixed(number.value, digits)), repr(number.value), _interval(number, digits))


TESTS = (
    "effective rank",
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


def test_table(report: GroupReport) -> Table:
    """Collapse, and what a predictor is worth beside doing nothing; a row for each run."""
    return Table(
        TESTS,
        tuple(
            Line(label(method, run), (*_collapse(run), *_predictor(run)))
            for method in report.methods
            for run in method.runs
        ),
    )


def _collapse(run: Run) -> Iterator[Cell]:
    found = run.results.metrics.get("all", {})
    rank = number_cell(found.get("effective_rank"), 1)
    yield replace(rank, note=f"of {run.results.encoder.dim}")
    for name in ("view_cosine", "object_cosine", "between_over_within"):
        yield number_cell(found.get(name))
    yield Cell("✗ collapsed" if is_collapsed(run) else "✓ none")


def _predictor(run: Run) -> Iterator[Cell]:
    found = run.results.metrics.get("all", {})
    error = found.get("equivariance_error")
    if error is None or error.value is None:
        yield from (Cell(MISSING, why="no predictor") for _ in range(4))
        yield Cell("none")
        return
    yield number_cell(error)
    yield number_cell(run.results.references.get("identity", {}).get("equivariance_error"))
    yield number_cell(found.get("equivariance_gain"))
    yield number_cell(found.get("mrr_val"))
    said = ["no gain over identity"] if is_trivial(run) else []
    said += ["ranks at chance"] if at_chance(run, "mrr_val") else []
    yield Cell("✗ trivial" if said else "✓ moves", note=", ".join(said))


def class_tables(report: GroupReport) -> list[tuple[str, Table]]:
    """Class by method, the mean over seeds; darker is better."""
    tables = [(t, _class_table(report, metric, digits)) for metric, t, digits in PER_CLASS]
    return [
        (f"{title}, the first {MOST_CLASSES}" if len(found.lines) == MOST_CLASSES else title, found)
        for title, found in tables
        if found.lines
    ]


def _class_table(report: GroupReport, metric: str, digits: int) -> Table:
    """Rows by the class's name, for people; only so many that they can be read."""
    found = [_by_class(method, metric) for method in report.methods]
    objects = {name: number.n for by_class in found for name, (number, *_) in by_class.items()}
    classes = sorted(objects, key=lambda name: (class_name(name), name))[:MOST_CLASSES]
    means = {
        (name, i): merged([n.value for n in by_class[name] if n.value is not None])[0]
        for i, by_class in enumerate(found)
        for name in classes
        if name in by_class
    }
    scale = _scale(list(means.values()), falling=metric.endswith("deg"))
    return Table(
        tuple(shown(method.method.name) for method in report.methods),
        tuple(
            Line(
                shown(class_name(name)),
                tuple(
                    _shaded(means.get((name, i)), digits, scale) for i in range(len(report.methods))
                ),
                plural(objects[name], "object"),
            )
            for name in classes
        ),
    )


def _scale(values: Sequence[float], *, falling: bool) -> tuple[float, float]:
    """Values of the palest and of the deepest colour."""
    sound = [value for value in values if drawable(value)] or [0.0]
    return (max(sound), min(sound)) if falling else (min(sound), max(sound))


def _shaded(value: float | None, digits: int, scale: tuple[float, float]) -> Cell:
    if value is None:
        return Cell(MISSING, why=_NOT_EVALUATED)
    pale, deep = scale
    share = (value - pale) / (deep - pale) if pale != deep and drawable(value) else 0.5
    return Cell(shown(fixed(value, digits)), repr(value), heat=heat(share))


def _by_class(method: MethodReport, metric: str) -> dict[str, list[Number]]:
    """The seeds' numbers that are defined, by class."""
    found: dict[str, list[Number]] = {}
    for run in method.runs:
        for name, number in run.results.per_class.get("all", {}).get(metric, {}).items():
            if number.value is not None:
                found.setdefault(name, []).append(number)
    return found
