"""Speed and memory of converting: `python -m benchmarks.convert [objects [rounds]]`, or `… scale`.

The archive holds objects of 50 views in the published layout, 256-pixel JPEGs (the golden renders,
mirrored, turned and recoloured) and latent files, as Python's tarfile writes them, plain and as gz.
In every round `3die convert` and `tar -x` followed by `sha256sum` of the archive take turns on the
same disk; the ratio of a round is of these two, and the median over the rounds is printed. The
conversion leaves durable, hashed shards; `tar` leaves files that are not flushed.

`scale` streams as many objects and views as the official archive has, with pictures of 8 pixels, to
see the memory that the number of files takes. Nothing is kept.
"""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.loader import pictures
from threedie.data.published import N_OBJECTS
from threedie.data.shard import BLOCK, end_of_shard
from threedie.manifests.classes import CLASSES
from threedie.manifests.latents import Array
from threedie.manifests.recipes import find_recipe
from threedie.render.sampler import sample_object
from threedie.sharing.convert import convert_archive
from threedie.sharing.convert_plan import ConvertOptions
from threedie.sharing.progress import ConvertProgress

ROOT, VIEWS = Path(__file__).parents[1], 50


def member(name: str, content: bytes) -> bytes:
    """A file as Python's tarfile writes it, with the pax header of its modification time."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content), 1676543210.123456
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % BLOCK)


def npy(row: Array) -> bytes:
    out = io.BytesIO()
    np.save(out, row)
    return out.getvalue()


def archive(objects: int, images: Iterator[bytes], latents: list[Array]) -> Iterator[bytes]:
    """The bytes of an archive in the published layout, an object at a time."""
    size = 0
    for number in range(objects):
        folder = f"3DIEBench/{CLASSES[number % len(CLASSES)].synset}/{number:032x}"
        rows = latents[number % len(latents)]
        piece = b"".join(
            member(f"{folder}/image_{view}.jpg", next(images))
            + member(f"{folder}/latent_{view}.npy", npy(rows[view]))
            for view in range(VIEWS)
        )
        size += len(piece)
        yield piece
    yield end_of_shard(size)


def some_latents(count: int) -> list[Array]:
    recipe = find_recipe("3diebench")
    names = [{"class_id": "03001627", "object_id": str(i)} for i in range(count)]
    return [sample_object(recipe, seed=0, views=VIEWS, **name) for name in names]


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and the peak memory of the largest process so far in MiB."""
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(path: Path, folder: Path, rounds: int) -> None:
    plain, ours, peak = [], [], 0.0
    # The pictures' colours were changed, so their floors say nothing: the order is given.
    convert = [sys.executable, "-m", "threedie", "convert", str(path)]
    convert += ["--out", "shards", "--channel-order", "rgb"]
    for number in range(rounds):
        for what in ("tar", "3die") if number % 2 else ("3die", "tar"):
            subprocess.run(["sync"], check=True)
            if what == "tar":
                (folder / "files").mkdir()
                unpack = timed(["tar", "-x", "-f", str(path), "-C", "files"], folder)[0]
                plain.append(unpack + timed(["sha256sum", str(path)], folder)[0])
                shutil.rmtree(folder / "files")
            else:
                seconds, peak = timed(convert, folder)
                ours.append(seconds)
                shutil.rmtree(folder / "shards")
    ratios = [a / b for a, b in zip(plain, ours, strict=True)]
    size = path.stat().st_size / 2**20
    print(
        f"| {path.name} | {size:,.0f} | {statistics.median(plain):.1f} | "
        f"{statistics.median(ours):.1f} | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}–{max(ratios):.2f}) | {peak:.0f} |",
        flush=True,
    )


def tiny_pictures() -> Iterator[bytes]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(64):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(out, "JPEG")
        made.append(out.getvalue())
    while True:
        yield from made


def scale(folder: Path) -> None:
    begun = time.perf_counter()
    outcome = convert_archive(
        archive(N_OBJECTS, tiny_pictures(), some_latents(64)),
        name="scale.tar",
        size=None,
        out=folder / "shards",
        options=ConvertOptions(channel_order="rgb"),
        progress=ConvertProgress(),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{outcome.objects:,} objects × {VIEWS} views of 8 pixels, archive made on the way: "
        f"{time.perf_counter() - begun:.0f} s, peak memory {peak:.0f} MiB"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("THREEDIE_BENCH")) as made:
        folder = Path(made)
        if sys.argv[1:] == ["scale"]:
            scale(folder)
            return
        given = [int(argument) for argument in sys.argv[1:]]
        objects, rounds = (*given, *(2000, 5)[len(given) :])
        plain, packed = folder / "set.tar", folder / "set.tar.gz"
        with plain.open("wb") as file, gzip.open(packed, "wb", compresslevel=1) as zipped:
            for piece in archive(objects, pictures(), some_latents(64)):
                file.write(piece)
                zipped.write(piece)
        print(f"{objects:,} objects × {VIEWS} views, {rounds} rounds, {os.cpu_count()} cores\n")
        print("| archive | MiB | tar -x + sha256sum, s | 3die convert, s | ratio | peak, MiB |")
        print("|---|---|---|---|---|---|")
        for path in (plain, packed):
            measure(path, folder, rounds)


if __name__ == "__main__":
    main()
