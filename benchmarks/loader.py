"""Speed of reading pairs: `python -m benchmarks.loader [seconds per cell]`.

All rows read the same 256-pixel JPEGs (the golden renders, mirrored, turned and recoloured, so that
they are as large and as detailed as real ones), in turn, several rounds in one run on two cores;
the ratios are what counts. The first row is what people write: one file per picture, Pillow, SciPy,
ToTensor, Normalize, DataLoader with two processes. Nothing is kept.
"""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from tests.data import builders
from threedie import files
from threedie.benchmark.reading.loader import PairLoader
from threedie.benchmark.reading.pairs import PairBatch, PairSource
from threedie.benchmark.reading.split import open_split
from threedie.benchmark.reading.stream import StreamingPairs
from threedie.data.shard import pack_sample, sample_key
from threedie.manifests.dataset import ShardEntry
from threedie.manifests.latents import COLUMNS

ROOT = Path(__file__).parents[1]
GOLDEN = Path(os.environ.get("THREEDIE_GOLDEN") or ROOT / "tests" / "golden") / "render" / "images"
CLASS = "03001627"
OBJECTS, VIEWS, SIZE, BATCH, CORES = 512, 10, 256, 128, 2
LABEL = builders.label_of(CLASS, [CLASS])
MEAN, STD = (0.5016, 0.5037, 0.5060), (0.1030, 0.0999, 0.0969)


def pictures() -> Iterator[bytes]:
    """JPEGs of quality 95 without end, 768 different ones."""
    renders = [np.asarray(Image.open(p).convert("RGB")) for p in sorted(GOLDEN.rglob("*.png"))]
    made = []
    for order, turns, flip in itertools.product(
        itertools.permutations(range(3)), range(4), (1, -1)
    ):
        for render in renders:
            out = io.BytesIO()
            changed = np.rot90(render, turns)[:, ::flip, list(order)]
            Image.fromarray(np.ascontiguousarray(changed)).save(out, "JPEG", quality=95)
            made.append(out.getvalue())
    return itertools.cycle(made)


def sample(name: str, images: list[bytes], latents: NDArray[np.float64]) -> bytes:
    """One object of a shard."""
    record = {"class": CLASS, "object": name, "label": LABEL, "split": "train"}
    record |= {"pixel_sum": [0, 0, 0], "pixel_sum_squares": [0, 0, 0]}
    return pack_sample(sample_key(CLASS, name), images, "jpg", latents, record)


def write_shards(folder: Path, objects: list[tuple[list[bytes], NDArray[np.float64]]]) -> None:
    """The data set as shards; every object is a chair of split train."""
    plan = builders.Plan(views=VIEWS, size=SIZE, image_format="jpg", per_shard=256)
    files.make_directory(folder)
    entries = []
    for number, first in enumerate(range(0, len(objects), plan.per_shard)):
        samples = [
            sample(f"chair{first + i:05d}", *views)
            for i, views in enumerate(objects[first : first + plan.per_shard])
        ]
        name = f"train-{number:06d}.tar"
        done = files.put(folder / name, builders.shard_bytes(samples))
        entries.append(
            ShardEntry(
                name=name,
                split="train",
                samples=len(samples),
                bytes=done.size,
                sha256=done.sha256,
            )
        )
    builders.seal(folder, plan, entries)


