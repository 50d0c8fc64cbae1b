"""Speed and memory of a training step: `python -m benchmarks.step [settings methods wait …]`.

Every table is one run on one machine, its rows measured in turn; ratios within it are what counts,
and of those the processor's time where the machine has other work.
`wait` trains on a data set (THREEDIE_DATA, a folder of shards) and reads its log; the others make
up their pictures. Nothing is kept.
"""

from __future__ import annotations

import itertools
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.benchmark.training.tiny import FakePairs
from threedie.baselines import METHODS
from threedie.baselines.predictors import Hypernetwork, HyperPredictor
from threedie.benchmark.reading.source import open_pairs
from threedie.benchmark.training.build import build_method
from threedie.benchmark.training.config import RunConfig, make_config
from threedie.benchmark.training.devices import settle
from threedie.benchmark.training.distributed import launch
from threedie.benchmark.training.learner import Learner
from threedie.benchmark.training.log import read_log
from threedie.benchmark.training.record import make_record
from threedie.benchmark.training.train import train

ROUNDS, STEPS = 5, 2
PEAK_BF16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
PAPER_PAIRS = 2000 * 41_920


class Stepper:
    """A method that can be asked for a few more steps."""

    def __init__(self, *settings: str, method: str = "sie", preset: str = "ladder") -> None:
        config = settle(make_config(method=method, data="", preset=preset, settings=settings))
        source = FakePairs(config)
        self.config, self.batch = config, source.batch(0)
        model = build_method(config, source.n_classes)
        self.learner = Learner(config, make_record(config, source), model, launch(config))
        self.rates: list[float] = []
        self.cpu_ms: list[float] = []
        self.run(1)

    def run(self, steps: int) -> tuple[float, float]:
        """Seconds of the clock and of the processor for so many steps."""
        torch.set_num_threads(self.config.threads or os.cpu_count() or 1)
        begun, worked = time.perf_counter(), time.process_time()
        for step in range(steps):
            terms = self.learner.learn(step, self.batch)
        float(terms["loss"])
        return time.perf_counter() - begun, time.process_time() - worked

    def measure(self, steps: int = STEPS) -> None:
        pairs = steps * self.config.batch_size
        seconds, worked = self.run(steps)
        self.rates.append(pairs / seconds)
        self.cpu_ms.append(1000 * worked / pairs)


def in_turn(steppers: dict[str, Stepper], rounds: int = ROUNDS) -> None:
    """All of them, again and again, so that a busy machine is busy for all."""
    for _ in range(rounds):
        for stepper in steppers.values():
            stepper.measure()
    first = min(next(iter(steppers.values())).cpu_ms)
    for name, stepper in steppers.items():
        best, middle = max(stepper.rates), statistics.median(stepper.rates)
        cost = min(stepper.cpu_ms)
        print(
            f"| {name} | {best:.1f} | {middle:.1f} | {cost:.1f} | {cost / first:.2f} |", flush=True
        )


def head(what: str) -> None:
    print(f"| {what} | pairs/s (best) | (median) | CPU ms a pair (best) | × first row |")
    print("|---|---|---|---|---|")


def settings() -> None:
    """SIE, ResNet-18, 64 px, batch 64: precision, memory format, threads."""
    head("threads, precision, memory format")
    rows = {}
    for threads, precision, memory in itertools.product((1, 2), ("32", "bf16"), (False, True)):
        name = f"{threads}, {precision}, {'channels_last' if memory else 'plain'}"
        rows[name] = Stepper(
            f"threads={threads}", f"precision={precision}", f"channels_last={memory}"
        )
    in_turn(rows, rounds=3)


def compiled() -> None:
    """With torch.compile against without."""
    head("torch.compile")
    in_turn({"no": Stepper(), "yes": Stepper("compile=true")})


def methods() -> None:
    """Every method, as in the preset `ladder`."""
    head("method")
    in_turn({name: Stepper(method=name) for name in METHODS if name != "random"}, rounds=3)


def wait() -> None:
    """Share of a run in which the step waits for data."""
    data = os.environ.get("THREEDIE_DATA")
    if not data:
        print("set THREEDIE_DATA to a folder of shards")
        return
    print("| batch, size | decoding threads | pairs/s | data wait |")
    print("|---|---|---|---|")
    for workers in (1, 2):
        config = make_config(
            method="sie", data=data, preset="ladder", settings=["pairs=1920", f"workers={workers}"]
        )
        row = _last_row(config)
        print(
            f"| {config.batch_size}, {config.size} px | {workers} | {row['pairs_per_s']:.1f} | "
            f"{row['data_wait']:.2%} |"
        )


