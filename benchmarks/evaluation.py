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
import threading
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
from threedie.benchmark.evaluation.features import Features, Gather, encode_blocks
from threedie.benchmark.evaluation.neighbours import _TILE_QUERIES, group_size
from threedie.benchmark.evaluation.official_probes import cached_stream, live_stream
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.evaluation.retrieval import MovedSplit, retrieve, rotation_errors
from threedie.benchmark.evaluation.targets import Truth, object_pairs
from threedie.benchmark.reading.pictures import decode_into

CPU = torch.device("cpu")
PARTS = {"all": slice(0, 512), "inv": slice(0, 256), "equi": slice(256, 512)}
KINDS = ("classification", "rotation", "color")
CASES = ((("classification",), 1), (("rotation",), 1), (KINDS, 1), (KINDS, 3))
EPOCHS, WIDTH = 300, 1024


class MadeUp:
    """Objects with JPEGs of noise over a gradient, in memory, as a `Split`."""

    def __init__(self, name: str, n: int, views: int, size: int = 64) -> None:
        rng = np.random.default_rng([n, views, name == "val"])
        self.latents_NVL = rng.random((n, views, 7))
        self.name, self.labels_N = name, np.arange(n, dtype=np.int64) % 16
        self.objects_N = np.array([f"class{i % 16}/object{i}" for i in range(n)])
        self.n_classes, self.picture_size, self.n_views = 16, size, views
        self.pixel_mean, self.pixel_std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
        self.data_hash = hashlib.sha256(self.latents_NVL.tobytes()).hexdigest()
        grain = rng.integers(0, 40, (64, size, size, 3))
        ramp = np.linspace(0, 200, size)[:, None, None] + grain
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
            decode_into(content, out[i], side=self.picture_size, bgr=False)


def quiet(*_: Any) -> None:
    """No progress."""


def resnet18() -> nn.Module:
    from torchvision.models import resnet18 as make

    torch.manual_seed(0)
    net: nn.Module = make()
    net.fc = nn.Identity()
    return net


def probes() -> None:
    """Probes on cached features against re-encoding in every epoch, ResNet-18, 20 views.

    Both train the same heads on the same pairs with the same optimiser; one reads features, the
    other pictures (in train mode, as the official scripts, which run once for each probe and part).
    Measured per epoch; 300 epochs are those times 300. Processor seconds of one thread, for 1,000
    train objects: a machine that does other things as well changes them little.
    """
    torch.set_num_threads(1)
    heads = {case: _heads_seconds(case) for case in CASES}
    for size, objects in ((64, 128), (256, 24)):
        once, again = _encode_seconds(size, objects)
        print(f"{size} px. Features of all views, once: {once:.0f} s. Decoding and encoding one")
        print(f"view of each object in train mode: {again:.1f} s in every epoch.\n")
        print("| probes | s/epoch re-encoding | s/epoch cached | ratio |", end="")
        print(f" {EPOCHS} epochs re-encoding | features + {EPOCHS} epochs | ratio |")
        print("|---|---|---|---|---|---|---|")
        for (kinds, parts), cached in heads.items():
            slow = cached + parts * again * sum(1 if k == "classification" else 2 for k in kinds)
            total = (EPOCHS * slow, once + EPOCHS * cached)
            name = f"{', '.join(kinds)} of {'all, inv, equi' if parts > 1 else 'all'}"
            print(
                f"| {name} | {slow:.1f} | {cached:.3f} | {slow / cached:.0f} | {total[0]:.0f} s "
                f"| {total[1]:.0f} s | {total[0] / total[1]:.0f} |"
            )
        print(flush=True)


def _encode_seconds(size: int, objects: int) -> tuple[float, float]:
    """For 1,000 objects: all views in eval mode; one view in train mode."""
    split = MadeUp("train", objects, 20, size=size)
    normalisation = find_normalisation("dataset", split.pixel_mean, split.pixel_std)
    encoder = Encoder(resnet18(), device=CPU, normalisation=normalisation)
    scale, live = 1000 / objects, live_stream(encoder, split, size, "train")
    pairs = object_pairs(objects, 20, np.random.default_rng(0))
    with encoder.kept():
        again = best(lambda: list(live(pairs, 256)), 3) / 2
    blocks = partial(encode_blocks, encoder, split, size=size, batch_size=256, on_progress=quiet)
    return best(lambda: list(blocks()), 1) * scale, again * scale


