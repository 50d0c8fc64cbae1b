"""Speed and memory of verifying: `python -m benchmarks.leaderboard [others]`.

A board over a val split of the official size (10,552 objects × 50 views, 55 classes), an entry of
three seeds and three parts with a predictor, and `others` entries beside it (20) that it is held
against. Predictions are made up; their size and what is done with them are real. Each line is a
fresh process: seconds of wall clock and of processor, and its largest resident memory. Nothing is
kept.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from threedie import files
from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import About, Items
from threedie.leaderboard.board import OpenBoard, open_board
from threedie.leaderboard.checks.check import check_entry
from threedie.leaderboard.selftests import write_selftests
from threedie.leaderboard.verify import verify_entry
from threedie.manifests.boards import Board

OBJECTS, VIEWS, CLASSES, SEEDS = 10_552, 50, 55, 3
PARTS = {"all": (0, 1024), "inv": (0, 512), "equi": (512, 1024)}
DAY, A, B = "2026-01-01", "a" * 64, "b" * 64


def make_board(root: Path) -> OpenBoard:
    rng = np.random.default_rng(0)
    latents = rng.random((OBJECTS, VIEWS, 7))
    latents[..., :3] = (2 * latents[..., :3] - 1) * np.pi / 2
    latents[..., 4:6] *= [np.pi / 4, 2 * np.pi]
    truth = FrozenTruth(
        protocol="3die-v1/1",
        objects=tuple(
            f"{n % CLASSES:08d}/{hashlib.sha256(b'%d' % n).hexdigest()[:32]}"
            for n in range(OBJECTS)
        ),
        classes=tuple(f"{k:08d}" for k in range(CLASSES)),
        labels_N=np.arange(OBJECTS) % CLASSES,
        latents_NVL=latents.astype(np.float32).astype(np.float64),
    )
    data: dict[str, object] = {
        "name": "made-up",
        "recipe": "3diebench",
        "train_hash": A,
        "val_hash": B,
    }
    data |= {"train_objects": 41_920, "val_objects": OBJECTS, "views": VIEWS, "classes": CLASSES}
    protocol = {"name": "3die-v1", "version": 1}
    body = {"title": "Full size", "protocol": protocol, "data": data, "created": DAY}
    files.make_directory(root)
    files.put(root / "truth.npz", truth.to_bytes())
    Board.model_validate({**body, "list_sha256": truth.sha256}).write(root / "board.json")
    return open_board(root)


def predict(board: OpenBoard, method: int, seed: int) -> bytes:
    """A run that errs: noise on what is regressed, a wrong class in a fifth of the rows."""
    rng, truth, listed = np.random.default_rng([method, seed]), board.truth, board.truth.listed
    rows, class_M = len(listed), board.truth.truth.class_N[listed.object_M]
    turn_M4 = truth.truth.relative(listed.pairs(), "positive-w")
    scene_M7 = truth.truth.scene_NV7.reshape(-1, 7)[listed.flat_M]
    score_MK = rng.random((len(PARTS), rows, CLASSES))
    score_MK[:, np.arange(rows), class_M] += 0.6 + rng.random(rows)
    greater_M = np.minimum(rng.geometric(0.4, rows) - 1, VIEWS - 1)
    about = About(
        protocol=board.protocol,
        list_sha256=board.config.list_sha256,
        classes=CLASSES,
        parts=tuple(PARTS),
        seed=seed,
    )
    made = Items(
        about=about,
        row_M=listed.flat_M,
        top5={p: np.argsort(-s, axis=1)[:, :5] for p, s in zip(PARTS, score_MK, strict=True)},
        rotation={p: turn_M4 + 0.2 * rng.standard_normal((rows, 4)) for p in PARTS},
        scene={"all": scene_M7 + 0.2 * rng.standard_normal((rows, 7))},
        greater_M=greater_M,
        equal_M=np.ones(rows, dtype=np.int64),
        nearest_M=np.where(greater_M == 0, listed.flat_M, rng.integers(0, OBJECTS * VIEWS, rows)),
    )
    return predictions.to_bytes(made)


def write_entry(board: OpenBoard, method: int) -> Path:
    folder = board.root / "entries" / DAY[:4] / f"entry-{method}"
    config, runs = board.config, []
    contents = {"card.md": b"# Made up\n", "config.json": b"{}\n"}
    for seed in range(SEEDS):
        content = predict(board, method, seed)
        path = f"runs/{seed}/{predictions.FILE_NAME}"
        ref = {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        runs.append({"seed": seed, "predictions": ref})
        contents[path] = content
    data = config.data
    body = {
        "id": folder.name,
        "submitted": DAY,
        "track": "closed",
        "method": {"name": f"Method {method}", "family": "equivariant"},
        "protocol": config.protocol.model_dump(),
        "dataset": {
            "train_hash": data.train_hash,
            "val_hash": data.val_hash,
            "list_sha256": config.list_sha256,
        },
        "training_data": {"external": False, "val_objects_used": False},
        "model": {"backbone": "resnet18", "dim": 1024, "parts": PARTS, "size_px": 256},
        "runs": runs,
        "selection": {"how": "last-epoch", "runs_started": SEEDS, "tuned_on": "nothing"},
        "submitter": {"name": "Nobody", "contact": "nobody@example.org"},
        "agrees_rules": "1",
    }
    contents["submission.json"] = json.dumps(body).encode()
    for name, content in contents.items():
        files.make_directory((folder / name).parent)
        files.put(folder / name, content)
    return folder


def _check(root: Path) -> None:
    check_entry(root / "entries" / DAY[:4] / "entry-0", open_board(root))


def _verify(root: Path) -> None:
    folder = root / "entries" / DAY[:4] / "entry-0"
    found = verify_entry(folder, open_board(root), by="benchmark", today=DAY)
    found.write(folder / "verification.json")


def _open(root: Path) -> None:
    open_board(root)


def _self_tests(root: Path) -> None:
    write_selftests(open_board(root), today=DAY)


def measured(what: tuple[Callable[[Path], None], Path]) -> tuple[float, float, float]:
    """Seconds, processor seconds and MiB; called in a process of its own."""
    run, root = what
    begun, busy = time.perf_counter(), time.process_time()
    run(root)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
    return seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def line(says: str, run: Callable[[Path], None], root: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, cpu, mib = pool.apply(measured, ((run, root),))
    print(f"{says:<44}{seconds:9.1f} s {cpu:9.1f} s {mib:9.0f} MiB", flush=True)


def main(others: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "board"
        board = make_board(root)
        folder = write_entry(board, 0)
        sizes = [p.stat().st_size / 1e6 for p in folder.rglob("*") if p.is_file()]
        print(f"{len(board.truth.listed):,} rows; truth.npz {_mb(root / 'truth.npz')}")
        print(f"an entry of {SEEDS} seeds and {len(PARTS)} parts: {sum(sizes):.2f} MB\n")
        print(f"{'':<44}{'wall':>11} {'processor':>11} {'memory':>13}")
        line("open the board", _open, root)
        line("check, alone on the board", _check, root)
        line("verify, alone on the board", _verify, root)
        print(f"{'verification.json':<44}{_mb(folder / 'verification.json'):>11}")
        line("self-tests, written and verified", _self_tests, root)
        for method in range(1, others + 1):
            write_entry(board, method)
        line(f"check, beside {others} others", _check, root)
        line(f"verify, beside {others} others", _verify, root)


def _mb(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"


if __name__ == "__main__":
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
