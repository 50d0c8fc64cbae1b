"""Telling people how a conversion or an export goes: a bar at a terminal, lines elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from threedie.teller import Teller
from threedie.words import clock


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
        self._teller = Teller(
            console,
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self._task = self._teller.bar.add_task("", visible=False, state="")
        self._phase, self._done, self._first = "", 0, 0
        self._total: int | None = None

    def reading(self, size: int | None) -> None:
        """Show a bar of bytes."""
        self._start("read", size, 0)

    def read(self, size: int, objects: int) -> None:
        """Move it."""
        mib = size / 2**20
        speed = f"{mib:,.0f} MiB, {mib / self._teller.seconds:.0f} MiB/s, {objects:,} objects"
        self._move(size, speed)

    def writing(self, objects: int, done: int) -> None:
        """Show a bar of objects."""
        self._start("write", objects, done)
        self._move(done, "")

    def wrote(self, objects: int) -> None:
        """Move it."""
        done = self._done + objects
        rate = (done - self._first) / self._teller.seconds
        self._move(done, f"{done:,}/{self._total or 0:,} objects, {rate:,.0f} a second")

    def say(self, line: str) -> None:
        """Print it above the bar."""
        self._teller.say(line)

    def close(self) -> None:
        """Take the bar away."""
        self._teller.close()

    def _start(self, phase: str, total: int | None, done: int) -> None:
        self._phase, self._total, self._done, self._first = phase, total, done, done
        self._teller.bar.reset(self._task, total=total, description=phase, visible=True, state="")
        self._teller.begin()

    def _move(self, done: int, state: str) -> None:
        self._done = done
        self._teller.bar.update(self._task, completed=done, state=state)
        if not self._teller.line_is_due():
            return
        ahead = ""
        if self._total and done > self._first:
            left = (self._total - done) * self._teller.seconds / (done - self._first)
            ahead = f" ({100 * done / self._total:.0f} %), ETA {clock(left)}"
        self.say(f"{self._phase}: {state}{ahead}")
