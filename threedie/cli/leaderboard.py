"""`3die leaderboard …`: a board that recomputes what it prints."""

from __future__ import annotations

import contextlib
import enum
import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from threedie.cli.program import app, needs_torch, on_this_machine, out, say
from threedie.errors import ConfigError
from threedie.words import plural

if TYPE_CHECKING:
    from threedie.leaderboard.board import OpenBoard
    from threedie.leaderboard.folder import EntryFiles
    from threedie.manifests.verification import Step

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


class VerifyLevel(str, enum.Enum):
    """How deep `3die leaderboard verify` goes."""

    recomputed = "recomputed"
    reprobed = "re-probed"
    rerun = "re-run"
    fresh = "fresh-render"


def _one_line(text: str | None) -> str | None:
    if text is None:
        return None
    from pydantic import TypeAdapter, ValidationError

    from threedie.manifests.entries import Line

    try:
        return TypeAdapter(Line).validate_python(text)
    except ValidationError as err:
        raise ConfigError(f"--by is {text!r}; one line of 1 to 120 signs is expected.") from err


def today() -> str:
    """The day, in UTC, as files have it."""
    return datetime.now(timezone.utc).date().isoformat()


def board_of(entry: Path, board: Path | None) -> OpenBoard:
    """The board that was given, or that an entry lies in.

    Raises:
        ConfigError: none.
        ManifestError: a board that is none.
    """
    from threedie.leaderboard.board import find_board, open_board

    return open_board(find_board(entry) if board is None else board)


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

    made = init_board(
        board, data, title=title, today=today(), name=name, address=address, untrained=untrained
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


@board_app.command()
def check(entry: EntryFolder, board: BoardOption = None) -> None:
    """Check an entry: everything for which a board refuses one. Nothing is written."""
    from threedie.leaderboard.checks.check import examine_entry
    from threedie.leaderboard.shown import lines
    from threedie.words import plural

    found = examine_entry(entry, board_of(entry, board))
    for line in lines(found.checks, found.near):
        say(line)
    count = len(found.problems)
    say(f"refused: {plural(count, 'problem')}" if count else "nothing wrong: it can be verified")
    raise typer.Exit(1 if count else 0)


@board_app.command()
def verify(
    entry: EntryFolder,
    board: BoardOption = None,
    level: Annotated[
        VerifyLevel,
        typer.Option(
            help="recomputed: every metric, from the predictions. re-probed: probes trained again "
            "on submitted features. re-run: submitted weights. fresh-render: new views."
        ),
    ] = VerifyLevel.recomputed,
    data: Annotated[
        Path | None,
        typer.Option(help="The board's data set, for deeper levels.", callback=on_this_machine),
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="A run folder; once per run that is looked at.")
    ] = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of `3die leaderboard features`; once per run."),
    ] = None,
    secret_seed: Annotated[
        int | None, typer.Option(help="Of the new views: large, and published afterwards.")
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(help="What the data set was rendered of. Default: the built-in shapes."),
    ] = None,
    objects: Annotated[
        int | None, typer.Option(help="Val objects that get new views. Default: 200.", min=2)
    ] = None,
    views: Annotated[int | None, typer.Option(help="New views of each. Default: 4.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda; of deeper levels.")] = "auto",
    by: Annotated[
        str | None,
        typer.Option(help="Who verifies; it is shown. Default: as before.", callback=_one_line),
    ] = None,
) -> None:
    """Check an entry, recompute its metrics, and write verification.json into it.

    A deeper level is one more step in it; those of earlier days stay while the entry is the same.
    """
    from threedie.leaderboard.checks.check import examine_entry
    from threedie.leaderboard.shown import lines, table
    from threedie.leaderboard.verify import verification_of
    from threedie.manifests.verification import FILE_NAME

    opened = board_of(entry, board)
    examined = examine_entry(entry, opened)
    if examined.problems:
        for line in lines(examined.checks):
            say(line)
    checked = examined.passed()
    steps = []
    if level is not VerifyLevel.recomputed:
        given = {
            "weights": tuple(weights or ()),
            "features": tuple(features or ()),
            "secret_seed": secret_seed,
            "meshes": meshes,
            "device": device,
            **({} if objects is None else {"objects": objects}),
            **({} if views is None else {"views": views}),
        }
        steps.append(_deeper(level, checked.entry, opened, data, given))
    found = verification_of(checked, opened, by=by, today=today(), steps=steps)
    path = checked.entry.path / FILE_NAME
    found.write(path)
    for line in lines(found.checks, found.warnings):
        say(line)
    if not steps:
        out.print(table(found))
    for step in steps:
        for line in lines(step.checks):
            say(line)
        say(f"{step.level}: {'passed' if step.passed else 'NOT passed'}: {escape(step.says)}")
    say(f"level {found.level}; all numbers are in {escape(str(path))}")
    raise typer.Exit(0 if all(step.passed for step in steps) else 1)


def _deeper(
    level: VerifyLevel,
    entry: EntryFiles,
    board: OpenBoard,
    data: Path | None,
    given: dict[str, Any],
) -> Step:
    if data is None:
        raise ConfigError(f"--level {level.value} needs --data: the data set that the board is of.")
    with needs_torch():
        from threedie.benchmark.progress import stages
        from threedie.leaderboard.levels.request import LevelRequest
        from threedie.leaderboard.levels.run_level import run_level

        with stages(level.value, out) as told:
            request = LevelRequest(data=data, today=today(), on_progress=told, **given)
            return run_level(level.value, entry, board, request)


@board_app.command()
def features(
    run: Annotated[Path, typer.Argument(help="A run folder.", callback=on_this_machine)],
    data: Annotated[Path, typer.Option(help="The board's data set.", callback=on_this_machine)],
    target: Annotated[
        Path, typer.Option("--out", help="Folder to write.", callback=on_this_machine)
    ],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
) -> None:
    """Write the features of a run, which level re-probed needs: for whoever keeps the weights.

    3die leaderboard features runs/sie-demo-small-s0 --data data/demo --out features/0
    """
    with needs_torch():
        from threedie.leaderboard.levels.features import write_features

        path = write_features(run, data, target, device=device)
    content = path.read_bytes()
    say(f"{escape(str(path))}: put the folder online. runs[].features of submission.json:")
    say("  url     https address of features.json")
    say(f"  bytes   {len(content)}")
    say(f"  sha256  {hashlib.sha256(content).hexdigest()}")


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
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Compute every number again from predictions; show none that differs.",
        ),
    ] = False,
) -> None:
    """Write the pages of a board: static, offline, with verified numbers only.

    verification.json is the board's own word. Who doubts a board builds its pages with
    --recompute: seconds for each entry.

    3die leaderboard build board/ --out site/
    """
    from threedie.benchmark.progress import stages
    from threedie.leaderboard.site.build import build_site

    if recompute:
        with stages("recompute", out) as told:
            built = build_site(board, site, recompute=True, on_progress=told)
    else:
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

    with contextlib.suppress(KeyboardInterrupt), open_site(site, port) as server:
        say(f"{server.address} (Ctrl-C ends it)")
        server.serve_forever()
