"""`verify`: check an entry, recompute its numbers, and say so in verification.json.

What it writes depends on the entry's files, the board, the date, the name and the versions only:
the same again is the same, byte by byte.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import threedie
from threedie.errors import EntryError, ManifestError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import Checked, check_entry
from threedie.leaderboard.checks.plausible import warnings_of
from threedie.leaderboard.folder import EntryFiles, read_entry
from threedie.leaderboard.metrics import METRICS
from threedie.leaderboard.recompute import recompute
from threedie.manifests.verification import (
    FILE_NAME,
    Evaluator,
    Measured,
    Step,
    Verification,
    highest,
)

NOBODY = "not named"


def verify_entry(
    path: Path, board: OpenBoard, *, by: str | None, today: str, steps: Sequence[Step] = ()
) -> Verification:
    """Check an entry and recompute its numbers. Nothing is written.

    Args:
        path: its folder, not trusted.
        board: that it is for.
        by: who verifies; None: whoever is named by the verification that still holds.
        today: yyyy-mm-dd.
        steps: deeper levels that were tried just now. Steps of an earlier verification are kept
            where the entry has not changed since, but for levels that were tried again.

    Raises:
        EntryError: it is refused.
    """
    return verification_of(check_entry(path, board), board, by=by, today=today, steps=steps)


def verification_of(
    checked: Checked, board: OpenBoard, *, by: str | None, today: str, steps: Sequence[Step] = ()
) -> Verification:
    """The verification of an entry that has passed the check; arguments as `verify_entry`."""
    entry = checked.entry
    found = recompute(checked.items_by_seed, board.truth, key=entry.submission.id)
    folders = [p for p in board.entries() if p != entry.path]
    others = [v for p in folders if (v := current(p, board))]
    earlier = verification_in(entry)
    if earlier is not None and why_stale(entry, earlier, board) is not None:
        earlier = None
    kept = earlier.steps if earlier else ()
    tried = (*(s for s in kept if s.level not in {new.level for new in steps}), *steps)
    return Verification(
        id=entry.submission.id,
        entry_sha256=entry.sha256,
        protocol=board.protocol,
        list_sha256=board.config.list_sha256,
        level=highest(tried, len(checked.items_by_seed)),
        verified=today,
        by=by or (earlier.by if earlier else NOBODY),
        evaluator=Evaluator(
            threedie=threedie.__version__,
            numpy=np.__version__,
            python=platform.python_version(),
        ),
        seeds=tuple(sorted(checked.items_by_seed)),
        metrics=found.metrics,
        replicates=found.replicates,
        checks=checked.checks,
        warnings=warnings_of(checked, found, board, others, today),
        steps=tried,
    )


def verification_in(entry: EntryFiles) -> Verification | None:
    """The verification in an entry's folder; None where there is none that can be read."""
    try:
        return Verification.parse(entry.contents[FILE_NAME], f"{entry.path.name}/{FILE_NAME}")
    except (KeyError, ManifestError):
        return None


def why_stale(entry: EntryFiles, found: Verification, board: OpenBoard) -> str | None:
    """Why a verification says nothing of an entry as it is; None: it is of it."""
    if found.entry_sha256 != entry.sha256 or found.id != entry.submission.id:
        return "the entry has changed since it was verified"
    if found.protocol != board.protocol or found.list_sha256 != board.config.list_sha256:
        return "it was verified for another protocol or list"
    seeds = sorted(run.seed for run in entry.submission.runs)
    if list(found.seeds) != seeds:
        return f"{FILE_NAME} is of seeds {list(found.seeds)}, the entry has {seeds}"
    return _impossible(found)


def _impossible(found: Verification) -> str | None:
    """The first number that its metric can't be."""
    for part, named in found.metrics.items():
        for name in named.keys() & METRICS.keys():
            metric, one = METRICS[name], named[name]
            least = -math.inf if metric.low is None else metric.low
            for value in (one.value, one.low, one.high, *one.per_seed):
                if value is not None and not least <= value <= metric.high:
                    return f"{FILE_NAME} says {part}/{name} {value:g}, which can't be"
    return None


def says_otherwise(path: Path, found: Verification, board: OpenBoard) -> str | None:
    """What a verification says that its entry's predictions do not; None: they say the same.

    Raises:
        EntryError: the entry is refused.
    """
    again = recompute(check_entry(path, board).items_by_seed, board.truth, key=found.id)
    if set(again.metrics) != set(found.metrics) or set(again.replicates) != set(found.replicates):
        return "it has other parts than the predictions"
    for part, named in again.metrics.items():
        if set(named) != set(found.metrics[part]):
            return f"part {part} has other metrics than the predictions"
        for name, measured in named.items():
            if not _same(_all_numbers(measured), _all_numbers(found.metrics[part][name])):
                return f"{part}/{name} is not what the predictions give"
    wrong = [k for k, v in again.replicates.items() if not _same(v, found.replicates[k])]
    return f"the replicates of {wrong[0]} are not what the predictions give" if wrong else None


def _all_numbers(measured: Measured) -> tuple[float | None, ...]:
    return (measured.value, measured.low, measured.high, measured.std, *measured.per_seed)


def _same(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    """Equal up to what another machine's sums may differ by."""
    if len(one) != len(other) or [v is None for v in one] != [v is None for v in other]:
        return False
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6) for a, b in pairs)


def current(path: Path, board: OpenBoard) -> Verification | None:
    """An entry's verification, if it has one that says something of it on this board."""
    try:
        entry = read_entry(path)
    except EntryError:
        return None
    found = verification_in(entry)
    return None if found is None or why_stale(entry, found, board) else found
