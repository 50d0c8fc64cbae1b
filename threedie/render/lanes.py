"""Lanes: worker processes that may crash, hang or be killed without taking anything with them.

A lane is one Pebble pool of one process, so that a process killed in the middle of anything can at
most spoil its own pipes; such a lane is rebuilt. A lane works on one object at a time, under a
time-out, and its process is replaced after a number of objects, or memory would creep up.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

from pebble import ProcessExpired, ProcessPool

from threedie.errors import StorageError
from threedie.interrupts import hidden_from_children
from threedie.render import worker
from threedie.render.scratch import PREFIX, make_scratch
from threedie.render.worker import Failed, Task, WorkerConfig

_HARMLESS = {
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ONEAPI_DEVICE_SELECTOR",
}
_START_UP_S = 180.0  # importing Blender on a cold network disk, compiling GPU kernels


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended. `failed` is None when its part is on disk."""

    task: Task
    failed: Failed | None


class Lane:
    """One worker process at a time, and its task.

    Args:
        config: of the worker; its scratch is replaced by the lane's own.
        timeout_s: for one object, without the start of the process.
        recycle_after: objects per process.
    """

    def __init__(self, config: WorkerConfig, *, timeout_s: float, recycle_after: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        _name_semaphores()
        self._marker = self._context.Value("b", 0, lock=False)
        self._timeout_s, self._recycle_after = timeout_s, recycle_after
        self._scratch = make_scratch()
        self._config = replace(config, scratch=self._scratch)
        self._pool = self._new_pool()
        self._deadline = 0.0
        self.task: Task | None = None
        self.future: Future[Failed | None] | None = None

    def submit(self, task: Task, *, fresh: bool) -> None:
        """Give the idle lane an object; `fresh` gives it a process that has seen no other."""
        if fresh:
            self._rebuild()
        self._marker.value = 0
        self._deadline = time.monotonic() + self._timeout_s + _START_UP_S
        self.task = task
        try:
            self.future = self._schedule(task)
        except RuntimeError:  # the pool has broken while it was idle
            self._rebuild()
            self.future = self._schedule(task)

    def _schedule(self, task: Task) -> Future[Failed | None]:
        with hidden_from_children():
            future: Future[Failed | None] = self._pool.schedule(
                worker.render_object, args=(task,), timeout=self._timeout_s
            )
        return future

    @property
    def overdue(self) -> bool:
        """The task has neither ended nor been timed out by the pool: something is stuck."""
        return self.task is not None and time.monotonic() > self._deadline

    def collect(self) -> Ended:
        """Take the ended (or overdue) task off the lane."""
        assert self.task is not None
        assert self.future is not None
        task, failed = self.task, self._outcome(self.future)
        self.task = self.future = None
        return Ended(task, failed)

    def _outcome(self, future: Future[Failed | None]) -> Failed | None:
        stage = worker.STAGES[self._marker.value]
        try:
            return future.result(timeout=0)
        except (FutureTimeout, CancelledError):
            if not future.done():
                self._rebuild()
            return Failed(
                stage=stage, error=f"no result after {self._timeout_s:.0f} s: stopped", final=False
            )
        except ProcessExpired as err:
            return _died(stage, _describe_exit(err.exitcode))
        except BrokenProcessPool:
            self._rebuild()
            return _died(stage, "the worker process died")
        except StorageError:
            raise
        except Exception as err:  # what the worker's start raised, or could not be pickled
            return Failed(stage=stage, error=f"{type(err).__name__}: {err}", final=False)

    def _new_pool(self) -> Any:
        return ProcessPool(
            max_workers=1,
            max_tasks=self._recycle_after,
            initializer=worker.start,
            initargs=(self._config, self._marker),
            context=self._context,
        )

    def _rebuild(self) -> None:
        with contextlib.suppress(Exception):
            self._pool.stop()
            self._pool.join(timeout=10)
        self._pool = self._new_pool()

    def close(self) -> None:
        """Stop the process, whatever it is doing, and remove its scratch."""
        with contextlib.suppress(Exception):
            self._pool.stop()
            self._pool.join(timeout=10)
        shutil.rmtree(self._scratch, ignore_errors=True)


def _died(stage: str, how: str) -> Failed:
    return Failed(stage=stage, error=how, final=False, untouched=stage == "start")


def _describe_exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the worker process ended with status {code}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        hint = " (out of memory, or killed by hand)" if name == "SIGKILL" else ""
        return f"the worker process died of {name}{hint}"
    return f"the worker process died of signal {-code}"


def _name_semaphores() -> None:
    """Give the pools' semaphores our name, so that those of a killed run can be told and swept."""
    config: dict[str, str] = getattr(multiprocessing.current_process(), "_config", {})
    config["semprefix"] = f"/{PREFIX}{os.getpid()}"


@contextlib.contextmanager
def harmless_environment() -> Iterator[None]:
    """Keep tokens and keys out of the children: they start with a few harmless names only."""
    kept = dict(os.environ)
    for name in kept:
        if name not in _HARMLESS:
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)
