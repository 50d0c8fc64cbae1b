"""Speed and memory of evaluation: `python -m benchmarks.evaluation [probes default retrieval]`.

Every table is one run on one machine; ratios within it are what counts. Pictures are made up
(their content does not matter to speed) and nothing is kept. Where a number is extrapolated, the
table says from what.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threedie.benchmark.evaluation import official_probes
from threedie.benchmark.evaluation.encoder import Encoder, find_normalisation
from threedie.benchmark.evaluation.evaluate import evaluate
from threedie.benchmark.evaluation.features import Features, Gather, encode_blocks, in_memory
from threedie.benchmark.evaluation.official_probes import Stream, cached_stream, live_stream
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.evaluation.retrieval import MovedSplit, retrieve, rotation_errors
from threedie.benchmark.evaluation.targets import Truth, object_pairs
from threedie.benchmark.reading.pictures import decode_into

CPU = torch.device("cpu")
PARTS = {"all": slice(0, 512), "inv": slice(0, 256), "equi": slice(256, 512)}
KINDS = ("classification", "rotation", "color")
EPOCHS, SIZE, WIDTH = 300, 64, 1024


class MadeUp:
    """Objects with JPEGs of noise over a gradient, in memory, as a `Split`."""

    def __init__(self, name: str, n: int, views: int, classes: int = 16) -> None:
        rng = np.random.default_rng([n, views, name == "val"])
        self.latents_NVL = rng.random((n, views, 7))
        self.name, self.labels_N = name, np.arange(n, dtype=np.int64) % classes
        self.objects_N = np.array([f"class{i % classes}/object{i}" for i in range(n)])
        self.n_classes, self.picture_size, self.n_views = classes, SIZE, views
        self.pixel_mean, self.pixel_std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
        self.data_hash = hashlib.sha256(self.latents_NVL.tobytes()).hexdigest()
        ramp = np.linspace(0, 200, SIZE)[:, None, None] + rng.integers(0, 40, (64, SIZE, SIZE, 3))
        self._jpegs = [simplejpeg.encode_jpeg(p, 95) for p in ramp.astype(np.uint8)]

    def __len__(self) -> int:
        return len(self.labels_N)

    def read(
        self,
        rows_B: Sequence[int] | NDArray[np.int64],
        views_B: Sequence[int] | NDArray[np.int64],
        size: int,
        out: NDArray[np.uint8],
    ) -> None:
        for i, (row, view) in enumerate(zip(rows_B, views_B, strict=True)):
            content = self._jpegs[(int(row) * self.n_views + int(view)) % 64]
            decode_into(content, out[i], side=SIZE, bgr=False)


def quiet(*_: Any) -> None:
    """No progress."""


def resnet18() -> nn.Module:
    from torchvision.models import resnet18 as make

    torch.manual_seed(0)
    net: nn.Module = make()
    net.fc = nn.Identity()
    return net


def probes() -> None:
    """Probes on cached features against re-encoding in every epoch, ResNet-18 at 64 px.

    Both train the same heads on the same pairs with the same optimiser: one reads features, the
    other pictures (in train mode, as the official scripts). 300 epochs are extrapolated from a few.
    """
    train, views = MadeUp("train", 512, 20), 20
    normalisation = find_normalisation("dataset", train.pixel_mean, train.pixel_std)
    encoder = Encoder(resnet18(), device=CPU, normalisation=normalisation)
    blocks = partial(encode_blocks, encoder, train, size=SIZE, batch_size=256, on_progress=quiet)
    begun = time.perf_counter()
    features = Features(data_MD=in_memory(blocks(), len(train) * views), n_views=views)
    once = time.perf_counter() - begun
    cached = cached_stream(Gather(features, slice(None), CPU), views)
    live = live_stream(encoder, train, SIZE, "train")
    pairs = object_pairs(len(train), views, np.random.default_rng(0))
    with encoder.kept():
        encode = best(lambda: list(live(pairs, 256)), 3) / 2
    print(f"{len(train)} objects × {views} views. Features of all views, once: {once:.1f} s;")
    print(f"decoding and encoding one view per object, every epoch: {encode:.2f} s.\n")
    print("| probes | s/epoch re-encoding | s/epoch cached | ratio per epoch |", end="")
    print(f" {EPOCHS} epochs re-encoding | features + {EPOCHS} epochs | ratio in all |")
    print("|---|---|---|---|---|---|---|")
    for kinds, parts in ((("classification",), 1), (("rotation",), 1), (KINDS, 1), (KINDS, 3)):
        heads = _heads_seconds(cached, train, kinds, parts)
        # The official scripts run once for each probe and part, and encode anew in each.
        slow = heads + parts * encode * sum(1 if k == "classification" else 2 for k in kinds)
        total = (EPOCHS * slow, once + EPOCHS * heads)
        name = f"{', '.join(kinds)}; {'all, inv, equi' if parts > 1 else 'all'}"
        print(
            f"| {name} | {slow:.2f} | {heads:.3f} | {slow / heads:.0f} | {total[0]:.0f} s "
            f"| {total[1]:.0f} s | {total[0] / total[1]:.0f} |",
            flush=True,
        )
    with encoder.kept():
        whole = _heads_seconds(live, train, ("rotation",), 1)
    print(f"\nchecked: a live epoch of the rotation probe, measured whole: {whole:.2f} s")


def _heads_seconds(stream: Stream, train: MadeUp, kinds: Sequence[str], parts: int) -> float:
    """One epoch of the official probes on a stream."""
    protocol, columns = PROTOCOLS["sie-2023"], dict(list(PARTS.items())[:parts])
    made = official_probes._make_probes(protocol, columns, 512, 16, CPU, 0, True)
    wanted = [probe for probe in made if probe.name in kinds]
    truth, numbers = Truth(train, np.unique(train.labels_N)), count()
    return best(
        lambda: official_probes._epoch(wanted, stream, truth, protocol, 0, next(numbers)), 4
    )


def default() -> None:
    """`3die-v1` on 640 + 160 objects × 20 views × 512 numbers, three parts; the encoder is free."""
    data = {"train": MadeUp("train", 640, 20), "val": MadeUp("val", 160, 20)}
    rng = np.random.default_rng(0)
    made_up = torch.from_numpy(rng.random((256, 512)).astype(np.float32)).relu()

    def encode(images_BCHW: Tensor) -> Tensor:
        return made_up[torch.arange(len(images_BCHW)) % 256]

    result = evaluate(encode, data, parts=PARTS, device="cpu")
    print("| stage | s |\n|---|---|")
    for stage, seconds in result.seconds.items():
        print(f"| {stage} | {seconds:.1f} |")
    used = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    print(f"\nprocessor time: {used.ru_utime + used.ru_stime:.0f} s (all of this process so far),")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {cores} cores")


def retrieval() -> None:
    """PRE, blocked: time and peak memory of a part, and what all of 3DIEBench would take."""
    print("| queries | candidates | s | GFLOP/s | peak MiB above start |\n|---|---|---|---|---|")
    rate = 0.0
    for val, train in ((20, 100), (20, 400), (20, 1600), (80, 400)):
        seconds, above = in_fresh_process(_pre, (val, train))
        queries, candidates = val * 50, (val + train) * 50
        rate = 2 * queries * candidates * WIDTH / seconds / 1e9
        print(
            f"| {queries:,} | {candidates:,} | {seconds:.1f} | {rate:.0f} | {above:.0f} |",
            flush=True,
        )
    work = {
        "pre_val": 2 * 527_600**2 * WIDTH,
        "pre_val_all": 2 * 527_600 * 2_623_600 * WIDTH,
        "pre_train": 2 * 2_096_000**2 * WIDTH,
    }
    print(f"\nAll of 3DIEBench (41,920 + 10,552 objects × 50 views, {WIDTH} wide), extrapolated:\n")
    print("| metric | PFLOP | hours here | minutes at 40 TFLOP/s |\n|---|---|---|---|")
    for name, flop in work.items():
        hours, minutes = flop / (rate * 1e9) / 3600, flop / 40e12 / 60
        print(f"| {name} | {flop / 1e15:.2f} | {hours:.1f} | {minutes:.1f} |")
    seconds, above = in_fresh_process(_ranks, (80, 0))
    print(f"\nMRR and H@k: {80 * 50 / seconds:,.0f} queries/s, {above:.0f} MiB above start;")
    print(f"2,623,600 queries: {2_623_600 / (80 * 50 / seconds) / 3600:.1f} h here.")


class _Turn:
    """A predictor of SIE's size: representation 512 → embedding, moved by the identity."""

    latent_group = "rotation"

    def __init__(self) -> None:
        self.weight = torch.randn(512, WIDTH, generator=torch.Generator().manual_seed(0)) / 23

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND @ self.weight

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return e_NE


