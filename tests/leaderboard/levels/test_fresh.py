"""Level "fresh-render": new views of val objects against official ones rendered again.

Claims: the control is the official pictures, byte for byte, where the version is the same, and new
views are others, by the secret seed alone; an honest encoder passes; one that knows the val
pictures by heart has perfect predictions and fails, by the new views, or, where another version
renders, by the control; sets too small to show anything do not pass; the step commits to the seed
and does not tell it; data that can't be continued are refused; Blender does it too.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.data.builders import Plan as BuiltPlan
from tests.data.builders import build
from tests.leaderboard.levels.painted import OTHER, RENDERER, SIZE, KnowsByHeart, sees
from tests.leaderboard.levels.world import TODAY, make_world
from threedie.benchmark.evaluate_run import Subject
from threedie.benchmark.evaluation import items
from threedie.benchmark.evaluation.evaluate import About, evaluate
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.protocols import PROTOCOLS, Protocol
from threedie.benchmark.reading.split import Split, open_split
from threedie.errors import ConfigError
from threedie.leaderboard.levels.fresh import compared, fresh_render
from threedie.leaderboard.levels.fresh_judge import judge_drawn
from threedie.leaderboard.levels.fresh_views import commitment, draw
from threedie.leaderboard.levels.request import LevelRequest
from threedie.manifests.dataset import Versions
from threedie.manifests.verification import Check
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.plan import Maker, RenderOptions, make_plan
from threedie.render.progress import Progress

VERSIONS = Versions(threedie="test", bpy="none", blender="none")
SECRET = 987654321987654321


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of built-in shapes, painted."""
    out = tmp_path_factory.mktemp("painted") / "data"
    options = RenderOptions(
        classes="chair,mug,lamp", limit=60, size=SIZE, views=6, image_format="png"
    )
    render_dataset(
        make_plan(options, maker=lambda: Maker(versions=VERSIONS, device="cpu")),
        out,
        hardware=Hardware(workers=1, threads=1),
        progress=Progress(),
        renderer=RENDERER,
    )
    return out


def splits_of(data: Path) -> dict[str, Split]:
    return {name: open_split(data, name) for name in ("train", "val")}


def asked(data: Path, **changed: Any) -> LevelRequest:
    wanted = {"secret_seed": SECRET, "objects": 30, "views": 4, **changed}
    return LevelRequest(data=data, today=TODAY, **wanted)


def quick() -> Protocol:
    """Narrow probes, trained shortly."""
    own = PROTOCOLS["3die-v1"].with_epochs(60)
    return replace(own, rotation=replace(own.rotation, hidden=(64,)), scene=None, resamples=10)


def looked_at(encoder: Any, data: Path, tmp_path: Path, **changed: Any) -> dict[str, Check]:
    """Checks of an encoder, whose predictions are its own."""
    splits, renderer = splits_of(data), changed.pop("renderer", RENDERER)
    path = tmp_path / "predictions.npz"
    evaluate(encoder, splits, protocol=quick(), normalise="none", device="cpu", predictions=path)
    truth: FrozenTruth = freeze("3die-v1/1", splits["train"], splits["val"])
    drawn = draw(splits["val"], truth.listed, asked(data, **changed), renderer=renderer)
    subject = Subject(encoder=encoder, about=About(), folder=tmp_path, normalise="none")
    judged = judge_drawn(
        subject,
        splits["train"],
        drawn,
        quick(),
        device="cpu",
        batch_size=64,
        on_progress=lambda *_: None,
    )
    checks, deltas = compared(judged, drawn, items.from_bytes(path.read_bytes(), "p"), truth)
    assert "all/top1" in deltas
    return {one.name: one for one in checks}


def test_the_control_is_official_and_the_new_views_are_not(painted: Path) -> None:
    val = open_split(painted, "val")
    listed = freeze("3die-v1/1", open_split(painted, "train"), val).listed
    one = draw(val, listed, asked(painted, objects=3), renderer=RENDERER)
    assert len(set(one.rows_n.tolist())) == 3
    seen = {one.split.encoded(i, v) for i in range(3) for v in range(4)}
    new = {one.split.encoded(3 + i, v) for i in range(3) for v in range(4)}
    assert len(seen) == len(new) == 12
    assert not seen & new
    for i, row in enumerate(one.rows_n):
        for v, view in enumerate(one.control_nV[i]):
            assert one.split.encoded(i, v) == val.encoded(int(row), int(view))  # type: ignore[attr-defined]
        assert one.split.objects_N[3 + i] == val.objects_N[row]
    again = draw(val, listed, asked(painted, objects=3), renderer=RENDERER)
    assert again.split.data_hash == one.split.data_hash
    other = draw(val, listed, asked(painted, objects=3, secret_seed=SECRET + 1), renderer=RENDERER)
    assert not new & {other.split.encoded(3 + i, v) for i in range(3) for v in range(4)}


