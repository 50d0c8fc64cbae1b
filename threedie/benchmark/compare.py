"""`3die compare`: results.json files of several runs as one table, seeds merged into mean ± spread.

Rows stand in one table only if they can be compared: same data, protocol and evaluation settings.
Others get a table of their own, with what differs said above it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from threedie import files
from threedie.benchmark.grouping import Entry, Group, cell, grouped, merged, once, read_entries
from threedie.errors import ConfigError
from threedie.manifests.results import Results

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


def compare(entries: Sequence[Entry], columns: Sequence[Column] = COLUMNS) -> list[Comparison]:
    """Group what can be compared, and merge the seeds of equal configurations."""
    return [comparison(group, columns) for group in grouped(entries)]


def comparison(group: Group, columns: Sequence[Column] = COLUMNS) -> Comparison:
    """The table of one group: chance first, then the methods."""
    rows = [
        Row(
            _printable(method.name),
            [entry.results.seed for entry in method.entries],
            {c: values for c in columns if (values := method.values(c.part, c.metric))},
        )
        for method in group.methods
    ]
    used = tuple(c for c in columns if any(c in row.cells for row in rows))
    return Comparison(group.says, used, (_chance(group.first, columns), *rows))


def _printable(name: str) -> str:
    """Without what would move a terminal's cursor: a file of results is anybody's."""
    return "".join(c if c.isprintable() else "?" for c in name)


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


def _chance(results: Results, columns: Sequence[Column]) -> Row:
    cells = {
        column: [number.value]
        for column in columns
        if (number := results.chance.get(column.metric)) is not None and number.value is not None
    }
    return Row("chance", [], cells)


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
                mean, spread = merged(values)
                place = (column.part, column.metric, mean, "" if spread is None else spread)
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
