"""The engine: works a plan off with isolated workers, and makes a verified data set of it.

Every object ends as a part on disk or as a line of the ledger; a shard is assembled when all of
its objects have ended, and delivered where the data set goes elsewhere; dataset.json comes last.
Nothing here depends on the order of the work, so kills, resumes, the number of workers and of
machines change no byte.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from threedie import files
from threedie.data import ledger
from threedie.data.dealing import PlannedObject, PlannedShard
from threedie.errors import ConfigError, RenderError, StorageError
from threedie.interrupts import held_back
from threedie.manifests.dataset import DatasetManifest, Failure, ShardEntry
from threedie.render.close import close_folder, close_store
from threedie.render.delivery import Delivery
from threedie.render.lanes import Ended, Lane, harmless_environment
from threedie.render.machine import Hardware, timeout_for
from threedie.render.outline import Outline
from threedie.render.parts import PartMissing, read_part, shard_pieces
from threedie.render.plan import Plan, Share
from threedie.render.progress import Progress
from threedie.render.scratch import sweep_scratch
from threedie.render.worker import BLENDER, Failed, Task, WorkerConfig
from threedie.render.workspace import ShardRecord, Workspace
from threedie.words import plural

_POLL_S = 0.5
_RECYCLE_AFTER = 100
_ATTEMPTS = 2
_DEAD_STARTS = 6  # per worker, one after the other, before the run gives up


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    objects: int
    """In the shards."""
    failures: tuple[Failure, ...]
    rendered: int
    """Objects that this run has rendered (the others were there)."""
    seconds: float
    records: tuple[ShardRecord, ...] = ()
    """Of the shards that this run was to see to."""

    @classmethod
    def of(cls, records: tuple[ShardRecord, ...], *, rendered: int, seconds: float) -> Outcome:
        """The outcome of a run that leaves these shards."""
        return cls(
            objects=sum(record.shard.samples for record in records),
            failures=tuple(failure for record in records for failure in record.failures),
            rendered=rendered,
            seconds=seconds,
            records=records,
        )


def render_dataset(
    plan: Plan,
    folder: Path,
    *,
    hardware: Hardware,
    progress: Progress,
    timeout_s: float | None = None,
    retry_failed: bool = False,
    renderer: str = BLENDER,
    log: Path | None = None,
    share: Share | None = None,
    delivery: Delivery | None = None,
) -> Outcome:
    """Render a plan into a folder, or go on with it.

    Args:
        plan: what to make.
        folder: of the data set; created, or the same plan's. With a delivery: for the work that is
            under way; it goes when all is delivered.
        hardware: processes, threads, devices.
        progress: is told what happens.
        timeout_s: per object; None: generous for its size, quality and views.
        retry_failed: try the objects of the ledger again.
        renderer: `module:class` that draws (tests give a stand-in).
        log: file for the workers' own output; None: nowhere.
        share: the shards to make; the data set is not closed then. None: all, and close it.
        delivery: where finished shards go; None: they stay in the folder.

    Raises:
        Busy, ConfigError, StorageError: see Workspace; nothing half-written stays.
        RenderError: the workers can't be started.
        KeyboardInterrupt: Ctrl-C; the parts stay, the same call goes on.
    """
    begun = time.monotonic()
    workspace = Workspace(folder, Outline.of(plan), share=share.name if share else None)
    run = _Run(plan, workspace, progress, share=share, delivery=delivery)
    with files.storage_errors(folder), workspace.opened():
        sweep_scratch()
        progress.start(plan, run.shards)
        run.take_stock(retry_failed=retry_failed)
        config = WorkerConfig(
            making=plan.making,
            source=plan.source,
            parts=workspace.parts,
            scratch=folder,
            threads=hardware.threads,
            memory_bytes=hardware.memory_bytes,
            renderer=renderer,
            log=log,
        )
        if run.has_work:
            with (
                harmless_environment(),
                held_back() as let_interrupts_through,
                _lanes(config, hardware, timeout_s or timeout_for(plan.making)) as lanes,
            ):
                run.work(lanes, let_interrupts_through)
        if share is None:
            run.finish()
    if delivery:
        shutil.rmtree(folder, ignore_errors=True)  # all of it is delivered
    return Outcome.of(run.records, rendered=run.rendered, seconds=time.monotonic() - begun)


def already_whole(delivery: Delivery, manifest: DatasetManifest, *, retry_failed: bool) -> Outcome:
    """What a run finds where its data set has been delivered and closed.

    Raises:
        ConfigError: failures are to be tried again: it is not opened for that.
        ManifestError: its ledger is gone or damaged.
    """
    if retry_failed and manifest.failures:
        raise ConfigError(
            f"{delivery.store.address} is finished, with {plural(manifest.failures, 'failure')}: a "
            "finished data set in a store is not opened again. Download it, `3die render "
            "--retry-failed` it in its folder (without --engine ray), and publish that."
        )
    return Outcome(
        objects=sum(manifest.splits.values()),
        failures=tuple(delivery.failures(manifest)),
        rendered=0,
        seconds=0.0,
    )


@contextlib.contextmanager
def _lanes(config: WorkerConfig, hardware: Hardware, limit: float) -> Iterator[list[Lane]]:
    lanes = [
        Lane(replace(config, device_index=i), timeout_s=limit, recycle_after=_RECYCLE_AFTER)
        for i in range(hardware.workers)
    ]
    try:
        yield lanes
    finally:
        # At once: a process inside Blender's own code can take seconds to heed the signal.
        with ThreadPoolExecutor(len(lanes)) as closers:
            list(closers.map(Lane.close, lanes))


@dataclass(slots=True)
class _OpenShard:
    """A shard that is being made."""

    planned: PlannedShard
    waiting: set[str] = field(default_factory=set)
    """Keys of objects that have not ended yet."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """By key of the object."""


class _Run:
    """The state of one run: what is open, what has ended."""

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        progress: Progress,
        *,
        share: Share | None,
        delivery: Delivery | None,
    ) -> None:
        self._plan, self._workspace, self._progress = plan, workspace, progress
        self._whole, self._delivery = share is None, delivery
        self.shards = share.shards if share else plan.shards
        self._records: dict[str, ShardRecord] = {}
        self._open: dict[str, _OpenShard] = {}
        self._shard_of: dict[str, _OpenShard] = {}
        self._queue: deque[PlannedObject] = deque()
        self._retries: deque[Task] = deque()
        self._attempts: Counter[str] = Counter()
        self._dead_starts = 0
        self._workers = 1
        self.rendered = 0

    def take_stock(self, *, retry_failed: bool) -> None:
        """Sort the plan into finished shards, parts that are there, and work."""
        for shard in self.shards:
            record = self._done(shard)
            if record and record.failures and retry_failed:
                if self._delivery is None:  # else it is made anew from its first object
                    self._workspace.take_apart(shard)
                record = None
            if record:
                self._records[shard.name] = record
                self._progress.found(record.shard.samples, len(record.failures))
            else:
                self._open_shard(_OpenShard(shard))

    def _done(self, shard: PlannedShard) -> ShardRecord | None:
        """A finished shard's record; one that a killed run has not delivered is delivered now."""
        if self._delivery is None:
            return self._workspace.done(shard)
        if delivered := self._delivery.done(shard.name, len(shard.objects)):
            return delivered
        if record := self._workspace.done(shard):
            self._deliver(record)
        return record

    @property
    def has_work(self) -> bool:
        """Whether an object is left to render."""
        return bool(self._queue)

    def _open_shard(self, shard: _OpenShard) -> None:
        self._open[shard.planned.name] = shard
        for obj in shard.planned.objects:
            self._shard_of[obj.key] = shard
            if read_part(self._workspace.part(obj.key)) is not None:
                self._progress.found(1, 0)
            else:
                shard.waiting.add(obj.key)
                self._queue.append(obj)
        if not shard.waiting:
            self._close_shard(shard)

    def work(self, lanes: list[Lane], let_interrupts_through: Callable[[], None]) -> None:
        """Keep every lane busy until all objects have ended.

        Args:
            lanes: idle ones.
            let_interrupts_through: called where an interrupt does no harm.

        Raises:
            RenderError: no worker comes up.
            StorageError: the disk is full or fails.
        """
        self._workers = len(lanes)
        try:
            while self._queue or self._retries or any(lane.task for lane in lanes):
                for lane in lanes:
                    if lane.task is None:
                        self._feed(lane)
                futures = [lane.future for lane in lanes if lane.future is not None]
                wait(futures, _POLL_S, FIRST_COMPLETED)
                let_interrupts_through()
                for lane in lanes:
                    if lane.future is not None and (lane.future.done() or lane.overdue):
                        self._take(lane.collect())
        except BaseException:
            if self._whole:  # shares would overwrite each other's; their records hold them
                with contextlib.suppress(StorageError):
                    ledger.write_ledger(self._workspace.folder, self._failures())
            raise

    def _feed(self, lane: Lane) -> None:
        if self._retries:
            lane.submit(self._retries.popleft(), fresh=True)
        elif self._queue:
            obj = self._queue.popleft()
            lane.submit(Task(planned=obj, latents_VD=self._plan.latents(obj.ref)), fresh=False)

    def _take(self, ended: Ended) -> None:
        obj, failed = ended.task.planned, ended.failed
        # A worker that dies after its part is durable has done its work.
        if failed and read_part(self._workspace.part(obj.key)) is not None:
            failed = None
        if failed and failed.untouched:
            self._count_dead_start(failed)
            self._retries.append(ended.task)
            return
        self._dead_starts = 0
        self._attempts[obj.key] += 1
        if failed is None:
            self.rendered += 1
            self._progress.rendered(obj)
        elif self._attempts[obj.key] < _ATTEMPTS and not failed.final:
            self._retries.append(ended.task)
            return
        else:
            self._give_up_on(obj, failed)
        shard = self._shard_of[obj.key]
        shard.waiting.discard(obj.key)
        if not shard.waiting:
            self._close_shard(shard)

    def _count_dead_start(self, failed: Failed) -> None:
        self._dead_starts += 1
        if self._dead_starts >= _DEAD_STARTS * self._workers:
            raise RenderError(
                f"the render workers do not come up: {failed.error}. `3die doctor` shows what is "
                "missing; --log FILE keeps what they print."
            )

    def _give_up_on(self, obj: PlannedObject, failed: Failed) -> None:
        failure = Failure(
            object=obj.ref.name,
            stage=failed.stage,
            error=failed.error,
            attempts=self._attempts[obj.key],
        )
        self._shard_of[obj.key].failures[obj.key] = failure
        self._progress.failed(failure)

    def _close_shard(self, shard: _OpenShard) -> None:
        """Assemble a shard of its parts; a part that was damaged meanwhile is made again."""
        planned = shard.planned
        good = [obj for obj in planned.objects if obj.key not in shard.failures]
        parts = [self._workspace.part(obj.key) for obj in good]
        try:
            written = files.put(self._workspace.folder / planned.name, shard_pieces(parts))
        except PartMissing as missing:
            again = next(obj for obj in good if missing.args[0] == f"{obj.key}.part")
            shard.waiting.add(again.key)
            self._queue.append(again)
            return
        entry = ShardEntry(
            name=planned.name,
            split=planned.split,
            samples=len(good),
            bytes=written.size,
            sha256=written.sha256,
        )
        failures = tuple(shard.failures[o.key] for o in planned.objects if o.key in shard.failures)
        self._records[planned.name] = ShardRecord(shard=entry, failures=failures)
        self._workspace.record(self._records[planned.name])
        del self._open[planned.name]
        for part in parts:
            part.unlink(missing_ok=True)  # by another run, where locks do nothing
        self._deliver(self._records[planned.name])
        self._progress.shard(entry)

    def _deliver(self, record: ShardRecord) -> None:
        if self._delivery:
            folder = self._workspace.folder
            self._delivery.deliver(folder, record, self._plan.making)
            (folder / record.shard.name).unlink(missing_ok=True)

    @property
    def records(self) -> tuple[ShardRecord, ...]:
        """Of all shards, when the work is done."""
        return tuple(self._records[shard.name] for shard in self.shards)

    def _failures(self) -> list[Failure]:
        """All objects given up so far, in the order of the plan."""
        found: list[Failure] = []
        for shard in self.shards:
            if record := self._records.get(shard.name):
                found += record.failures
            elif opened := self._open.get(shard.name):
                found += opened.failures.values()
        return found

    def finish(self) -> None:
        """Close the data set, here or where it was delivered."""
        folder, outline = self._workspace.folder, self._workspace.outline
        if self._delivery:
            close_store(outline, self.records, self._delivery, folder)
        else:
            close_folder(outline, self.records, folder)
        self._workspace.finish()
