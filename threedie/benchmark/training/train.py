"""`train`: a method on a source of pairs, into a run folder. The same call again goes on.

A run is one stream of global steps. Pairs, learning rate and dropout are functions of (seed, step),
so a checkpoint needs weights, optimiser and the step only, and a resumed run is the same run (bit
for bit on a CPU with the same number of threads).
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from threedie import files
from threedie.baselines.method import Method
from threedie.benchmark.reading.pairs import PairSource
from threedie.benchmark.training import checkpoint
from threedie.benchmark.training.checkpoint import Checkpoint, Loaded
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.devices import memory_explained, settle, threads
from threedie.benchmark.training.distributed import agree, as_rank_0, launch, loss_explained
from threedie.benchmark.training.learner import Learner
from threedie.benchmark.training.log import LOG, Log, collapsed
from threedie.benchmark.training.monitor import Monitor
from threedie.benchmark.training.record import RunRecord, check_same_run, make_record
from threedie.benchmark.training.run_folder import CHECKPOINTS, EVENTS, held
from threedie.benchmark.training.signals import Interrupted, Signals, caught
from threedie.benchmark.training.window import Window
from threedie.errors import StorageError, ThreedieError

_LOG_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What `train` did."""

    folder: Path
    step: int
    """Global steps of the whole run."""
    pairs: int
    """Of the whole run."""
    seconds: float
    """Of training, over all starts of the run."""
    pairs_per_s: float
    """Of this start; 0 where nothing was left to do."""
    already_done: bool
    """The run was finished before."""
    checkpoint: Checkpoint


def train(
    config: RunConfig,
    source: PairSource,
    method: Method,
    folder: Path,
    *,
    fabric: Any = None,
    console: Console | None = None,
) -> Trained:
    """Train until the config's budget is used, going on from the folder's newest checkpoint.

    Args:
        config: of the run.
        source: pairs in batches of `config.batch_size`, this rank's part of each.
        method: as `build_method` gives it; it is trained in place.
        folder: of the run; made if it is not there.
        fabric: of `launch`, where the caller needed the ranks before; None launches here.
        console: told how it goes (by rank 0 only).

    Raises:
        ConfigError: the folder holds another run, the machine can't do what is asked, or the
            memory is too small.
        ManifestError: all checkpoints are damaged.
        StorageError: the disk is full or failing.
        ThreedieError: the loss is not finite any more.
        Busy: another process trains in this folder.
        Interrupted: SIGTERM, SIGUSR1 or Ctrl-C; what was done is saved.
    """
    config = settle(config)
    fabric = launch(config) if fabric is None else fabric
    console = console if fabric.is_global_zero else None
    say = _sayer(console)
    trains = bool(getattr(method, "trains", True))
    record = make_record(config, source, trains=trains)
    with contextlib.ExitStack() as stack:

        def take() -> Loaded | None:
            files.make_directory(folder / CHECKPOINTS)
            stack.enter_context(held(folder))
            _settle_record(record, folder)
            return checkpoint.newest(folder / CHECKPOINTS, note=say)

        stack.enter_context(loss_explained(folder))
        found = as_rank_0(fabric, take)
        stack.enter_context(threads(config.threads))
        stack.enter_context(memory_explained(config, fabric.world_size))
        run = _Run(config, record, folder, fabric, found)
        if found is not None and run.step >= record.steps:
            say(f"{folder} is trained: all of its {record.steps:,} steps are done")
            return run.result(found.checkpoint, already_done=True)
        learner = Learner(config, record, method, fabric, found)
        return run.go_on(source, learner, console)


