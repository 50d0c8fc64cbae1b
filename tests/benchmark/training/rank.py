"""One rank of a run, as a process: `python -m tests.benchmark.training.rank OUT METHOD…`.

torchrun's environment variables say which. Writes OUT/METHOD.rank<r>.npz: terms, gradients, weights
and buffers after each of two steps in float64; and trains METHOD[0] into
OUT/run, with a stop into OUT/stopped, and into OUT/lost until rank 1 is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.benchmark.training.tiny import FakePairs, config_of, method_of
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.distributed import launch
from threedie.benchmark.training.learner import Learner
from threedie.benchmark.training.record import make_record
from threedie.benchmark.training.signals import Interrupted
from threedie.benchmark.training.train import train
from threedie.errors import ConfigError, ThreedieError

STEPS = 2


def learned(method_name: str, fabric: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Everything that two steps of 16 pairs leave behind."""
    config = config_of(method_name, batch_size=16, optimizer="sgd", lr=1e-2)
    method = method_of(config, dtype=torch.float64)
    source = FakePairs(
        config, rank=fabric.global_rank, world=fabric.world_size, dtype=torch.float64
    )
    learner = Learner(config, make_record(config, source), method, fabric)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for step in range(STEPS):
        terms = learner.learn(step, source.batch(step))
        found |= {f"{step}/term/{name}": value.numpy() for name, value in terms.items()}
        for name, parameter in method.named_parameters():
            assert parameter.grad is not None, name
            found[f"{step}/grad/{name}"] = parameter.grad.numpy().copy()
        state = method.state_dict().items()
        found |= {f"{step}/state/{name}": value.numpy().copy() for name, value in state}
    return found


def main(out: Path, methods: list[str]) -> None:
    config = config_of(methods[0])
    fabric = launch(config)
    for name in methods:
        np.savez(out / f"{name}.rank{fabric.global_rank}.npz", **learned(name, fabric))
    source = FakePairs(config, rank=fabric.global_rank, world=fabric.world_size)
    trained = train(config, source, method_of(config), out / "run", fabric=fabric)
    assert (trained.step, trained.already_done) == (10, False)
    again = train(config, source, method_of(config), out / "run", fabric=fabric)
    assert again.already_done
    assert again.checkpoint == trained.checkpoint
    with pytest.raises(ConfigError, match="holds another run: lr"):  # no rank is left waiting
        train(replace(config, lr=0.5), source, method_of(config), out / "run", fabric=fabric)
    stopped_and_resumed(config, fabric, out / "stopped")
    lost(config, fabric, out / "lost")  # last: nobody comes back from it


def stopped_and_resumed(config: RunConfig, fabric: Any, folder: Path) -> None:
    """A signal to one rank before the third step stops both after it: CPUs meet at every step."""

    def before(step: int) -> None:
        if step == 2 and fabric.global_rank == 1:
            os.kill(os.getpid(), signal.SIGUSR1)

    parts = {"rank": fabric.global_rank, "world": fabric.world_size}
    source = FakePairs(config, before=before, **parts)
    with pytest.raises(Interrupted, match="saved at step 3 of 10"):
        train(config, source, method_of(config), folder, fabric=fabric)
    train(config, FakePairs(config, **parts), method_of(config), folder, fabric=fabric)


def lost(config: RunConfig, fabric: Any, folder: Path) -> None:
    """Rank 1 dies in the third step, as if killed; rank 0 says so and how to go on."""

    def before(step: int) -> None:
        if step == 2 and fabric.global_rank == 1:
            os._exit(0)

    source = FakePairs(config, before=before, rank=fabric.global_rank, world=fabric.world_size)
    with pytest.raises(ThreedieError, match=r"another rank is gone \(.*run the same command"):
        train(config, source, method_of(config), folder, fabric=fabric)
    (folder / "told").touch()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:])
