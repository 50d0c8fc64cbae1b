"""Working ahead: threads make the next batches while the present one is used.

Results come in order and a bounded number is under way. An error or Ctrl-C ends the threads and
reaches the consumer; dropping the iterator ends them too.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from threedie.errors import ConfigError

T = TypeVar("T")
_JOIN_S = 5.0  # a thread that waits for the network is left behind after that; it is a daemon


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A batch to be made."""

    pieces: Sequence[Callable[[], None]]
    """Independent parts of the work."""
    finish: Callable[[], T]
    """Called by the consumer when all pieces are done."""


def work_ahead(jobs: Iterable[Job[T]], *, workers: int, prefetch: int) -> Generator[T, None, None]:
    """The results of jobs, in order.

    Args:
        jobs: taken by a thread of its own, so making them may wait for something.
        workers: threads that do pieces.
        prefetch: whole jobs under way at most, besides the one that the consumer holds.
    """
    results = _results(jobs, workers, prefetch)
    _UNDER_WAY.add(results)
    return results


_UNDER_WAY: WeakSet[Generator[Any, None, None]] = WeakSet()


@atexit.register
def _end_all() -> None:
    """A program may end with an iterator in hand: now, while modules still have what it needs."""
    for results in list(_UNDER_WAY):
        with suppress(ValueError):  # it is the one that runs
            results.close()


def _results(jobs: Iterable[Job[T]], workers: int, prefetch: int) -> Generator[T, None, None]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="threedie-read")

    def submitted() -> Iterator[tuple[Job[T], list[Future[None]]]]:
        for job in jobs:
            yield job, [pool.submit(piece) for piece in job.pieces]

    try:
        with closing(in_background(submitted(), depth=prefetch)) as ahead:
            for job, futures in ahead:
                for future in futures:
                    future.result()
                result = job.finish()
                del job, futures  # else this batch would live on while the next one is awaited
                yield result
                del result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_background(items: Iterable[T], *, depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread at most `depth` ahead of the consumer."""
    ready: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
    room, stop = threading.Semaphore(depth), threading.Event()
    args = (iter(items), ready, room, stop)
    thread = threading.Thread(target=_fill, args=args, daemon=True, name="threedie-ahead")
    thread.start()
    try:
        while True:
            found, error = ready.get()
            if error is not None:
                raise error
            if not found:
                return
            room.release()
            yield found.pop()
    finally:
        stop.set()
        room.release()
        thread.join(_JOIN_S)


def _fill(
    items: Iterator[T],
    ready: SimpleQueue[tuple[list[T], BaseException | None]],
    room: threading.Semaphore,
    stop: threading.Event,
) -> None:
    error: BaseException | None = None
    try:
        while room.acquire() and not stop.is_set():
            found = list(islice(items, 1))
            if not found:
                break
            ready.put((found, None))
            del found  # the consumer's alone now
    except BaseException as err:  # it is the consumer's
        error = err
    finally:
        if close := getattr(items, "close", None):
            close()
        ready.put(([], error))


def choose_workers(workers: int | None) -> int:
    """The number of threads: as asked, or this rank's share of the cores it may use.

    Raises:
        ConfigError: fewer than one.
    """
    if workers is None:
        ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
        allowed = getattr(os, "sched_getaffinity", None)  # Linux only
        cores = len(allowed(0)) if allowed else os.cpu_count() or 1
        return max(1, cores // ranks)
    if workers < 1:
        raise ConfigError(f"{workers} loader threads were asked for; at least 1 is needed.")
    return workers
