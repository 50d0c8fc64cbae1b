"""`3die compare`: results.json files of several runs as one table, seeds merged into mean ± spread.

Rows stand in one table only if they can be compared: same data, protocol and evaluation settings.
Others get a table of their own, with what differs said above it.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from threedie import files
from threedie.benchmark.training.config import MACHINE
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.results import FILE_NAME, Results
from threedie.words import plural

Format = Literal["table", "markdown", "csv"]


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of the table."""

    title: str
    part: str
    metric: str
    digits: int = 3


COLUMNS: tuple[Column, ...] = (
    Column("top-1", "all", "top1"),
    Column("inv top-1", "inv", "top1"),
    Column("rot R² all", "all", "rotation_r2_global"),
    Column("rot R² inv", "inv", "rotation_r2_global"),
    Column("rot R² equi", "equi", "rotation_r2_global"),
    Column("uniform", "all", "rotation_r2_uniform"),
    Column("deg", "all", "rotation_geodesic_deg_median", 1),
    Column("floor R²", "all", "floor_hue_r2_global"),
    Column("light R²", "all", "light_hue_r2_global"),
    Column("MRR", "all", "mrr_val"),
    Column("H@1", "all", "h_at_1_val"),
    Column("H@5", "all", "h_at_5_val"),
    Column("PRE", "all", "pre_val"),
)
"""What is shown unless asked otherwise; columns that no row has are left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One results.json and where it lies."""

    path: Path
    results: Results


@dataclass(slots=True)
class Row:
    """One method: all its seeds."""

    name: str
    seeds: list[int] = field(default_factory=list)
    cells: dict[Column, list[float]] = field(default_factory=dict)
    """Values by seed; empty where the method has no such number."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows that may stand side by side."""

    says: str
    """Data, protocol and settings, in one line."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def read_entries(paths: Iterable[Path]) -> tuple[list[Entry], list[str]]:
    """Results of run folders or files; what is no result is named, and costs only itself.

    Returns:
        Entries in the order given, and a line per path that was left out.

    Raises:
        ConfigError: none of them holds results.
    """
    entries, left_out = [], []
    for path in paths:
        for file in _results_of(path):
            try:
                entries.append(Entry(file, Results.read(file)))
            except ManifestError as err:
                left_out.append(str(err))
    if not entries:
        reasons = "\n".join(f"  {line}" for line in left_out[:8])
        raise ConfigError(f"no results to compare.\n{reasons}" if reasons else "no results given.")
    return entries, left_out


def _results_of(path: Path) -> list[Path]:
    """A file itself; of a folder its results.json, or else what other protocols left there."""
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path / FILE_NAME if path.is_dir() else path]
    return sorted(path.glob("results-*.json")) or [path / FILE_NAME]


def compare(entries: Sequence[Entry], columns: Sequence[Column] = COLUMNS) -> list[Comparison]:
    """Group what can be compared, and merge the seeds of equal configurations."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_ground(entry.results), []).append(entry)
    return [_comparison(says, group, columns) for says, group in groups.items()]


def compare_runs(
    paths: Sequence[Path], *, form: Format, target: Path | None, console: Console
) -> None:
    """`3die compare` as a function.

    Args:
        paths: run folders or results files.
        form: what to print.
        target: written too, as its suffix says: .md or .csv.
        console: to print on.

    Raises:
        ConfigError: no results there, or a target of another kind.
        StorageError: the target can't be written.
    """
    writers = {".md": to_markdown, ".csv": to_csv}
    if target is not None and (target.suffix not in writers or not target.parent.is_dir()):
        raise ConfigError(f"--out is '{target}'; it must be a .md or .csv file in a folder.")
    entries, left_out = read_entries(paths)
    entries, again = once(entries)
    comparisons = compare(entries)
    if form == "table":
        print_tables(comparisons, console)
    else:
        text = to_markdown(comparisons) if form == "markdown" else to_csv(comparisons)
        console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
    # A table that goes into a file or a pipe holds nothing else.
    aside = console if form == "table" else Console(stderr=True, emoji=False)
    for line in (*left_out, *again):
        aside.print(f"left out: {escape(line)}", highlight=False, soft_wrap=True)
    if target is not None:
        files.put(target, writers[target.suffix](comparisons).encode())