def _moved(split: MadeUp) -> MovedSplit:
    rows = len(split) * split.n_views
    data_MD = np.random.default_rng(rows).standard_normal((rows, 512), dtype=np.float32)
    truth = Truth(split, np.unique(split.labels_N))
    return MovedSplit(Features(data_MD=data_MD, n_views=split.n_views), truth, _Turn(), device=CPU)


def _pre(sizes: tuple[int, int]) -> tuple[float, float]:
    val, train = (_moved(MadeUp("x", n, 50)) for n in sizes)
    return _measured(lambda: rotation_errors(val, [train, val], quiet, "pre"))


def _ranks(sizes: tuple[int, int]) -> tuple[float, float]:
    split = _moved(MadeUp("x", sizes[0], 50))
    return _measured(lambda: retrieve(split, quiet, "ranks"))


def _measured(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and MiB of the process's peak above what it held before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = best(run, 1)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def in_fresh_process(function: Callable[[Any], Any], argument: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (argument,))


def best(run: Callable[[], Any], times: int) -> float:
    """Seconds of the fastest of some runs: what else the machine does is not ours."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


TABLES: dict[str, Callable[[], None]] = {
    "probes": probes,
    "default": default,
    "retrieval": retrieval,
}

if __name__ == "__main__":
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    for name in sys.argv[1:] or TABLES:
        print(f"\n## {name}: {(TABLES[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        TABLES[name]()
