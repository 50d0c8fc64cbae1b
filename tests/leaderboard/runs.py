"""Run folders as `3die bench` leaves them, with predictions that are made up, not learnt."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmark.report.cases import Json, body, changed, record, run_folder
from tests.data.builders import Plan, build
from threedie import files
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.items import About, Items, to_bytes
from threedie.benchmark.reading.split import open_split
from threedie.leaderboard.submission.declared import Declared

PLAN = Plan(objects=("a", "b", "c"), views=4, size=16)
PARTS = ("all", "inv", "equi")
TODAY = "2026-11-25"
WHOLE = Declared(
    name="SIE (ours)",
    contact="Jane Doe <jane@example.org>",
    code="https://example.org/jane/sie",
    commit="c0ffee" * 6 + "c0ff",
    runs_started=4,
    tuned_on="train-holdout",
    weights_url="https://example.org/weights/{seed}.pt",
)
"""A declaration that lacks nothing."""


def data_set(folder: Path, **changes: Any) -> Path:
    """A small data set with train and val: `PLAN`, or another."""
    build(folder, replace(PLAN, **changes))
    return folder


def frozen(data: Path) -> FrozenTruth:
    """Its truth."""
    return freeze("3die-v1/1", open_split(data, "train"), open_split(data, "val"))


def made_up(truth: FrozenTruth, seed: int, checkpoint_sha256: str | None = None) -> Items:
    """Predictions near the truth; other ones for each seed. A part is as good as another."""
    rng = np.random.Generator(np.random.PCG64(seed))
    listed, flat_M = truth.listed, truth.listed.flat_M
    n_classes, n_rows = len(truth.classes), len(flat_M)
    logits_MK = rng.normal(size=(n_rows, n_classes))
    logits_MK[np.arange(n_rows), truth.truth.class_N[listed.object_M]] += 1.5
    rotation_M4 = truth.truth.relative(listed.pairs(), "positive-w")
    scene_M7 = truth.truth.scene_NV7.reshape(-1, 7)[flat_M]
    return Items(
        about=About(
            protocol=truth.protocol,
            list_sha256=truth.sha256,
            classes=n_classes,
            parts=PARTS,
            seed=seed,
            checkpoint_sha256=checkpoint_sha256,
        ),
        row_M=flat_M,
        top5=dict.fromkeys(PARTS, np.argsort(-logits_MK, axis=1)[:, :5]),
        rotation={
            part: rotation_M4 + rng.normal(scale=0.2, size=rotation_M4.shape) for part in PARTS
        },
        scene={"all": scene_M7 + rng.normal(scale=0.2, size=scene_M7.shape)},
        greater_M=rng.integers(0, listed.n_views - 1, n_rows),
        equal_M=np.ones(n_rows, np.int64),
        nearest_M=np.where(rng.random(n_rows) < 0.6, flat_M, rng.permutation(flat_M)),
    )


def made_run(
    folder: Path,
    data: Path,
    seed: int,
    *,
    weights: bool = True,
    predictions: bool = True,
    recorded: bool = True,
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A finished run on a data set.

    Args:
        folder: of the run.
        data: it was trained and evaluated on.
        seed: of training.
        weights: whether its checkpoint is there.
        predictions: whether predictions.npz is there.
        recorded: whether `3die bench` has trained it, and so left a config.json.
        config: settings other than the usual ones.
        changes: of results.json, as `cases.changed` takes them.
    """
    files.make_directory(folder / "checkpoints")
    checkpoint = b"weights of seed %d" % seed
    if weights:
        files.put(folder / "checkpoints" / "step-00000100.pt", checkpoint)
    whole = changed(_results(data, seed, hashlib.sha256(checkpoint).hexdigest()), **changes)
    whole["encoder"]["config"] |= config or {}
    if predictions:
        items = made_up(frozen(data), seed, whole["encoder"]["checkpoint_sha256"])
        written = files.put(folder / "predictions.npz", to_bytes(items))
        list_sha256 = items.about.list_sha256
        whole["predictions"] = {"sha256": written.sha256, "list_sha256": list_sha256}
    told = {"seed": seed, "data": str(data.resolve()), **(config or {})}
    log = [{"step": 100, "loss": 1.0, "seconds": 1800.0}]
    return run_folder(folder, whole, log=log, config=record(**told) if recorded else None)


def _results(data: Path, seed: int, sha256: str) -> Json:
    train, val = (open_split(data, split) for split in ("train", "val"))
    return changed(
        body(seed=seed),
        encoder__checkpoint_sha256=sha256,
        dataset__views=val.n_views,
        dataset__classes=len(PLAN.classes),
        dataset__splits={
            "train": {"objects": len(train), "hash": train.data_hash},
            "val": {"objects": len(val), "hash": val.data_hash},
        },
    )


def three_runs(folder: Path, data: Path, **options: Any) -> tuple[Path, ...]:
    """Three seeds of one method."""
    return tuple(made_run(folder / f"sie-{s}", data, s, **options) for s in (0, 1, 2))


def declared(**changes: Any) -> Declared:
    """`WHOLE` with other values."""
    return replace(WHOLE, **changes)
