"""`3die leaderboard …`: a board that recomputes what it prints."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import app, on_this_machine, say

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
def init(
    board: Annotated[
        Path,
        typer.Argument(
            help="Folder of the new board; absent or empty.",
            metavar="BOARD",
            callback=on_this_machine,
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of the data set (with train and val) that entries are evaluated on.",
            callback=on_this_machine,
        ),
    ],
    title: Annotated[str, typer.Option(help="What the board is called.")],
    name: Annotated[
        str | None, typer.Option(help="What the data set is called. Default: its folder's name.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="https address that its git repository will have.")
    ] = None,
    untrained: Annotated[
        Path | None,
        typer.Option(
            help="predictions.npz of a run of the method random: a self-test more.",
            callback=on_this_machine,
        ),
    ] = None,
) -> None:
    """Make a board: a git repository with rules, schemas, self-tests and a workflow.

    Pictures are read for nothing but their hashes: labels and latents of val go into truth.npz,
    and from then on predictions are judged without them.

    3die leaderboard init board/ --data data/demo --title "3DIEBench, demo"
    """
    from threedie.leaderboard.init import init_board

    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    made = init_board(
        board, data, title=title, today=today, name=name, address=address, untrained=untrained
    )
    how = f"commit {made.commit[:12]} on main" if made.commit else "no git here: commit it yourself"
    say(f"{escape(str(made.root))}: a board with {made.selftests} self-tests; {how}.")
    say("Put your account into .github/CODEOWNERS; README.md says what else a maintainer does.")


@board_app.command()
def changes(
    board: Annotated[
        Path,
        typer.Argument(
            help="Clone of a board's repository.", metavar="BOARD", callback=on_this_machine
        ),
    ],
    revisions: Annotated[
        str,
        typer.Argument(
            help="BASE..HEAD; BASE...HEAD for what HEAD has changed since it left BASE.",
            metavar="REVISIONS",
        ),
    ],
) -> None:
    """Refuse a change that is anything but exactly one new entry; print that entry's folder.

    Git's trees are read, and no file of the change is opened: for CI, and before a merge.

    3die leaderboard changes board/ main...origin/entry/sie-ours
    """
    from threedie.leaderboard.changes import one_new_entry

    typer.echo(one_new_entry(board, revisions))
