"""Rendering on a Ray cluster: a task is a shard, made in its node's staging folder and delivered.

Inside a task runs the same engine as on one machine, with its crash-isolated workers. A task is
idempotent (its shard's name and bytes are functions of the plan), so Ray may run it again when a
node is lost; the driver goes on from what has been delivered, never from Ray's state.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from threedie.data.dealing import PlannedShard
from threedie.data.stores import is_remote, open_store
from threedie.errors import ConfigError, MissingExtra, RenderError, ThreedieError
from threedie.render.close import close_store
from threedie.render.cluster_task import Job, Tally, make_shard
from threedie.render.delivery import Delivery
from threedie.render.engine import Outcome, already_whole
from threedie.render.machine import Hardware
from threedie.render.outline import Outline
from threedie.render.plan import Plan
from threedie.render.progress import Progress
from threedie.render.worker import BLENDER
from threedie.render.workspace import ShardRecord, check_same
from threedie.words import plural

_WAIT_S = 1.0
_STOP_S = 15.0
_ANSWER_S, _CONNECT_S, _PAUSE_S = 30.0, 10.0, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """How to use a Ray cluster; none of it changes a byte."""

    address: str | None = None
    """auto, or host:port of a running one; None: start one on this machine."""
    cpus: float = 2
    """Cores that a task asks for; it renders with a process each."""
    gpus: float = 0
    """GPUs that a task asks for."""
    retries: int = 5
    """How often a task is run again when its node or its process is lost."""

    def __post_init__(self) -> None:
        if not 1 <= self.cpus <= 4096:
            raise ConfigError(f"--cpus-per-shard is {self.cpus:g}; it must be 1 or more.")
        if not 0 <= self.gpus <= 64:
            raise ConfigError(f"--gpus-per-shard is {self.gpus:g}; it must be 0 or more.")

    @property
    def hardware(self) -> Hardware:
        """Of one task: a process per core, or per GPU."""
        workers = max(1, int(self.gpus)) if self.gpus else int(self.cpus)
        return Hardware(workers=workers, threads=max(1, int(self.cpus) // workers))


def render_on_cluster(
    plan: Plan,
    out: str,
    cluster: Cluster,
    *,
    progress: Progress,
    staging: Path,
    timeout_s: float | None = None,
    retry_failed: bool = False,
    renderer: str = BLENDER,
) -> Outcome:
    """Render a plan on a Ray cluster, or go on with it.

    Args:
        plan: what to make.
        out: folder that all nodes see under this path, or address of a store.
        cluster: which, and what a task asks for.
        progress: is told what happens.
        staging: folder for work under way, on each node.
        timeout_s: per object; None: generous.
        retry_failed: make shards with failures again.
        renderer: `module:class` that draws (tests give a stand-in).

    Raises:
        ConfigError: another data set is there, or no such cluster.
        RenderError: shards were lost more often than they are retried.
        ThreedieError: what a task has met (a full disk, say).
        KeyboardInterrupt: Ctrl-C; what is delivered stays, the same call goes on.
    """
    begun, outline = monotonic(), Outline.of(plan)
    if not is_remote(out):
        check_same(Path(out), plan.making)
    delivery = Delivery(open_store(out))
    if manifest := delivery.begin(outline):
        return already_whole(delivery, manifest, retry_failed=retry_failed)
    progress.start(plan, plan.shards)
    records = _delivered(plan, delivery, progress, retry_failed=retry_failed)
    missing = [shard for shard in plan.shards if shard.name not in records]
    rendered = 0
    if missing:
        job = Job(
            plan=plan,
            out=out,
            staging=staging,
            hardware=cluster.hardware,
            timeout_s=timeout_s,
            retry_failed=retry_failed,
            renderer=renderer,
        )
        with _connected(cluster) as ray:
            driver = _Driver(ray, job, cluster, progress)
            records.update(driver.run(missing))
            rendered = driver.rendered
    in_order = tuple(records[shard.name] for shard in plan.shards)
    with tempfile.TemporaryDirectory(prefix="threedie-close-") as scratch:
        close_store(outline, in_order, delivery, Path(scratch))
    return Outcome.of(in_order, rendered=rendered, seconds=monotonic() - begun)


def _delivered(
    plan: Plan, delivery: Delivery, progress: Progress, *, retry_failed: bool
) -> dict[str, ShardRecord]:
    records = {}
    for shard in plan.shards:
        record = delivery.done(shard.name, len(shard.objects))
        if record and not (record.failures and retry_failed):
            records[shard.name] = record
            progress.found(record.shard.samples, len(record.failures))
    return records


@dataclass(slots=True)
class _Driver:
    """Submits shards, counts, and collects records."""

    ray: Any
    job: Job
    cluster: Cluster
    progress: Progress
    rendered: int = 0
    _shown: dict[str, int] = field(default_factory=dict)
    _lost: dict[str, str] = field(default_factory=dict)

    def run(self, shards: Sequence[PlannedShard]) -> dict[str, ShardRecord]:
        """Make all of them.

        Raises:
            RenderError: some were lost too often (the others are made first).
            ThreedieError: what a task has met; the others are stopped.
        """
        tally = self._near_us(Tally, num_cpus=0).remote()
        task = self.ray.remote(
            num_cpus=self.cluster.cpus, num_gpus=self.cluster.gpus, max_retries=self.cluster.retries
        )(make_shard)
        job = self.ray.put(self.job)
        pending = {task.remote(job, shard, tally): shard for shard in shards}
        records: dict[str, ShardRecord] = {}
        try:
            while pending:
                ready, _ = self.ray.wait(list(pending), timeout=_WAIT_S)
                self._count(tally)
                for ref in ready:
                    if record := self._take(ref, pending.pop(ref)):
                        records[record.shard.name] = record
        except BaseException:
            self._stop(tally, list(pending))
            raise
        if self._lost:
            name, why = next(iter(self._lost.items()))
            raise RenderError(
                f"{plural(len(self._lost), 'shard')} were lost with their nodes more than "
                f"{self.cluster.retries} times, the first is {name} ({why}). The others are "
                "delivered; the same command goes on with what is missing."
            )
        return records

    def _near_us(self, actor: type, **options: Any) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = self.ray.get_runtime_context().get_node_id()
        strategy = NodeAffinitySchedulingStrategy(node_id=here, soft=True)
        return self.ray.remote(actor).options(scheduling_strategy=strategy, **options)

    def _count(self, tally: Any) -> None:
        """Show what tasks have told; a lost tally costs nothing but that."""
        with contextlib.suppress(self.ray.exceptions.RayError):
            for name, done in self.ray.get(tally.read.remote(), timeout=_WAIT_S).items():
                self.progress.advance(max(0, done - self._shown.get(name, 0)))
                self._shown[name] = max(done, self._shown.get(name, 0))

    def _take(self, ref: Any, shard: PlannedShard) -> ShardRecord | None:
        try:
            made: tuple[ShardRecord, int] = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as err:
            if isinstance(err.cause, ThreedieError):
                raise err.cause from None
            raise RenderError(f"{shard.name}: {type(err.cause).__name__}: {err.cause}") from err
        except self.ray.exceptions.RayError as err:  # its node or process is gone
            self._lost[shard.name] = type(err).__name__
            return None
        record, rendered = made
        self.rendered += rendered
        self.progress.advance(max(0, len(shard.objects) - self._shown.get(shard.name, 0)))
        self._shown[shard.name] = len(shard.objects)
        for failure in record.failures:
            self.progress.gave_up(failure)
        self.progress.shard(record.shard)
        return record

    def _stop(self, tally: Any, refs: list[Any]) -> None:
        with contextlib.suppress(Exception):  # the cluster may be gone too
            self.ray.get(tally.stop.remote(), timeout=_WAIT_S)
            self.ray.wait(refs, num_returns=len(refs), timeout=_STOP_S)


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected to the cluster; left again at the end.

    Raises:
        MissingExtra: Ray is not installed.
        ConfigError: no cluster answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report to anybody
    if cluster.address is None:
        _lock_out_strangers()
    try:
        import ray
    except ImportError as err:
        raise MissingExtra("ray", "cluster") from err
    if ray.is_initialized():  # the caller's own connection: used, and left as it is
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if cluster.address is None:
        options["include_dashboard"] = False
    try:
        _wait_for(cluster.address or "local")
        ray.init(address=cluster.address or "local", **options)
    except (OSError, OverflowError, ValueError, RuntimeError) as err:
        raise ConfigError(
            f"no Ray cluster answers at '{cluster.address or 'local'}': "
            f"{str(err).strip().splitlines()[0][:200].rstrip('.')}. Start one with `ray start "
            "--head`, or leave --address out to use this machine."
        ) from err
    try:
        yield ray
    finally:
        ray.shutdown()


def _wait_for(address: str) -> None:
    """Wait for a head node that is just starting: Ray itself tries for minutes, and fills pages.

    Raises:
        OSError: nobody listens at that host and port.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not (host and port.isdigit()):
        return
    until = monotonic() + _ANSWER_S
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        except OSError:
            if monotonic() >= until:
                raise
            sleep(_PAUSE_S)
        else:
            return


def _lock_out_strangers() -> None:
    """Give a cluster of our own a secret: Ray listens everywhere, and runs what it is sent."""
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:  # it is read by the import
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
