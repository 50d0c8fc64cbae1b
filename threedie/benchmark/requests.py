"""What `3die bench` and `3die analyze` were asked for: values, checked before anything loads.

Importable without torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from threedie.baselines import METHODS, find_method
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.training.config import MACHINE
from threedie.benchmark.training.presets import find_preset
from threedie.data.urls import shown
from threedie.errors import ConfigError
from threedie.manifests.analysis import AXES, Axis

_MOST_SEEDS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchRequest:
    """What `3die bench` was asked for."""

    methods: tuple[str, ...]
    data: str
    """A folder of shards, a published folder, or (with reader=stream) a URL."""
    seeds: tuple[int, ...] = (0,)
    preset: str = "small"
    settings: tuple[str, ...] = ()
    """`key=value`, of the run or of the method."""
    out: Path = Path("runs")
    name: str | None = None
    """Of the run folder; only with one method and one seed."""
    protocol: str = "3die-v1"
    evaluate: bool = True

    def __post_init__(self) -> None:
        find_preset(self.preset)
        find_protocol(self.protocol)
        if self.name is not None and len(self.methods) * len(self.seeds) > 1:
            raise ConfigError("--name is for one method and one seed; leave it out for several.")
        if self.name is not None and (self.name in ("", ".", "..") or "/" in self.name):
            raise ConfigError(f"--name is '{self.name}'; it must be the name of a folder.")

    def folder(self, method: str, seed: int) -> Path:
        """Of one run: its name says what one may want to keep apart."""
        if self.name is not None:
            return self.out / self.name
        data = Path(shown(self.data).rstrip("/")).name or "data"
        changed = [text for text in self.settings if text.partition("=")[0] not in MACHINE]
        parts = [method, data, self.preset, *sorted(changed), f"s{seed}"]
        return self.out / "-".join(re.sub(r"[^A-Za-z0-9.=+]+", "_", part) for part in parts)[-200:]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalyzeRequest:
    """What `3die analyze` was asked for."""

    run: Path
    data: str
    objects: int = 8
    """Shown in pictures."""
    angles: int = 24
    """Steps of a whole turn."""
    axes: tuple[Axis, ...] | None = None
    """None: those that the data set turns about."""
    out: Path | None = None
    """Folder; None: the run's own."""
    probes: bool = True
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _within("--objects", self.objects, 0, 100)
        _within("--angles", self.angles, 2, 360)
        _within("--seed", self.seed, 0, 2**63 - 1)
        if not self.run.is_dir():
            raise ConfigError(f"'{self.run}' is no run folder; `3die bench` makes such folders.")
        if not Path(self.data).is_dir():
            raise ConfigError(
                f"--data is '{self.data}'; there is no such folder. (Pictures are read in any "
                "order: have the data set on this machine.)"
            )


def _within(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{option} is {value}; it must be {least} … {most:,}.")


def parse_axes(text: str) -> tuple[Axis, ...]:
    """`x,y,z` or some of them, without doubles.

    Raises:
        ConfigError: something else.
    """
    named = {part.strip().lower() for part in text.split(",")}
    if not named <= set(AXES):
        raise ConfigError(f"--axis is '{text}'; it must be x, y, z or several, such as x,z.")
    return tuple(axis for axis in AXES if axis in named)


def parse_methods(text: str) -> tuple[str, ...]:
    """`sie,vicreg` or `all`, without doubles, in the order given.

    Raises:
        ConfigError: empty, or a name that is unknown (with the nearest one).
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ConfigError("--method is empty; `3die list methods` shows the names.")
    if names == ("all",):
        return tuple(METHODS)
    for name in names:
        find_method(name)
    return names


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0,1,2` or `0-4`, without doubles.

    Raises:
        ConfigError: something else, or an unreasonable number of them.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first < _MOST_SEEDS:
            raise ConfigError(f"--seeds is '{text}'; it must be numbers such as 0,1,2 or 0-4.")
        seeds |= dict.fromkeys(range(first, last + 1))
    return tuple(seeds)
