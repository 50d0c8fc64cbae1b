"""Claims proved here, on the self-tests of a board.

- The oracle scores 1 (R², MRR, top-1, H@k) and 0 (PRE); what train does not know it can't answer.
- A constant scores 0 with the uniform R². With the global one it scores .245 on the latents that
  the paper's recipe draws, and .229 with SciPy's signs, as the paper's protocol has it.
- Chance scores 1 / classes, the harmonic MRR exactly, and −1 in R².
- They are entries as any other: they pass the check, stand verified, and the same again is the same
  bytes; an untrained network's predictions become one too, and no other network's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.benchmark.report.cases import body, changed
from tests.data import builders
from tests.leaderboard import made
from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.errors import ConfigError, EntryError
from threedie.leaderboard.board import OpenBoard, make_board, open_board
from threedie.leaderboard.checks.check import check_entry
from threedie.leaderboard.selftests import write_selftests
from threedie.leaderboard.verify import current
from threedie.manifests.recipes import find_recipe
from threedie.manifests.verification import Measured, Verification
from threedie.render.sampler import sample_object

OBJECTS, VIEWS, CLASSES = 400, 50, 20


@pytest.fixture(scope="module")
def paper() -> FrozenTruth:
    """Latents as the paper's recipe draws them."""
    recipe = find_recipe("3diebench")
    latents = [
        sample_object(recipe, seed=3, class_id=f"c{n % CLASSES}", object_id=str(n), views=VIEWS)
        for n in range(OBJECTS)
    ]
    return FrozenTruth(
        protocol="3die-v1/1",
        objects=tuple(f"c{n % CLASSES}/{n}" for n in range(OBJECTS)),
        classes=tuple(f"c{k}" for k in range(CLASSES)),
        labels_N=np.arange(OBJECTS) % CLASSES,
        latents_NVL=np.stack(latents).astype(np.float32).astype(np.float64),
    )


@pytest.fixture(scope="module")
def numbers(
    paper: FrozenTruth, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Measured]]:
    """Metrics of each self-test on the paper's latents."""
    board = made.make(tmp_path_factory.mktemp("paper") / "board", paper)
    folders = write_selftests(board, today=made.TODAY)
    assert [folder.name for folder in folders] == ["oracle", "constant", "chance"]
    return {
        folder.name: dict(Verification.read(folder / "verification.json").metrics["all"])
        for folder in folders
    }


def value(found: dict[str, Measured], name: str) -> float:
    measured = found[name].value
    assert measured is not None
    return measured


def test_the_oracle(numbers: dict[str, dict[str, Measured]]) -> None:
    found = numbers["oracle"]
    for name in ("top1", "top5", "balanced_top1", "mrr_val", "h_at_1_val", "h_at_10_val"):
        assert value(found, name) == 1.0
    for name in ("rotation", "floor_hue", "light_hue", "light_direction"):
        for kind in ("global", "uniform"):
            assert value(found, f"{name}_r2_{kind}") == pytest.approx(1, abs=1e-5)
        assert value(found, f"{name}_geodesic_deg") < 0.05  # half floats
    assert value(found, "pre_val") == pytest.approx(0, abs=1e-9)


def test_the_constant(numbers: dict[str, dict[str, Measured]]) -> None:
    found = numbers["constant"]
    assert value(found, "rotation_r2_global") == pytest.approx(0.245, abs=0.004)
    assert value(found, "light_direction_r2_global") == pytest.approx(0.75, abs=0.01)
    for name in ("rotation", "floor_hue", "light_hue", "light_direction"):
        assert value(found, f"{name}_r2_uniform") == pytest.approx(0, abs=1e-5)
    assert value(found, "top1") == pytest.approx(1 / CLASSES)
    assert found["mrr_val"].value is None


def test_the_constant_with_the_papers_signs(paper: FrozenTruth, tmp_path: Path) -> None:
    whole = replace(paper, protocol="sie-2023/1")
    board = made.make(tmp_path / "board", whole)
    folder = write_selftests(board, today=made.TODAY)[1]
    found = Verification.read(folder / "verification.json").metrics["all"]
    assert found["rotation_r2_global"].value == pytest.approx(0.229, abs=0.004)
    assert found["rotation_r2_uniform"].value == pytest.approx(0, abs=1e-5)
    assert found["floor_hue_r2_global"].note == "the protocol has no such probe"


