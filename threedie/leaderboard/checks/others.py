"""The other entries of a board, as far as an entry is held against them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from threedie.benchmark.evaluation import items as predictions
from threedie.errors import ManifestError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.copies import Run
from threedie.leaderboard.checks.rows import row_problems
from threedie.leaderboard.folder import EntryFiles, read_entry


def folders_of_others(path: Path, board: OpenBoard) -> list[Path]:
    """Everything that stands among entries and self-tests, but for one entry itself."""
    return [p for p in (*board.entries(), *board.selftests()) if p != path]


def runs_of_others(path: Path, board: OpenBoard, unread: list[str]) -> Iterator[Run]:
    """Predictions of all others, one at a time.

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
        yield from _runs(entry, folder.relative_to(board.root).as_posix(), board, unread)


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
