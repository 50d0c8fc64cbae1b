"""Whole boards of made-up entries, written as models: verifications too, so nothing is computed."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.leaderboard.folder import entry_sha256
from threedie.leaderboard.metrics import METRICS
from threedie.manifests.boards import Board
from threedie.manifests.entries import Submission
from threedie.manifests.verification import LEVELS, Step, Verification

Json = dict[str, Any]
A, B, C = "ab" * 32, "cd" * 32, "ef" * 32
PROTOCOL = "3die-v1/1"
OBJECTS, VIEWS, CLASSES = 12, 5, ("airplane", "chair", "table")
REPLICATED = ("all/top1", "all/rotation_r2_uniform", "equi/rotation_r2_uniform", "all/mrr_val")


@dataclass(frozen=True, kw_only=True)
class Fake:
    """A made-up entry; the numbers that are not given follow from `top1` and `r2`."""

    slug: str
    name: str = "SIE"
    variant: str | None = None
    family: str = "equivariant"
    track: str = "closed"
    level: str = "recomputed"
    seeds: int = 3
    top1: float = 0.8
    r2: float = 0.6
    noise: float = 0.004
    """Standard deviation over training."""
    submitted: str = "2026-02-03"
    verified: str | None = "2026-02-04"
    """None: there is no verification.json."""
    status: tuple[str, str] | None = None
    """State and reason."""
    failed: tuple[str, ...] = ()
    """Deeper levels that were tried and not passed."""
    split: bool = True
    """Parts inv and equi, and a predictor."""
    changes: Json = field(default_factory=dict)
    """Of submission.json, by dotted field."""
    verifies: Json = field(default_factory=dict)
    """Of verification.json, likewise."""
    card: str = "# About\n\nAn example.\n"
    config: str = '{"method": "sie"}\n'
    bib: str = "@article{example, title={An example}}\n"


def changed(body: Json, changes: Json) -> Json:
    """A copy with some fields set, by dotted name."""
    body = json.loads(json.dumps(body))
    for name, value in changes.items():
        *path, last = name.split(".")
        inside: Any = body
        for step in path:
            inside = inside[int(step)] if isinstance(inside, list) else inside[step]
        inside[last] = value
    return body


def truth(objects: int = OBJECTS, views: int = VIEWS) -> FrozenTruth:
    """A val split of no pictures."""
    rng = np.random.default_rng(0)
    return FrozenTruth(
        protocol=PROTOCOL,
        objects=tuple(f"{CLASSES[i % 3]}/object-{i}" for i in range(objects)),
        classes=CLASSES,
        labels_N=np.arange(objects) % 3,
        latents_NVL=rng.uniform(0, 1, (objects, views, 10)).astype(np.float32).astype(float),
    )


def write_board(
    root: Path, fakes: Sequence[Fake], selftests: Sequence[Fake] = (), **config: Any
) -> Path:
    """A board with these entries; `entries/<year of submission>/<slug>`."""
    whole = truth()
    root.mkdir(parents=True, exist_ok=True)
    (root / "truth.npz").write_bytes(whole.to_bytes())
    board_body(whole, **config).write(root / "board.json")
    (root / "RULES.md").write_text("# Rules\n\n1. Train on train only.\n2. Declare all runs.\n")
    for fake in fakes:
        write_entry(root / "entries" / fake.submitted[:4] / fake.slug, fake)
    for fake in selftests:
        write_entry(root / "selftests" / fake.slug, fake)
    return root


def board_body(whole: FrozenTruth, **config: Any) -> Board:
    """board.json of a truth."""
    n, v = whole.latents_NVL.shape[:2]
    data = {
        "name": "example-3diebench",
        "recipe": "3diebench",
        "train_hash": A,
        "val_hash": B,
        "train_objects": 4 * n,
        "val_objects": n,
        "views": v,
        "classes": len(whole.classes),
    }
    body = {
        "title": "3DIEBench leaderboard (examples)",
        "protocol": {"name": "3die-v1", "version": 1},
        "data": data,
        "list_sha256": whole.sha256,
        "created": "2026-01-01",
        **config,
    }
    return Board.model_validate(body)


def write_entry(folder: Path, fake: Fake) -> Path:
    """One entry's folder."""
    contents = {
        "submission.json": json.dumps(submission(fake)).encode(),
        "card.md": fake.card.encode(),
        "config.json": fake.config.encode(),
        "cite.bib": fake.bib.encode(),
        **{f"runs/{seed}/predictions.npz": predictions(fake, seed) for seed in range(fake.seeds)},
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if fake.verified:
        body = changed(verification(fake, entry_sha256(contents)), fake.verifies)
        (folder / "verification.json").write_bytes(Verification.model_validate(body).to_bytes())
    if fake.status:
        state, reason = fake.status
        body = {"schema_version": 1, "state": state, "on": "2026-03-01", "reason": reason}
        (folder / "status.json").write_text(json.dumps(body))
    return folder


def predictions(fake: Fake, seed: int) -> bytes:
    """No predictions; the site never opens them."""
    return f"{fake.slug} {seed}".encode()


def submission(fake: Fake) -> Json:
    """submission.json."""
    runs = [
        {
            "seed": seed,
            "predictions": {
                "path": f"runs/{seed}/predictions.npz",
                "bytes": len(predictions(fake, seed)),
                "sha256": hashlib.sha256(predictions(fake, seed)).hexdigest(),
            },
        }
        for seed in range(fake.seeds)
    ]
    body = {
        "id": fake.slug,
        "submitted": fake.submitted,
        "track": fake.track,
        "method": {
            "name": fake.name,
            "variant": fake.variant,
            "family": fake.family,
            "paper": "https://arxiv.org/abs/2302.10283",
            "code": {"url": "https://example.org/code", "commit": "0123456789" * 4},
        },
        "protocol": {"name": "3die-v1", "version": 1},
        "dataset": {"train_hash": A, "val_hash": B, "list_sha256": truth().sha256},
        "training_data": {"external": fake.track == "open", "val_objects_used": False},
        "model": {
            "backbone": "resnet18",
            "params": 11_176_512,
            "dim": 512,
            "parts": {"all": [0, 512], "inv": [0, 256], "equi": [256, 512]},
            "size_px": 128,
        },
        "compute": {"device": "1x H100", "epochs": 2000, "hours_per_run": 7.5},
        "runs": runs,
        "selection": {"how": "last-epoch", "runs_started": fake.seeds, "tuned_on": "nothing"},
        "reported": {"source": "the paper's Table 2", "values": {"top1": 0.81}},
        "submitter": {"name": "A. Example", "contact": "a@example.org"},
        "agrees_rules": "1",
    }
    body = changed(body, fake.changes)
    Submission.model_validate(body)
    return body


def verification(fake: Fake, sha256: str) -> Json:
    """verification.json."""
    metrics = _metrics(fake)
    steps = [
        {
            "level": level,
            "passed": True,
            "runs": fake.seeds,
            "on": fake.verified,
            "says": f"{level} agrees with what is recomputed",
            "checks": [{"name": "delta", "ok": True, "says": "0.0011 of 0.0100 allowed"}],
            "deltas": {"all/top1": 0.0011},
        }
        for level in LEVELS[2 : LEVELS.index(fake.level) + 1]
    ]
    steps += [failed_step(fake, level) for level in fake.failed]
    return {
        "id": fake.slug,
        "entry_sha256": sha256,
        "protocol": PROTOCOL,
        "list_sha256": truth().sha256,
        "level": fake.level,
        "verified": fake.verified,
        "by": "the board's CI",
        "evaluator": {"threedie": "0.2.0", "numpy": "1.26.4", "python": "3.11.9"},
        "seeds": list(range(fake.seeds)),
        "metrics": metrics,
        "replicates": {
            key: _replicates(fake, key, metrics[part][metric]["value"])
            for key in REPLICATED
            for part, _, metric in [key.partition("/")]
            if metric in metrics.get(part, {})
        },
        "checks": [
            {"name": "coverage", "ok": True, "says": "every row of the list is answered once"},
            {"name": "finite", "ok": True, "says": "no NaN and no infinity"},
        ],
        "warnings": [{"name": "seed-spread", "ok": True, "says": "seeds vary as expected"}],
        "steps": steps,
    }


def failed_step(fake: Fake, level: str) -> Json:
    """A deeper level that did not agree."""
    step: Json = {
        "level": level,
        "passed": False,
        "on": fake.verified,
        "says": f"{level} does not agree with what is recomputed",
        "checks": [
            {"name": "seed-0-parts", "ok": True, "says": "parts all"},
            {"name": "seed-0-metrics", "ok": False, "says": "0.4021 of 0.0100 allowed"},
        ],
        "deltas": {"all/top1": -0.4021, "all/rotation_geodesic_deg": 31.5},
    }
    return {**step, **looked_at(fake.seeds)}


def looked_at(runs: int) -> Json:
    """A step's field `runs`, as far as it has one."""
    return {"runs": runs} if "runs" in Step.model_fields else {}


def _rng(*parts: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("|".join(parts).encode()))


def _metrics(fake: Fake) -> dict[str, dict[str, Json]]:
    t, r = fake.top1, fake.r2
    wide = {
        "top1": t,
        "top5": 1 - (1 - t) * 0.3,
        "balanced_top1": t * 0.95,
        "rotation_r2_global": r + (1 - r) * 0.2,
        "rotation_r2_uniform": r,
        "rotation_geodesic_deg": 95 * (1 - r) + 4,
        "rotation_geodesic_deg_median": 75 * (1 - r) + 2,
    }
    scene = {
        "floor_hue_r2_uniform": 0.9 * r + 0.05,
        "light_hue_r2_uniform": 0.4 * r,
        "light_direction_r2_uniform": 0.8 * r,
    }
    ranked = {"mrr_val": r * 0.6, "h_at_1_val": r * 0.4, "h_at_5_val": r * 0.7, "pre_val": 0.6}
    if not fake.split:
        return {"all": _measured(fake, "all", {**wide, **scene})}
    shifted = {k: v * (0.97 if "deg" not in k else 1.05) for k, v in wide.items()}
    return {
        "all": _measured(fake, "all", {**wide, **scene, **ranked}),
        "inv": _measured(fake, "inv", {**shifted, "rotation_r2_uniform": r * 0.3}),
        "equi": _measured(fake, "equi", {**shifted, "top1": t * 0.6}),
    }


def possible(name: str, value: float) -> float:
    """The value, within what its metric can be."""
    metric = METRICS[name]
    return min(max(value, -9.0 if metric.low is None else metric.low), metric.high)


def _measured(fake: Fake, part: str, values: dict[str, float]) -> dict[str, Json]:
    found = {}
    for name, value in values.items():
        scale = 80 if "deg" in name else 1
        noise = _rng(fake.slug, part, name).normal(0, fake.noise * scale, fake.seeds)
        noise -= noise.mean()
        reach = 2.2 * fake.noise * scale
        found[name] = {
            "value": possible(name, value),
            "low": possible(name, value - reach),
            "high": possible(name, value + reach),
            "std": fake.noise * scale if fake.seeds > 1 else None,
            "per_seed": [possible(name, value + float(e)) for e in noise],
            "objects": OBJECTS,
        }
    return found


def _replicates(fake: Fake, key: str, value: float) -> list[float]:
    """What objects do is shared by all entries; what training does is an entry's own."""
    shared = _rng("objects", key).normal(0, 0.006, 500)
    own = _rng(fake.slug, key).normal(0, fake.noise, 500)
    return [float(f"{v:.6g}") for v in value + shared + own]


SELFTESTS = (
    Fake(slug="oracle", name="Oracle", family="other", top1=1.0, r2=1.0, noise=0.0),
    Fake(slug="random", name="Random network", family="other", top1=0.31, r2=0.05, split=False),
    Fake(slug="constant", name="Constant", family="other", top1=0.16, r2=0.0, noise=0.0),
    Fake(slug="chance", name="Chance", family="other", top1=0.16, r2=-0.001, noise=0.0),
)
EXAMPLES = (
    Fake(
        slug="sie-hypernet",
        name="SIE",
        variant="hypernet, split 256/256",
        top1=0.814,
        r2=0.731,
        level="re-run",
        seeds=5,
        submitted="2026-01-20",
        verified="2026-01-22",
        card="# Split Invariant-Equivariant\n\nTwo halves of one representation: **inv** is asked "
        "to stay, **equi** to move by a predicted matrix.\n\n## Training\n\n- 2000 epochs, batch "
        "1024, LARS\n- `hypernet` without bias\n- see [the paper](https://arxiv.org/abs/2302.10283)"
        "\n\n## Known weaknesses\n\nHues are read poorly from *equi*.\n",
    ),
    Fake(
        slug="sie-mlp", name="SIE", variant="MLP predictor", top1=0.806, r2=0.702, level="re-probed"
    ),
    Fake(
        slug="context-ssl", name="ContextSSL", variant="context 126", top1=0.803, r2=0.744, seeds=3
    ),
    Fake(
        slug="equimod", name="EquiMod", variant="SimCLR", top1=0.862, r2=0.494, level="fresh-render"
    ),
    Fake(slug="seq-jepa", name="seq-JEPA", variant="3 views", top1=0.871, r2=0.716, seeds=4),
    Fake(
        slug="simclr", name="SimCLR", family="invariant", top1=0.858, r2=0.471, split=False, seeds=5
    ),
    Fake(
        slug="vicreg",
        name="VICReg",
        family="invariant",
        top1=0.829,
        r2=0.389,
        split=False,
        failed=("re-run",),
    ),
    Fake(
        slug="supervised-r18",
        name="Supervised",
        variant="ResNet-18",
        family="supervised",
        top1=0.921,
        r2=0.352,
        split=False,
    ),
    Fake(
        slug="dino-open",
        name="DINOv2 + probe",
        family="other",
        track="open",
        top1=0.902,
        r2=0.55,
        split=False,
    ),
    Fake(slug="capsule", name="EquiCaps", variant="one seed", top1=0.832, r2=0.771, seeds=1),
    Fake(slug="sen", name="SEN", top1=0.834, r2=0.35, status=("disputed", "probe settings differ")),
    Fake(
        slug="too-good",
        name="TooGood",
        top1=0.95,
        r2=0.93,
        status=("retracted", "val objects were in the train split"),
    ),
    Fake(slug="newcomer", name="NewComer", verified=None, submitted="2026-03-02"),
)
"""A board as it might be: numbers are made up."""


def many(count: int) -> list[Fake]:
    """As many entries, of about a third as many methods."""
    rng = np.random.default_rng(1)
    families, levels = ("equivariant", "invariant", "supervised", "other"), LEVELS[1:]
    return [
        Fake(
            slug=f"method-{i // 3:03d}-variant-{i % 3}",
            name=f"Method {i // 3:03d}",
            variant=f"variant {i % 3}, split 256/256",
            family=families[int(rng.integers(4))],
            track="open" if i % 9 == 0 else "closed",
            level=levels[int(rng.integers(len(levels)))],
            seeds=int(rng.integers(1, 6)),
            top1=float(rng.uniform(0.5, 0.9)),
            r2=float(rng.uniform(0.2, 0.8)),
            split=bool(rng.integers(2)),
            submitted=f"2026-{1 + i % 12:02d}-{1 + i % 28:02d}",
        )
        for i in range(count)
    ]
