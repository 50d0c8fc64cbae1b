"""Telling people how a download or an upload goes: bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
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

from threedie.sharing.transfer.transfer import Transfer, TransferProgress
from threedie.teller import Teller
from threedie.words import clock, plural, room


class ConsoleProgress(TransferProgress):
    """A bar for all and one for each file at a terminal, a line every ten seconds otherwise.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._lock = threading.Lock()
        self._teller = Teller(
            console,
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._doing, self._files, self._total = "", 0, 0
        self._ended = self._moved = 0

    def start(self, doing: str, transfers: Sequence[Transfer], found: int) -> None:
        """Show what is to be done, and the bar of all."""
        self._doing, self._files = doing, len(transfers)
        self._total = sum(transfer.size for transfer in transfers)
        there = f"; {plural(found, 'file')} there already" if found else ""
        self.say(f"{doing}: {plural(self._files, 'file')}, {room(self._total)}{there}")
        self._teller.begin(bar=bool(self._files))
        if self._teller.bar.live.is_started:
            self._tasks[""] = self._teller.bar.add_task(self._title(), total=self._total)

    def moved(self, transfer: Transfer, count: int) -> None:
        """Move both bars."""
        with self._lock:
            self._moved += count
            if "" in self._tasks:
                self._move(transfer, count)
            elif self._teller.line_is_due():
                self.say(self._line())

    def done(self, transfer: Transfer) -> None:
        """Take its bar away."""
        with self._lock:
            self._ended += 1
            if "" in self._tasks:
                self._teller.bar.update(self._tasks[""], description=self._title())
                if (task := self._tasks.pop(transfer.name, None)) is not None:
                    self._teller.bar.remove_task(task)

    def say(self, line: str) -> None:
        """Print it above the bars."""
        self._teller.say(line)

    def close(self) -> None:
        """Take the bars away."""
        self._teller.close()

    def _move(self, transfer: Transfer, count: int) -> None:
        if transfer.name not in self._tasks:
            task = self._teller.bar.add_task(escape(transfer.name), total=transfer.size)
            self._tasks[transfer.name] = task
        for name in ("", transfer.name):
            self._teller.bar.advance(self._tasks[name], count)

    def _title(self) -> str:
        return f"{self._doing} {self._ended}/{self._files}"

    def _line(self) -> str:
        rate = self._moved / self._teller.seconds
        ahead = f", ETA {clock((self._total - self._moved) / rate)}" if rate > 0 else ""
        return (
            f"{self._ended:,}/{self._files:,} files, {room(self._moved)} of {room(self._total)}, "
            f"{rate / 2**20:.1f} MiB/s{ahead}"
        )
