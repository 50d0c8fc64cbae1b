"""The writers of a run in one process, and a fork server that does a run with a fault in it.

`python -m tests.faults.writer`, with shim.so preloaded: a line of JSON in (an Order), a line of
JSON out (an Answer). The imports are done once; every run is a fork of them, so that all kill
points of a run take seconds. Rendering is inline: one process makes every file operation of parts,
shards, records, index, ledger and manifest, in one order that can be counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import io
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console

from tests.data import builders
from tests.faults.fake_stage import FakeStage, fake_plan
from tests.faults.orders import Answer, Order
from tests.sharing.published import CHAIR, pieces, published, tgz
from threedie import files
from threedie.errors import ThreedieError
from threedie.files import Written
from threedie.render import engine, worker
from threedie.render.lanes import Ended
from threedie.render.machine import Hardware
from threedie.render.plan import Plan
from threedie.render.progress import Progress
from threedie.render.worker import Failed, Task, WorkerConfig
from threedie.sharing.convert.convert import convert_archive
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress
from threedie.sharing.transfer.download import DownloadRequest
from threedie.sharing.transfer.download import download as download_any


def the_plan(seed: int = 0) -> Plan:
    """Two classes, a train and a val shard, one object that fails."""
    return fake_plan(("a-1", "a-7"), ("a-1", "raise-3"), objects_per_shard=3, seed=seed)


class InlineLane:
    """A lane that renders in this very process."""

    overdue = False

    def __init__(self, config: WorkerConfig) -> None:
        self.task: Task | None = None
        self.future: Future[Failed | None] | None = None
        worker._config, worker._marker = config, SimpleNamespace(value=0)
        making = config.making
        worker._renderer = FakeStage(
            making.recipe,
            making.quality_settings,
            size=making.size,
            threads=1,
            scratch=config.scratch,
        )

    def submit(self, task: Task, *, fresh: bool) -> None:
        self.task, self.future = task, Future()
        try:
            self.future.set_result(worker.render_object(task))
        except BaseException as err:
            self.future.set_exception(err)

    def collect(self) -> Ended:
        assert self.task is not None
        assert self.future is not None
        ended = Ended(self.task, self.future.result())
        self.task = self.future = None
        return ended


def _put_without_fsync(path: Path, content: bytes | Iterable[bytes]) -> Written:
    """Naive, but atomic for kills: a temporary name and a rename."""
    whole = content if isinstance(content, bytes) else b"".join(content)
    temp = path.with_name(f".{path.name}.tmp")
    temp.write_bytes(whole)
    temp.replace(path)
    return Written(len(whole), hashlib.sha256(whole).hexdigest())


def _put_without_folder_sync(path: Path, content: bytes | Iterable[bytes]) -> Written:
    """Forgets that a name is durable only when its folder is."""
    whole = content if isinstance(content, bytes) else b"".join(content)
    temp = path.with_name(f".{path.name}.tmp")
    with temp.open("wb", buffering=0) as file:
        file.write(whole)
        os.fsync(file.fileno())
    temp.replace(path)
    return Written(len(whole), hashlib.sha256(whole).hexdigest())


def _put_in_place(path: Path, content: bytes | Iterable[bytes]) -> Written:
    """The usual way: open the final name and write."""
    size, digest = 0, hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for piece in (content,) if isinstance(content, bytes) else content:
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    return Written(size, digest.hexdigest())


NAIVE = {
    "without fsync": _put_without_fsync,
    "without folder fsync": _put_without_folder_sync,
    "in place": _put_in_place,
}


def download(order: Order) -> None:
    """A download from a folder: all of it, or the samples of two classes."""
    classes = {"download": None, "download classes": "chair,zebra"}[order.writer]
    request = DownloadRequest(
        what=os.environ["FAULTS_SOURCE"], out=Path(order.disk) / "out", classes=classes, jobs=1
    )
    # Else the notes of one run would serve the next.
    os.environ["XDG_CACHE_HOME"] = order.scratch
    download_any(request, console=Console(file=io.StringIO()))


def convert(order: Order) -> None:
    """A conversion: two shards of train and one of val, and an object that is not whole."""
    found = published([(CHAIR, name) for name in ("a1", "b2", "c3", "h8", "e5")], views=2, size=16)
    del found[f"{CHAIR}/e5/image_1.jpg"]
    content = tgz({**found, "README": b"hello"})
    convert_archive(
        pieces(content, 2_000),
        name="set.tar.gz",
        size=len(content),
        out=Path(order.disk) / "out",
        options=ConvertOptions(objects_per_shard=3),
        progress=ConvertProgress(),
    )


def run(order: Order) -> None:
    """A whole run, or the rest of one."""
    if order.writer.startswith("download"):
        download(order)
        return
    if order.writer == "convert":
        convert(order)
        return
    scratch = Path(order.scratch)

    @contextlib.contextmanager
    def inline_lanes(
        config: WorkerConfig, hardware: Hardware, limit: float
    ) -> Iterator[list[InlineLane]]:
        yield [InlineLane(replace(config, scratch=scratch))]

    engine._lanes = inline_lanes  # type: ignore[assignment]
    if order.writer in NAIVE:
        files.put = NAIVE[order.writer]
        if order.writer != "in place":
            files.sync_directory = lambda folder: None
    engine.render_dataset(
        the_plan(order.seed),
        Path(order.disk) / "out",
        hardware=Hardware(workers=1, threads=1),
        progress=Progress(),
        timeout_s=60,
    )


def _child(order: Order, pipe: int) -> None:
    """In the fork: arm the shim, run, say how it went, and go without any clean-up."""
    library = ctypes.CDLL(None)
    shim = hasattr(library, "shim_arm")
    if order.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.largest_file, order.largest_file))
    if order.user:
        os.setuid(order.user)
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT, 0o600) if order.log else -1
    if shim:
        _arm(library, order, log)
    status, error, message = 0, "", ""
    try:
        run(order)
    except ThreedieError as err:
        status, error, message = err.exit_code, type(err).__name__, str(err)
    except BaseException as err:
        status, error, message = 70, type(err).__name__, str(err)
    operations = library.shim_count() if shim else 0
    answer = Answer(status=status, operations=operations, error=error, message=message)
    os.write(pipe, json.dumps(asdict(answer)).encode())
    os._exit(0)


def _arm(library: ctypes.CDLL, order: Order, log: int) -> None:
    number, flag = ctypes.c_long, ctypes.c_int
    library.shim_arm.argtypes = [ctypes.c_char_p, number, flag, number, flag, flag, flag]
    library.shim_arm(
        order.disk.encode(),
        order.crash_at,
        order.torn,
        order.fail_at,
        order.fail_errno,
        order.sticky,
        log,
    )


def serve() -> None:
    """Answer orders until the end of the input."""
    with tempfile.TemporaryDirectory() as warm:  # late imports, once for all forks
        Path(warm, "scratch").mkdir()
        run(Order(disk=warm, scratch=f"{warm}/scratch"))
        run(Order(disk=f"{warm}/converted", scratch="", writer="convert"))
    with tempfile.TemporaryDirectory() as source:
        os.environ["FAULTS_SOURCE"] = f"{source}/set"
        builders.build(
            Path(source, "set"), builders.Plan(objects=("a", "b"), views=2, per_shard=3, size=16)
        )
        gc.freeze()
        answer_all()


def answer_all() -> None:
    """A fork for every line of the input."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        reader, pipe = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                _child(order, pipe)
            finally:
                os._exit(71)
        os.close(pipe)
        with os.fdopen(reader, "rb") as answers:
            answer = answers.read()
        _, status = os.waitpid(pid, 0)
        if not answer:
            answer = json.dumps(asdict(Answer(status=os.waitstatus_to_exitcode(status)))).encode()
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
