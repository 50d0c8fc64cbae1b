"""`check`: everything that makes an entry one that can be judged; each refusal has a name.

An entry is hostile until it has passed. All that is wrong is gathered, as far as one fault does
not hide the next; nothing is computed here that a table shows (leaderboard.recompute).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.items import Items
from threedie.errors import EntryError, ManifestError
from threedie.leaderboard.board import ENTRIES, SELFTESTS, OpenBoard, named
from threedie.leaderboard.checks import others
from threedie.leaderboard.checks.copies import (
    NearCopies,
    Originals,
    Print,
    Run,
    identical_seeds,
    print_of,
)
from threedie.leaderboard.checks.rows import about_problems, row_problems
from threedie.leaderboard.checks.texts import text_problems
from threedie.leaderboard.folder import EntryFiles, is_submitted, read_entry
from threedie.leaderboard.metrics import out_of_range
from threedie.leaderboard.recompute import hemisphere
from threedie.manifests.entries import RunInfo, Submission
from threedie.manifests.verification import Check
from threedie.words import plural, room

_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
"""Names that no folder has on Windows."""
_MOST_PROBLEMS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """An entry that can be judged."""

    entry: EntryFiles
    items_by_seed: dict[int, Items]
    checks: tuple[Check, ...]
    """All are ok."""
    near: tuple[Check, ...]
    """Warnings of predictions that come near another entry's."""


@dataclass(kw_only=True, slots=True)
class Examined:
    """What was found of an entry, good and bad."""

    entry: EntryFiles | None = None
    items_by_seed: dict[int, Items] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    near: list[Check] = field(default_factory=list)
    problems: list[EntryError] = field(default_factory=list)

    def looked_at(self, name: str, problems: Iterable[EntryError], says: str) -> bool:
        """Note what a check has found; whether it is nothing bad."""
        found = list(islice(problems, max(1, _MOST_PROBLEMS - len(self.problems))))
        self.problems += found
        self.checks += [Check(name=err.name, ok=False, says=err.says) for err in found]
        if not found:
            self.checks.append(Check(name=name, ok=True, says=says))
        return not found

    def passed(self) -> Checked:
        """The entry, as one that can be judged.

        Raises:
            EntryError: it is refused; the first reason, and how many more there are.
        """
        if self.problems or self.entry is None:
            first, more = self.problems[0], len(self.problems) - 1
            tail = f" ({plural(more, 'problem')} more)" if more else ""
            raise EntryError(first.name, f"{first.says}{tail}")
        return Checked(
            entry=self.entry,
            items_by_seed=self.items_by_seed,
            checks=tuple(self.checks),
            near=tuple(self.near),
        )


def check_entry(path: Path, board: OpenBoard) -> Checked:
    """Check an entry.

    Args:
        path: its folder, not trusted.
        board: that it is for; it need not lie there yet.

    Raises:
        EntryError: it is refused; the first reason, and how many more there are.
    """
    return examine_entry(path, board).passed()


def examine_entry(path: Path, board: OpenBoard) -> Examined:
    """Look at everything, whatever is found on the way.

    Args:
        path: the entry's folder, not trusted.
        board: that it is for.
    """
    found = Examined()
    try:
        entry = found.entry = read_entry(placed(path))
    except EntryError as err:
        found.looked_at("files", [err], "")
        return found
    size = sum(len(content) for name, content in entry.contents.items() if is_submitted(name))
    count = plural(sum(map(is_submitted, entry.contents)), "file")
    found.looked_at("files", (), f"{count}, {room(size)}; plain, known names, no links")
    found.looked_at(
        "submission", (), f"submission.json is of schema {entry.submission.schema_version}"
    )
    found.looked_at(
        "name", _name_problems(entry, board), f"'{entry.submission.id}' is its own name"
    )
    found.looked_at(
        "hashes", _hash_problems(entry), "sizes and SHA-256 are those of submission.json"
    )
    found.looked_at("texts", text_problems(entry.contents), "plain texts without hidden signs")
    found.looked_at("reported", _reported_problems(entry.submission), "quoted values can be")
    fits = found.looked_at(
        "board",
        _board_problems(entry.submission, board),
        f"made for {board.protocol} and list {board.config.list_sha256[:12]}…",
    )
    whole = [_look_at_run(run, found, board) for run in entry.submission.runs]
    if fits and all(whole):
        _look_at_copies(entry, found, board)
    return found


def placed(path: Path) -> Path:
    """A folder's whole path, by which it has a name; a link stays one, and is refused."""
    return path if path.is_symlink() else path.resolve()


def _look_at_run(run: RunInfo, found: Examined, board: OpenBoard) -> bool:
    """One run's file; whether its predictions can be compared with others."""
    assert found.entry is not None
    where = run.predictions.path
    if where not in found.entry.contents:
        missing = EntryError("missing-file", f"{where}: submission.json names it; it is not there.")
        return found.looked_at("predictions", [missing], "")
    try:
        items = predictions.from_bytes(found.entry.contents[where], where)
    except ManifestError as err:
        return found.looked_at("predictions", [EntryError("predictions-form", str(err))], "")
    about = found.looked_at(
        "about",
        about_problems(items, run, found.entry.submission, board),
        f"seed {run.seed}: says the protocol, list, parts and seed that are expected",
    )
    rows = found.looked_at(
        "rows",
        row_problems(items, where, board),
        f"seed {run.seed}: {plural(len(board.truth.listed), 'row')}, all there, in the list's "
        "order, finite and possible",
    )
    if about and rows:
        found.items_by_seed[run.seed] = items
    return about and rows


