"""Worker processes that misbehave, and processes that are killed from outside.

Claims:
- An object that crashes, hangs, exhausts the memory or raises costs itself only: the ledger has
  its name, the stage, the reason and the attempts (two, the second in a fresh process; one where a
  second can't help), and its neighbours have the bytes that they have without it.
- A worker that dies once is replaced and the object comes out; one that dies after its part is
  durable has done its work; one that hangs at its exit does no harm.
- Workers killed, crashed or stopped from outside at random moments change no byte.
- So do the number of workers, a clock that jumps, hash seed, umask, time zone and folder.
- An interrupt waits until it can do no harm, and does not hang the run.
- A storage error in a worker stops the run; a renderer that never comes up does too.
- A worker sees no secret of the environment, and no network where that can be taken away.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import fake_cli, oracle, processes
from tests.faults.fake_stage import CHAIR, MEMORY_BYTES, RENDERER, fake_plan
from threedie.data.dataset import open_dataset
from threedie.data.dealing import PlannedObject
from threedie.errors import RenderError, StorageError
from threedie.manifests.dataset import Failure
from threedie.render import engine, lanes
from threedie.render.engine import Outcome, render_dataset
from threedie.render.lanes import Lane
from threedie.render.machine import Hardware
from threedie.render.plan import Plan
from threedie.render.progress import Progress
from threedie.render.worker import Task

Note = Callable[[str], None]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def render(
    plan: Plan,
    folder: Path,
    *,
    workers: int = 2,
    timeout_s: float = 30.0,
    progress: Progress | None = None,
    renderer: str = RENDERER,
) -> Outcome:
    return render_dataset(
        plan,
        folder,
        hardware=Hardware(workers=workers, threads=1, memory_bytes=MEMORY_BYTES),
        progress=progress or Progress(),
        timeout_s=timeout_s,
        renderer=renderer,
    )


EXPECTED = {
    "segfault-1": ("render", 2, "died of SIGSEGV"),
    "abort-1": ("import", 2, "died of SIGABRT"),
    "exit-1": ("render", 2, "ended with status 7"),
    "exits-well-1": ("start", 2, "no result after 3 s"),  # of the next process
    "kill-1": ("render", 2, r"SIGKILL \(out of memory, or killed by hand\)"),
    "hang-1": ("render", 2, "no result after 3 s: stopped"),
    "oom-1": ("import", 2, "out of memory"),
    "raise-1": ("render", 2, "ValueError: a bug in the renderer"),
    "rendererror-1": ("render", 1, "Blender drew nothing"),
    "asseterror-1": ("fetch", 1, "the mesh is broken; expected a whole one"),
}
HEALED = ("dies-once-1", "hangs-once-1", "dies-after-commit-1")
_BY_READLINE = ("COLUMNS", "LINES")  # set behind Python's back, where it is loaded
GOOD = tuple(f"good-{i}" for i in range(6))


def test_an_object_that_misbehaves_costs_itself_only(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    names = (*GOOD[:3], *EXPECTED, *HEALED, *GOOD[3:])
    outcome = render(fake_plan(names, marks=marks), tmp_path / "storm", timeout_s=3.0)
    failures = {f.object.removeprefix(f"{CHAIR}/"): f for f in outcome.failures}
    assert failures.keys() == EXPECTED.keys()
    for name, (stage, attempts, error) in EXPECTED.items():
        assert _matches(failures[name], stage, attempts, error), failures[name]
    ledger = (tmp_path / "storm" / "failures.jsonl").read_text().splitlines()
    assert [Failure.model_validate_json(line) for line in ledger] == list(outcome.failures)

    # Their neighbours: no byte differs from a run without them, and all that can be made is there.
    render(fake_plan((*GOOD, *HEALED), marks=marks), tmp_path / "calm")
    assert _views(tmp_path / "storm") == _views(tmp_path / "calm")
    assert len(list(marks.glob("dies-after-commit*"))) == 1 + 1, "rendered twice"
    assert oracle.leftovers(tmp_path / "storm") == []


def _matches(failure: Failure, stage: str, attempts: int, error: str) -> bool:
    right = failure.stage == stage and failure.attempts == attempts
    return right and re.search(error, failure.error) is not None and "\n" not in failure.error


def _views(folder: Path) -> dict[str, list[bytes]]:
    return {
        sample.object: [sample.views.encoded(v) for v in range(len(sample.views))]
        for sample in open_dataset(folder, verify="always")
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    render(fake_cli.the_plan(), folder, workers=1)
    return folder


def _steady_plan() -> Plan:
    """Nothing in it fails: where a kill meets an error, the ledger has the later of the two."""
    return fake_plan(tuple(f"slow-{i}" for i in range(24)), objects_per_shard=7, views=8)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steady") / "out"
    render(_steady_plan(), folder)
    return folder


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_no_byte(
    tmp_path: Path, undisturbed: Path, workers: int
) -> None:
    render(fake_cli.the_plan(), tmp_path / "out", workers=workers)
    assert oracle.tree_hash(tmp_path / "out") == oracle.tree_hash(undisturbed)


class Counter(Progress):
    """Counts what is rendered."""

    count = 0

    def rendered(self, obj: PlannedObject) -> None:
        self.count += 1


class Killer(threading.Thread):
    """Sends signals to random workers at random moments, at most one per rendered object.

    Args:
        counter: of what is rendered.
        seed: of moments, victims and signals.
        signals: to choose from.
    """

    def __init__(self, counter: Counter, seed: int, signals: list[signal.Signals]) -> None:
        super().__init__(daemon=True)
        self._counter = counter
        self._chance, self._signals = random.Random(seed), signals
        self._over = threading.Event()
        self.sent = 0

    def run(self) -> None:
        seen = -1
        while not self._over.wait(self._chance.uniform(0.0, 0.5)):
            if self._counter.count > seen and (victims := processes.workers()):
                seen = self._counter.count
                victim, what = self._chance.choice(victims), self._chance.choice(self._signals)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, what)
                    self.sent += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


@LINUX
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_workers_killed_from_outside_change_no_byte(
    tmp_path: Path, steady: Path, monkeypatch: pytest.MonkeyPatch, numbers: Note, seed: int
) -> None:
    monkeypatch.setattr(engine, "_ATTEMPTS", 1000)  # an object that is hit twice is given up
    monkeypatch.setattr(lanes, "_START_UP_S", 15.0)  # a worker stopped before it took its task
    signals = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGSTOP]
    counter = Counter()
    killer = Killer(counter, seed, signals if seed == 1 else signals[:3])
    killer.start()
    try:
        outcome = render(_steady_plan(), tmp_path / "out", progress=counter, timeout_s=4.0)
    finally:
        killer.stop()
    assert outcome.failures == ()
    assert killer.sent > 2
    assert oracle.tree_hash(tmp_path / "out") == oracle.tree_hash(steady)
    numbers(f"workers: {killer.sent} signals from outside (seed {seed}), 0 wrong")
    assert oracle.leftovers(tmp_path / "out") == []


def test_a_clock_that_jumps_changes_no_byte(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jump = time.time, [0.0]

    class Jumps(Progress):
        def rendered(self, obj: PlannedObject) -> None:
            jump[0] = -jump[0] if jump[0] else 10 * 365 * 86400.0

    monkeypatch.setattr(time, "time", lambda: real() + jump[0])
    render(fake_cli.the_plan(), tmp_path / "out", progress=Jumps())
    assert oracle.tree_hash(tmp_path / "out") == oracle.tree_hash(undisturbed)


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", "PYTHONUTF8": "0"},
    ],
)
def test_surroundings_change_no_byte(
    tmp_path: Path, undisturbed: Path, surroundings: dict[str, str]
) -> None:
    umask = os.umask(0o077)
    try:
        run = processes.start(tmp_path / "a b%ü\n" / "out", "--workers", "2", env=surroundings)
    finally:
        os.umask(umask)
    status, said = processes.finish(run)
    assert status == 3, said
    assert oracle.tree_hash(tmp_path / "a b%ü\n" / "out") == oracle.tree_hash(undisturbed)


def test_times_of_files_mean_nothing(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    render(fake_cli.the_plan(), out)
    for path in out.rglob("*"):
        os.utime(path, (0, 0))
    assert render(fake_cli.the_plan(), out).rendered == 0
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupt_waits_until_it_does_no_harm(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """In the middle of the pool's code it would leave a lock or a lost notification behind."""
    submit, whole = Lane.submit, []

    def interrupted(lane: Lane, task: Task, *, fresh: bool) -> None:
        if moment == "before":
            signal.raise_signal(signal.SIGINT)
        submit(lane, task, fresh=fresh)
        if moment == "after":
            signal.raise_signal(signal.SIGINT)
        whole.append(task)

    monkeypatch.setattr(Lane, "submit", interrupted)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            render(fake_cli.the_plan(), tmp_path / "out", workers=1)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(whole) == 1
    monkeypatch.setattr(Lane, "submit", submit)
    render(fake_cli.the_plan(), tmp_path / "out")
    assert oracle.tree_hash(tmp_path / "out") == oracle.tree_hash(undisturbed)


def test_a_storage_error_in_a_worker_stops_the_run(tmp_path: Path) -> None:
    plan = fake_plan(("a-1", "a-2", "storageerror-1", "a-3", "a-4"), objects_per_shard=9)
    with pytest.raises(StorageError, match="No space left on device"):
        render(plan, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert oracle.half_files(tmp_path / "out") == []


def test_a_renderer_that_never_comes_up_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"workers do not come up.*3die doctor"):
        render(fake_plan(GOOD), tmp_path / "out", renderer="tests.faults.fake_stage:NoStage")


def test_a_worker_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "secret")
    (failure,) = render(fake_plan(("env-1", "a-1")), tmp_path / "out").failures
    seen = set(failure.error.split())
    assert "PATH" in seen
    assert seen <= lanes._HARMLESS | {"BLENDER_USER_RESOURCES", *_BY_READLINE}
    assert os.environ["HF_TOKEN"] == "secret", "the parent's own environment is put back"


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can take it away"
)
def test_a_worker_has_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        plan = fake_plan(("net-1",), port=listening.getsockname()[1])
        (failure,) = render(plan, tmp_path / "out").failures
    assert "no network" in failure.error
