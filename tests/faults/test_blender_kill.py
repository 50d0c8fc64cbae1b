"""The command line with real Blender, killed three times.

Claim: `3die render`, killed with SIGKILL at random moments and started again, ends with the shards
of a run that nobody disturbed, with another number of workers; nothing is left behind, in the data
set, among temporary files or in memory.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import oracle, processes
from tests.faults.conftest import ROOT
from threedie.render.scratch import scratch_root

Note = Callable[[str], None]
COMMAND = ["--classes", "chair,mug", "--limit", "4", "--views", "3", "--size", "32"]
KILLS = 3
LIMIT_S = 240.0
"""For what takes ten seconds."""


def start(out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "threedie", "render", *COMMAND, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(out.parent / "temp")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.bpy
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_render_is_completed_with_the_same_bytes(tmp_path: Path, numbers: Note) -> None:
    calm, storm, begun = tmp_path / "calm", tmp_path / "storm", time.monotonic()
    (tmp_path / "temp").mkdir()
    assert start(calm, workers=2).wait(LIMIT_S) == 0
    assert list((tmp_path / "temp").iterdir()) == []
    pids = []
    chance, duration = random.Random(3), time.monotonic() - begun
    for kill in range(KILLS):
        run = start(storm, workers=1 + kill % 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(chance.uniform(0.2, 0.6) * duration)
            shutil.rmtree(storm)  # it was faster than the undisturbed one: again from the start
            run = start(storm, workers=1)
            processes.wait_for((storm / ".render").exists, "the run to begin", LIMIT_S)
        pids.append(run.pid)
        (os.killpg if kill % 2 else os.kill)(run.pid, signal.SIGKILL)
        run.wait()
        processes.gone(run.pid)
        assert oracle.content(storm) in (None, oracle.content(calm))
    assert start(storm, workers=1).wait(LIMIT_S) == 0
    assert oracle.tars(storm) == oracle.tars(calm)
    assert oracle.tree_hash(storm) == oracle.tree_hash(calm)
    assert oracle.leftovers(storm) == []
    assert list((tmp_path / "temp").iterdir()) == []
    assert [left for pid in pids for left in scratch_root().glob(f"threedie-{pid}-*")] == []
    numbers(f"Blender: {KILLS} runs killed, 0 wrong")