def once(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Every run once: the same one from a copy, or named twice, would be a second seed.

    Returns:
        The first of each, and a line per entry that was left out.
    """
    first: dict[str, Entry] = {}
    again = []
    for entry in entries:
        results = entry.results
        seeds = (results.encoder.config.get("seed"), results.seed)
        key = repr((_ground(results), _identity(results), seeds))
        if key in first:
            again.append(f"{entry.path}: the same method, settings and seed as {first[key].path}.")
        first.setdefault(key, entry)
    return list(first.values()), again


def _ground(results: Results) -> str:
    """What has to be equal for two rows to stand in one table."""
    data, protocol = results.dataset, results.protocol
    changed = f", changed: {', '.join(protocol.changed)}" if protocol.changed else ""
    splits = ", ".join(f"{plural(s.objects, 'object')} {n}" for n, s in data.splits.items())
    return (
        f"{protocol.name} (version {protocol.version}{changed}) on {data.recipe or 'a data set'} "
        f"{data.hash[:12]}: {splits}, {plural(data.views, 'view')}"
    )


def _comparison(says: str, entries: list[Entry], columns: Sequence[Column]) -> Comparison:
    rows: dict[str, Row] = {}
    for entry in entries:
        results = entry.results
        key = _identity(results)
        row = rows.setdefault(key, Row(_printable(results.encoder.name)))
        row.seeds.append(results.seed)
        for column in columns:
            number = results.metrics.get(column.part, {}).get(column.metric)
            if number is not None and number.value is not None:
                row.cells.setdefault(column, []).append(number.value)
    listed = [_chance(entries[0].results, columns), *_distinct(list(rows.values()))]
    used = tuple(c for c in columns if any(c in row.cells for row in rows.values()))
    return Comparison(says, used, tuple(listed))


def _printable(name: str) -> str:
    """Without what would move a terminal's cursor: a file of results is anybody's."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _identity(results: Results) -> str:
    """Equal for runs that differ in their seed only."""
    config = {k: v for k, v in results.encoder.config.items() if k not in _NOT_THE_METHOD}
    return repr((results.encoder.name, sorted(config.items(), key=str)))


_NOT_THE_METHOD = MACHINE | {"seed"}


def _distinct(rows: list[Row]) -> list[Row]:
    """Rows with one name and different settings are numbered: two are never taken for one."""
    names = [row.name for row in rows]
    for name in {n for n in names if names.count(n) > 1}:
        same = [row for row in rows if row.name == name]
        for number, row in enumerate(same, start=1):
            row.name = f"{name} ({number})"
    return rows


def _chance(results: Results, columns: Sequence[Column]) -> Row:
    cells = {
        column: [number.value]
        for column in columns
        if (number := results.chance.get(column.metric)) is not None and number.value is not None
    }
    return Row("chance", [], cells)


def cell(values: Sequence[float], digits: int) -> str:
    """`0.412`, or `0.412 ± 0.008` (standard deviation over seeds); `–` without a value."""
    if not values:
        return "–"
    text = f"{statistics.fmean(values):.{digits}f}"
    return f"{text} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else text


def _lines(comparison: Comparison) -> list[list[str]]:
    head = ["method", "seeds", *(column.title for column in comparison.columns)]
    body = [
        [
            row.name,
            str(len(row.seeds) or "–"),
            *(cell(row.cells.get(c, []), c.digits) for c in comparison.columns),
        ]
        for row in comparison.rows
    ]
    return [head, *body]


def to_markdown(comparisons: Sequence[Comparison]) -> str:
    """One heading and one table for each group."""
    out = []
    for comparison in comparisons:
        head, *body = _lines(comparison)
        rule = ["---"] + ["---:"] * (len(head) - 1)
        table = [f"| {' | '.join(map(_plain, line))} |" for line in (head, rule, *body)]
        out.append("\n".join([f"**{comparison.says}**", "", *table]))
    return "\n\n".join(out) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def to_csv(comparisons: Sequence[Comparison]) -> str:
    """One line per row and metric: group, method, seeds, part, metric, mean, std."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["group", "method", "seeds", "part", "metric", "mean", "std"])
    for comparison in comparisons:
        for row in comparison.rows:
            for column, values in row.cells.items():
                spread = statistics.stdev(values) if len(values) > 1 else ""
                mean = statistics.fmean(values)
                place = (column.part, column.metric, mean, spread)
                writer.writerow([comparison.says, _no_formula(row.name), len(row.seeds), *place])
    return out.getvalue()


def _no_formula(text: str) -> str:
    """A cell that a spreadsheet would run is made text."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def print_tables(comparisons: Sequence[Comparison], console: Console) -> None:
    """The same at a terminal; methods stand side by side where a line each would be too wide."""
    for comparison in comparisons:
        lines = _lines(comparison)
        width = sum(max(map(len, column)) + 3 for column in zip(*lines, strict=True)) + 1
        if width > console.width:
            lines = [list(column) for column in zip(*lines, strict=True)]
        console.print(escape(comparison.says), highlight=False, soft_wrap=True)
        console.print(_table(lines))


def _table(lines: Sequence[Sequence[str]]) -> Table:
    head, *body = lines
    table = Table()
    for number, title in enumerate(head):
        table.add_column(escape(title), justify="right" if number else "left", overflow="fold")
    for line in body:
        table.add_row(*map(escape, line), style="dim" if line[0] == "chance" else "")
    return table
