"""Level "re-probed": features, written and read, and probes trained on them anew.

Claims: features of a run give its predictions back within tolerance, and exact retrieval the same
ranks; features of other weights do not; a forged prediction is told; of a large train split every
object gives equally many views; every form of damage of the folder is refused by name, and nothing
of it is unpickled or followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from tests.benchmark.evaluation.fakes import PosePredictor, fake_data, poses, truth_of
from tests.leaderboard.levels.world import TODAY, World, entry_of, trained
from threedie.benchmark.evaluation import items
from threedie.benchmark.evaluation.features import Features
from threedie.benchmark.evaluation.frozen import MOST_TRAIN_VIEWS, frozen_list, frozen_train
from threedie.benchmark.evaluation.judge_listed import nearest_listed, ranks_within
from threedie.benchmark.evaluation.retrieval import MovedSplit, nearest_views, retrieve
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.levels.features import read_features, write_features
from threedie.leaderboard.levels.request import LevelRequest
from threedie.leaderboard.levels.run_level import run_level
from threedie.manifests.verification import Step

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def features(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features")
    write_features(world.run, world.data, out, device="cpu")
    return out


def reprobed(world: World, *folders: Path, entry: Any = None) -> Step:
    request = LevelRequest(data=world.data, today=TODAY, features=folders)
    return run_level("re-probed", entry or world.entry, world.board, request)


def test_features_give_the_predictions_back(world: World, features: Path) -> None:
    step = reprobed(world, features)
    assert step.passed, step.says
    assert step.level == "re-probed"
    assert abs(step.deltas["all/mrr_val"]) < 1e-9
    assert reprobed(world, features) == step
    assert step.runs == reprobed(world, features, features).runs == 1  # one run counts once


@pytest.mark.parametrize("name", ["board.json", "notes.txt", ".git"])
def test_features_have_a_folder_of_their_own(world: World, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=f"which holds '{name}'"):
        write_features(world.run, world.data, tmp_path, device="cpu")
    with pytest.raises(ConfigError, match="a file"):
        write_features(world.run, world.data, world.run / "config.json", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_features_of_other_weights(world: World, other_run: Path, tmp_path: Path) -> None:
    write_features(other_run, world.data, tmp_path / "f", device="cpu")
    with pytest.raises(ConfigError, match="are of seed 1; the entry has 0"):
        reprobed(world, tmp_path / "f")
    claims = json.loads((tmp_path / "f" / "features.json").read_text())
    claims["seed"] = 0
    (tmp_path / "f" / "features.json").write_text(json.dumps(claims))
    with pytest.raises(ConfigError, match="are of another checkpoint"):
        reprobed(world, tmp_path / "f")
    # The entry's own, as its hash says, are its fault.
    digest = hashlib.sha256((tmp_path / "f" / "features.json").read_bytes()).hexdigest()
    named = entry_of(world.run, features={"bytes": 1, "sha256": digest})
    step = reprobed(world, tmp_path / "f", entry=named)
    failed = {one.name: one.says for one in step.checks if not one.ok}
    assert failed["seed-0-features"] == "another checkpoint"
    # Even with a false checkpoint in features.json, its numbers are others.
    claims["checkpoint_sha256"] = world.entry.submission.runs[0].checkpoint_sha256
    (tmp_path / "f" / "features.json").write_text(json.dumps(claims))
    assert not reprobed(world, tmp_path / "f").passed


def test_a_forged_prediction_is_told(world: World, features: Path) -> None:
    path = "runs/0/predictions.npz"
    given = items.from_bytes(world.entry.contents[path], path)
    assert given.greater_M is not None
    best = replace(given, greater_M=np.zeros_like(given.greater_M))
    contents = {**world.entry.contents, path: items.to_bytes(best)}
    step = reprobed(world, features, entry=replace(world.entry, contents=contents))
    assert {one.name for one in step.checks if not one.ok} == {"seed-0-ranks", "seed-0-metrics"}


def test_features_that_the_entry_has_named(world: World, features: Path) -> None:
    digest = hashlib.sha256((features / "features.json").read_bytes()).hexdigest()
    named = {"bytes": 1, "sha256": digest}
    assert reprobed(world, features, entry=entry_of(world.run, features=named)).passed
    other = entry_of(world.run, features={**named, "sha256": "0" * 64})
    with pytest.raises(ConfigError, match=r"another features\.json"):
        reprobed(world, features, entry=other)


def test_retrieval_is_that_of_the_evaluation() -> None:
    data = fake_data(8, 12, 7, 4)
    flat = poses(data["val"]).reshape(-1, 4).astype(np.float32)
    flat += 0.2 * np.random.default_rng(0).normal(size=flat.shape).astype(np.float32)
    split = MovedSplit(
        Features(data_MD=flat, n_views=7), truth_of(data["val"]), PosePredictor(), device=CPU
    )
    listed = frozen_list(12, 7)
    moved = np.concatenate([q.numpy() for q in split.queries()])[listed.flat_M]
    ranks = retrieve(split, lambda *_: None, "").ranks["predictor"]
    greater, equal = ranks_within(flat, moved, listed, CPU)
    assert greater.tolist() == ranks.greater_NV.reshape(-1)[listed.flat_M].tolist()
    assert equal.tolist() == ranks.equal_NV.reshape(-1)[listed.flat_M].tolist()
    place = nearest_views(split, [split], lambda *_: None, "")
    found = nearest_listed(flat, moved, CPU, lambda *_: None)
    assert found.tolist() == place[listed.flat_M].tolist()


def test_train_views_that_are_submitted() -> None:
    assert frozen_train(5, 4).tolist() == [[0, 1, 2, 3]] * 5
    many = frozen_train(30_000, 50)
    assert many.shape == (30_000, MOST_TRAIN_VIEWS // 30_000)
    assert (np.diff(many, axis=1) > 0).all()
    assert np.bincount(many.reshape(-1), minlength=50).min() > 1600
    assert frozen_train(90_000, 50).shape == (90_000, 2)
    assert frozen_train(3, 1).shape == (3, 1)
    assert frozen_train(30_000, 50).tolist() == many.tolist()


def _cut(folder: Path) -> None:
    content = (folder / "val.npy").read_bytes()
    (folder / "val.npy").write_bytes(content[:-2])


def _flipped(folder: Path) -> None:
    content = bytearray((folder / "val.npy").read_bytes())
    content[-1] ^= 1
    (folder / "val.npy").write_bytes(bytes(content))


def _rewritten(folder: Path, change: Callable[[Any], Any]) -> None:
    """val.npy anew, with its right hash."""
    array = change(np.load(folder / "val.npy", allow_pickle=False))
    np.save(folder / "val.npy", array, allow_pickle=array.dtype == object)
    claims = json.loads((folder / "features.json").read_text())
    digest = hashlib.sha256((folder / "val.npy").read_bytes()).hexdigest()
    claims["arrays"]["val.npy"]["sha256"] = digest
    (folder / "features.json").write_text(json.dumps(claims))


def _with_nan(array: Any) -> Any:
    array[1, 1] = np.nan
    return array


def _claimed(folder: Path, **changed: Any) -> None:
    claims = json.loads((folder / "features.json").read_text())
    (folder / "features.json").write_text(json.dumps({**claims, **changed}))


def _linked(folder: Path) -> None:
    (folder / "val.npy").rename(folder / "other.npy")
    (folder / "val.npy").symlink_to(folder / "other.npy")


def _piped(folder: Path) -> None:
    (folder / "val.npy").unlink()
    os.mkfifo(folder / "val.npy")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "do not fit"),
        (_flipped, "its hash is not"),
        (lambda f: _rewritten(f, _with_nan), "hold nan"),
        (lambda f: _rewritten(f, lambda a: a * np.float16(1000)), "numbers within"),
        (lambda f: _rewritten(f, lambda a: a.astype(np.float32)), "<f2"),
        (lambda f: _rewritten(f, lambda a: np.asfortranarray(a)), "in C order"),
        (lambda f: _rewritten(f, lambda a: a.astype(object)), "in C order"),
        (lambda f: _rewritten(f, lambda a: a[:-1]), "in C order"),
        (_linked, "symbolic links"),
        (_piped, "not a plain file"),
        (lambda f: (f / "val.npy").unlink(), "No such file"),
        (lambda f: (f / "val.npy").write_bytes(b"no numpy"), "no plain array"),
        (lambda f: (f / "features.json").write_bytes(b"{" * 70_000), "more than"),
        (lambda f: (f / "features.json").write_bytes(b"{"), "not valid JSON"),
        (lambda f: _claimed(f, extra=1), "extra"),
        (lambda f: _claimed(f, list_sha256="0" * 64), "Write the features anew"),
        (lambda f: _claimed(f, protocol="sie-2023/1"), "Write the features anew"),
        (lambda f: _claimed(f, parts={"all": [0, 9999]}), "parts are"),
        (lambda f: _claimed(f, parts={"inv": [0, 2]}), "parts are"),
        (lambda f: _claimed(f, train_views=2), "train_views is 2; 4 are asked"),
        (lambda f: _claimed(f, arrays={}), "train and val, or all four"),
        (
            lambda f: _claimed(
                f, arrays={"../../x": {"rows": 1, "columns": 1, "sha256": "0" * 64}}
            ),
            "arrays",
        ),
    ],
)
def test_damage_is_refused(
    world: World, features: Path, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    folder = tmp_path / "features"
    shutil.copytree(features, folder)
    damage(folder)
    with pytest.raises(ManifestError, match=says):
        read_features(folder, world.board, world.board.config.data.train_objects)


def test_without_a_predictor(world: World, tmp_path: Path) -> None:
    run = trained(tmp_path, world.data, "vicreg", seed=0)
    write_features(run, world.data, tmp_path / "f", device="cpu")
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == [
        "features.json",
        "train.npy",
        "val.npy",
    ]
    step = reprobed(world, tmp_path / "f", entry=entry_of(run))
    assert step.passed, step.says
    assert "all/mrr_val" not in step.deltas
