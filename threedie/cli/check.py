"""`3die check`: what a hub would lose of shards, and what no reader should be given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import app, on_this_machine, out, say


@app.command()
def check(
    targets: Annotated[
        list[Path],
        typer.Argument(
            help="A data set, folders of .tar shards, or shards.", callback=on_this_machine
        ),
    ],
    hub: Annotated[
        bool,
        typer.Option("--hub", help="Tell what Hugging Face's WebDataset builder loses, too."),
    ] = False,
) -> None:
    """Check shards of any origin before they are shared: unsafe members, and what a hub loses."""
    from threedie.sharing.check.check import check_shards
    from threedie.words import plural

    with out.status("checking") as status:
        report = check_shards(
            targets, hub=hub, on_shard=lambda name: status.update(f"checking {escape(name)}")
        )
    for problem in report.problems:
        say(f"[bold red]problem:[/] {escape(problem)}")
    found = plural(len(report.problems), "problem") if report.problems else "nothing wrong"
    say(f"{plural(report.shards, 'shard')}: {found}")
    if hub:
        say(escape(report.verdict))
    raise typer.Exit(1 if report.problems else 0)
