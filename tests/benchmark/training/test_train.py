"""Claims proved here, on whole runs of a tiny encoder on the CPU.

- 10 steps in one go, and 5 steps, a signal and 5 more in another process's state, leave the same
  bytes of checkpoint; so do 10 steps with online probes off, but for the probes.
- Every checkpoint of a run is of the same bytes wherever the run was stopped before.
- The same call on a finished run does nothing; another config or other data in the folder are
  refused with the difference; settings of the machine may change.
- Learning is real: the loss of a fixed batch falls. Torch's own generators are left alone.
- A loss that is no number stops the run, naming step, terms and the checkpoint to go back to; a
  weight that is none is never saved.
- A process killed at random moments, again and again, leaves whole checkpoints that only move on,
  and the run ends in the same bytes.
- SIGTERM, SIGUSR1 and Ctrl-C save, and say how to go on; the third one is not held back.
- The log has one line per logged step whatever happened; data_wait is the share spent waiting.
- Methods that do not learn get a checkpoint of step 0.
- A source that ends early, memory that is short, and a second process are clear errors.
"""

from __future__ import annotations

import fcntl
import io
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from tests.benchmark.training.tiny import FakePairs, config_of, method_of
from threedie.baselines.method import Method
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.training import checkpoint
from threedie.benchmark.training import train as training
from threedie.benchmark.training.checkpoint import Checkpoint
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.log import Log, read_log
from threedie.benchmark.training.run_folder import load_run
from threedie.benchmark.training.signals import Interrupted, caught
from threedie.benchmark.training.train import Trained, train
from threedie.errors import Busy, ConfigError, StorageError, ThreedieError

CONFIG = config_of("sie")


def go(folder: Path, config: RunConfig = CONFIG, **source: Any) -> Trained:
    """A whole run, or the rest of one, with everything made anew."""
    return train(config, FakePairs(config, **source), method_of(config), folder)


def state_of(folder: Path) -> dict[str, Any]:
    found = checkpoint.newest(folder / "checkpoints")
    assert found is not None
    return found.state


