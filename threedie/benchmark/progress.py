"""Telling people how an evaluation goes: a bar at a terminal, a line per stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 15.0


@contextmanager
def stages(title: str, console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function to be told (stage, done, of how many)."""
    if not console.is_terminal:
        yield _Lines(title, console)
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        tasks: dict[str, int] = {}

        def told(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(f"{escape(title)}: {escape(stage)}", total=total)
            bar.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield told


class _Lines:
    """A line when a stage begins and ends, and every quarter of a minute between."""

    def __init__(self, title: str, console: Console) -> None:
        self._title, self._console = title, console
        self._stage, self._last = "", 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage == self._stage and done < total and now - self._last < _LINE_EVERY_S:
            return
        self._stage, self._last = stage, now
        self._console.print(
            f"{escape(self._title)}: {escape(stage)} {done:,}/{total:,}", highlight=False
        )
