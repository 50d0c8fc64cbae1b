"""The folder of a run: who holds it, and what is in it.

runs/NAME/config.json  log.jsonl  events/ (TensorBoard)  checkpoints/step-….pt + .sha256
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threedie.baselines.method import Method, frozen
from threedie.benchmark.training import checkpoint
from threedie.benchmark.training.build import build_method
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.record import RunRecord
from threedie.errors import Busy, ManifestError

CHECKPOINTS, EVENTS = "checkpoints", "events"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedRun:
    """A trained method, ready to be evaluated."""

    method: Method
    """In eval mode, on the CPU, without gradients."""
    config: RunConfig
    record: RunRecord
    step: int
    finished: bool
    checkpoint: Path
    checkpoint_sha256: str

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        """What its pictures were normalised with: true RGB, 0..1."""
        return self.record.pixel_mean

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        """Likewise."""
        return self.record.pixel_std


def load_run(folder: Path) -> LoadedRun:
    """The method of a run folder, from its newest whole checkpoint.

    Raises:
        ManifestError: no run there, no checkpoint yet, or all damaged.
        ConfigError: the checkpoint is of another method or encoder than config.json says.
    """
    record = RunRecord.read(folder)
    if record is None:
        raise ManifestError(
            f"{folder} holds no run: it has no config.json. `3die bench` makes such folders."
        )
    loaded = checkpoint.newest(folder / CHECKPOINTS)
    if loaded is None:
        raise ManifestError(f"{folder} has no checkpoint yet; run its `3die bench` command again.")
    config, found = record.run_config, loaded.checkpoint
    method = build_method(config, record.n_classes)
    checkpoint.load_weights(method, loaded.state["method"], found.path)
    return LoadedRun(
        method=frozen(method),
        config=config,
        record=record,
        step=found.step,
        finished=found.step >= record.steps,
        checkpoint=found.path,
        checkpoint_sha256=found.sha256,
    )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs out while the block runs; a lock, where the file system has locks.

    Raises:
        Busy: another process trains in this folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        if err.errno in (errno.EAGAIN, errno.EACCES):
            os.close(descriptor)
            raise Busy(f"{folder} is being trained in by another process.") from err
    try:
        yield
    finally:
        os.close(descriptor)
