"""`3die leaderboard …`: a board that recomputes what it prints."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import app, on_this_machine, say
from threedie.words import plural

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


@board_app.command()
def build(
    board: Annotated[
        Path,
        typer.Argument(
            help="Folder of a board (holds board.json).", metavar="BOARD", callback=on_this_machine
        ),
    ],
    site: Annotated[
        Path,
        typer.Option("--out", help="Folder for the pages, of its own.", callback=on_this_machine),
    ],
) -> None:
    """Write the pages of a board: static, offline, with verified numbers only.

    3die leaderboard build board/ --out site/
    """
    from threedie.leaderboard.site.build import build_site

    built = build_site(board, site)
    removed = f", {plural(built.removed, 'old one')} removed" if built.removed else ""
    say(f"{escape(built.counts)} {plural(built.written, 'file')}{removed}.")
    for left in built.left_out:
        say(f"{left.kind}: {escape(left.folder)}: {escape(left.says)}")
    say(f"open {escape(str((site / 'index.html').resolve()))}")


@board_app.command()
def serve(
    site: Annotated[
        Path,
        typer.Argument(help="Folder of a site.", metavar="SITE", callback=on_this_machine),
    ],
    port: Annotated[
        int, typer.Option(help="Port on this machine; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
) -> None:
    """Show a site at an address of this machine, until Ctrl-C.

    3die leaderboard serve site/
    """
    from threedie.leaderboard.serve import open_site

    with open_site(site, port) as server:
        say(f"{server.address} (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
