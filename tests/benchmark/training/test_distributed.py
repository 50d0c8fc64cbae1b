"""Claims proved here, on several ranks (gloo, real processes).

- Two ranks × 8 pairs give the loss, the terms, the gradients, the weights and the BatchNorm buffers
  of one rank × 16, for every method that learns, in float64 to 1e-9.
- What is compared is far from zero, so a factor of 2 would be seen.
- `train` on two ranks writes one run, and both know it when it is finished; a signal to one of them
  stops both at the same step, and the resumed run is the same bytes; both refuse another run.
- When a rank dies, the other one ends, and says so in one line.
- What torchrun and SLURM set is understood; a shell in a SLURM job is one process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmark.training.rank import learned
from tests.benchmark.training.tiny import config_of
from threedie.baselines import METHODS
from threedie.benchmark.training import checkpoint, distributed
from threedie.benchmark.training.distributed import launch
from threedie.benchmark.training.log import read_log
from threedie.errors import ConfigError

LEARN = [name for name in METHODS if name != "random"]
ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found."""
    out = tmp_path_factory.mktemp("ranks")
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = []
    for rank in ("0", "1"):
        env = {**os.environ, **meeting, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0"}
        env |= {"LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
        command = [sys.executable, "-m", "tests.benchmark.training.rank", str(out), *LEARN]
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
        )
    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends
    return out


@pytest.mark.parametrize("method", LEARN)
def test_two_ranks_are_one_big_batch(method: str, two_ranks: Path) -> None:
    alone = learned(method, launch(config_of(method)))
    assert any("norm" in name for name in alone)
    for rank in (0, 1):
        with np.load(two_ranks / f"{method}.rank{rank}.npz", allow_pickle=False) as both:
            assert set(both) == set(alone)
            for name, value in alone.items():
                np.testing.assert_allclose(both[name], value, rtol=1e-9, atol=1e-11, err_msg=name)


def test_what_is_compared_is_not_small() -> None:
    alone = learned("sie", launch(config_of("sie")))
    sizes = [np.abs(value).max() for name, value in alone.items() if "0/grad/backbone" in name]
    assert min(sizes) > 1e-3


def test_a_run_on_two_ranks_is_one_folder(two_ranks: Path) -> None:
    folder = two_ranks / "run"
    found = checkpoint.newest(folder / "checkpoints")
    assert found is not None
    assert found.checkpoint.step == 10
    assert [row["step"] for row in read_log(folder / "log.jsonl")] == [2, 4, 6, 8, 10]
    assert not any("norm.norm" in key for key in found.state["method"])
    assert all(torch.isfinite(v).all() for v in found.state["method"].values())


def test_a_stopped_and_resumed_run_is_the_same_bytes(two_ranks: Path) -> None:
    found = [checkpoint.newest(two_ranks / name / "checkpoints") for name in ("run", "stopped")]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].checkpoint.sha256 == found[1].checkpoint.sha256


def test_a_rank_that_dies_is_told_by_the_other(two_ranks: Path) -> None:
    assert (two_ranks / "lost" / "told").exists()  # rank.py asserts what is told


@pytest.mark.parametrize(
    ("env", "processes"),
    [
        ({}, (1, 1)),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, (8, 2)),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, (2, 1)),
        ({"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "sie"}, (4, 2)),
        ({"SLURM_NTASKS": "8", "SLURM_JOB_NAME": "bash"}, (1, 1)),
        ({"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "sie"}, (1, 1)),
    ],
)
def test_who_is_there(
    env: dict[str, str], processes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", env)
    assert distributed._processes() == processes


def test_uneven_slurm_tasks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"SLURM_NTASKS": "3", "SLURM_NNODES": "2"})
    with pytest.raises(ConfigError, match="3 tasks on 2 nodes; use --ntasks-per-node"):
        distributed._processes()
