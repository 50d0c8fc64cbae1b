"""An entry made of runs: everything is looked at before anything is written.

The folder OUT/<id>/ appears whole or not at all. What is missing is told at once; what is only
less than it could be is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.data.urls import shown
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.board import OpenBoard, open_board
from threedie.leaderboard.checks.check import check_entry
from threedie.leaderboard.checks.texts import text_problems
from threedie.leaderboard.folder import CARD, CITATION, CONFIG, EntryFiles, is_submitted, read_entry
from threedie.leaderboard.submission.aside import aside
from threedie.leaderboard.submission.declared import LAST_EPOCH, Declared, submission
from threedie.leaderboard.submission.packed_texts import (
    card_md,
    cite_bib,
    config_json,
    private_lines,
)
from threedie.leaderboard.submission.push import Pushed, push_entry
from threedie.leaderboard.submission.submitted_runs import SubmittedRun, read_runs
from threedie.manifests.entries import FILE_NAME, RANKED_RUNS, Submission
from threedie.words import plural


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmitRequest:
    """What `3die submit` was asked for."""

    runs: tuple[Path, ...]
    """Run folders or results files."""
    out: Path | None
    """The entry's own folder is made in it, named by its id. None: not said, which is refused."""
    declared: Declared
    card: Path | None = None
    cite: Path | None = None
    board: Path | None = None
    """To check against; None: only its form is checked."""
    force: bool = False
    """Replace an entry of this id in `out` that is another."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An entry that lies ready."""

    entry: EntryFiles
    notes: tuple[str, ...]
    """What it could be better for."""


def submit(request: SubmitRequest, *, today: str) -> Packed:
    """Check runs and pack them as an entry.

    Args:
        request: what to do.
        today: yyyy-mm-dd, the day of submission.

    Raises:
        ConfigError: something is missing or does not fit; all of it is named.
        EntryError: the board's check refuses the entry.
        ManifestError: the board or a text is no such file, or another entry is in the way.
        StorageError: it can't be written.
    """
    board = None if request.board is None else open_board(request.board)
    contents, entry, notes = _packed(request, today)
    assert request.out is not None
    target = request.out / entry.id
    with aside("3die-submit-") as temporary:
        tried = temporary / entry.id
        files.put_folder(tried, contents)
        check(tried, board)
    _put(target, contents, force=request.force)
    return Packed(read_entry(target), notes)


def check(folder: Path, board: OpenBoard | None) -> None:
    """What the board's verifier will look at first.

    Raises:
        EntryError: it would be refused.
    """
    if board is not None:
        check_entry(folder, board)
        return
    for problem in text_problems(read_entry(folder).contents):
        raise problem


def push(folder: Path, to: str) -> Pushed:
    """Push a packed entry to a board's repository, after that board's own check.

    Raises:
        EntryError: it is refused, there or for its form.
        ThreedieError: see `push_entry`.
    """

    def look(entry: Path, root: Path) -> None:
        try:
            board = open_board(root)
        except ManifestError as err:  # the clone is gone when this is read
            raise ManifestError(str(err).replace(str(root), shown(to))) from err
        check(entry, board)

    return push_entry(read_entry(folder), to, check=look)


def _packed(
    request: SubmitRequest, today: str
) -> tuple[dict[str, bytes], Submission, tuple[str, ...]]:
    declared = request.declared
    runs, problems = read_runs(request.runs, whole=declared.selection == LAST_EPOCH)
    if request.out is None:
        problems.append("--out is missing: the folder in which the entry is made.")
    texts: dict[str, bytes] = {}
    for name, path in ((CARD, request.card), (CITATION, request.cite)):
        try:
            texts |= {} if path is None else {name: _text(path)}
        except ManifestError as err:
            problems.append(str(err))
    entry = None
    if runs:
        entry, more = submission(declared, runs, today)
        problems += more
    if entry is None or problems:
        listed = "\n".join(f"  - {line}" for line in problems)
        raise ConfigError(
            f"no entry was written; {plural(len(problems), 'thing')} to mend:\n{listed}"
        )
    contents = {
        FILE_NAME: entry.model_dump_json(indent=1).encode() + b"\n",
        CARD: card_md(entry, runs).encode(),
        CITATION: cite_bib(entry).encode(),
        CONFIG: config_json(runs),
        **{f"runs/{one.seed}/predictions.npz": one.packed for one in runs},
        **texts,
    }
    return contents, entry, tuple(_notes(request, entry, runs, texts))


def _notes(
    request: SubmitRequest, entry: Submission, runs: Sequence[SubmittedRun], texts: dict[str, bytes]
) -> Iterator[str]:
    if len(runs) < RANKED_RUNS:
        yield (
            f"{plural(len(runs), 'seed')}: it will be shown and not ranked; {RANKED_RUNS} seeds or "
            "more are ranked"
        )
    if entry.method.code is None:
        yield "no --code: without public code nobody can run it again (rule 6)"
    elif entry.method.code.commit is None:
        yield "no --commit: say which commit of the code was run"
    if bare := [one.seed for one in runs if one.weights is None]:
        yield (
            f"no checkpoint beside the results of seed {', '.join(map(str, bare))}: it can't be "
            "verified by running it again"
        )
    elif request.declared.weights_url is None:
        yield "no --weights-url: verifying by running it again needs the checkpoints"
    if CARD not in texts:
        yield f"{CARD} says what is known; write into it what the method is and where it fails"
    for name, content in texts.items():
        for number in private_lines(content.decode()):
            yield f"{name}, line {number} names a place on a machine, or a secret: look at it"


def _text(path: Path) -> bytes:
    """A text file with plain line ends.

    Raises:
        ManifestError: it can't be read, or is no UTF-8.
    """
    try:
        return "\n".join(path.read_text(encoding="utf-8").splitlines()).encode() + b"\n"
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is no UTF-8 text"
        raise ManifestError(f"{path}: {why}.") from err


def _put(target: Path, contents: dict[str, bytes], *, force: bool) -> None:
    """The folder at once; what is there and another is replaced only if that was asked for."""
    if target.exists() or target.is_symlink():
        there = _submitted(target)
        if there == contents:
            return
        if there is None:
            raise ManifestError(f"{target} is there and is no entry; take another --out or --id.")
        if not force:
            changed = sorted(n for n in {*there, *contents} if there.get(n) != contents.get(n))
            raise ManifestError(
                f"{target} is another entry ({', '.join(changed)} differ); --force replaces it, "
                f"and `3die submit {target} --push …` sends it as it is."
            )
    files.make_directory(target.parent)
    files.sweep(target.parent, of=target.name)
    files.put_folder(target, contents)


def _submitted(target: Path) -> dict[str, bytes] | None:
    """The submitter's files of an entry; None where a folder is none."""
    try:
        found = read_entry(target).contents
    except ManifestError:
        return None
    return {name: content for name, content in found.items() if is_submitted(name)}
