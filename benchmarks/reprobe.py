"""How long, and in how much memory, are full-size submitted features verified ("re-probed")?

    python benchmarks/reprobe.py --work FOLDER [--objects 10552 --views 50 --width 1024]

Writes random float16 features of 3DIEBench's size (2.3 GB) into FOLDER, reads them as a stranger's,
trains the probes of `3die-v1` on them, retrieves, and compares with predictions of the same size.
The numbers are noise; the work is that of a real entry with parts all, inv and equi.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from threedie import files
from threedie.benchmark.evaluation.feature_cache import npy_header
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.levels.agree import agreement
from threedie.leaderboard.levels.features import FILE_NAME, expected_rows, read_features
from threedie.leaderboard.levels.reprobe import TOLERANCE, TrainViews, probed
from threedie.leaderboard.recompute import recompute

T = TypeVar("T")
TRAIN_OBJECTS, CLASSES = 41_920, 55


def timed(what: str, work: Callable[[], T]) -> T:
    """Run, and print seconds (wall, and of all cores) and the process's peak so far."""
    begun, used = time.perf_counter(), time.process_time()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cores = time.perf_counter() - begun, time.process_time() - used
    print(f"{what:>28}: {wall:7.1f} s, {cores:7.1f} s of cores, peak {peak:.2f} GiB", flush=True)
    return found


def latents(rng: np.random.Generator, n: int, views: int) -> Any:
    """Of the paper's law."""
    found = rng.random((n, views, 7))
    found[..., :3] = (found[..., :3] - 0.5) * np.pi
    found[..., 4] *= np.pi / 4
    found[..., 5] *= 2 * np.pi
    return found


def rows(rng: np.random.Generator, count: int, width: int, *, unit: bool) -> Iterator[bytes]:
    """A .npy file of random rows."""
    yield npy_header((count, width), "<f2")
    for first in range(0, count, 16384):
        block = rng.standard_normal((min(16384, count - first), width), dtype=np.float32)
        if unit:
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        yield block.clip(-20, 20).astype("<f2").tobytes()


def write(folder: Path, board: OpenBoard, width: int, n_train: int) -> None:
    """A folder of features as write_features leaves it."""
    rng, arrays = np.random.default_rng(1), {}
    files.make_directory(folder)
    for name, count in expected_rows(board, n_train).items():
        content = rows(rng, count, width, unit=name in ("embedding.npy", "moved.npy"))
        written = files.put(folder / name, content)
        arrays[name] = {"rows": count, "columns": width, "sha256": written.sha256}
    half, k = width // 2, expected_rows(board, n_train)["train.npy"] // n_train
    info = {
        "schema_version": 1,
        "protocol": board.truth.protocol,
        "list_sha256": board.truth.sha256,
        "seed": 0,
        "checkpoint_sha256": hashlib.sha256(b"none").hexdigest(),
        "train_views": k,
        "parts": {"all": (0, width), "inv": (0, half), "equi": (half, width)},
        "arrays": arrays,
    }
    files.put(folder / FILE_NAME, json.dumps(info).encode())


def board_of(n_val: int, views: int) -> OpenBoard:
    """A board without files."""
    rng = np.random.default_rng(0)
    truth = FrozenTruth(
        protocol="3die-v1/1",
        objects=tuple(f"c/{i}" for i in range(n_val)),
        classes=tuple(f"c{i}" for i in range(CLASSES)),
        labels_N=np.arange(n_val) % CLASSES,
        latents_NVL=latents(rng, n_val, views).astype(np.float32).astype(np.float64),
    )
    config: Any = SimpleNamespace(protocol=SimpleNamespace(name="3die-v1", version=1))
    return OpenBoard(root=Path(), config=config, truth=truth)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=10_552)
    parser.add_argument("--train-objects", type=int, default=TRAIN_OBJECTS)
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--width", type=int, default=1024)
    asked = parser.parse_args()
    n_train, board = asked.train_objects, board_of(asked.objects, asked.views)
    rng = np.random.default_rng(2)
    train = TrainViews(np.arange(n_train) % CLASSES, latents(rng, n_train, asked.views))
    folder = asked.work / "features"
    if not (folder / FILE_NAME).exists():
        timed("write (not counted)", lambda: write(folder, board, asked.width, n_train))
    begun, told = time.perf_counter(), set[str]()

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in told:
            told.add(stage)
            cores = time.process_time()
            print(f"{time.perf_counter() - begun:7.1f} s ({cores:.1f})  {stage}", flush=True)

    given = timed("read and check", lambda: read_features(folder, board, n_train))
    items = timed(
        "probes and retrieval",
        lambda: probed(given, train, board, seed=0, device="cpu", tell=tell),
    )
    timed("recompute", lambda: recompute({0: items}, board.truth))
    timed("compare", lambda: agreement(items, items, board.truth, TOLERANCE, seed=0))
    print(f"verified in {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
