"""Telling people how a conversion or an export goes: a bar at a terminal, lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from threedie.words import clock

_LINE_EVERY_S = 10.0


class ConvertProgress:
    """What a conversion tells. This one says nothing."""

    def reading(self, size: int | None) -> None:
        """The source is read from its first byte on; it has so many."""

    def read(self, size: int, objects: int) -> None:
        """So many bytes have come, with pieces of so many objects."""

    def writing(self, objects: int, done: int) -> None:
        """Shards are written: objects in all, and those that are there from before."""

    def wrote(self, objects: int) -> None:
        """Objects more are in a shard."""

    def say(self, line: str) -> None:
        """Something that is good to know."""

    def close(self) -> None:
        """It is over, in whatever way."""


class ConsoleProgress(ConvertProgress):
    """A rich bar at a terminal, a line every ten seconds otherwise.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", visible=False, state="")
        self._begun = self._last_line = time.monotonic()
        self._phase, self._done, self._first = "", 0, 0
        self._total: int | None = None

    def reading(self, size: int | None) -> None:
        """Show a bar of bytes."""
        self._start("read", size, 0)

    def read(self, size: int, objects: int) -> None:
        """Move it."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        speed = f"{size / 2**20:,.0f} MiB, {size / 2**20 / seconds:.0f} MiB/s, {objects:,} objects"
        self._move(size, speed)

    def writing(self, objects: int, done: int) -> None:
        """Show a bar of objects."""
        self._start("write", objects, done)
        self._move(done, "")

    def wrote(self, objects: int) -> None:
        """Move it."""
        done = self._done + objects
        seconds = max(time.monotonic() - self._begun, 1e-9)
        rate = (done - self._first) / seconds
        self._move(done, f"{done:,}/{self._total or 0:,} objects, {rate:,.0f} a second")

    def say(self, line: str) -> None:
        """Print it above the bar."""
        self._console.print(escape(line), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar.live.is_started:
            self._bar.stop()

    def _start(self, phase: str, total: int | None, done: int) -> None:
        self._phase, self._total, self._done, self._first = phase, total, done, done
        self._begun = self._last_line = time.monotonic()
        self._bar.reset(self._task, total=total, description=phase, visible=True, state="")
        if self._console.is_terminal and not self._bar.live.is_started:
            self._bar.start()

    def _move(self, done: int, state: str) -> None:
        self._done = done
        self._bar.update(self._task, completed=done, state=state)
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line < _LINE_EVERY_S:
            return
        self._last_line = now
        ahead = ""
        if self._total and done > self._first:
            left = (self._total - done) * (now - self._begun) / (done - self._first)
            ahead = f" ({100 * done / self._total:.0f} %), ETA {clock(left)}"
        self.say(f"{self._phase}: {state}{ahead}")
