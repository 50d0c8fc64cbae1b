"""The runs of an entry: seeds of one method, each with the predictions that were made of it.

Whatever is wrong with them is gathered, so that it is told at once.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.benchmark.evaluation.items import MAX_BYTES, Items, from_bytes
from threedie.benchmark.grouping import Entry, differences, grouped, once, read_entries
from threedie.benchmark.report.command import evaluation_command
from threedie.benchmark.report.runs import Run, read_run
from threedie.benchmark.result_files import predictions_path
from threedie.errors import ConfigError, ManifestError
from threedie.words import room

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Weights:
    """The checkpoint that was evaluated."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedRun:
    """One seed."""

    run: Run
    packed: bytes
    """predictions.npz."""
    items: Items
    weights: Weights | None
    """Null where the checkpoint is not in the run's folder."""

    @property
    def sha256(self) -> str:
        """Of predictions.npz."""
        return hashlib.sha256(self.packed).hexdigest()

    @property
    def seed(self) -> int:
        """Of training."""
        return self.run.seed

    @property
    def hours(self) -> float | None:
        """Of training, as its log says."""
        seconds = self.run.log[-1].get("seconds") if self.run.log else None
        return seconds / 3600 if isinstance(seconds, (int, float)) else None


def read_runs(paths: Sequence[Path], *, whole: bool = True) -> tuple[list[SubmittedRun], list[str]]:
    """Run folders, or results files, of one method.

    Args:
        paths: of them.
        whole: whether a run that was stopped before its last step is refused.

    Returns:
        The runs in the order of their seeds, and a line for everything that stands in the way of
        submitting them. Where there are such lines, runs may lack.
    """
    try:
        entries, problems = read_entries(paths)
    except ConfigError:
        named = ", ".join(map(str, paths))
        return [], [f"{named}: no run is there. `3die bench` makes one, `3die eval` its results."]
    entries, again = once(entries)
    problems += [f"{line} Give each run once." for line in again]
    problems += _strangers(entries)
    found = []
    for entry in entries:
        run = read_run(entry, "run")
        problems += [f"{run.folder}: {note}" for note in run.notes]
        problems += list(_unfit(run, whole=whole))
        try:
            found.append(_with_predictions(run))
        except ManifestError as err:
            problems.append(str(err))
    return sorted(found, key=lambda one: one.seed), problems


def _strangers(entries: Sequence[Entry]) -> Iterator[str]:
    """Runs that are not seeds of one method, by one protocol, on one data set."""
    groups = grouped(entries)
    methods = [method for group in groups for method in group.methods]
    if len(groups) > 1:
        said = "; ".join(f"{g.methods[0].entries[0].path}: {g.says}" for g in groups[:4])
        yield f"the runs were not measured alike: {said}. Submit those of one board together."
    elif len(methods) > 1:
        named = [method.entries[0] for method in methods[:4]]
        yield (
            f"the runs are {len(methods)} methods and not seeds of one: "
            f"{'; '.join(differences(named)[:6])}. Submit each method as an entry of its own."
        )


def _unfit(run: Run, *, whole: bool) -> Iterator[str]:
    """What makes an evaluation none of the protocol, or not the last of its run."""
    protocol, results = run.results.protocol, run.entry.path
    if protocol.changed:
        yield (
            f"{results}: evaluated otherwise than {protocol.name} says ("
            f"{', '.join(protocol.changed)}). Evaluate as it says: `{_evaluate(run)}`."
        )
    if whole and run.steps and run.steps[0] < run.steps[1]:
        yield (
            f"{run.folder}: trained for {run.steps[0]:,} of {run.steps[1]:,} steps. Finish it with "
            "its `3die bench` command, or say with --selection by which rule it was stopped."
        )


def _with_predictions(run: Run) -> SubmittedRun:
    """A run with the file beside its results.

    Raises:
        ManifestError: no such file, a broken one, or one of another evaluation.
    """
    path = predictions_path(run.entry.path)
    packed = _read(path, run)
    items = from_bytes(packed, str(path))
    about, results = items.about, run.results
    told = results.predictions.sha256 if results.predictions else None
    wanted = {
        "protocol": (about.protocol, f"{results.protocol.name}/{results.protocol.version}"),
        "seed": (about.seed, run.seed),
        "checkpoint": (about.checkpoint_sha256, results.encoder.checkpoint_sha256),
        "file": (hashlib.sha256(packed).hexdigest(), told or hashlib.sha256(packed).hexdigest()),
    }
    other = [
        f"{what} {found}, not {said}" for what, (found, said) in wanted.items() if found != said
    ]
    if other:
        raise ManifestError(
            f"{path} is not of {run.entry.path.name} beside it ({'; '.join(other)}). Evaluate "
            f"again: `{_evaluate(run)}`."
        )
    return SubmittedRun(run=run, packed=packed, items=items, weights=_weights(run))


def _read(path: Path, run: Run) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ManifestError(f"{path}: larger than {room(MAX_BYTES)}: no predictions.")
        return path.read_bytes()
    except FileNotFoundError as err:
        raise ManifestError(
            f"{path} is missing: the predictions that everything is computed from. Make them: "
            f"`{_evaluate(run)}`."
        ) from err
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}.") from err


def _weights(run: Run) -> Weights | None:
    """The checkpoint of the results among those of the run.

    Raises:
        ManifestError: there are checkpoints, and none is the one that was evaluated.
    """
    wanted = run.results.encoder.checkpoint_sha256
    there = sorted((run.folder / _CHECKPOINTS).glob("step-*.pt"), reverse=True)
    for path in there:
        if files.sha256_file(path) == wanted:
            return Weights(path.stat().st_size, wanted)
    if there and wanted is not None:
        raise ManifestError(
            f"{run.entry.path} is of a checkpoint that is not in {there[0].parent} any more. "
            f"Evaluate the newest: `{_evaluate(run)}`."
        )
    return None


def _evaluate(run: Run) -> str:
    """The command that makes results and predictions, with what is known of this machine."""
    if run.record is None:
        return evaluation_command(run)
    data = str(run.record.config.get("data", "DATASET"))
    return shlex.join(["3die", "eval", "--checkpoint", str(run.folder), "--data", data])


def seeds_said(runs: Iterable[SubmittedRun]) -> str:
    """`0, 1, 2`."""
    return ", ".join(str(one.seed) for one in runs)
