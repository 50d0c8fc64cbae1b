"""`3die report`: one page over one or many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import app, check_target, out, say


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or results.json files.")],
    data: Annotated[
        str | None,
        typer.Option(help="Folder of their data set: adds its card, and retrieval in pictures."),
    ] = None,
    page: Annotated[Path, typer.Option("--out", help="The page (.html).")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="A folder for an SVG and a PNG of each figure too.")
    ] = None,
    allow_large: Annotated[
        bool, typer.Option("--allow-large", help="Everything in the page, however large.")
    ] = False,
) -> None:
    """Write one offline HTML page over runs: verdicts, tables, figures, provenance.

    3die report runs/* --data data/demo --out report.html
    """
    from threedie.benchmark.progress import stages
    from threedie.benchmark.report.write import write_report

    check_target("--out", page, ".html")
    with stages("report", out) as told:
        written, left_out = write_report(
            runs, page, data=data, figures=figures, allow_large=allow_large, on_progress=told
        )
    for line in left_out:
        say(f"left out: {escape(line)}")
    size = written.stat().st_size / 1e6
    say(f"open {escape(str(written.resolve()))} ({size:.2f} MB)")