def _look_at_copies(entry: EntryFiles, found: Examined, board: OpenBoard) -> None:
    """Seeds against each other, and against all others of the board."""
    flat_M = board.truth.listed.flat_M
    runs = [Run(f"seed {s}", i, flat_M) for s, i in sorted(found.items_by_seed.items())]
    prints = [print_of(run) for run in runs]
    found.looked_at(
        "seeds", _seed_problems(found, prints), f"{plural(len(runs), 'run')}, each its own"
    )
    if is_selftest(entry.path, board):
        return
    unread: list[str] = []
    copies: list[EntryError] = []
    originals, near, own = Originals(prints), _near_copies(runs, board), others.since(entry)
    if near is not None:
        found.near += (w for i, run in enumerate(runs) for w in near.of(run, among=i))
    for other, stands in others.runs_of_others(entry.path, board, unread):
        if err := originals.copied_in(print_of(other)):
            if own < stands:  # nobody can have an entry refused by copying it
                says = f"{err.says[:900]} That entry came later, and is the copy."
                found.near.append(Check(name="copied-by", ok=False, says=says))
            else:
                copies.append(err)
        elif near is not None and not other.name.startswith(f"{SELFTESTS}/"):
            found.near += islice(near.of(other), max(0, _MOST_PROBLEMS - len(found.near)))
    left = f"; {len(unread)} could not be read" if unread else ""
    found.looked_at("copies", copies, f"no row is from another entry of the board{left}")


def _near_copies(runs: list[Run], board: OpenBoard) -> NearCopies | None:
    if board.config.data.views < 2:
        return None
    listed, truth = board.truth.listed, board.truth.truth
    target_M4 = truth.relative(listed.pairs(), hemisphere(board.protocol))
    return NearCopies(runs, target_M4, truth.class_N[listed.object_M])


def _seed_problems(found: Examined, prints: list[Print]) -> Iterator[EntryError]:
    yield from identical_seeds(prints)
    by_weights: dict[str, int] = {}
    for run in found.entry.submission.runs if found.entry else ():
        about = found.items_by_seed[run.seed].about
        weights = run.checkpoint_sha256 or about.checkpoint_sha256
        if weights is not None and (first := by_weights.setdefault(weights, run.seed)) != run.seed:
            yield EntryError(
                "identical-seeds",
                f"seed {run.seed}: its checkpoint {weights[:12]}… is that of seed {first}. Seeds "
                "are trainings of their own; one network counts once.",
            )
    if len({items.has_predictor for items in found.items_by_seed.values()}) > 1:
        yield EntryError("seeds-differ", "some runs have a predictor's ranks and others have none.")


def is_selftest(path: Path, board: OpenBoard) -> bool:
    """Whether a folder lies where self-tests do."""
    return placed(path).parent == board.root / SELFTESTS


def _name_problems(entry: EntryFiles, board: OpenBoard) -> Iterator[EntryError]:
    submission, path = entry.submission, entry.path
    if path.name != submission.id:
        yield EntryError(
            "wrong-id", f"the folder is {path.name!r}; submission.json says id '{submission.id}'."
        )
    if submission.id in _RESERVED:
        yield EntryError("reserved-id", f"id '{submission.id}' can't be a folder on Windows.")
    year = path.parent.name
    inside = path.parent.parent == board.root / ENTRIES
    if inside and year != submission.submitted[:4]:
        yield EntryError(
            "wrong-year",
            f"it lies in {year}; submission.json says submitted {submission.submitted}.",
        )
    for other in others.folders_of_others(entry.path, board):
        if other.name.casefold() == submission.id:
            shown = other.relative_to(board.root).as_posix()
            yield EntryError("name-taken", f"id '{submission.id}' is that of {shown}.")


def _hash_problems(entry: EntryFiles) -> Iterator[EntryError]:
    named_files = {run.predictions.path: run.predictions for run in entry.submission.runs}
    for name, ref in named_files.items():
        content = entry.contents.get(name)
        if content is None:
            continue  # told with its run
        if len(content) != ref.bytes:
            yield EntryError(
                "wrong-size", f"{name} has {len(content)} bytes; submission.json says {ref.bytes}."
            )
        elif (digest := hashlib.sha256(content).hexdigest()) != ref.sha256:
            yield EntryError(
                "wrong-hash",
                f"{name} hashes to {digest[:12]}…; submission.json says {ref.sha256[:12]}….",
            )
    for name in sorted(entry.contents):
        if name.startswith("runs/") and name not in named_files:
            yield EntryError("foreign-file", f"{name}: submission.json names no such run.")


def _reported_problems(submission: Submission) -> Iterator[EntryError]:
    for name, value in submission.reported.values.items() if submission.reported else ():
        if fault := out_of_range(name, value):
            yield EntryError(fault[0], f"submission.json, reported.values.{name}: {fault[1]}.")


def _board_problems(submission: Submission, board: OpenBoard) -> Iterator[EntryError]:
    config, dataset = board.config, submission.dataset
    if submission.protocol != config.protocol:
        yield EntryError(
            "wrong-protocol",
            f"submission.json says protocol {named(submission.protocol)}; this board ranks "
            f"{board.protocol}.",
        )
    for name, field_, wanted in (
        ("wrong-list", "list_sha256", config.list_sha256),
        ("wrong-split", "val_hash", config.data.val_hash),
        ("wrong-split", "train_hash", config.data.train_hash),
    ):
        if (value := getattr(dataset, field_)) != wanted:
            yield EntryError(
                name,
                f"submission.json: dataset.{field_} is {value[:12]}…; the board's is "
                f"{wanted[:12]}…: other pictures, another split or another list.",
            )
