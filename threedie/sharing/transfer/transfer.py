"""Several files at once, down or up: threads, and who is told how it goes.

A file that is wrong costs that file, and the others go on. Anything else (a full disk, a server
that is gone, Ctrl-C) stops all of them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from threedie.errors import ConfigError, ManifestError

OnBytes = Callable[[int], None]
_JOIN_S = 1.0  # a thread that waits for the network is left behind after that; it is a daemon


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """One file to bring or to send."""

    name: str
    size: int
    run: Callable[[OnBytes], None]
    """Told of every byte that has gone, or of bytes that have to go again, as a negative number."""


class TransferProgress:
    """What transfers tell. This one says nothing. Its methods are called by several threads."""

    def start(self, doing: str, transfers: Sequence[Transfer], found: int) -> None:
        """These are to be done; so many files were there already."""

    def moved(self, transfer: Transfer, count: int) -> None:
        """So many bytes of a file more."""

    def done(self, transfer: Transfer) -> None:
        """A file is there, verified."""

    def say(self, line: str) -> None:
        """Something that is good to know."""

    def close(self) -> None:
        """It is over, in whatever way."""


class _Stopped(Exception):
    """Another thread has failed: this one ends."""


def run_all(
    transfers: Sequence[Transfer], *, jobs: int, progress: TransferProgress
) -> list[ManifestError]:
    """Do transfers, several at once.

    Args:
        transfers: in the order in which they are begun.
        jobs: at once.
        progress: told of every one.

    Returns:
        What was wrong with files, in the order of the transfers; the others are done.

    Raises:
        ThreedieError: the first other error; the rest was stopped.
        KeyboardInterrupt: Ctrl-C; likewise.
    """
    waiting, stop = deque(enumerate(transfers)), threading.Event()
    ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()

    def work() -> None:
        while not stop.is_set():
            try:
                number, transfer = waiting.popleft()
            except IndexError:
                return
            error = _outcome(transfer, stop, progress)
            if error is not None and not isinstance(error, ManifestError):
                stop.set()
            ended.put((number, error))

    threads = [
        threading.Thread(target=work, name="threedie-transfer", daemon=True)
        for _ in range(min(jobs, len(transfers)))
    ]
    wrong: dict[int, ManifestError] = {}
    try:
        for thread in threads:
            thread.start()
        for _ in transfers:
            number, error = ended.get()
            if isinstance(error, ManifestError):
                wrong[number] = error
            elif error is not None:
                raise error
    finally:
        stop.set()
        for thread in threads:
            with contextlib.suppress(RuntimeError):  # Ctrl-C came before it was started
                thread.join(_JOIN_S)
    return [wrong[number] for number in sorted(wrong)]


def _outcome(
    transfer: Transfer, stop: threading.Event, progress: TransferProgress
) -> BaseException | None:
    def on_bytes(count: int) -> None:
        if stop.is_set():
            raise _Stopped
        progress.moved(transfer, count)

    try:
        transfer.run(on_bytes)
        progress.done(transfer)
    except BaseException as err:
        return err
    return None


def check_jobs(jobs: int) -> int:
    """How many files at once.

    Raises:
        ConfigError: fewer than 1 or more than 64.
    """
    if not 1 <= jobs <= 64:
        raise ConfigError(f"--jobs is {jobs}; it must be from 1 to 64.")
    return jobs


def raise_wrong(wrong: Sequence[ManifestError], ending: str) -> None:
    """Tell of all wrong files in one error.

    Raises:
        ManifestError: if there are any.
    """
    if wrong:
        raise ManifestError("\n".join([*map(str, wrong), ending]))
