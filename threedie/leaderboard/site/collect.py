"""What a board holds, for its pages: rows, rows that wait, and all that was left out and why.

Numbers are taken from verification.json only, and only where it is of the entry's very files and
of the board's list. Nothing stops a build: what can't be read is left out, and said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie.benchmark.report.privacy import shown
from threedie.errors import ManifestError, ThreedieError
from threedie.leaderboard.board import OpenBoard, open_board
from threedie.leaderboard.folder import (
    CARD,
    CITATION,
    CONFIG,
    STATUS,
    EntryFiles,
    is_submitted,
    read_entry,
)
from threedie.leaderboard.verify import says_otherwise, why_stale
from threedie.manifests import verification
from threedie.manifests.boards import Board
from threedie.manifests.entries import RANKED_RUNS, Submission
from threedie.manifests.status import Status
from threedie.manifests.verification import Level, Measured, Verification

SELFTEST = "self-test"
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry whose submission could be read."""

    folder: str
    """Within the board: `entries/2026/sie-repro`."""
    submission: Submission
    verification: Verification | None
    """None unless it is of these very files."""
    waits: str
    """Why there is none; empty where there is."""
    status: Status | None
    texts: Mapping[str, str]
    """card.md, config.json and cite.bib, where they are."""
    files: tuple[tuple[str, int, str], ...]
    """Name, bytes, SHA-256 of each that the submitter gave."""

    @property
    def slug(self) -> str:
        """Its id."""
        return self.submission.id

    @property
    def seeds(self) -> int:
        """Verified runs."""
        return len(self.verification.seeds) if self.verification else 0

    @property
    def retracted(self) -> bool:
        """Whether it counts no more."""
        return self.status is not None and self.status.state == "retracted"

    @property
    def failed(self) -> tuple[Level, ...]:
        """Deeper levels that were tried and not passed."""
        steps = self.verification.steps if self.verification else ()
        return tuple(step.level for step in steps if not step.passed)

    @property
    def ranked(self) -> bool:
        """Whether it has a rank at all: verified, enough seeds, not retracted, no level failed."""
        return self.seeds >= RANKED_RUNS and not self.retracted and not self.failed

    def measured(self, part: str, metric: str) -> Measured | None:
        """One verified metric."""
        return self.verification.metrics.get(part, {}).get(metric) if self.verification else None

    def value(self, key: str) -> float | None:
        """The mean over seeds of `part/metric`."""
        found = self.measured(*key.split("/"))
        return found.value if found else None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A folder that has no row with numbers."""

    folder: str
    kind: str
    """refused, waiting, or self-test."""
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """All of a board that its pages show."""

    board: Board
    listed: int
    """Views in the frozen list."""
    rules: str | None
    """RULES.md."""
    entries: tuple[Entry, ...]
    """With a verification, in the order of their folders."""
    waiting: tuple[Entry, ...]
    selftests: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def found(self) -> int:
        """Folders of entries in the board, read or not."""
        return len(self.entries) + sum(left.kind != SELFTEST for left in self.left_out)


def collect(root: Path, *, recompute: bool = False, on_progress: Progress = silent) -> Stock:
    """Read a board.

    Args:
        root: its folder.
        recompute: compare each verification with the predictions, and believe none that differs.
        on_progress: is told (stage, done, of how many).

    Raises:
        ManifestError: board.json or truth.npz is absent or wrong. Entries raise nothing: they are
            left out.
    """
    opened = open_board(root)
    rows, waiting, left_out = list[Entry](), list[Entry](), list[LeftOut]()
    folders = opened.entries()
    for place, folder in enumerate(folders):
        on_progress("entries", place, len(folders))
        name = folder.relative_to(opened.root).as_posix()
        try:
            entry = _entry(folder, name, opened, recompute)
        except (ThreedieError, OSError) as err:
            left_out.append(LeftOut(shown(name), "refused", _reason(err, folder)))
            continue
        (rows if entry.verification else waiting).append(entry)
        if entry.waits:
            left_out.append(LeftOut(name, "waiting", entry.waits))
    on_progress("entries", len(folders), len(folders))
    for entry, other in _doubled(rows, waiting):
        says = f"its id is '{entry.slug}', which {other.folder} has too."
        left_out = [left for left in left_out if left.folder != entry.folder]
        left_out.append(LeftOut(entry.folder, "refused", says))
        (rows if entry.verification else waiting).remove(entry)
    selftests = [_selftest(folder, opened, recompute) for folder in opened.selftests()]
    return Stock(
        board=opened.config,
        listed=len(opened.truth.listed),
        rules=_rules(root / "RULES.md"),
        entries=tuple(rows),
        waiting=tuple(waiting),
        selftests=tuple(s for s in selftests if isinstance(s, Entry)),
        left_out=(*left_out, *(s for s in selftests if isinstance(s, LeftOut))),
    )


def _doubled(rows: Iterable[Entry], waiting: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """Entries whose id another has, and that other: the verified one, else the older."""
    first: dict[str, Entry] = {}
    found = [(entry, first.setdefault(entry.slug, entry)) for entry in (*rows, *waiting)]
    return [(entry, other) for entry, other in found if entry is not other]


def _selftest(folder: Path, board: OpenBoard, recompute: bool) -> Entry | LeftOut:
    name = folder.relative_to(board.root).as_posix()
    try:
        entry = _entry(folder, name, board, recompute)
    except (ThreedieError, OSError) as err:
        return LeftOut(shown(name), SELFTEST, _reason(err, folder))
    return entry if entry.verification else LeftOut(name, SELFTEST, entry.waits)


def _entry(folder: Path, name: str, board: OpenBoard, recompute: bool) -> Entry:
    found = read_entry(folder)
    if found.submission.id != folder.name:
        raise ManifestError(f"its id is '{found.submission.id}', but its folder is {folder.name}.")
    verified, waits = _verification(found, board)
    if recompute and verified is not None:
        wrong = says_otherwise(folder, verified, board)
        verified, waits = (None, f"needs verification: {wrong}") if wrong else (verified, "")
    return Entry(
        folder=name,
        submission=found.submission,
        verification=verified,
        waits=waits,
        status=_status(found),
        texts={
            n: found.contents[n].decode("utf-8", "replace")
            for n in (CARD, CONFIG, CITATION)
            if n in found.contents
        },
        files=tuple(
            (n, len(content), hashlib.sha256(content).hexdigest())
            for n, content in sorted(found.contents.items())
            if is_submitted(n)
        ),
    )


def _status(found: EntryFiles) -> Status | None:
    """What maintainers say; a file of theirs that says nothing leaves a doubt, and the row."""
    content = found.contents.get(STATUS)
    if content is None:
        return None
    try:
        return Status.parse(content, STATUS)
    except ManifestError as err:
        says = f"{STATUS} can't be read: {_reason(err, found.path)}"
        return Status(state="disputed", on=found.submission.submitted, reason=says)


def _verification(found: EntryFiles, board: OpenBoard) -> tuple[Verification | None, str]:
    """The verification if it holds for these files and this board, else why not."""
    content = found.contents.get(verification.FILE_NAME)
    if content is None:
        return None, "not verified yet"
    try:
        verified = Verification.parse(content, verification.FILE_NAME)
    except ManifestError as err:
        return None, f"needs verification: {_reason(err, found.path)}"
    stale = why_stale(found, verified, board)
    return (None, f"needs verification: {stale}") if stale else (verified, "")


def _rules(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


def _reason(err: Exception, folder: Path) -> str:
    """What was wrong, without where the board lies on this machine."""
    return shown(str(err).replace(f"{folder}/", "").replace(str(folder), folder.name), longest=400)
