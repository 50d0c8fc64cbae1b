"""The other entries of a board, as far as an entry is held against them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from threedie.benchmark.evaluation import items as predictions
from threedie.errors import ManifestError
from threedie.leaderboard.board import SELFTESTS, OpenBoard
from threedie.leaderboard.checks.copies import Run
from threedie.leaderboard.checks.rows import row_problems
from threedie.leaderboard.folder import EntryFiles, read_entry
from threedie.manifests import verification
from threedie.manifests.verification import Verification


def folders_of_others(path: Path, board: OpenBoard) -> list[Path]:
    """Everything that stands among entries and self-tests, but for one entry itself."""
    return [p for p in (*board.entries(), *board.selftests()) if p != path]


Since = tuple[str, str]
"""When it was verified, then when it was submitted: of two that are alike, the lesser was first."""
_NEVER = "9999"


def since(entry: EntryFiles) -> Since:
    """Since when an entry stands. `submitted` is its submitter's word; a verification is not."""
    try:
        found = Verification.parse(entry.contents[verification.FILE_NAME], "")
    except (KeyError, ManifestError):
        return _NEVER, entry.submission.submitted
    verified = found.verified if found.entry_sha256 == entry.sha256 else _NEVER
    return verified, entry.submission.submitted


def runs_of_others(path: Path, board: OpenBoard, unread: list[str]) -> Iterator[tuple[Run, Since]]:
    """Predictions of all others, one at a time, and since when they stand: self-tests, always.

    Args:
        path: the entry that is not meant, its whole path.
        board: where they lie.
        unread: takes what could not be read, and why.
    """
    for folder in folders_of_others(path, board):
        try:
            entry = read_entry(folder)
        except ManifestError as err:
            unread.append(str(err))
            continue
        shown = folder.relative_to(board.root).as_posix()
        stands = ("", "") if shown.startswith(f"{SELFTESTS}/") else since(entry)
        for run in _runs(entry, shown, board, unread):
            yield run, stands


def _runs(entry: EntryFiles, shown: str, board: OpenBoard, unread: list[str]) -> Iterator[Run]:
    for run in entry.submission.runs:
        try:
            content = entry.contents[run.predictions.path]
            items = predictions.from_bytes(content, f"{shown}/{run.predictions.path}")
        except (KeyError, ManifestError) as err:
            unread.append(str(err))
            continue
        if fault := next(row_problems(items, f"{shown}/{run.predictions.path}", board), None):
            unread.append(str(fault))
            continue
        yield Run(f"{shown}, seed {run.seed}", items, board.truth.listed.flat_M)
