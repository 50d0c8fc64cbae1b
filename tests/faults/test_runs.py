"""Whole runs that are killed, interrupted, or started twice. The real verb, without Blender.

Claims:
- A run killed at random moments (the process alone, or all of its session) and started again ends
  with the bytes of an undisturbed run; its workers die with it, and the next run clears what it
  left in memory and on disk.
- Ctrl-C and SIGTERM end it with exit status 1, a sentence that says how to go on, and no process
  left behind; a second Ctrl-C too.
- Of two runs in one folder one works and the other says who is at it; without working locks (NFS,
  Lustre) both end well, with the same bytes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import fake_cli, oracle, processes
from tests.faults.fake_stage import RENDERER
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.progress import Progress
from threedie.render.scratch import scratch_root

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

Note = Callable[[str], None]
WITH_FAILURES = 3
"""The exit status: the plan has one object that fails."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    hardware = Hardware(workers=1, threads=1)
    render_dataset(
        fake_cli.the_plan(), folder, hardware=hardware, progress=Progress(), renderer=RENDERER
    )
    return folder


def complete(out: Path, undisturbed: Path, *options: str) -> None:
    """The same command ends the job, and nothing is left."""
    run = processes.start(out, *options)
    status, said = processes.finish(run)
    assert status == WITH_FAILURES, said
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
    assert oracle.leftovers(out) == []
    processes.gone(run.pid)


def working(out: Path) -> bool:
    """Something is rendered, and not everything."""
    return any((out / ".render").glob("parts/*.part")) or any(out.glob("*.tar"))


def left_in_memory(pid: int) -> list[Path]:
    """Scratch folders and semaphores of a run."""
    root = scratch_root()
    return [*root.glob(f"threedie-{pid}-*"), *root.glob(f"sem.threedie-{pid}-*")]


@pytest.mark.parametrize("whole_session", [False, True])
def test_killed_runs_cost_nothing(
    tmp_path: Path, undisturbed: Path, numbers: Note, whole_session: bool
) -> None:
    chance, pids, kills = random.Random(whole_session), [], 0
    out, longest = tmp_path / "out-0", 1.0
    while kills < 10:
        begun = time.monotonic()
        run = processes.start(out, "--workers", str(1 + kills % 3))
        pids.append(run.pid)
        try:
            run.wait(chance.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            kills += 1
            (os.killpg if whole_session else os.kill)(run.pid, signal.SIGKILL)
            run.communicate()
            processes.gone(run.pid)
            assert oracle.content(out) in (None, oracle.content(undisturbed))
        else:
            longest = 0.9 * (time.monotonic() - begun)
            run.communicate()
            assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
            out = tmp_path / f"out-{kills}"
        longest = min(longest + 0.2, 8.0)
    complete(out, undisturbed)
    assert [left for pid in pids for left in left_in_memory(pid)] == []
    what = "with all its processes" if whole_session else "alone"
    numbers(f"runs: {kills} killed {what}, 0 wrong, 0 orphans, 0 leftovers")


def test_the_workers_die_with_the_run(tmp_path: Path) -> None:
    run = processes.start(tmp_path / "out")
    processes.wait_for(lambda: working(tmp_path / "out"), "the first part")
    assert len(processes.in_session(run.pid)) > 2
    run.kill()
    run.communicate()
    processes.gone(run.pid)


@pytest.mark.parametrize("how", ["Ctrl-C", "Ctrl-C twice", "Ctrl-C at the start", "SIGTERM"])
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, undisturbed: Path, how: str) -> None:
    out = tmp_path / "out"
    run = processes.start(out)
    if how == "Ctrl-C at the start":
        processes.wait_for((out / ".render" / "plan.json").exists, "the plan")
        time.sleep(0.3)  # the workers are importing
    else:
        processes.wait_for(lambda: working(out), "the first part")
    if how == "SIGTERM":
        run.terminate()
    else:  # a terminal sends it to all processes
        os.killpg(run.pid, signal.SIGINT)
    if how == "Ctrl-C twice":
        time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
    status, said = processes.finish(run)
    if how == "Ctrl-C twice":  # the second one may meet any line, or the end of Python itself
        assert status in (1, -signal.SIGINT), said
    else:
        assert status == 1, said
        assert "the same command goes on" in said
        assert "Traceback" not in said
    processes.gone(run.pid)
    assert not (out / "dataset.json").exists()
    complete(out, undisturbed, "--workers", "1")
    assert left_in_memory(run.pid) == []


def test_a_second_run_in_the_folder_says_who_is_at_it(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    first = processes.start(out)
    processes.wait_for(lambda: working(out), "the first part")
    second = processes.start(out)
    status, said = processes.finish(second)
    assert status == 1
    assert f"{out} is being written by another run (host " in said.replace("\n", " ")
    assert f"process {first.pid})" in said
    status, said = processes.finish(first)
    assert status == WITH_FAILURES, said
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 0.6])
def test_two_runs_without_locks_both_end_well(
    tmp_path: Path, undisturbed: Path, delay_s: float
) -> None:
    out = tmp_path / "out"
    first = processes.start(out, "--no-locks", "--workers", "1")
    time.sleep(delay_s)
    second = processes.start(out, "--no-locks", "--workers", "1")
    for run in (first, second):
        status, said = processes.finish(run)
        assert status == WITH_FAILURES, said
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
    complete(out, undisturbed)


def test_another_seed_is_another_data_set(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "out"
    complete(out, undisturbed)
    status, said = processes.finish(processes.start(out, "--seed", "1"))
    assert status == 2
    assert "seed: 0 there, 1 asked for" in said
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
