"""Results and run folders made by hand, and a parser that refuses a page that is ill-formed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threedie import files

VAL, TRAIN = "cd" * 32, "ab" * 32
Json = dict[str, Any]


def number(value: float | None, low: float | None = None, high: float | None = None) -> Json:
    note = "not here" if value is None else None
    return {"value": value, "low": low, "high": high, "n": 16, "note": note}


def curve(axis: str, *values: float) -> Json:
    edges = [180.0 * i / len(values) for i in range(len(values) + 1)]
    points = [number(v, v - 0.1, v + 0.1) for v in values]
    return {"axis": axis, "edges_deg": edges, "points": points}


def body(name: str = "sie", seed: int = 0, top1: float = 0.5, r2: float = 0.4) -> Json:
    """Of a whole results.json: above chance, a predictor that moves, 2 classes."""
    return {
        "schema_version": 1,
        "encoder": {
            "name": name,
            "config": {"method": name, "seed": seed, "step": 100, "lr": 0.001},
            "checkpoint_sha256": f"{seed:064x}",
            "dim": 64,
            "parts": {"all": [0, 64], "inv": [0, 32], "equi": [32, 64]},
        },
        "protocol": {
            "name": "3die-v1",
            "version": 1,
            "settings": {"batchnorm": "eval", "views": "all", "size": 64, "val_partners": 4},
            "changed": [],
        },
        "dataset": {
            "hash": "ef" * 32,
            "recipe": "3diebench",
            "size": 128,
            "views": 10,
            "splits": {
                "train": {"objects": 64, "hash": TRAIN},
                "val": {"objects": 16, "hash": VAL},
            },
            "classes": 2,
        },
        "seed": 0,
        "versions": {"threedie": "0.1", "torch": "2", "numpy": "1", "python": "3.11"},
        "device": "cpu",
        "finished": "2026-01-01T00:00:00+00:00",
        "seconds": {"total": 61.0},
        "metrics": {
            "all": {
                "top1": number(top1, top1 - 0.05, top1 + 0.05),
                "rotation_r2_global": number(r2, r2 - 0.05, r2 + 0.05),
                "rotation_r2_uniform": number(r2 / 2, r2 / 2 - 0.05, r2 / 2 + 0.05),
                "mrr_val": number(0.6, 0.55, 0.65),
                "equivariance_error": number(0.2, 0.18, 0.22),
                "equivariance_gain": number(0.5, 0.4, 0.6),
                "effective_rank": number(30.0),
            }
        },
        "chance": {
            "top1": number(0.125),
            "rotation_r2_global": number(0.223),
            "rotation_r2_uniform": number(0.0),
            "mrr_val": number(0.293),
        },
        "references": {
            "identity": {"mrr_val": number(0.293), "equivariance_error": number(0.4)},
            "oracle": {"mrr_val": number(1.0)},
        },
        "curves": {"all": {"top1": curve("absolute", 0.25, 0.5, 0.75)}},
        "per_class": {"all": {"top1": {"03001627": number(0.75), "03797390": number(0.25)}}},
        "notes": [],
    }


def changed(whole: Json, **changes: Any) -> Json:
    """With other values at places such as metrics__all__top1."""
    whole = copy.deepcopy(whole)
    for place, value in changes.items():
        *path, last = place.split("__")
        inner = whole
        for key in path:
            inner = inner[key]
        inner[last] = value
    return whole


def losses(*values: float) -> list[Json]:
    """Lines of a log."""
    steps = range(10, 10 * len(values) + 1, 10)
    rest = {"invariance": 1.0, "online_top1": 0.5, "repr_std": 0.5, "repr_rank": 9.0}
    return [{"step": s, "loss": v, **rest} for s, v in zip(steps, values, strict=True)]


FLAT = losses(9.0, 5.0, 3.0, *[2.0, 2.1] * 6)


def record(**config: Any) -> Json:
    """config.json of the run that `body` tells of."""
    settings = {"method": "sie", "data": "/home/someone/data/demo", "preset": "smoke", "seed": 0}
    return {
        "schema_version": 1,
        "config": {**settings, "batch_size": 32, "epochs": 20, "device": "cpu", **config},
        "method_config": {},
        "data_hash": TRAIN,
        "pixel_mean": [0.5, 0.5, 0.5],
        "pixel_std": [0.1, 0.1, 0.1],
        "n_objects": 64,
        "n_classes": 2,
        "steps": 100,
        "versions": {"torch": "2"},
        "commit": "c0ffee",
        "started": "2026-01-01T00:00:00+00:00",
    }


def run_folder(
    folder: Path,
    whole: Json,
    *,
    log: list[Json] | None = FLAT,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write a run as `3die bench` leaves it (without weights)."""
    files.make_directory(folder)
    files.put(folder / "results.json", json.dumps(whole).encode())
    if config is not None:
        files.put(folder / "config.json", json.dumps(config).encode())
    if log is not None:
        files.put(folder / "log.jsonl", (json.dumps(row).encode() + b"\n" for row in log))
    return folder
