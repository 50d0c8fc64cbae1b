"""Signals during training: the step is finished, the state saved, then we stop.

SLURM sends SIGUSR1 before the end of a job (--signal=USR1@120) and SIGTERM when it takes it away; a
terminal that is closed, or a connection that is lost, sends SIGHUP; Ctrl-C is SIGINT.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_PATIENCE = 3
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Training was stopped from outside, and what it had is saved.

    Its text says where, and what to do. It passes what catches Exception, as Ctrl-C does.
    """

    exit_code = 75
    """EX_TEMPFAIL of sysexits.h: run the same command again. A job script can requeue on it."""


class Signals:
    """Whether a signal has come. Use `caught()`."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._count = 0

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or signal.Signals(number)
        self._count += 1
        if self._count >= _PATIENCE:  # whoever insists gets a stop without a checkpoint
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextlib.contextmanager
def caught() -> Iterator[Signals]:
    """Take the signals while the block runs; only possible in the main thread."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    wanted = [number for number in NUMBERS if not _is_unwanted(number)]
    before = {number: signal.signal(number, signals._take) for number in wanted}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _is_unwanted(number: signal.Signals) -> bool:
    """Under nohup a lost terminal means nothing."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
