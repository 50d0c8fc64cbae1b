"""Telling people how a download or an upload goes: bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bar,
)

from threedie.sharing.transfer.transfer import Transfer, TransferProgress
from threedie.words import clock, plural

_LINE_EVERY_S = 10.0


class ConsoleProgress(TransferProgress):
    """A bar for all and one for each file at a terminal, a line every ten seconds otherwise.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._lock = console, threading.Lock()
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._doing, self._files, self._total = "", 0, 0
        self._ended = self._moved = 0
        self._begun = self._last_line = time.monotonic()

    def start(self, doing: str, transfers: Sequence[Transfer], found: int) -> None:
        """Show what is to be done, and the bar of all."""
        self._doing, self._files = doing, len(transfers)
        self._total = sum(transfer.size for transfer in transfers)
        self._begun = self._last_line = time.monotonic()
        there = f"; {plural(found, 'file')} there already" if found else ""
        self.say(f"{doing}: {plural(self._files, 'file')}, {_size(self._total)}{there}")
        if self._console.is_terminal and self._files:
            self._tasks[""] = self._bar.add_task(self._title(), total=self._total)
            self._bar.start()

    def moved(self, transfer: Transfer, count: int) -> None:
        """Move both bars."""
        with self._lock:
            self._moved += count
            if "" in self._tasks:
                self._move(transfer, count)
            elif time.monotonic() - self._last_line >= _LINE_EVERY_S:
                self._last_line = time.monotonic()
                self.say(self._line())

    def done(self, transfer: Transfer) -> None:
        """Take its bar away."""
        with self._lock:
            self._ended += 1
            if "" in self._tasks:
                self._bar.update(self._tasks[""], description=self._title())
                if (task := self._tasks.pop(transfer.name, None)) is not None:
                    self._bar.remove_task(task)

    def say(self, line: str) -> None:
        """Print it above the bars."""
        self._console.print(escape(line), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bars away."""
        if self._bar.live.is_started:
            self._bar.stop()

    def _move(self, transfer: Transfer, count: int) -> None:
        if transfer.name not in self._tasks:
            task = self._bar.add_task(escape(transfer.name), total=transfer.size)
            self._tasks[transfer.name] = task
        for name in ("", transfer.name):
            self._bar.advance(self._tasks[name], count)

    def _title(self) -> str:
        return f"{self._doing} {self._ended}/{self._files}"

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._begun, 1e-9)
        rate = self._moved / seconds
        ahead = f", ETA {clock((self._total - self._moved) / rate)}" if rate > 0 else ""
        return (
            f"{self._ended:,}/{self._files:,} files, {_size(self._moved)} of {_size(self._total)}, "
            f"{rate / 2**20:.1f} MiB/s{ahead}"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:,.2f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
