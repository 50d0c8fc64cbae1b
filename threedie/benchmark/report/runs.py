"""What a run left behind: its results, and config.json, log.jsonl, analysis.json beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from threedie.benchmark.grouping import Entry, Group, MethodRuns, grouped
from threedie.benchmark.training.log import LOG, Row, read_log
from threedie.benchmark.training.record import RunRecord
from threedie.errors import ManifestError
from threedie.manifests import analysis
from threedie.manifests.analysis import Analysis
from threedie.manifests.results import Results


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One results.json and the folder around it."""

    entry: Entry
    anchor: str
    """Its id in the page."""
    record: RunRecord | None
    """Null where results lie alone: an evaluation of somebody's encoder."""
    log: list[Row]
    """Empty where there is none."""
    analysis: Analysis | None = None
    """Of this checkpoint; null where there is none."""
    notes: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def results(self) -> Results:
        """Its numbers."""
        return self.entry.results

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.entry.path.parent

    @property
    def seed(self) -> int:
        """Of training; of the evaluation where nothing was trained here."""
        seed = self.results.encoder.config.get("seed", self.results.seed)
        good = isinstance(seed, int) and not isinstance(seed, bool)
        return seed if good else self.results.seed  # type: ignore[return-value]  # checked

    @property
    def steps(self) -> tuple[int, int] | None:
        """(done, of how many) where both are known."""
        done = self.results.encoder.config.get("step")
        if self.record is None or not isinstance(done, int) or isinstance(done, bool):
            return None
        return done, self.record.steps


@dataclass(frozen=True, slots=True)
class MethodReport:
    """A method of a group and its runs, in one order."""

    method: MethodRuns
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A group and its methods."""

    group: Group
    methods: tuple[MethodReport, ...] = field(default=())

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for method in self.methods for run in method.runs]


def read_groups(entries: Sequence[Entry]) -> list[GroupReport]:
    """Entries as `compare` groups them, with all that lies beside them."""
    numbers = {id(entry): number for number, entry in enumerate(entries, start=1)}

    def report(method: MethodRuns) -> MethodReport:
        runs = (read_run(entry, f"run-{numbers[id(entry)]}") for entry in method.entries)
        return MethodReport(method, tuple(runs))

    return [GroupReport(g, tuple(map(report, g.methods))) for g in grouped(entries)]


def read_run(entry: Entry, anchor: str) -> Run:
    """What lies beside results.json; a damaged file costs itself only, and is noted."""
    folder, notes = entry.path.parent, list[str]()
    record, log = None, list[Row]()
    try:
        record = RunRecord.shown(folder)
    except ManifestError as err:
        notes.append(f"config.json was left out: {_without(folder, err)}")
    try:
        log = read_log(folder / LOG)
    except ManifestError as err:
        notes.append(f"log.jsonl was left out: {_without(folder, err)}")
    found = None
    try:
        found = _read_analysis(entry)
    except ManifestError as err:
        notes.append(f"{analysis.FILE_NAME} was left out: {_without(folder, err)}")
    return Run(
        entry=entry, anchor=anchor, record=record, log=log, analysis=found, notes=tuple(notes)
    )


def _read_analysis(entry: Entry) -> Analysis | None:
    """The analysis beside results; None where there is none.

    Raises:
        ManifestError: it is damaged, or of other weights than the results.
    """
    path = entry.path.parent / analysis.FILE_NAME
    if not path.exists():
        return None
    found, results = Analysis.read(path), entry.results
    theirs, ours = found.encoder.checkpoint_sha256, results.encoder.checkpoint_sha256
    if theirs is None or theirs != ours:
        there, here = ((sha256 or "none")[:12] for sha256 in (theirs, ours))
        raise ManifestError(
            f"it is of checkpoint {there}, {entry.path.name} of {here}. `3die analyze` looks at "
            "the weights that lie there now."
        )
    return found


def _without(folder: Path, err: Exception) -> str:
    return str(err).replace(f"{folder}/", "")