def _last_row(config: RunConfig) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source = open_pairs(
            config.data,
            batch_size=config.batch_size,
            seed=config.seed,
            size=config.size,
            workers=config.workers,
        )
        train(config, source, build_method(config, source.n_classes), Path(folder))
        return read_log(Path(folder) / "log.jsonl")[-1]


def hyper() -> None:
    """Peak memory of a forward and backward of SIE's predictor, with and without N matrices."""
    print("| N = E | per-sample matrices, MB | as done here, MB | ratio |")
    print("|---|---|---|---|")
    for size in (128, 256, 512):
        peaks = [_in_a_process(f"_{how}({size})") for how in ("naive", "lean")]
        print(f"| {size} | {peaks[0]:.0f} | {peaks[1]:.0f} | {peaks[0] / peaks[1]:.0f} |")


def _in_a_process(call: str) -> float:
    code = f"from benchmarks import step; print(step.{call})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)


def _naive(size: int) -> float:
    def matrices(net: Hypernetwork, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        weights = net(z_NG).view(size, size, size)
        return torch.bmm(weights, e_NE[:, :, None])[:, :, 0]

    return _peak(size, matrices)


def _lean(size: int) -> float:
    def factors(net: Hypernetwork, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        moved: Tensor = HyperPredictor([size, size], net, relu=False, bias=False)(e_NE, z_NG)
        return moved

    return _peak(size, factors)


def _peak(size: int, move: Callable[[Hypernetwork, Tensor, Tensor], Tensor]) -> float:
    """MB above what the parameters and inputs take."""
    torch.set_num_threads(1)
    net = Hypernetwork(4, size * size, deep=False, bias=False)
    e_NE, z_NG = torch.randn(size, size, requires_grad=True), torch.randn(size, 4)
    small = Hypernetwork(4, 16, deep=False, bias=False)  # what the first product loads is no cost
    torch.autograd.backward(small(z_NG).sum())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.autograd.backward(move(net, e_NE, z_NG).square().mean())
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def gpu() -> None:
    """The preset `paper` on one GPU: pairs/s, share of peak, hours for 2000 epochs of 3DIEBench."""
    if not torch.cuda.is_available():
        print("no CUDA device here")
        return
    print(f"{torch.cuda.get_device_name()}, ResNet-18, 256 px, batch 1024")
    print("| method, settings | pairs/s | share of bf16 peak | hours for 2000 epochs | GiB |")
    print("|---|---|---|---|---|")
    for method, *chosen in _gpu_rows():
        torch.cuda.reset_peak_memory_stats()
        stepper = Stepper(*chosen, method=method, preset="paper")
        stepper.run(10)
        for _ in range(3):
            stepper.measure(20)
        rate, flops = max(stepper.rates), _flops_per_pair(stepper)
        peak = next((p for n, p in PEAK_BF16.items() if n in torch.cuda.get_device_name()), None)
        share = f"{rate * flops / peak:.1%}" if peak else "unknown"
        memory = torch.cuda.max_memory_allocated() / 2**30
        print(
            f"| {', '.join((method, *chosen))} | {rate:,.0f} | {share} | "
            f"{PAPER_PAIRS / rate / 3600:.1f} | {memory:.1f} |",
            flush=True,
        )
        del stepper


def _gpu_rows() -> Iterator[tuple[str, ...]]:
    for precision in ("32", "16", "bf16"):
        yield "sie", f"precision={precision}"
    yield "sie", "precision=bf16", "channels_last=false"
    yield "sie", "precision=bf16", "compile=true"
    for method in ("vicreg", "simclr", "equimod"):
        yield method, "precision=bf16"


def _flops_per_pair(stepper: Stepper) -> float:
    """Multiplications and additions, forward and backward, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        stepper.learner.learn(0, stepper.batch)
    return float(counter.get_total_flops()) / stepper.config.batch_size


TABLES = {table.__name__: table for table in (settings, compiled, methods, wait, hyper, gpu)}

if __name__ == "__main__":
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch "
        f"{torch.__version__}\n"
    )
    for wanted in sys.argv[1:] or TABLES:
        print(f"### {wanted}: {TABLES[wanted].__doc__}\n")
        TABLES[wanted]()
        print()