def _heads_seconds(case: tuple[tuple[str, ...], int]) -> float:
    """For 1,000 objects: one epoch of the official heads on cached features."""
    kinds, parts = case
    split = MadeUp("train", 1000, 20)
    data_MD = np.random.default_rng(0).random((20_000, 512), dtype=np.float32)
    stream = cached_stream(Gather(Features(data_MD=data_MD, n_views=20), slice(None), CPU), 20)
    protocol, columns = PROTOCOLS["sie-2023"], dict(list(PARTS.items())[:parts])
    made = official_probes._make_probes(protocol, columns, 512, 16, CPU, 0, True)
    wanted = [probe for probe in made if probe.name in kinds]
    truth, numbers = Truth(split, np.unique(split.labels_N)), count()
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

    print("| threads | wall s (load of the machine) | processor s | by stage, wall |")
    print("|---|---|---|---|")
    for threads in (1, os.cpu_count() or 1):
        torch.set_num_threads(threads)
        begun = time.process_time()
        found = evaluate(encode, data, parts=PARTS, device="cpu").seconds
        stages = ", ".join(f"{k} {v:.1f}" for k, v in found.items() if k != "total")
        print(
            f"| {threads} | {found['total']:.0f} ({os.getloadavg()[0]:.1f} on "
            f"{os.cpu_count()} cores) | {time.process_time() - begun:.0f} | {stages} |",
            flush=True,
        )


def retrieval() -> None:
    """PRE, blocked: processor time and peak memory of a part, and what all 3DIEBench would take."""
    print("| queries | candidates | processor s | GFLOP a processor s | peak MiB above start |")
    print("|---|---|---|---|---|")
    rate = 0.0
    for val, train in ((20, 100), (20, 1600), (80, 400), (160, 400)):
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
    print(f"\nAll of 3DIEBench (41,920 + 10,552 objects × 50 views, {WIDTH} wide), extrapolated")
    print("from the last row; a GPU was not measured, its rate is assumed:\n")
    print("| metric | PFLOP | processor hours here | minutes at 40 TFLOP/s |\n|---|---|---|---|")
    for name, flop in work.items():
        hours, minutes = flop / (rate * 1e9) / 3600, flop / 40e12 / 60
        print(f"| {name} | {flop / 1e15:.2f} | {hours:.1f} | {minutes:.1f} |")
    group = group_size(WIDTH, CPU)
    held = (2 * group * 4 * WIDTH + _TILE_QUERIES * 8192 * 4 + 8192 * 4 * WIDTH) / 2**20
    print(f"\nPeak at any size on the CPU, from the sizes of the blocks: {held:,.0f} MiB")
    print(f"({group:,} queries at a time, twice while they are put together).")
    seconds, above = in_fresh_process(_ranks, (80, 0))
    print(f"\nMRR and H@k: {80 * 50 / seconds:,.0f} queries a processor second, {above:.0f} MiB;")
    print(f"2,623,600 queries: {2_623_600 / (80 * 50 / seconds) / 60:.1f} processor minutes.")


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
    """Processor seconds on one thread, and MiB of resident memory above what was held before."""
    torch.set_num_threads(1)
    before, highest, done = _resident_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            highest[0] = max(highest[0], _resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = best(run, 1)
    done.set()
    watcher.join()
    return seconds, highest[0] - before


def _resident_mib() -> float:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * resource.getpagesize() / 2**20


def in_fresh_process(function: Callable[[Any], Any], argument: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (argument,))


def best(run: Callable[[], Any], times: int) -> float:
    """Processor seconds of the cheapest of some runs."""
    seconds = []
    for _ in range(times):
        begun = time.process_time()
        run()
        seconds.append(time.process_time() - begun)
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
