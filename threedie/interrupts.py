"""Ctrl-C and SIGTERM: held back until they can do no harm.

A KeyboardInterrupt in the middle of a queue's or a pool's code leaves a lock taken or a waiter
unnotified (Python's own Condition is not safe from it), and the run hangs at its end.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import FrameType

_PATIENCE = 3


@contextlib.contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C and SIGTERM back; calling what is yielded lets them through.

    The third one ends the process at once: nothing is lost by that either. Signals without a
    handler in Python, and other threads than the main one, stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    held: list[signal.Signals] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(signal.Signals(number))
        if len(held) >= _PATIENCE:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def let_through() -> None:
        if held:
            handlers[held[0]](held[0], None)

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    let_through()


@contextlib.contextmanager
def hidden_from_children() -> Iterator[None]:
    """Start threads and processes that Ctrl-C does not reach: a terminal sends it to all.

    A process would print a traceback while it is still importing. Signal masks are inherited, also
    from the pool's threads, which start all later processes.
    """
    resource_tracker.ensure_running()  # its start would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
