"""Level "re-run": weights evaluated again.

Claims: the same weights give the same predictions, to the last one; other weights, other
predictions and other data are told apart; a run with code of its own is not run; what is not
offered or not given is said.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.data.builders import Plan, build
from tests.leaderboard.levels.world import TODAY, World, entry_of
from threedie.benchmark.evaluation import items
from threedie.errors import ConfigError
from threedie.leaderboard.levels.request import LevelRequest
from threedie.leaderboard.levels.run_level import run_level


def asked(world: World, **changed: object) -> LevelRequest:
    return LevelRequest(data=world.data, today=TODAY, **changed)  # type: ignore[arg-type]


def test_the_same_weights_give_the_same_predictions(world: World) -> None:
    step = run_level("re-run", world.entry, world.board, asked(world, weights=(world.run,)))
    assert step.passed, step.says
    assert (step.level, step.runs) == ("re-run", 1)
    assert step.deltas["all/top1"] == step.deltas["all/mrr_val"] == 0
    assert all(delta == 0 for delta in step.deltas.values())
    names = {one.name for one in step.checks}
    assert {"seed-0-classes-equi", "seed-0-rotations-all", "seed-0-ranks"} <= names


def test_other_weights_are_not_the_entrys(world: World, other_run: Path) -> None:
    request = asked(world, weights=(world.run, other_run))
    for level in ("re-run", "fresh-render"):
        with pytest.raises(ConfigError, match=r"hashes to .* the entry names .* \(seed 0\)"):
            run_level(level, world.entry, world.board, replace(request, secret_seed=1))
    silent = entry_of(world.run, checkpoint_sha256=None)
    with pytest.raises(ConfigError, match="the entry names no checkpoint"):
        run_level("re-run", silent, world.board, request)
    # Predictions of one run under the checkpoint of another.
    forged = entry_of(
        world.run, checkpoint_sha256=entry_of(other_run).submission.runs[0].checkpoint_sha256
    )
    step = run_level("re-run", forged, world.board, asked(world, weights=(other_run,)))
    assert not step.passed
    assert "Failed:" in step.says


def test_predictions_that_were_mended(world: World) -> None:
    path = "runs/0/predictions.npz"
    given = items.from_bytes(world.entry.contents[path], path)
    classes = world.board.truth.labels_N[world.board.truth.listed.object_M]
    right = np.stack([classes, *((classes + i) % 12 for i in range(1, 5))], axis=1)
    mended = replace(given, top5={**given.top5, "all": right})
    contents = {**world.entry.contents, path: items.to_bytes(mended)}
    entry = replace(world.entry, contents=contents)
    step = run_level("re-run", entry, world.board, asked(world, weights=(world.run,)))
    failed = {one.name for one in step.checks if not one.ok}
    assert failed == {"seed-0-classes-all", "seed-0-metrics"}
    assert step.deltas["all/top1"] < -0.1


def test_a_run_that_would_import_its_own_code(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(world.run, folder)
    body = json.loads((folder / "config.json").read_text())
    body["config"]["encoder"] = "evil:build"
    (folder / "config.json").write_text(json.dumps(body))
    with pytest.raises(ConfigError, match="a verifier does not run"):
        run_level("re-run", world.entry, world.board, asked(world, weights=(folder,)))


def test_other_data_are_refused(world: World, tmp_path: Path) -> None:
    build(tmp_path / "other", Plan(objects=["a", "b"], views=4, size=32))
    request = LevelRequest(data=tmp_path / "other", today=TODAY, weights=(world.run,))
    with pytest.raises(ConfigError, match="train split hashes to"):
        run_level("re-run", world.entry, world.board, request)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"device": "abacus"}, "unknown device 'abacus'"),
        ({"weights": (Path("absent"),)}, "--weights is 'absent'"),
        ({"features": (Path("absent"),)}, "--features is 'absent'"),
        ({"meshes": Path("absent")}, "--meshes is 'absent'"),
    ],
)
def test_wrong_options_are_not_the_entrys_fault(
    world: World, changed: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        run_level("re-run", world.entry, world.board, asked(world, **changed))


@pytest.mark.parametrize(
    ("level", "says"),
    [
        ("re-run", "--weights"),
        ("re-probed", "--features"),
        ("fresh-render", "--secret-seed"),
        ("retrained", "not offered"),
        ("recomputed", "unknown level"),
    ],
)
def test_what_is_missing_is_said(world: World, level: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        run_level(level, world.entry, world.board, asked(world))
