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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from threedie.data.published import N_OBJECTS
from threedie.data.shard import BLOCK, end_of_shard, tar_header
from threedie.manifests.classes import CLASSES
from threedie.manifests.latents import Array
from threedie.manifests.recipes import find_recipe
from threedie.render.sampler import sample_object
from threedie.sharing.convert.convert import convert_archive
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress

ROOT, VIEWS = Path(__file__).parents[1], 50


Header = Callable[[str, int], bytes]


def pax(name: str, size: int) -> bytes:
    """A header as Python's tarfile writes it, with a pax header of the modification time."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, 1676543210.123456
    return info.tobuf(tarfile.PAX_FORMAT)


def npy(row: Array) -> bytes:
    out = io.BytesIO()
    np.save(out, row)
    return out.getvalue()


def archive(
    objects: int, images: Iterator[bytes], latents: list[Array], header: Header = pax
) -> Iterator[bytes]:
    """The bytes of an archive in the published layout, an object at a time."""
    size, files = 0, [[npy(row) for row in rows] for rows in latents]

    def member(name: str, content: bytes) -> bytes:
        return header(name, len(content)) + content + bytes(-len(content) % BLOCK)

    for number in range(objects):
        folder = f"3DIEBench/{CLASSES[number % len(CLASSES)].synset}/{number:032x}"
        rows = files[number % len(files)]
        piece = b"".join(
            member(f"{folder}/image_{view}.jpg", next(images))
            + member(f"{folder}/latent_{view}.npy", rows[view])
            for view in range(VIEWS)
        )
        size += len(piece)
        yield piece
    yield end_of_shard(size)


def some_latents(count: int) -> list[Array]:
    recipe = find_recipe("3diebench")
    names = [{"class_id": "03001627", "object_id": str(i)} for i in range(count)]
    return [sample_object(recipe, seed=0, views=VIEWS, **name) for name in names]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command."""

    seconds: float
    cpu_seconds: float
    """User and system: what other work on the machine changes least."""
    said: str

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, other.said)


def run(*command: str, folder: Path) -> Cost:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu, done.stdout)


CONVERT = (
    "import sys\nfrom threedie.cli import main\n"
    "try: main(sys.argv[1:])\n"
    "except SystemExit as ended: assert not ended.code, ended.code\n"
    "print([line for line in open('/proc/self/status') if 'VmHWM' in line][0].split()[1])"
)
"""The verb, and then its peak memory in KiB: what rusage says is the parent's before exec."""


def convert(path: Path, folder: Path) -> Cost:
    # The pictures' colours were changed, so their floors say nothing: the order is given.
    verb = ("convert", str(path), "--out", "shards", "--channel-order", "rgb")
    cost = run(sys.executable, "-c", CONVERT, *verb, folder=folder)
    shutil.rmtree(folder / "shards")
    return cost


def unpack(path: Path, folder: Path) -> Cost:
    (folder / "files").mkdir()
    cost = run("tar", "-x", "-f", str(path), "-C", "files", folder=folder)
    cost += run("sha256sum", str(path), folder=folder)
    shutil.rmtree(folder / "files")
    return cost


def measure(path: Path, folder: Path, rounds: int) -> None:
    costs: dict[str, list[Cost]] = {"unpack": [], "convert": []}
    for number in range(rounds):
        for task in (unpack, convert) if number % 2 else (convert, unpack):
            subprocess.run(["sync"], check=True)
            costs[task.__name__].append(task(path, folder))
    theirs, ours = costs["unpack"], costs["convert"]
    cells = [f"{path.name}", f"{path.stat().st_size / 2**20:,.0f}"]
    for field in ("seconds", "cpu_seconds"):
        a, b = ([getattr(cost, field) for cost in side] for side in (theirs, ours))
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        cells += [
            f"{statistics.median(a):.1f}",
            f"{statistics.median(b):.1f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        ]
    peak = max(int(cost.said.split()[-1]) for cost in ours) / 1024
    print(f"| {' | '.join(cells)} | {peak:.0f} |", flush=True)


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
        archive(N_OBJECTS, tiny_pictures(), some_latents(64), tar_header),
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
        from benchmarks.loader import pictures  # brings torch, whose memory is not ours

        plain, packed = folder / "set.tar", folder / "set.tar.gz"
        with plain.open("wb") as file, gzip.open(packed, "wb", compresslevel=1) as zipped:
            for piece in archive(objects, pictures(), some_latents(64)):
                file.write(piece)
                zipped.write(piece)
        print(f"{objects:,} objects × {VIEWS} views, {rounds} rounds, {os.cpu_count()} cores\n")
        print(
            "| archive | MiB | tar -x + sha256sum, s | 3die convert, s | ratio "
            "| CPU s | CPU s | ratio | peak, MiB |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for path in (plain, packed):
            measure(path, folder, rounds)


if __name__ == "__main__":
    main()
