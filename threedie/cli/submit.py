"""`3die submit`: an entry for a leaderboard, from runs to a branch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from threedie.cli.leaderboard import today
from threedie.cli.program import app, on_this_machine, say
from threedie.errors import ConfigError
from threedie.words import plural, room

if TYPE_CHECKING:
    from threedie.leaderboard.submission.submit import Packed


_OF_PUSHING = {"runs", "push", "board"}


@app.command()
def submit(
    ctx: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders (or results.json files): the seeds of one method. Or one entry that "
            "was packed before, to push it.",
            metavar="RUN...",
            callback=on_this_machine,
        ),
    ],
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The entry's folder is made in this one, named by its id.",
            callback=on_this_machine,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The method, as the table shows it.")] = None,
    variant: Annotated[
        str | None, typer.Option(help="Which one of the method: a page lists all of a name.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(help="Whom to ask: 'Name <name@host.org>'. It is public.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="https address of the public code.")] = None,
    commit: Annotated[str | None, typer.Option(help="Its commit, all 40 digits.")] = None,
    paper: Annotated[str | None, typer.Option(help="https address of the paper.")] = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="equivariant, invariant, supervised, other; known of the methods that come with "
            "threedie."
        ),
    ] = None,
    track: Annotated[
        str,
        typer.Option(help="closed: random weights, and the train split only. open: anything."),
    ] = "closed",
    slug: Annotated[
        str | None,
        typer.Option("--id", help="a-z, 0-9 and -: folder and page. Default: from the name."),
    ] = None,
    runs_started: Annotated[
        int | None,
        typer.Option(
            help="Runs started with the final settings: failed and left out ones count too."
        ),
    ] = None,
    tuned_on: Annotated[
        str | None,
        typer.Option(help="What settings were chosen on: nothing, train-holdout, other-data."),
    ] = None,
    selection: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="last-epoch, or the rule, fixed beforehand, that chose checkpoints.",
        ),
    ] = "last-epoch",
    pretrained_weights: Annotated[
        str | None, typer.Option(help="Weights that training began with (open track).")
    ] = None,
    external: Annotated[
        bool, typer.Option("--external", help="Other data were learnt from (open track).")
    ] = False,
    val_objects_used: Annotated[
        bool,
        typer.Option("--val-objects-used", help="Val objects were used in training (open track)."),
    ] = False,
    weights_url: Annotated[
        str | None,
        typer.Option(help="https address of the checkpoints; {seed} stands for the seed."),
    ] = None,
    affiliated: Annotated[
        bool, typer.Option("--affiliated", help="You belong to the board's maintainers.")
    ] = False,
    card: Annotated[
        Path | None, typer.Option(help="Your card.md. Default: what is known, as a template.")
    ] = None,
    cite: Annotated[Path | None, typer.Option(help="Your cite.bib.")] = None,
    board: Annotated[
        Path | None,
        typer.Option(help="A board's folder: check against it too.", callback=on_this_machine),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="REPOSITORY",
            help="Push it as branch entry/<id> of a board's git repository, or of a fork: a "
            "folder, file://, https://, ssh. It is checked against that board first.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an entry of this id in --out.")
    ] = False,
) -> None:
    """Pack runs as an entry for a leaderboard: checked, with everything that is missing named.

    An entry holds predictions and no scores: the board computes every number from them. Who
    submits agrees to the board's RULES.md, version 1. No path of yours gets into it.

    3die submit runs/sie-0 runs/sie-1 runs/sie-2 --name "SIE (ours)" --contact "Me <me@lab.org>"
    --code https://host.org/me/sie --runs-started 3 --tuned-on train-holdout --out my-entry/

    3die submit my-entry/sie-ours --push https://host.org/board.git
    """
    from threedie.leaderboard.board import open_board
    from threedie.leaderboard.submission.declared import Declared, stands_for
    from threedie.leaderboard.submission.submit import SubmitRequest, check
    from threedie.leaderboard.submission.submit import push as send
    from threedie.leaderboard.submission.submit import submit as pack

    if len(runs) == 1 and stands_for(runs[0]):
        if push is None:
            raise ConfigError(
                f"{runs[0]} is an entry already: --push REPOSITORY sends it, and `3die leaderboard "
                "check` looks at it."
            )
        _refuse_others(ctx, runs[0])
        folder = runs[0]
        if board is not None:
            check(folder, open_board(board))
    else:
        request = SubmitRequest(
            runs=tuple(runs),
            out=out_folder,
            declared=Declared(
                name=name,
                variant=variant,
                contact=contact,
                code=code,
                commit=commit,
                paper=paper,
                family=family,
                track=track,
                slug=slug,
                runs_started=runs_started,
                tuned_on=tuned_on,
                selection=selection,
                pretrained_weights=pretrained_weights,
                external=external,
                val_objects_used=val_objects_used,
                weights_url=weights_url,
                affiliated=affiliated,
            ),
            card=card,
            cite=cite,
            board=board,
            force=force,
        )
        packed = pack(request, today=today())
        _tell(packed)
        if board is None and push is None:
            say("note: its form is good; --board BOARD or --push checks it against a board too.")
        folder = packed.entry.path
    if push is not None:
        pushed = send(folder, push)
        if not pushed.is_new:
            say(escape(f"{pushed.branch} is there already ({pushed.commit[:12]}), the same files."))
            return
        say(
            f"pushed {escape(pushed.branch)} ({pushed.commit[:12]}): "
            f"one new folder, {pushed.folder}."
        )
        how = f": {pushed.link}" if pushed.link else " from it, where the repository is hosted"
        say(
            escape(
                f"Open a pull request{how}; or, with a folder: git merge --squash {pushed.branch}."
            )
        )


def _refuse_others(ctx: typer.Context, entry: Path) -> None:
    """Options that say what a packed entry says itself.

    Raises:
        ConfigError: some were given; all of them are named.
    """
    given = [
        param.opts[0]
        for param in ctx.command.params
        if param.name is not None
        and param.name not in _OF_PUSHING
        and (source := ctx.get_parameter_source(param.name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise ConfigError(
            f"{entry} is an entry already, and {', '.join(given)} would change nothing of it: pack "
            "the runs again with --force, or push it without."
        )


def _tell(packed: Packed) -> None:
    entry = packed.entry.submission
    size = room(sum(map(len, packed.entry.contents.values())))
    seeds = plural(len(entry.runs), "seed")
    say(f"{escape(str(packed.entry.path))}: {entry.id}, {seeds}, {size}, ready to submit")
    for note in packed.notes:
        say(f"note: {escape(note)}.")