def test_chance(numbers: dict[str, dict[str, Measured]]) -> None:
    found, rows = numbers["chance"], OBJECTS * VIEWS
    assert value(found, "mrr_val") == pytest.approx(0.0900, abs=5e-5)
    for k in (1, 2, 5, 10):
        assert value(found, f"h_at_{k}_val") == pytest.approx(k / VIEWS)
    noise = 4 * np.sqrt(1 / CLASSES / rows)
    assert value(found, "top1") == pytest.approx(1 / CLASSES, abs=noise)
    assert value(found, "top5") == pytest.approx(5 / CLASSES, abs=3 * noise)
    for name in ("rotation", "floor_hue", "light_direction"):
        assert value(found, f"{name}_r2_uniform") == pytest.approx(-1, abs=0.03)
    assert len(found["top1"].per_seed) == 3
    assert value(found, "pre_val") == pytest.approx(0.627, abs=0.01)  # a random pose


def test_a_class_that_train_does_not_have_has_no_answer(tmp_path: Path) -> None:
    board = made.make(tmp_path / "board", made.truth(objects=20, unknown=5))
    folder = write_selftests(board, today=made.TODAY)[0]
    found = Verification.read(folder / "verification.json").metrics["all"]
    assert found["top1"].value == 0.75


def test_they_are_entries_and_the_same_again(tmp_path: Path) -> None:
    boards = [made.make(tmp_path / name / "board", made.truth()) for name in "ab"]
    for board in boards:
        for folder in write_selftests(board, today=made.TODAY):
            assert check_entry(folder, board).entry.submission.id == folder.name
            assert current(folder, board) is not None
    trees = [builders.tree(board.root) for board in boards]
    assert trees[0] == trees[1]
    write_selftests(boards[0], today=made.TODAY)
    assert builders.tree(boards[0].root) == trees[0]


def test_on_a_data_set(tmp_path: Path) -> None:
    """From shards to self-tests, three classes and one of them unknown to nobody."""
    builders.build(tmp_path / "set", builders.Plan(views=6))
    board = make_board(
        tmp_path / "board", tmp_path / "set", title="Small", today=made.TODAY, name="small"
    )
    assert open_board(tmp_path / "board").config == board.config
    assert board.config.data.val_objects == 3
    assert board.config.data.recipe == "3diebench"
    folder = write_selftests(board, today=made.TODAY)[0]
    found = Verification.read(folder / "verification.json").metrics["all"]
    assert found["rotation_r2_uniform"].value == pytest.approx(1, abs=1e-5)
    assert found["top1"].value == 1


def handed_in(board: OpenBoard, folder: Path, method: str = "random") -> Path:
    """Predictions and results of a run, as an evaluation leaves them."""
    content = predictions.to_bytes(made.predict(board, 4, noise=1.0))
    whole = changed(body(seed=4), encoder__name=method)
    digest = hashlib.sha256(content).hexdigest()
    whole["predictions"] = {"sha256": digest, "list_sha256": board.truth.sha256}
    folder.mkdir()
    (folder / "predictions.npz").write_bytes(content)
    (folder / "results.json").write_text(json.dumps(whole))
    return folder / "predictions.npz"


def test_an_untrained_network_becomes_one(tmp_path: Path) -> None:
    board = made.make(tmp_path / "board")
    file = handed_in(board, tmp_path / "run")
    folder = write_selftests(board, today=made.TODAY, untrained=file)[-1]
    assert folder.name == "random-network"
    found = Verification.read(folder / "verification.json")
    assert (found.seeds, set(found.metrics)) == ((4,), {"all", "inv", "equi"})


def test_an_untrained_network_of_another_list_is_refused(tmp_path: Path) -> None:
    here = made.make(tmp_path / "here", made.truth(seed=1))
    there: OpenBoard = made.make(tmp_path / "there", made.truth(seed=2))
    file = handed_in(here, tmp_path / "run")
    with pytest.raises(EntryError, match="wrong-list"):
        write_selftests(there, today=made.TODAY, untrained=file)


def test_a_trained_network_is_no_untrained_one(tmp_path: Path) -> None:
    board = made.make(tmp_path / "board")
    with pytest.raises(ConfigError, match="of the method 'sie'"):
        write_selftests(board, today=made.TODAY, untrained=handed_in(board, tmp_path / "a", "sie"))
    file = handed_in(board, tmp_path / "b")
    file.write_bytes(predictions.to_bytes(made.predict(board, 4)))
    with pytest.raises(ConfigError, match="of other predictions"):
        write_selftests(board, today=made.TODAY, untrained=file)
    (tmp_path / "b/results.json").unlink()
    with pytest.raises(ConfigError, match=r"with its results\.json beside it"):
        write_selftests(board, today=made.TODAY, untrained=file)
    assert not board.selftests()
