"""The whole command under signals.

Claims: USR1 in the middle of training saves, and ends with status 75; after a kill -9 the same
command goes on; the weights are those of a run that nobody disturbed, bit for bit. A pipe that
nobody reads any more stops nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.data.builders import Plan, build

SETTINGS = {
    "size": "32",
    "batch_size": "8",
    "epochs": "20",
    "threads": "1",
    "projector": "16,16",
    "checkpoint_steps": "4",
}


def command(name: str) -> list[str]:
    run = ["bench", "--method", "sie", "--preset", "smoke", "--no-eval", "--device", "cpu"]
    place = ["--data", "data", "--out", ".", "--name", name]
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "threedie", *run, *place, *sets]


def started(folder: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(name),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def steps(folder: Path) -> list[int]:
    return sorted(int(p.stem[5:]) for p in (folder / "checkpoints").glob("step-*.pt"))


def disturbed(folder: Path, number: signal.Signals) -> tuple[int, str]:
    """Start or go on, send the signal when there is a new checkpoint, and wait for the end."""
    before = max(steps(folder / "run"), default=0)
    process = started(folder, "run")
    deadline = time.monotonic() + 120
    while max(steps(folder / "run"), default=0) <= before and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=120)[0]
    return process.returncode, said


def weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / f"step-{max(steps(folder)):08d}.pt"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["method"]
    return state


def test_stopped_twice_it_is_the_same_run(tmp_path: Path) -> None:
    build(tmp_path / "data", Plan(objects=[f"o{i}" for i in range(5)], size=32))
    status, said = disturbed(tmp_path, signal.SIGUSR1)
    assert status == 75, said
    assert "run the same command to go on" in said
    status, said = disturbed(tmp_path, signal.SIGKILL)
    assert status == -signal.SIGKILL, said
    for name in ("run", "calm"):
        process = started(tmp_path, name)
        said = process.communicate(timeout=240)[0]
        assert process.returncode == 0, said
    one, other = weights(tmp_path / "run"), weights(tmp_path / "calm")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert steps(tmp_path / "run") == steps(tmp_path / "calm")


def test_a_pipe_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    build(tmp_path / "data", Plan(objects=[f"o{i}" for i in range(5)], size=32))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = subprocess.run(
            command("run"), cwd=tmp_path, stdout=nobody, stderr=subprocess.PIPE, timeout=240
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert steps(tmp_path / "run")
