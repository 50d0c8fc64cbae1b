"""Telling how training goes: a bar at a terminal or plain lines, TensorBoard, and W&B if asked for.

Only rank 0 has a `Monitor`; on the others nobody is told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.events import Events
from threedie.data.urls import shown
from threedie.errors import ConfigError
from threedie.words import clock

_LINE_EVERY_S = 10.0
_ASIDE = ("step", "pairs", "epoch", "lr", "seconds")


class Monitor:
    """What is said of a run.

    Args:
        console: None says nothing.
        config: of the run.
        folder: for TensorBoard's events.
        steps: of the whole run.
        first: step to begin with; earlier ones are done.
    """

    def __init__(
        self, console: Console | None, config: RunConfig, folder: Path, *, steps: int, first: int
    ) -> None:
        self._console, self._steps, self._first = console, steps, first
        self._warned = False
        self._title = f"{config.method} s{config.seed}"
        self._begun = self._said = time.monotonic()
        self._events = Events(folder, first=first, note=self.note)
        self._wandb = _wandb(config, folder) if config.wandb else None
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            self._bar = _bar(console, self._title)
            self._task = self._bar.add_task("", total=steps, completed=first, rate="", loss="")
            self._bar.start()

    def step(self, done: int) -> None:
        """So many steps are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

    def row(self, row: Mapping[str, float]) -> None:
        """A line of the log."""
        step = int(row["step"])
        self._events.row(step, {_tag(name): row[name] for name in row if name != "step"})
        if self._wandb is not None:
            self._wandb.log(dict(row), step=step)
        if self._bar is not None:
            rate = f"{row['pairs_per_s']:.0f} pairs/s"
            self._bar.update(self._task, rate=rate, loss=_losses(row))
        elif time.monotonic() - self._said >= _LINE_EVERY_S or step == self._steps:
            self._said = time.monotonic()
            self._line(step, row)

    def warn_of_collapse(self, row: Mapping[str, float]) -> None:
        """Say so, once."""
        if not self._warned:
            self._warned = True
            self.note(
                f"step {int(row['step']):,}: the representation is collapsing (standard deviation "
                f"{row['repr_std']:.2g} of its size, effective rank {row['repr_rank']:.1f})"
            )

    def note(self, text: str) -> None:
        """Something that should be read."""
        if self._console is not None:
            self._console.print(escape(text), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away, and end what is logged."""
        with contextlib.suppress(OSError):  # a terminal that is gone has no bar either
            if self._bar is not None:
                self._bar.stop()
        self._events.close()
        if self._wandb is not None:
            self._wandb.finish()

    def _line(self, step: int, row: Mapping[str, float]) -> None:
        seconds = time.monotonic() - self._begun
        left = (self._steps - step) * seconds / max(1, step - self._first)
        self.note(
            f"{self._title}: step {step:,}/{self._steps:,}, {row['pairs_per_s']:.0f} pairs/s, "
            f"ETA {clock(left)}, {_losses(row)}"
        )


def _bar(console: Console, title: str) -> Progress:
    return Progress(
        TextColumn(f"[bold]{escape(title)}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[loss]}"),
        console=console,
        transient=True,
    )


def _losses(row: Mapping[str, float]) -> str:
    shown = ("pairs_per_s", "data_wait", "repr_std", "repr_corr", *_ASIDE)
    return " · ".join(f"{name} {row[name]:.3g}" for name in row if name not in shown)


def _tag(name: str) -> str:
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in ("online", "repr") else f"train/{name}"


def _wandb(config: RunConfig, folder: Path) -> Any:
    try:
        wandb: Any = importlib.import_module("wandb")
    except ImportError as err:
        raise ConfigError("wandb=true, and wandb is not installed: pip install wandb.") from err
    return wandb.init(
        project="threedie",
        name=folder.parent.name,
        dir=str(folder.parent),
        id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
        config={**dataclasses.asdict(config), "data": shown(config.data)},
        resume="allow",
    )
