"""What all deeper levels share: the board's data, the runs of an entry, and the step they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from threedie.benchmark.evaluation import items
from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.reading.split import Split, open_split
from threedie.errors import ConfigError, EntryError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.folder import EntryFiles
from threedie.manifests.entries import RunInfo
from threedie.manifests.verification import Check, Level, Step
from threedie.words import plural

_LONGEST = 1000


def open_splits(board: OpenBoard, data: Path) -> dict[str, Split]:
    """Train and val of the data set that the board is of.

    Raises:
        ConfigError: another data set.
        ManifestError: a damaged one.
    """
    splits = {name: open_split(data, name) for name in ("train", "val")}
    wanted = {"train": board.config.data.train_hash, "val": board.config.data.val_hash}
    for name, split in splits.items():
        if split.data_hash != wanted[name]:
            raise ConfigError(
                f"{data}: its {name} split hashes to {split.data_hash[:12]}…, the board is of "
                f"{wanted[name][:12]}…. Give --data the data set '{board.config.data.name}'."
            )
    return splits


def items_of(entry: EntryFiles, run: RunInfo) -> Items:
    """The predictions that an entry has of one of its runs.

    Raises:
        EntryError: they are not there.
        ManifestError: not predictions.
    """
    path = run.predictions.path
    if path not in entry.contents:
        raise EntryError("missing-file", f"{entry.path.name}/{path} is missing.")
    return items.from_bytes(entry.contents[path], f"{entry.path.name}/{path}")


def check(name: str, ok: bool, says: str) -> Check:
    """One thing that was looked at."""
    return Check(name=name, ok=ok, says=says[:_LONGEST])


def conclude(
    level: Level,
    entry: EntryFiles,
    today: str,
    says: str,
    checks: Sequence[Check],
    deltas: Mapping[int, Mapping[str, float]],
) -> Step:
    """A level's step: passed where every check is; granted where all runs were looked at.

    Args:
        level: which.
        entry: of which.
        today: yyyy-mm-dd.
        says: what was done, in one sentence.
        checks: at least one, or nothing was shown.
        deltas: what was found again minus what the entry has, of each run that was looked at: by
            seed, then by `part/metric`.
    """
    runs, all_runs = len(deltas), len(entry.submission.runs)
    failed = [one.name for one in checks if not one.ok]
    end = f" Failed: {', '.join(failed)}." if failed else ""
    if runs < all_runs:
        end = f" {runs} of {plural(all_runs, 'run')}: the level is not granted.{end}"
    return Step(
        level=level,
        passed=bool(checks) and not failed,
        runs=runs,
        on=today,
        says=f"{says}{end}"[:_LONGEST],
        checks=tuple(checks),
        deltas={
            name: float(f"{value:.6g}") for name, value in sorted(_largest(deltas.values()).items())
        },
    )


def _largest(deltas: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By name, the delta that is largest in size over the runs."""
    found: dict[str, float] = {}
    for one in deltas:
        for name, value in one.items():
            if abs(value) >= abs(found.get(name, 0.0)):
                found[name] = value
    return found