def at(step: int, action: Callable[[], Any]) -> Callable[[int], None]:
    return lambda now: action() if now == step else None


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one go."""
    folder = tmp_path_factory.mktemp("straight")
    assert go(folder).step == 10
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_the_resumed_run_is_the_same_bytes(
    number: int, straight: Path, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted, match=r"saved at step 5 of 10 in .*same command") as stopped:
        go(tmp_path, before=at(4, send(number)))
    assert stopped.value.exit_code == 75
    assert state_of(tmp_path).keys() == {"method", "optimizer", "scaler", "probes"}
    assert go(tmp_path).checkpoint.sha256 == go(straight).checkpoint.sha256
    steps = [row["step"] for row in read_log(tmp_path / "log.jsonl")]
    assert steps == [2, 4, 6, 8, 10]


def test_stopping_after_every_step_changes_nothing(straight: Path, tmp_path: Path) -> None:
    for step in range(10):
        with pytest.raises(Interrupted):
            go(tmp_path, before=at(step, send(signal.SIGTERM)))
    assert go(tmp_path).already_done
    assert go(tmp_path).checkpoint.sha256 == go(straight).checkpoint.sha256


def test_a_signal_during_the_last_checkpoint_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.save

    def slow(*args: Any) -> Checkpoint:
        os.kill(os.getpid(), signal.SIGTERM)
        return write(*args)

    monkeypatch.setattr(checkpoint, "save", slow)
    with pytest.raises(Interrupted, match="saved at step 10 of 10"):
        go(tmp_path)
    assert go(tmp_path).already_done


def test_only_what_is_left_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(tmp_path, before=at(6, send(signal.SIGTERM)))
    source = FakePairs(CONFIG)
    train(CONFIG, source, method_of(CONFIG), tmp_path)
    assert source.asked == [(7, 10)]


def test_a_seed_is_a_run(straight: Path, tmp_path: Path) -> None:
    other = go(tmp_path, replace(CONFIG, seed=1))
    assert other.checkpoint.sha256 != go(straight).checkpoint.sha256


def test_probes_change_nothing(straight: Path, tmp_path: Path) -> None:
    go(tmp_path, replace(CONFIG, online_probes=False))
    without, with_probes = state_of(tmp_path), state_of(straight)
    assert without["probes"] is None
    for name, value in with_probes["method"].items():
        assert torch.equal(value, without["method"][name]), name
    for index, moments in with_probes["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, without["optimizer"]["state"][index][name])


def test_dropout_can_be_resumed(tmp_path: Path) -> None:
    def run(folder: Path, **source: Any) -> Trained:
        method = method_of(CONFIG)
        method.backbone = torch.nn.Sequential(method.backbone, torch.nn.Dropout(0.5))
        return train(CONFIG, FakePairs(CONFIG, **source), method, folder)

    with pytest.raises(Interrupted):
        run(tmp_path / "a", before=at(3, send(signal.SIGTERM)))
    torch.rand(3)
    assert run(tmp_path / "a").checkpoint.sha256 == run(tmp_path / "b").checkpoint.sha256


def test_torchs_generator_and_threads_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state(), torch.get_num_threads()
    go(tmp_path, replace(CONFIG, threads=2))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == torch.get_num_threads()


def test_it_learns(tmp_path: Path) -> None:
    class Same(FakePairs):
        def batch(self, step: int) -> PairBatch:
            return super().batch(0)

    config = config_of("simclr", pairs=320)
    train(config, Same(config), method_of(config), tmp_path)
    rows = read_log(tmp_path / "log.jsonl")
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    done = go(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    source, said = FakePairs(CONFIG), io.StringIO()
    again = train(CONFIG, source, method_of(CONFIG), tmp_path, console=Console(file=said))
    assert again.already_done
    assert (again.step, again.pairs, again.checkpoint) == (10, 80, done.checkpoint)
    assert again.seconds == pytest.approx(done.seconds, rel=0.5)
    assert source.asked == []
    assert "all of its 10 steps are done" in said.getvalue()
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr": 0.01}, r"lr 0.001 \(now 0.01\)"),
        ({"seed": 3, "pairs": 160}, r"pairs 80 \(now 160\); seed 0 \(now 3\); steps 10"),
        ({"settings": {"projector": (16, 16)}}, r"projector \[16, 16, 12\] \(now \[16, 16\]\)"),
        ({"method": "vicreg"}, r'method "sie" \(now "vicreg"\)'),
        ({"precision": "bf16"}, r'precision "32" \(now "bf16"\)'),
    ],
)
def test_another_run_is_refused(
    changes: dict[str, Any], said: str, straight: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        go(straight, replace(CONFIG, **changes))


def test_other_data_are_refused(straight: Path) -> None:
    source = FakePairs(CONFIG)
    source.data_hash = "cd" * 32
    with pytest.raises(ConfigError, match='data "abab'):
        train(CONFIG, source, method_of(CONFIG), straight)


def test_the_machine_may_change(straight: Path) -> None:
    changed = replace(CONFIG, data="elsewhere", log_every=7, workers=3, channels_last=False)
    assert go(straight, changed).already_done


def test_a_run_is_loaded_as_it_was_trained(straight: Path) -> None:
    run = load_run(straight)
    assert (run.step, run.finished, run.config) == (10, True, CONFIG)
    assert run.checkpoint_sha256 == go(straight).checkpoint.sha256
    assert (run.pixel_mean, run.pixel_std) == (FakePairs.pixel_mean, FakePairs.pixel_std)
    assert not run.method.training
    assert not any(parameter.requires_grad for parameter in run.method.parameters())
    for name, value in state_of(straight)["method"].items():
        assert torch.equal(run.method.state_dict()[name], value)


def broken(monkeypatch: pytest.MonkeyPatch, *, at_call: int, value: float) -> Method:
    method = method_of(CONFIG)
    terms, calls = method.terms, iter(range(10**6))

    def breaking(projections: dict[str, Tensor]) -> dict[str, Tensor]:
        found = terms(projections)
        return {**found, "loss": found["loss"] * value} if next(calls) == at_call else found

    monkeypatch.setattr(method, "terms", breaking)
    return method


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, checkpoint_steps=3)
    method = broken(monkeypatch, at_call=7, value=value)
    said = rf"step 7 .*loss {value}, equivariance [\d.]+.*step-00000006.pt, is whole.*lr=0.0003"
    with pytest.raises(ThreedieError, match=said):
        train(config, FakePairs(config), method, tmp_path)
    assert go(tmp_path).step == 10


def test_weights_that_are_no_numbers_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step's gradient may be none though its loss is one: the next loss would tell, too late."""
    config, method = replace(CONFIG, checkpoint_steps=1), method_of(CONFIG)
    terms, calls = method.terms, iter(range(10**6))

    def breaking(projections: dict[str, Tensor]) -> dict[str, Tensor]:
        found = terms(projections)
        if next(calls) == 4:
            loss: Any = found["loss"]
            loss.register_hook(lambda gradient: gradient * float("nan"))
        return found

    monkeypatch.setattr(method, "terms", breaking)
    with pytest.raises(ThreedieError, match=r"step 5 is not finite: backbone.conv1.weight nan"):
        train(config, FakePairs(config), method, tmp_path)
    found = checkpoint.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found.checkpoint.step == 4


