"""Boards and entries made up in memory: predictions that err as a network's do, and can be forged.

Shape suffixes: M = rows of the list, N = objects, V = views, K = classes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import About, Items
from threedie.leaderboard.board import OpenBoard, open_board
from threedie.manifests.boards import Board

TODAY = "2026-03-04"
PARTS = {"all": (0, 64), "inv": (0, 32), "equi": (32, 64)}


def truth(
    objects: int = 24,
    views: int = 8,
    classes: int = 12,
    *,
    seed: int = 0,
    protocol: str = "3die-v1/1",
    unknown: int = 0,
) -> FrozenTruth:
    """A val split with latents of the paper's law.

    Args:
        objects: N.
        views: V.
        classes: K.
        seed: of the latents.
        protocol: name and version.
        unknown: objects whose class the train split does not have.
    """
    rng = np.random.default_rng([seed, objects, views])
    latents = rng.random((objects, views, 7))
    latents[..., :3] = (2 * latents[..., :3] - 1) * np.pi / 2
    latents[..., 4] *= np.pi / 4
    latents[..., 5] *= 2 * np.pi
    labels_N = np.arange(objects) % classes
    labels_N[:unknown] = -1
    return FrozenTruth(
        protocol=protocol,
        objects=tuple(f"class{n % classes}/object{n}" for n in range(objects)),
        classes=tuple(f"class{k}" for k in range(classes)),
        labels_N=labels_N.astype(np.int64),
        latents_NVL=latents.astype(np.float32).astype(np.float64),
    )


def make(root: Path, whole: FrozenTruth | None = None) -> OpenBoard:
    """A board of a truth."""
    whole = truth() if whole is None else whole
    name, version = whole.protocol.split("/")
    objects, views = whole.latents_NVL.shape[:2]
    body = {
        "title": "A board",
        "protocol": {"name": name, "version": int(version)},
        "data": {
            "name": "made-up",
            "recipe": "3diebench",
            "train_hash": "a" * 64,
            "val_hash": "b" * 64,
            "train_objects": 4 * objects,
            "val_objects": objects,
            "views": views,
            "classes": len(whole.classes),
        },
        "list_sha256": whole.sha256,
        "created": "2026-01-02",
    }
    root.mkdir(parents=True)
    (root / "truth.npz").write_bytes(whole.to_bytes())
    Board.model_validate(body).write(root / "board.json")
    return open_board(root)


def predict(
    board: OpenBoard,
    seed: int,
    *,
    method: int = 0,
    noise: float = 0.2,
    parts: Sequence[str] = tuple(PARTS),
    predictor: bool = True,
) -> Items:
    """Predictions of a network that errs: right classes in most rows, rotations with noise.

    Args:
        board: whose list is answered.
        seed: of the run.
        method: another one errs elsewhere.
        noise: standard deviation of what is regressed.
        parts: of the representation.
        predictor: whether it ranks views.
    """
    rng = np.random.default_rng([method, seed, 77])
    whole, listed = board.truth, board.truth.listed
    classes, rows = len(whole.classes), len(listed)
    class_M = whole.truth.class_N[listed.object_M]
    rotation_M4 = whole.truth.relative(listed.pairs(), "positive-w")
    scene_M7 = whole.truth.scene_NV7.reshape(-1, 7)[listed.flat_M]
    top5, rotation = {}, {}
    for part in parts:
        score_MK = rng.random((rows, classes))
        score_MK[np.arange(rows), np.maximum(class_M, 0)] += 0.4 + rng.random(rows)
        top5[part] = np.argsort(-score_MK, axis=1)[:, : min(5, classes)]
        rotation[part] = (rotation_M4 + noise * rng.standard_normal((rows, 4))).astype("<f2")
    greater_M, equal_M, nearest_M = _ranks(board, rng)
    return Items(
        about=About(
            protocol=board.protocol,
            list_sha256=board.config.list_sha256,
            classes=classes,
            parts=tuple(parts),
            seed=seed,
        ),
        row_M=listed.flat_M,
        top5=top5,
        rotation={p: q.astype(np.float64) for p, q in rotation.items()},
        scene={"all": _halves(scene_M7 + noise * rng.standard_normal((rows, 7)))},
        greater_M=greater_M if predictor else None,
        equal_M=equal_M if predictor else None,
        nearest_M=nearest_M if predictor else None,
    )


def _halves(values: Any) -> Any:
    return values.astype("<f2").astype(np.float64)


def _ranks(board: OpenBoard, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Targets that mostly come first; where they do, the nearest is the target."""
    listed = board.truth.listed
    greater_M = np.minimum(rng.geometric(0.5, len(listed)) - 1, listed.n_views - 1)
    another_M = listed.object_M * listed.n_views + (listed.view_M + 1) % listed.n_views
    nearest_M = np.where(greater_M == 0, listed.flat_M, another_M)
    return greater_M, np.ones(len(listed), dtype=np.int64), nearest_M


