"""A shard as a task on a Ray cluster: what runs on the nodes, and how the driver stops it.

Tasks ask the driver whether to stop. `ray.cancel` would be less code, but where a task ends at that
very moment Ray (2.60 too) aborts the whole driver: ray-project/ray#54798 tells how.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threedie.data.dealing import PlannedObject, PlannedShard
from threedie.data.stores import open_store
from threedie.manifests.dataset import Failure
from threedie.render.delivery import Delivery
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.plan import Plan, Share
from threedie.render.progress import Progress
from threedie.render.workspace import ShardRecord

_ASK_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What all tasks share."""

    plan: Plan
    out: str
    """Folder that all nodes see under this path, or address of a store."""
    staging: Path
    hardware: Hardware
    timeout_s: float | None
    retry_failed: bool
    renderer: str


def make_shard(job: Job, shard: PlannedShard, tally: Any) -> tuple[ShardRecord, int]:
    """Make one shard and deliver it: the body of a task.

    Args:
        job: what all tasks share.
        shard: which.
        tally: actor that counts objects and knows whether to stop.

    Returns:
        Its record, and how many objects were rendered.

    Raises:
        KeyboardInterrupt: the driver has said stop; Ray makes a TaskCancelledError of it.
    """
    share = Share(shard.name.removesuffix(".tar"), (shard,))
    with _stoppable(tally):
        outcome = render_dataset(
            job.plan,
            job.staging / share.name,
            hardware=job.hardware,
            progress=_Told(tally, shard.name),
            timeout_s=job.timeout_s,
            retry_failed=job.retry_failed,
            renderer=job.renderer,
            share=share,
            delivery=Delivery(open_store(job.out)),
        )
    return outcome.records[0], outcome.rendered


@contextlib.contextmanager
def _stoppable(tally: Any) -> Iterator[None]:
    """Raise KeyboardInterrupt in this task as soon as the driver says stop."""
    ended, one_at_a_time = threading.Event(), threading.Lock()

    def watch() -> None:
        while not ended.wait(_ASK_S):
            if _told_to_stop(tally):
                with one_at_a_time:
                    if not ended.is_set():
                        _thread.interrupt_main()
                return

    # A node started with `ray start &` in a script hands on a SIGINT that is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _told_to_stop(tally):  # while this task was waiting for its node
            raise KeyboardInterrupt
        threading.Thread(target=watch, daemon=True).start()
        yield
    finally:
        with one_at_a_time:
            ended.set()
        signal.signal(signal.SIGINT, before)


def _told_to_stop(tally: Any) -> bool:
    import ray

    # A task that waits in `ray.get` lends its cores to another one meanwhile; a future does not.
    asked: Future[bool] = tally.stopped.remote().future()
    try:
        return asked.result()
    except ray.exceptions.RayError:  # a lost tally stops nothing
        return False


class _Told(Progress):
    """Progress of one shard, told to the driver's tally."""

    def __init__(self, tally: Any, name: str) -> None:
        self._tally, self._name, self._done = tally, name, 0

    def found(self, objects: int, failures: int) -> None:
        self._tell(objects)

    def rendered(self, obj: PlannedObject) -> None:
        self._tell(1)

    def failed(self, failure: Failure) -> None:
        self._tell(1)

    def _tell(self, objects: int) -> None:
        self._done += objects
        self._tally.tell.remote(self._name, self._done)  # not waited for


class Tally:
    """Objects ended, by shard, and whether to stop; lives on the driver's node."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._stopped = False

    def tell(self, name: str, done: int) -> None:
        """A task's count; a task that runs again starts from its own."""
        self._done[name] = done

    def read(self) -> dict[str, int]:
        """All counts."""
        return self._done

    def stop(self) -> None:
        """All tasks are to end."""
        self._stopped = True

    def stopped(self) -> bool:
        """Whether the driver has said so."""
        return self._stopped
