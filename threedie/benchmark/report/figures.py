"""The figures of a report: those across methods for the page, and all of them for files.

Every figure carries the same numbers as a table (`head`, `rows`), for those who can't see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threedie.benchmark.report.analysis import sweep_figures
from threedie.benchmark.report.canvas import Box, Drawing, Words
from threedie.benchmark.report.chart import clipped
from threedie.benchmark.report.rotation_curves import CURVES, curve
from threedie.benchmark.report.runs import GroupReport
from threedie.benchmark.report.scatter import scatter
from threedie.benchmark.report.tables import class_tables
from threedie.benchmark.report.training_curves import training


def all_figures(reports: Sequence[GroupReport]) -> Iterator[Drawing]:
    """Every figure under a name of its own, for files."""
    for number, report in enumerate(reports, start=1):
        yield from group_figures(report, number)
        classes = class_map(report, f"group-{number}-classes")
        if classes is not None:
            yield classes
        for run in report.runs:
            label = re.sub(r"[^A-Za-z0-9]+", "-", run.results.encoder.name).strip("-")[:40] or "run"
            name = f"{run.anchor}-{label}-s{run.seed}"[:90]
            yield from training(run, name)
            yield from sweep_figures(run, name)


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