def test_an_honest_encoder_passes(painted: Path, tmp_path: Path) -> None:
    checks = looked_at(sees, painted, tmp_path)
    assert all(one.ok for one in checks.values()), checks
    assert {"fresh-top1", "fresh-rotation-r2-uniform", "resolution"} <= set(checks)


def test_one_that_knows_val_by_heart_fails(painted: Path, tmp_path: Path) -> None:
    cheat = KnowsByHeart(splits_of(painted))
    checks = looked_at(cheat, painted, tmp_path)
    predictions = items.from_bytes((tmp_path / "predictions.npz").read_bytes(), "p")
    val = open_split(painted, "val")
    truth = freeze("3die-v1/1", open_split(painted, "train"), val)
    right = predictions.top5["all"][:, 0] == truth.labels_N[truth.listed.object_M]
    assert right.mean() > 0.99  # so recomputed, it is perfect
    assert not checks["fresh-top1"].ok
    assert not checks["fresh-rotation-r2-uniform"].ok
    assert checks["control-as-submitted"].ok
    other = looked_at(cheat, painted, tmp_path, renderer=OTHER)
    assert other["fresh-top1"].ok  # it knows neither set
    assert not other["control-as-submitted"].ok


def test_too_few_objects_show_nothing(painted: Path, tmp_path: Path) -> None:
    checks = looked_at(sees, painted, tmp_path, objects=3, views=2)
    assert not checks["resolution"].ok


def test_the_step_commits_to_the_seed(painted: Path, tmp_path: Path) -> None:
    world = make_world(tmp_path, method="sie", data=painted, size=SIZE)
    request = asked(painted, weights=(world.run,))
    step = fresh_render(world.entry, world.board, request, renderer=RENDERER)
    assert step.passed, [one for one in step.checks if not one.ok]
    assert step.level == "fresh-render"
    wanted = hashlib.sha256(f"threedie fresh-render {SECRET}".encode()).hexdigest()
    assert commitment(SECRET) == wanted
    assert wanted in step.says
    assert str(SECRET) not in step.model_dump_json()
    assert {one.name for one in step.checks} == {
        f"seed-0-{name}"
        for name in (
            "fresh-top1",
            "fresh-rotation-r2-uniform",
            "fresh-mrr-val",
            "resolution",
            "control-as-submitted",
        )
    }


def test_data_that_cannot_be_continued(painted: Path, tmp_path: Path) -> None:
    val = open_split(painted, "val")
    listed = freeze("3die-v1/1", open_split(painted, "train"), val).listed
    (tmp_path / "meshes" / "chair").mkdir(parents=True)
    (tmp_path / "meshes" / "chair" / "a.obj").write_text("v 0 0 0\n")
    with pytest.raises(ConfigError, match="'builtin' source, this one is 'folder'"):
        draw(val, listed, asked(painted, meshes=tmp_path / "meshes"))
    build(tmp_path / "given", BuiltPlan(given_latents=True))
    given = open_split(tmp_path / "given", "val")
    listed = freeze("3die-v1/1", open_split(tmp_path / "given", "train"), given).listed
    with pytest.raises(ConfigError, match="rendered from a latents file"):
        draw(given, listed, asked(tmp_path / "given"))


@pytest.mark.bpy
def test_blender_renders_both(tmp_path: Path) -> None:
    from rich.console import Console

    from threedie.render.run import Machine, render

    options = RenderOptions(classes="chair,mug", limit=5, size=32, views=2)
    out = tmp_path / "data"
    assert render(options, Machine(device="cpu"), str(out), console=Console(quiet=True)) == 0
    val = open_split(out, "val")
    listed = freeze("3die-v1/1", open_split(out, "train"), val).listed
    drawn = draw(val, listed, asked(out, objects=2, views=2))
    n = len(drawn.rows_n)
    for i, row in enumerate(drawn.rows_n):
        for v, view in enumerate(drawn.control_nV[i]):
            official = val.encoded(int(row), int(view))  # type: ignore[attr-defined]
            assert drawn.split.encoded(i, v) == official
    pictures = np.empty((4, 32, 32, 3), np.uint8)
    drawn.split.read([0, 0, n, n], [0, 1, 0, 1], 32, pictures)
    assert len({p.tobytes() for p in pictures}) == 4
    assert pictures.std(axis=(1, 2, 3)).min() > 5
