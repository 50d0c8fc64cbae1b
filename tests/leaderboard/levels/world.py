"""A data set, a board of it, a trained run and its entry, small enough for a test of seconds."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.data.builders import Plan, build
from threedie.benchmark.bench import bench
from threedie.benchmark.requests import BenchRequest
from threedie.leaderboard.board import OpenBoard, make_board
from threedie.leaderboard.folder import EntryFiles, entry_sha256
from threedie.manifests.entries import Submission
from threedie.manifests.results import Results

OUT = Console(file=io.StringIO(), width=100)
TODAY = "2026-11-25"


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Everything a level needs."""

    data: Path
    board: OpenBoard
    run: Path
    entry: EntryFiles


def make_world(
    folder: Path, *, method: str = "sie", data: Path | None = None, size: int = 32
) -> World:
    """Build, train for a moment, evaluate, and make an entry of it."""
    if data is None:
        data = folder / "data"
        classes = [f"class-{letter}" for letter in "abcdefghijkl"]
        build(data, Plan(classes=classes, objects=list("wxyz"), views=4, size=32))
    return World(
        data=data,
        board=make_board(folder / "board", data, title="Tests", today=TODAY),
        run=(run := trained(folder / "runs", data, method, seed=0, size=size)),
        entry=entry_of(run),
    )


def trained(out: Path, data: Path, method: str, *, seed: int, size: int = 32) -> Path:
    """A run folder with results and predictions."""
    own = ("projector=16,16",) if method not in ("random", "supervised") else ()
    request = BenchRequest(
        methods=(method,),
        data=str(data),
        preset="smoke",
        seeds=(seed,),
        settings=(f"size={size}", "batch_size=8", "epochs=1", "threads=1", *own),
        out=out,
    )
    return bench(request, console=OUT)[0]


def entry_of(run: Path, **changed: Any) -> EntryFiles:
    """The entry of one run, as `3die submit` would pack it."""
    results, predictions = (
        Results.read(run / "results.json"),
        (run / "predictions.npz").read_bytes(),
    )
    assert results.predictions is not None
    seed = int(str(results.encoder.config["seed"]))
    path = f"runs/{seed}/predictions.npz"
    digest = hashlib.sha256(predictions).hexdigest()
    one_run = {
        "seed": seed,
        "predictions": {"path": path, "bytes": len(predictions), "sha256": digest},
        "checkpoint_sha256": results.encoder.checkpoint_sha256,
        **changed,
    }
    submission = Submission.model_validate(
        {
            "id": "of-a-test",
            "submitted": TODAY,
            "track": "closed",
            "method": {"name": "of a test", "family": "equivariant"},
            "protocol": {"name": "3die-v1", "version": 1},
            "dataset": {
                "train_hash": results.dataset.splits["train"].hash,
                "val_hash": results.dataset.splits["val"].hash,
                "list_sha256": results.predictions.list_sha256,
            },
            "training_data": {"external": False, "val_objects_used": False},
            "model": {
                "backbone": "resnet18",
                "dim": results.encoder.dim,
                "parts": results.encoder.parts,
                "size_px": 32,
            },
            "runs": [one_run],
            "selection": {"how": "last-epoch", "runs_started": 1, "tuned_on": "nothing"},
            "submitter": {"name": "Someone", "contact": "someone@example.org"},
            "agrees_rules": "1",
        }
    )
    contents = {"submission.json": submission.model_dump_json().encode(), path: predictions}
    return EntryFiles(
        path=run, submission=submission, contents=contents, sha256=entry_sha256(contents)
    )