def test_the_third_signal_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    with caught() as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert (signals.number, raised) == (signal.SIGTERM, [])
        os.kill(os.getpid(), signal.SIGINT)
        assert raised == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_a_terminal_that_is_gone_stops_as_sigterm_does_but_not_under_nohup() -> None:
    with caught() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.number == signal.SIGHUP
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with caught() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_log_that_cannot_be_written_for_a_while_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failed = Log.write, list[int]()

    def full_for_a_while(log: Log) -> None:
        if len(failed) < 3:
            failed.append(len(log.rows))
            raise StorageError("no space left")
        write(log)

    monkeypatch.setattr(training, "_LOG_EVERY_S", -1.0)
    monkeypatch.setattr(Log, "write", full_for_a_while)
    assert go(tmp_path).step == 10
    assert failed == [1, 2, 3]
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [2, 4, 6, 8, 10]


def long_run(folder: Path) -> None:
    """A run that saves after every step, in a process to be killed."""
    torch.set_num_threads(1)
    go(folder, LONG, wait_s=0.005)


LONG = replace(CONFIG, pairs=480, checkpoint_steps=1)


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch.utils.tensorboard"])
    moments, progress = random.Random(0), []
    for _ in range(8):
        process = context.Process(target=long_run, args=(tmp_path / "killed",))
        process.start()
        process.join(moments.uniform(0.05, 0.5))
        process.kill()
        process.join()
        found = checkpoint.newest(tmp_path / "killed" / "checkpoints")
        progress.append(found.checkpoint.step if found else 0)
    assert progress == sorted(progress)
    resumed, straight = go(tmp_path / "killed", LONG), go(tmp_path / "straight", LONG)
    assert resumed.checkpoint.sha256 == straight.checkpoint.sha256
    rows = [row["step"] for row in read_log(tmp_path / "killed" / "log.jsonl")]
    assert rows == sorted(set(rows))


def test_handlers_are_put_back(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    go(tmp_path)
    assert before == [signal.getsignal(number) for number in numbers]


def test_the_log_says_what_happened(straight: Path) -> None:
    rows = read_log(straight / "log.jsonl")
    last = rows[-1]
    assert (last["step"], last["pairs"], last["epoch"]) == (10, 80, 2.0)
    for name in ("loss", "equivariance", "variance", "online_top1", "online_r2", "repr_std"):
        assert name in last
    assert last["pairs_per_s"] > 0
    assert 0 <= last["data_wait"] <= 1
    assert list((straight / "events").glob("events.out.tfevents.*"))


def test_waiting_for_data_is_counted(tmp_path: Path) -> None:
    go(tmp_path, replace(CONFIG, pairs=32), wait_s=0.2)
    assert all(row["data_wait"] > 0.5 for row in read_log(tmp_path / "log.jsonl"))


def test_checkpoints_come_by_steps(tmp_path: Path) -> None:
    config, seen = replace(CONFIG, checkpoint_steps=4), []

    def look(step: int) -> None:
        seen.append(sorted(p.name for p in (tmp_path / "checkpoints").glob("*.pt")))

    go(tmp_path, config, before=look)
    assert seen[3] == []
    assert seen[4] == ["step-00000004.pt"]
    assert seen[9] == ["step-00000004.pt", "step-00000008.pt"]
    left = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert [name for name in left if name.endswith(".pt")] == [
        "step-00000008.pt",
        "step-00000010.pt",
    ]
    assert len(left) == 4


def test_the_untrained_get_a_checkpoint(tmp_path: Path) -> None:
    config = config_of("random")
    source = FakePairs(config)
    trained = train(config, source, method_of(config), tmp_path)
    assert (trained.step, trained.pairs, source.asked) == (0, 0, [(0, 0)])
    run = load_run(tmp_path)
    assert run.finished
    for name, value in method_of(config).state_dict().items():
        assert torch.equal(run.method.state_dict()[name], value)
    assert go(tmp_path, config).already_done


def test_a_source_that_ends_early_is_an_error(tmp_path: Path) -> None:
    class Short(FakePairs):
        def batches(self, first_step: int, last_step: int) -> Iterator[PairBatch]:
            return super().batches(first_step, last_step - 1)

    with pytest.raises(ThreedieError, match="ended after step 9 of 10"):
        train(CONFIG, Short(CONFIG), method_of(CONFIG), tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_short_memory_says_what_to_try(error: Exception, tmp_path: Path) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(ConfigError, match=r"out of memory on cpu .* 8 pairs of 8 px.*batch_size=4"):
        go(tmp_path, before=at(1, fail))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        go(tmp_path, before=at(1, fail))


def test_one_process_trains_in_a_folder(straight: Path) -> None:
    descriptor = os.open(straight, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="by another process"):
            go(straight)
    finally:
        os.close(descriptor)
    assert go(straight).already_done