class _Run:
    """A run under way, on one rank.

    Args:
        config: settled.
        record: of the folder.
        folder: of the run.
        fabric: launched.
        found: the newest checkpoint.
    """

    def __init__(
        self,
        config: RunConfig,
        record: RunRecord,
        folder: Path,
        fabric: Any,
        found: Loaded | None,
    ) -> None:
        self._config, self._record, self._folder = config, record, folder
        self._fabric = fabric
        self._newest = found.checkpoint if found else None
        self.step = self._first = self._newest.step if self._newest else 0
        self._log = Log(folder / LOG, before_step=self.step)
        self._seconds_before = float(self._log.rows[-1]["seconds"]) if self._log.rows else 0.0
        self._begun = self._saved = self._written = time.monotonic()

    def go_on(self, source: PairSource, learner: Learner, console: Console | None) -> Trained:
        """Learn to the end of the budget, or to a signal."""
        self._learner, self._monitor = learner, None
        self._begun = self._saved = self._written = time.monotonic()
        with contextlib.ExitStack() as stack:
            self._monitor = self._open_monitor(console, stack)
            signals = stack.enter_context(caught())
            dropout = stack.enter_context(_keyed_randomness(self._config.seed, self._fabric))
            stopped = self._loop(source, signals, dropout)
            saved = self._save()
            stopped = stopped or signals.number is not None
        if stopped:
            raise Interrupted(
                f"saved at step {self.step:,} of {self._record.steps:,} in {self._folder}; run the "
                "same command to go on."
            )
        return self.result(saved, already_done=False)

    def result(self, newest: Checkpoint, *, already_done: bool) -> Trained:
        """What was done."""
        seconds = 0.0 if already_done else time.monotonic() - self._begun
        here = (self.step - self._first) * self._config.batch_size
        return Trained(
            folder=self._folder,
            step=self.step,
            pairs=self.step * self._config.batch_size,
            seconds=self._seconds_before + seconds,
            pairs_per_s=here / seconds if seconds else 0.0,
            already_done=already_done,
            checkpoint=newest,
        )

    def _loop(self, source: PairSource, signals: Signals, dropout: Callable[[int], None]) -> bool:
        """Whether a signal ended it."""
        window = Window()
        batches = source.batches(self.step, self._record.steps)
        try:
            for batch in window.waiting_for(batches):
                dropout(self.step)
                window.add(self.step, self._learner.learn(self.step, batch))
                self.step += 1
                if self._monitor is not None:
                    self._monitor.step(self.step)
                if self._meets() and self._look(window, signals):
                    return True
        finally:
            if isinstance(batches, Generator):
                batches.close()  # its threads end now, not when it is collected
        if self.step < self._record.steps:
            raise ThreedieError(
                f"the pairs ended after step {self.step:,} of {self._record.steps:,}: the source "
                "must give as many batches as it is asked for."
            )
        return False

    def _meets(self) -> bool:
        """Whether device and ranks are waited for after this step."""
        due = self.step % self._config.log_every == 0 or self.step == self._record.steps
        return self._config.device == "cpu" or due or self._saves_now()  # CPUs lose nothing by it

    def _saves_now(self) -> bool:
        every = self._config.checkpoint_steps
        return every > 0 and self.step % every == 0

    def _look(self, window: Window, signals: Signals) -> bool:
        """Check, log and save what is due; whether to stop."""
        if bad := window.not_finite():
            self._diverged(*bad)
        minutes = self._config.checkpoint_minutes
        due = 0 < minutes < (time.monotonic() - self._saved) / 60
        flags = agree({"stop": signals.number is not None, "save": due}, self._fabric.device)
        if self.step % self._config.log_every == 0 or self.step == self._record.steps:
            self._tell(window)
        if flags["save"] or self._saves_now():
            self._save()
        return flags["stop"]

    def _tell(self, window: Window) -> None:
        row = {**window.close(self._config.batch_size), **self._learner.report()}
        if self._monitor is None:
            return
        pairs = self.step * self._config.batch_size
        seconds = self._seconds_before + time.monotonic() - self._begun
        where = {"step": self.step, "pairs": pairs, "epoch": pairs / self._record.n_objects}
        row = {**where, "seconds": seconds, **row}
        self._log.add(row)
        self._monitor.row(row)
        if collapsed(row):
            self._monitor.warn_of_collapse(row)
        if time.monotonic() - self._written > _LOG_EVERY_S:
            self._written = time.monotonic()
            try:
                self._log.write()
            except StorageError as err:  # the next checkpoint needs room; training does not
                self._monitor.note(f"going on without it: {err}")

    def _save(self) -> Checkpoint:
        """A checkpoint of now, unless there is one."""
        if self._newest is not None and self._newest.step == self.step:
            return self._newest
        if name := self._learner.not_finite():
            self._diverged(self.step, {name: float("nan")})

        def write() -> Checkpoint:
            self._log.write()
            path = self._folder / CHECKPOINTS
            return checkpoint.save(path, self.step, self._learner.state())

        self._newest = as_rank_0(self._fabric, write)
        self._saved = time.monotonic()
        return self._newest

    def _diverged(self, step: int, terms: dict[str, float]) -> None:
        said = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        back = "there is no checkpoint to go back to"
        if self._newest is not None:
            back = f"the newest checkpoint, {self._newest.path}, is whole"
        raise ThreedieError(
            f"step {step:,} is not finite: {said}. Nothing of it was saved; {back}. A lower rate "
            f"(--set lr={self._config.lr / 3:.1g}), a warm-up (--set warmup_epochs=1) or --set "
            "precision=32 may help, in a new folder."
        )

    def _open_monitor(self, console: Console | None, stack: contextlib.ExitStack) -> Monitor | None:
        if not self._fabric.is_global_zero:
            return None
        monitor = Monitor(
            console,
            self._config,
            self._folder / EVENTS,
            steps=self._record.steps,
            first=self.step,
        )
        stack.callback(monitor.close)
        if self.step:
            monitor.note(f"going on after step {self.step:,} of {self._record.steps:,}")
        return monitor


def _settle_record(record: RunRecord, folder: Path) -> None:
    """The folder's record must be of this run; it is written where there was none."""
    found = RunRecord.read(folder)
    if found is None:
        record.write(folder)
    else:
        check_same_run(found, record, folder)


def _sayer(console: Console | None) -> Callable[[str], None]:
    def say(text: str) -> None:
        if console is not None:
            console.print(text, highlight=False, soft_wrap=True, markup=False)

    return say


@contextlib.contextmanager
def _keyed_randomness(seed: int, fabric: Any) -> Iterator[Callable[[int], None]]:
    """Lets torch's generators be set by (seed, step, rank): what dropout draws can be resumed."""

    def at(step: int) -> None:
        key = f"{seed} {step} {fabric.global_rank}".encode()
        torch.manual_seed(int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big"))

    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield at