@dataclass
class Entry:
    """An entry before it is written: everything in it can be changed."""

    body: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return str(self.body["id"])

    def set(self, dotted: str, value: Any) -> Entry:
        """Change a field of submission.json: `method.code.url`, `runs.0.seed`."""
        *way, last = dotted.split(".")
        place: Any = self.body
        for step in way:
            if isinstance(place, dict) and place.get(step) is None:
                place[step] = {}
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value
        return self

    def put(self, seed: int, content: bytes) -> Entry:
        """Replace a run's predictions, its size and its hash."""
        path = f"runs/{seed}/predictions.npz"
        self.files[path] = content
        digest = hashlib.sha256(content).hexdigest()
        ref = {"path": path, "bytes": len(content), "sha256": digest}
        run = next((r for r in self.body["runs"] if r["seed"] == seed), None)
        if run is None:
            self.body["runs"].append({"seed": seed, "predictions": ref})
        else:
            run["predictions"] = ref
        return self

    def change(self, seed: int, how: Callable[[Items], Items]) -> Entry:
        """Change a run's predictions."""
        old = predictions.from_bytes(self.files[f"runs/{seed}/predictions.npz"], "old")
        return self.put(seed, predictions.to_bytes(how(old)))

    def write(self, folder: Path, *, text: bytes | None = None) -> Path:
        """Write it.

        Args:
            folder: whose last part is its name.
            text: submission.json, where it can't come of `body`.
        """
        self.files["submission.json"] = json.dumps(self.body).encode() if text is None else text
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def place(self, board: OpenBoard) -> Path:
        """Write it where it belongs."""
        year = str(self.body["submitted"])[:4]
        return self.write(board.root / "entries" / year / self.slug)


def entry(
    board: OpenBoard,
    slug: str = "sie-ours",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    method: int = 0,
    **options: Any,
) -> Entry:
    """A good entry; options are those of `predict`."""
    parts = options.get("parts", tuple(PARTS))
    config = board.config
    made = Entry(
        {
            "schema_version": 1,
            "id": slug,
            "submitted": "2026-03-03",
            "track": "closed",
            "method": {
                "name": "SIE",
                "family": "equivariant",
                "paper": None,
                "code": {"url": "https://example.org/code"},
            },
            "protocol": config.protocol.model_dump(),
            "dataset": {
                "train_hash": config.data.train_hash,
                "val_hash": config.data.val_hash,
                "list_sha256": config.list_sha256,
            },
            "training_data": {"external": False, "val_objects_used": False},
            "model": {
                "backbone": "resnet18",
                "dim": 64,
                "parts": {part: PARTS[part] for part in parts},
                "size_px": 64,
            },
            "runs": [],
            "selection": {
                "how": "last-epoch",
                "runs_started": len(seeds),
                "tuned_on": "nothing",
            },
            "reported": None,
            "submitter": {"name": "A. Nobody", "contact": "a.nobody@example.org"},
            "agrees_rules": "1",
        },
        {
            "card.md": b"---\nlicense: apache-2.0\n---\n# SIE\n\nWhat it is.\n",
            "config.json": b'{"method": "sie"}\n',
            "cite.bib": b"@inproceedings{sie, title={SIE}}\n",
        },
    )
    for seed in seeds:
        run = predict(board, seed, method=method, **options)
        made.put(seed, predictions.to_bytes(run))
    return made


def permuted(items: Items, order_M: Any, *, rows: bool = True) -> Items:
    """The same rows in another order.

    Args:
        items: what is permuted.
        order_M: the order.
        rows: the member `row` too, as when a whole file is permuted.
    """

    def moved(arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {part: values[order_M] for part, values in arrays.items()}

    ranks: dict[str, Any] = {
        name: None if (values := getattr(items, name)) is None else values[order_M]
        for name in ("greater_M", "equal_M", "nearest_M")
    }
    return replace(
        items,
        row_M=items.row_M[order_M] if rows else items.row_M,
        top5=moved(items.top5),
        rotation=moved(items.rotation),
        scene=moved(items.scene),
        **ranks,
    )


def unpacked(content: bytes) -> dict[str, bytes]:
    """The members of an npz, as they are."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of any members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(values: Any, **options: Any) -> bytes:
    """An array's file."""
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()