def write_files(folder: Path, objects: list[tuple[list[bytes], NDArray[np.float64]]]) -> None:
    """The same pictures, one file each."""
    for number, (images, latents) in enumerate(objects):
        place = files.make_directory(folder / CLASS / f"chair{number:05d}")
        for view, image in enumerate(images):
            (place / f"image_{view}.jpg").write_bytes(image)
            np.save(place / f"latent_{view}.npy", latents[view])


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement."""

    rate: float
    """Pairs per second."""
    cpu_ms: float
    """Of processor time per pair, all processes together."""


class FilePairs(TorchDataset[tuple[Any, ...]]):
    """One file per picture, as people write it."""

    def __init__(self, folder: Path) -> None:
        self.objects = sorted(folder.glob("*/*"))
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        views = torch.randperm(VIEWS)[:2].tolist()
        images = [Image.open(self.objects[i] / f"image_{v}.jpg").convert("RGB") for v in views]
        latents = [np.load(self.objects[i] / f"latent_{v}.npy") for v in views]
        first, second = (Rotation.from_euler("xyz", z[:3]) for z in latents)
        relative = torch.tensor((first.inv() * second).as_quat(), dtype=torch.float32)
        x, y = (self.transform(image) for image in images)
        return x, y, relative, 0


def by_files(folder: Path, seconds: float) -> Cell:
    """The DataLoader, without the start of its processes."""
    data = FilePairs(folder)
    loader = DataLoader(
        data, BATCH, shuffle=True, num_workers=CORES, persistent_workers=True, drop_last=True
    )
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    return rate(batches, lambda batch: len(batch[0]), seconds)


def by_source(source: PairSource, seconds: float, use: Callable[[PairBatch], Any]) -> Cell:
    """One of ours."""

    def count(batch: PairBatch) -> int:
        use(batch)
        return len(batch.row_N)

    return rate(source.batches(0, 10**9), count, seconds)


def rate(batches: Iterator[Any], count: Callable[[Any], int], seconds: float) -> Cell:
    for _ in range(4):
        next(batches)
    begun, cpu, pairs = time.perf_counter(), cpu_seconds(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        pairs += count(next(batches))
    cell = Cell(pairs / spent, 1000 * (cpu_seconds() - cpu) / pairs)
    if close := getattr(batches, "close", None):
        close()
    return cell


def cpu_seconds() -> float:
    """Of this process and the DataLoader's, which does not suffer from what else runs."""
    total, ticks = time.process_time(), os.sysconf("SC_CLK_TCK")
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def bare(content: list[bytes], seconds: float) -> Cell:
    """The decoder alone on two threads, bytes in memory, one buffer each."""
    stop, cpu = time.perf_counter() + seconds, cpu_seconds()
    counts = [0] * CORES

    def decode(number: int) -> None:
        out = np.empty((SIZE, SIZE, 3), np.uint8)
        for image in itertools.cycle(content[number::CORES]):
            simplejpeg.decode_jpeg(image, "RGB", buffer=out)
            counts[number] += 1
            if time.perf_counter() > stop:
                return

    threads = [threading.Thread(target=decode, args=(n,)) for n in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = sum(counts) / 2
    return Cell(pairs / seconds, 1000 * (cpu_seconds() - cpu) / pairs)


def normalised(batch: PairBatch) -> None:
    """What a GPU does otherwise: floats with mean 0 and standard deviation 1."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    for images in (batch.x_NCHW, batch.y_NCHW):
        images.float().div_(255).sub_(mean).div_(std)


def rows(folder: Path, content: list[bytes]) -> dict[str, Callable[[float], Cell]]:
    shards, single = folder / "shards", folder / "files"
    split = open_split(shards, "train")
    in_memory = open_split(shards, "train", cache="ram")
    as_files = open_split(single, "train", channel_order="rgb")

    def ours(size: int = SIZE, of: Any = split, use: Callable[..., Any] = len) -> Any:
        loader = PairLoader(of, batch_size=BATCH, seed=0, size=size, workers=CORES)
        ignore = (lambda batch: None) if use is len else use
        return lambda seconds: by_source(loader, seconds, ignore)

    def streamed(seconds: float) -> Cell:
        source = StreamingPairs(str(shards), batch_size=BATCH, seed=0, workers=CORES)
        return by_source(source, seconds, lambda batch: None)

    return {
        "a. one file per picture, Pillow, DataLoader": lambda s: by_files(single, s),
        "b. threedie, shards": ours(),
        "c. simplejpeg alone, 2 threads": lambda s: bare(content, s),
        "b and floats on this CPU": ours(use=normalised),
        "b, cache ram": ours(of=in_memory),
        "b, published layout (one file per picture)": ours(of=as_files),
        "d. threedie, 128 px (reduced scale)": ours(128),
        "d. threedie, 64 px": ours(64),
        "threedie, streamed from local shards": streamed,
    }


def main(seconds: float) -> None:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory() as name:
        folder, source, rng = Path(name), pictures(), np.random.default_rng(0)
        objects = [
            (list(itertools.islice(source, VIEWS)), rng.uniform(-1.5, 1.5, (VIEWS, len(COLUMNS))))
            for _ in range(OBJECTS)
        ]
        write_shards(folder / "shards", objects)
        write_files(folder / "files", objects)
        content = [image for images, _ in objects for image in images]
        kilobytes = statistics.mean(map(len, content)) / 1000
        print(f"{len(content)} pictures of {kilobytes:.1f} kB, batch {BATCH}")
        table(rows(folder, content), seconds)


def table(cells: dict[str, Callable[[float], Cell]], seconds: float, rounds: int = 3) -> None:
    found: dict[str, list[Cell]] = {name: [] for name in cells}
    before = os.getloadavg()[0]
    for _ in range(rounds):
        for name, measure in cells.items():
            found[name].append(measure(seconds))
    slow, bare_cells = (
        next(found[n] for n in found if n.startswith(letter)) for letter in ("a.", "c.")
    )
    print("\n| reader | pairs/s (min … max) | × a | × c | CPU ms a pair | × a |")
    print("|---|---|---|---|---|---|")
    for name, rows_ in found.items():
        rates, cpu_ms = [c.rate for c in rows_], statistics.median(c.cpu_ms for c in rows_)
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} … {max(rates):,.0f})"
        ratios = [
            statistics.median(x.rate / y.rate for x, y in zip(rows_, other, strict=True))
            for other in (slow, bare_cells)
        ]
        less = statistics.median(y.cpu_ms / x.cpu_ms for x, y in zip(rows_, slow, strict=True))
        print(
            f"| {name} | {spread} | {ratios[0]:.1f} | {ratios[1]:.2f} | {cpu_ms:.2f} | {less:.1f} |"
        )
    print(f"\nload of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    print(f"{platform.machine()}, {CORES} of {os.cpu_count()} cores, ", end="")
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
