"""`3die leaderboard …`: a board that recomputes what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import app, on_this_machine

board_app = typer.Typer(
    name="leaderboard",
    help="A leaderboard that recomputes what it prints.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(board_app)

EntryFolder = Annotated[
    Path,
    typer.Argument(
        help="Folder of an entry (holds submission.json).",
        metavar="ENTRY",
        callback=on_this_machine,
    ),
]
BoardOption = Annotated[
    Path | None,
    typer.Option(
        "--board", help="The board. Default: the one that ENTRY lies in.", callback=on_this_machine
    ),
]
