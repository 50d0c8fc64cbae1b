"""Working ahead: threads fill the next batches while the present one is used.

Results come in order and at most `prefetch` jobs are under way. An error or Ctrl-C ends the threads
and reaches the consumer; so does dropping the iterator.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from threedie.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A batch to be made."""

    pieces: Sequence[Callable[[], None]]
    """Independent parts of the work."""
    finish: Callable[[], T]
    """Called by the consumer when all pieces are done."""


def work_ahead(jobs: Iterable[Job[T]], *, workers: int, prefetch: int) -> Iterator[T]:
    """The results of jobs, in order.

    Args:
        jobs: taken one by one, `prefetch` ahead of the consumer.
        workers: threads.
        prefetch: whole jobs under way at most.
    """
    source, pool = iter(jobs), ThreadPoolExecutor(workers, thread_name_prefix="threedie-read")
    waiting: deque[tuple[Job[T], list[Future[None]]]] = deque()
    try:
        while True:
            for job in islice(source, prefetch - len(waiting)):
                waiting.append((job, [pool.submit(piece) for piece in job.pieces]))
            if not waiting:
                return
            job, futures = waiting.popleft()
            for future in futures:
                future.result()
            yield job.finish()
            del job, futures  # or the batch would stay alive here while the next one is made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if close := getattr(source, "close", None):
            close()


def choose_workers(workers: int | None) -> int:
    """The number of threads: as asked, or this rank's share of the cores it may use.

    Raises:
        ConfigError: fewer than one.
    """
    if workers is None:
        ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
        return max(1, len(os.sched_getaffinity(0)) // ranks)
    if workers < 1:
        raise ConfigError(f"{workers} loader threads were asked for; at least 1 is needed.")
    return workers
