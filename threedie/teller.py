"""Telling people how long work goes: a bar at a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn

_LINE_EVERY_S = 10.0


class Teller:
    """A console with a bar, where it is a terminal.

    Args:
        console: to write on.
        columns: of the bar.
    """

    def __init__(self, console: Console, *columns: str | ProgressColumn) -> None:
        self._console = console
        self.bar = Progress(*columns, console=console, transient=True)
        self.begun = self._last_line = time.monotonic()

    def begin(self, *, bar: bool = True) -> None:
        """The clock starts, and the bar is shown unless there is nothing to show."""
        self.begun = self._last_line = time.monotonic()
        if bar and self._console.is_terminal and not self.bar.live.is_started:
            self.bar.start()

    @property
    def seconds(self) -> float:
        """Since it has begun; more than nothing, for rates."""
        return max(time.monotonic() - self.begun, 1e-9)

    def say(self, line: str, *, markup: bool = False) -> None:
        """Print a line above the bar.

        Args:
            line: any text.
            markup: it is rich's markup, with what is foreign in it escaped.
        """
        self._console.print(line if markup else escape(line), highlight=False, soft_wrap=True)

    def line_is_due(self) -> bool:
        """Whether a plain line should say now what a bar would show; it is then taken as said."""
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line < _LINE_EVERY_S:
            return False
        self._last_line = now
        return True

    def close(self) -> None:
        """Take the bar away."""
        if self.bar.live.is_started:
            self.bar.stop()
