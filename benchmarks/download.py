"""Speed of downloading: `python -m benchmarks.download [shards [MiB each [rounds]]]`.

A web server in a process of its own (sendfile, Range) serves a data set of random shards on
loopback. In every round `3die download` and `curl` of the same files followed by `sha256sum` take
turns on the same disk; the ratio of a round is of these two, and the medians over the rounds are
printed. What `3die` leaves is verified and flushed; what curl leaves is hashed. A third row flushes
curl's files too. Nothing is kept.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

from tests.data import builders
from threedie import files
from threedie.manifests.dataset import FILE_NAME, DatasetManifest, ShardEntry


class Sendfile(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        try:
            file = (self.folder / self.path[1:]).open("rb")
        except OSError:
            self.send_error(404)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(span[1]) if span else 0
            self.send_response(206 if span else 200)
            if span:
                self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - first))
            self.end_headers()
            while first < size:
                first += os.sendfile(self.connection.fileno(), file.fileno(), first, size - first)

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(folder: Path, told: Connection) -> None:
    Sendfile.folder = folder
    with ThreadingHTTPServer(("127.0.0.1", 0), Sendfile) as server:
        told.send(server.server_address[1])
        server.serve_forever()


def random_shards(folder: Path, count: int, mib: int) -> DatasetManifest:
    """A small data set whose shards are replaced by random bytes: no tar, but nobody looks."""
    manifest = builders.build(folder, builders.Plan(views=2))
    for entry in manifest.shards:
        (folder / entry.name).unlink()
    entries = []
    for number in range(count):
        name, split = f"train-{number:06d}.tar", "train" if number else "val"
        written = files.put(folder / name, (os.urandom(1 << 20) for _ in range(mib)))
        entries.append(
            ShardEntry(name=name, split=split, samples=1, bytes=written.size, sha256=written.sha256)
        )
    made = manifest.model_copy(update={"shards": tuple(entries)})
    made.write(folder)
    return made


def ours(url: str, names: list[str], out: Path) -> None:
    command = [sys.executable, "-m", "threedie", "download", url, "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def curl(url: str, names: list[str], out: Path) -> None:
    out.mkdir()
    wanted = [part for name in names for part in (f"{url}/{name}", "-o", Path(name).name)]
    subprocess.run(["curl", "-s", "-f", *wanted], check=True, cwd=out)
    local = [Path(name).name for name in names]
    subprocess.run(["sha256sum", *local], check=True, cwd=out, stdout=subprocess.DEVNULL)


def curl_flushed(url: str, names: list[str], out: Path) -> None:
    curl(url, names, out)
    subprocess.run(["sync", *(Path(name).name for name in names)], check=True, cwd=out)


Way = Callable[[str, list[str], Path], None]
WAYS: dict[str, Way] = {
    "3die download": ours,
    "curl, sha256sum": curl,
    "curl, sha256sum, sync": curl_flushed,
}


def seconds(way: Way, url: str, names: list[str], place: Path) -> float:
    os.sync()  # what the other has left to write is not this one's
    begun = time.perf_counter()
    way(url, names, place)
    took = time.perf_counter() - begun
    shutil.rmtree(place)
    return took


def measure(url: str, names: list[str], place: Path, rounds: int) -> Iterator[dict[str, float]]:
    for number in range(rounds):
        order = list(WAYS) if number % 2 else list(reversed(WAYS))
        yield {name: seconds(WAYS[name], url, names, place) for name in order}


def main(shards: int = 8, mib: int = 96, rounds: int = 7) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "set"
        manifest = random_shards(folder, shards, mib)
        names = [FILE_NAME, *manifest.files, *(entry.name for entry in manifest.shards)]
        hears, tells = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(folder, tells), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{hears.recv()}"
        os.environ["no_proxy"] = "*"
        os.environ["XDG_CACHE_HOME"] = scratch
        times = list(measure(url, names, Path(scratch) / "out", rounds))
        server.terminate()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {shards} × {mib} MiB, {rounds} rounds")
    base = "curl, sha256sum"
    for name in WAYS:
        took = statistics.median(t[name] for t in times)
        ratio = statistics.median(t[base] / t[name] for t in times)
        print(f"{name:24}{shards * mib / took:8.0f} MiB/s{ratio:8.2f}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
