"""Which results may stand side by side, and which are seeds of one method: for tables and pages.

Results share a group if data, protocol and evaluation settings are the same; in a group, results
whose configurations differ in the seed (and the machine) only are one method.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedie.benchmark.training.config import MACHINE
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.results import FILE_NAME, Number, Results
from threedie.words import fixed, plural

_NOT_THE_METHOD = MACHINE | {"seed"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One results.json and where it lies."""

    path: Path
    results: Results


@dataclass(slots=True)
class MethodRuns:
    """One method: all its seeds."""

    name: str
    """The method's; numbered where two have one name and different settings."""
    entries: list[Entry]

    def numbers(self, part: str, metric: str) -> list[Number]:
        """One for each seed that has a value."""
        found = [entry.results.metrics.get(part, {}).get(metric) for entry in self.entries]
        return [number for number in found if number is not None and number.value is not None]

    def values(self, part: str, metric: str) -> list[float]:
        """The same, as plain numbers."""
        return [n.value for n in self.numbers(part, metric) if n.value is not None]


@dataclass(frozen=True, slots=True)
class Group:
    """Methods that may stand side by side."""

    says: str
    """Data, protocol and settings, in one line."""
    methods: tuple[MethodRuns, ...]

    @property
    def first(self) -> Results:
        """One of them, for what they share: protocol, data, chance."""
        return self.methods[0].entries[0].results


def read_entries(paths: Iterable[Path]) -> tuple[list[Entry], list[str]]:
    """Results of run folders or files; what is no result is named, and costs only itself.

    Returns:
        Entries in the order given, and a line per path that was left out.

    Raises:
        ConfigError: none of them holds results.
    """
    entries, left_out = [], []
    for path in paths:
        for file in _results_of(path):
            try:
                entries.append(Entry(file, Results.read(file)))
            except ManifestError as err:
                left_out.append(str(err))
    if not entries:
        reasons = "\n".join(f"  {line}" for line in left_out[:8])
        raise ConfigError(f"there are no results.\n{reasons}" if reasons else "no results given.")
    return entries, left_out


def _results_of(path: Path) -> list[Path]:
    """A file itself; of a folder its results.json, or else what other protocols left there."""
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path / FILE_NAME if path.is_dir() else path]
    return sorted(path.glob("results-*.json")) or [path / FILE_NAME]


def once(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Every run once: the same one from a copy, or named twice, would be a second seed.

    Returns:
        The first of each, and a line per entry that was left out.
    """
    first: dict[str, Entry] = {}
    again = []
    for entry in entries:
        results = entry.results
        seeds = (results.encoder.config.get("seed"), results.seed)
        key = repr((_ground(results), _identity(results), seeds))
        if key in first:
            again.append(f"{entry.path}: the same method, settings and seed as {first[key].path}.")
        first.setdefault(key, entry)
    return list(first.values()), again


def grouped(entries: Sequence[Entry]) -> list[Group]:
    """Entries by what can be compared, and within that by method; both in the order given."""
    grounds: dict[str, dict[str, MethodRuns]] = {}
    for entry in entries:
        methods = grounds.setdefault(_ground(entry.results), {})
        name = entry.results.encoder.name
        methods.setdefault(_identity(entry.results), MethodRuns(name, [])).entries.append(entry)
    return [Group(says, _distinct(methods.values())) for says, methods in grounds.items()]


def _ground(results: Results) -> str:
    """What has to be equal for two rows to stand in one table."""
    data, protocol = results.dataset, results.protocol
    changed = f", changed: {', '.join(protocol.changed)}" if protocol.changed else ""
    splits = ", ".join(f"{plural(s.objects, 'object')} {n}" for n, s in data.splits.items())
    return (
        f"{protocol.name} (version {protocol.version}{changed}) on {data.recipe or 'a data set'} "
        f"{data.hash[:12]}: {splits}, {plural(data.views, 'view')}"
    )


def _identity(results: Results) -> str:
    """Equal for runs that differ in their seed only."""
    config = {k: v for k, v in results.encoder.config.items() if k not in _NOT_THE_METHOD}
    return repr((results.encoder.name, sorted(config.items(), key=str)))


def differences(entries: Sequence[Entry]) -> list[str]:
    """What makes entries of one group several methods: a line per setting, `lr: 0.1 (a), 1 (b)`."""
    configs = [
        {**entry.results.encoder.config, "method": entry.results.encoder.name} for entry in entries
    ]
    said = []
    for key in sorted({k for config in configs for k in config} - _NOT_THE_METHOD):
        values = [config.get(key) for config in configs]
        if any(value != values[0] for value in values):
            each = zip(values, entries, strict=True)
            said.append(f"{key}: " + ", ".join(f"{v} ({e.path.parent.name})" for v, e in each))
    return said


def _distinct(found: Iterable[MethodRuns]) -> tuple[MethodRuns, ...]:
    """Methods with one name and different settings are numbered: two are never taken for one."""
    methods = tuple(found)
    names = [method.name for method in methods]
    for name in {n for n in names if names.count(n) > 1}:
        same = [method for method in methods if method.name == name]
        for number, method in enumerate(same, start=1):
            method.name = f"{name} ({number})"
    return methods


def merged(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over seeds (None for one); infinite where floats overflow."""
    try:
        spread = statistics.stdev(values) if len(values) > 1 else None
        return statistics.fmean(values), spread
    except OverflowError:
        return math.inf, math.inf


def cell(values: Sequence[float], digits: int) -> str:
    """`0.412`, or `0.412 ± 0.008` (standard deviation over seeds); `–` without a value."""
    if not values:
        return "–"
    mean, spread = merged(values)
    text = fixed(mean, digits)
    return text if spread is None else f"{text} ± {spread:.{digits}f}"
