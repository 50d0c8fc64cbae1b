"""verification.json: what the verifier found of one entry. The site prints its numbers, no others.

It stands beside submission.json and is written by the verifier only. `entry_sha256` ties it to the
entry's files: of an entry that has changed since, it says nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from threedie.manifests.dataset import Count, Model, Sha256
from threedie.manifests.entries import Date, Line, Slug
from threedie.manifests.results import MetricName, NumbersFile, PartName

FILE_NAME = "verification.json"

Level = Literal["reported", "recomputed", "re-probed", "re-run", "fresh-render", "retrained"]
LEVELS: tuple[Level, ...] = (
    "reported",
    "recomputed",
    "re-probed",
    "re-run",
    "fresh-render",
    "retrained",
)
"""From what somebody says to what somebody else has done again."""
Text = Annotated[str, Field(min_length=1, max_length=1000)]
CheckName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,59}$")]


class Check(Model):
    """One thing that was looked at."""

    name: CheckName
    ok: bool
    says: Text


class Measured(Model):
    """One metric of an entry, over its seeds."""

    value: float | None
    """Mean over seeds; null where undefined, and `note` says why."""
    low: float | None = None
    """2.5 % and 97.5 % of the bootstrap over seeds, then objects."""
    high: float | None = None
    std: float | None = None
    """Over seeds, unbiased; null for one seed."""
    per_seed: tuple[float | None, ...]
    objects: Count
    """Val objects it rests on."""
    note: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Measured:
        if self.value is None and not self.note:
            raise ValueError("a metric that is null needs a note that says why")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends, or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"its interval runs from {self.low:g} to {self.high:g}")
        return self


class Evaluator(Model):
    """What computed it."""

    threedie: str
    numpy: str
    python: str


class Step(Model):
    """One level that was tried, with its evidence."""

    level: Level
    passed: bool
    runs: Count
    """Of the entry, that were looked at. The level is granted where these are all."""
    on: Date
    says: Text
    checks: tuple[Check, ...]
    deltas: dict[str, float] = Field(default_factory=dict)
    """What was found again minus what is recomputed, by `part/metric`."""

    @model_validator(mode="after")
    def _follows(self) -> Step:
        if self.level in LEVELS[:2]:
            raise ValueError(f"'{self.level}' is no deeper level")
        failed = [one.name for one in self.checks if not one.ok]
        if self.passed and failed:
            raise ValueError(f"'{self.level}' is passed, but its check '{failed[0]}' is not")
        return self


def highest(steps: Sequence[Step], runs: int) -> Level:
    """The level that steps grant: the highest passed for all runs, with nothing failed below.

    Args:
        steps: levels that were tried, each once.
        runs: of the entry. What was looked at of some of them only is evidence, and no level.
    """
    tried = {step.level: step for step in steps}
    level: Level = "recomputed"
    for one in LEVELS[LEVELS.index(level) + 1 :]:
        if one in tried:
            if not tried[one].passed:
                break
            level = one if tried[one].runs == runs else level
    return level


class Verification(NumbersFile):
    """verification.json."""

    advice = "`3die leaderboard verify ENTRY` writes it."
    foreign = "not a verification of threedie; verify the entry again"

    schema_version: Literal[1] = 1
    id: Slug
    entry_sha256: Sha256
    """Over the names and contents of the entry's files (leaderboard.folder.entry_sha256)."""
    protocol: str
    """Name and version, `3die-v1/1`."""
    list_sha256: Sha256
    level: Level
    """What `steps` grant (`highest`)."""
    verified: Date
    by: Line
    evaluator: Evaluator
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)]
    metrics: dict[PartName, dict[MetricName, Measured]]
    replicates: dict[str, tuple[float, ...]]
    """Bootstrap replicates of the metrics that rows are told apart by, by `part/metric`. All
    entries of one list have the same draws of objects: differences are paired."""
    checks: tuple[Check, ...]
    """Of "recomputed"; all are ok."""
    warnings: tuple[Check, ...] = ()
    """Plausibility: nothing is refused for it, and all of it is shown."""
    steps: tuple[Step, ...] = ()
    """Deeper levels, in the order in which they were tried."""

    @model_validator(mode="after")
    def _follows(self) -> Verification:
        """A file that somebody has edited contradicts itself, if he does not know all of this."""
        if list(self.seeds) != sorted(set(self.seeds)):
            raise ValueError(f"seeds: {self.seeds} are not in order, each once")
        tried = [step.level for step in self.steps]
        if len(set(tried)) < len(tried):
            raise ValueError(f"steps: {', '.join(tried)}; each level can stand once")
        granted = highest(self.steps, len(self.seeds))
        if self.level != granted:
            raise ValueError(f"level is '{self.level}', but its steps grant '{granted}'")
        failed = [one.name for one in self.checks if not one.ok]
        if failed:
            raise ValueError(f"checks: '{failed[0]}' is not ok, and no such entry is verified")
        for part, named in self.metrics.items():
            for name, measured in named.items():
                if len(measured.per_seed) != len(self.seeds):
                    raise ValueError(
                        f"metrics: {part}/{name} has {len(measured.per_seed)} values for "
                        f"{len(self.seeds)} seeds"
                    )
        return self
