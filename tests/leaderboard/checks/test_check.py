"""Claims proved here, on what a board accepts.

- A good entry passes, wherever it lies, and every check says what it looked at.
- Every corruption is refused with a name of its own: permuted rows, one NaN, a missing row, a
  doubled or copied seed, another list, split or protocol, percent for a fraction, wrong hashes,
  impossible classes, ranks and quaternions, arrays that are missing or of no part.
- All faults of an entry are told at once; a message names the file or the field, the row, and
  what was expected, in one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard import made
from threedie.benchmark.evaluation.items import Items
from threedie.errors import EntryError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import check_entry, examine_entry


@pytest.fixture
def board(tmp_path: Path) -> OpenBoard:
    return made.make(tmp_path / "board")


def refused(path: Path, board: OpenBoard) -> list[tuple[str, str]]:
    """Names and texts of all refusals."""
    found = examine_entry(path, board)
    for err in found.problems:
        assert "\n" not in err.says
    return [(err.name, err.says) for err in found.problems]


def test_a_good_entry_passes(board: OpenBoard, tmp_path: Path) -> None:
    for folder in (made.entry(board).place(board), made.entry(board).write(tmp_path / "sie-ours")):
        examined = examine_entry(folder, board)
        if folder.parent == tmp_path:  # the same name and predictions are on the board already
            assert {err.name for err in examined.problems} == {"name-taken", "copied"}
            continue
        checked = check_entry(folder, board)
        assert sorted(checked.items_by_seed) == [0, 1, 2]
        assert all(check.ok for check in checked.checks)
        names = [check.name for check in checked.checks]
        assert {"files", "hashes", "board", "rows", "seeds", "copies"} <= set(names)
        assert names.count("rows") == 3


def test_an_entry_is_found_by_any_way_to_its_folder(
    board: OpenBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made.entry(board).place(board)
    monkeypatch.chdir(folder)
    assert not refused(Path(), board)
    assert not refused(Path("runs/.."), board)


def test_one_seed_without_a_predictor_and_parts_passes(board: OpenBoard) -> None:
    one = made.entry(board, seeds=[5], parts=["all"], predictor=False)
    assert not refused(one.place(board), board)


def test_data_without_pairs_or_with_few_classes_passes(tmp_path: Path) -> None:
    whole = made.truth(objects=6, views=1, classes=3)
    board = made.make(tmp_path / "one-view", whole)
    single = made.entry(board, predictor=False)
    for seed in (0, 1, 2):
        single.change(seed, lambda items: replace(items, rotation={}))
    assert not refused(single.place(board), board)


Change = Callable[[Items], Items]


def _with(name: str, part: str | None, change: Callable[[Any], Any]) -> Change:
    def how(items: Items) -> Items:
        if part is None:
            return replace(items, **{name: change(getattr(items, name).copy())})
        arrays = {**getattr(items, name)}
        arrays[part] = change(arrays[part].copy())
        changed: dict[str, Any] = {name: arrays}
        return replace(items, **changed)

    return how


def _at(row: int, value: Any, column: int | None = None) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[(row,) if column is None else (row, column)] = value
        return array

    return change


def _about(**fields: Any) -> Change:
    return lambda items: replace(items, about=items.about.model_copy(update=fields))


def _cut(items: Items) -> Items:
    return made.permuted(items, np.arange(len(items.row_M) - 1))


def _rolled(items: Items) -> Items:
    return made.permuted(items, np.roll(np.arange(len(items.row_M)), 1))


def _swapped(items: Items) -> Items:
    order = np.arange(len(items.row_M))
    order[[3, 4]] = order[[4, 3]]
    return made.permuted(items, order)


CORRUPTIONS: dict[str, tuple[Change, str, str]] = {
    "permuted": (_rolled, "permuted-rows", "row 0 answers view"),
    "two rows swapped": (_swapped, "permuted-rows", "row 3 answers view"),
    "missing row": (_cut, "missing-row", "191"),
    "another list's rows": (_with("row_M", None, _at(7, 0)), "wrong-rows", "row 7"),
    "NaN in a rotation": (
        _with("rotation", "inv", _at(9, np.nan, 2)),
        "nan",
        "rotation.inv: row 9",
    ),
    "infinity in a scene": (_with("scene", "all", _at(2, np.inf, 0)), "nan", "scene.all: row 2"),
    "zero quaternion": (_with("rotation", "all", _at(4, 0.0)), "zero-quaternion", "row 4"),
    "absurd": (_with("rotation", "equi", _at(4, 6e4, 1)), "absurd-number", "row 4"),
    "class out of range": (_with("top5", "all", _at(1, 12, 3)), "class-out-of-range", "row 1"),
    "class twice": (_with("top5", "all", lambda a: a * 0 + a[:, :1]), "class-twice", "row 0"),
    "too few classes": (_with("top5", "all", lambda a: a[:, :4]), "wrong-shape", "(192, 5)"),
    "rank beyond the views": (_with("greater_M", None, _at(5, 8)), "rank-out-of-range", "row 5"),
    "target not counted": (_with("equal_M", None, _at(5, 0)), "rank-out-of-range", "row 5"),
    "nearest of no view": (_with("nearest_M", None, _at(0, 192)), "nearest-out-of-range", "192"),
    "no ranks": (lambda i: replace(i, equal_M=None), "missing-array", "equal"),
    "no scene": (lambda i: replace(i, scene={}), "missing-array", "scene.all"),
    "no rotation of a part": (
        lambda i: replace(i, rotation={k: v for k, v in i.rotation.items() if k != "equi"}),
        "missing-array",
        "rotation.equi",
    ),
    "array of another part": (
        lambda i: replace(i, top5={**i.top5, "best": i.top5["all"]}),
        "foreign-array",
        "top5.best",
    ),
    "wrong list": (_about(list_sha256="0" * 64), "wrong-list", "about.list_sha256"),
    "wrong protocol": (_about(protocol="3die-v2/1"), "wrong-protocol", "3die-v1/1"),
    "wrong seed": (_about(seed=4), "wrong-seed", "about.seed"),
    "wrong classes": (_about(classes=55), "wrong-classes", "about.classes"),
    "wrong parts": (_about(parts=("all", "inv")), "wrong-parts", "about.parts"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_predictions_are_refused_by_name(board: OpenBoard, name: str) -> None:
    how, refusal, says = CORRUPTIONS[name]
    folder = made.entry(board).change(1, how).place(board)
    found = refused(folder, board)
    assert refusal in [err for err, _ in found]
    assert any(says in text and "runs/1/predictions.npz" in text for _, text in found)
    assert not any("runs/0" in text for _, text in found)
    with pytest.raises(EntryError):
        check_entry(folder, board)


def _wrong_size(one: made.Entry) -> made.Entry:
    one.body["runs"][0]["predictions"]["bytes"] += 1
    return one


SUBMISSIONS: dict[str, tuple[Callable[[made.Entry], made.Entry], str, str]] = {
    "wrong protocol": (lambda e: e.set("protocol.version", 2), "wrong-protocol", "3die-v1/2"),
    "wrong list": (lambda e: e.set("dataset.list_sha256", "0" * 64), "wrong-list", "list_sha256"),
    "wrong val": (lambda e: e.set("dataset.val_hash", "0" * 64), "wrong-split", "val_hash"),
    "wrong train": (lambda e: e.set("dataset.train_hash", "0" * 64), "wrong-split", "train_hash"),
    "percent": (
        lambda e: e.set("reported", {"source": "Table 1", "values": {"top1": 83.2}}),
        "percent-for-fraction",
        "reported.values.top1: 83.2",
    ),
    "negative share": (
        lambda e: e.set("reported", {"source": "Table 1", "values": {"mrr_val": -0.1}}),
        "out-of-range",
        "reported.values.mrr_val",
    ),
    "more than half a turn": (
        lambda e: e.set("reported", {"source": "T", "values": {"rotation_geodesic_deg": 181}}),
        "out-of-range",
        "180",
    ),
    "unknown metric": (
        lambda e: e.set("reported", {"source": "T", "values": {"accuracy": 0.9}}),
        "unknown-metric",
        "accuracy",
    ),
    "wrong hash": (
        lambda e: e.set("runs.2.predictions.sha256", "0" * 64),
        "wrong-hash",
        "runs/2/predictions.npz",
    ),
    "wrong size": (_wrong_size, "wrong-size", "runs/0/predictions.npz"),
    "doubled seed": (lambda e: e.set("runs.1", e.body["runs"][0]), "submission", "seeds are"),
    "a run that is not there": (
        lambda e: e.set("runs.1.seed", 7).set("runs.1.predictions.path", "runs/7/predictions.npz"),
        "missing-file",
        "runs/7/predictions.npz",
    ),
    "wrong id": (lambda e: e.set("id", "another"), "wrong-id", "'another'"),
    "parts beyond the representation": (
        lambda e: e.set("model.parts.equi", [32, 65]),
        "submission",
        "equi",
    ),
    "closed track with val objects": (
        lambda e: e.set("training_data.val_objects_used", True),
        "submission",
        "open track",
    ),
    "fewer runs started than given": (
        lambda e: e.set("selection.runs_started", 2),
        "submission",
        "runs_started",
    ),
    "other rules": (lambda e: e.set("agrees_rules", "0"), "submission", "agrees_rules"),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_wrong_submissions_are_refused_by_name(board: OpenBoard, name: str) -> None:
    how, refusal, says = SUBMISSIONS[name]
    folder = board.root / "entries" / "2026" / "sie-ours"
    how(made.entry(board)).write(folder)
    found = refused(folder, board)
    assert refusal in [err for err, _ in found]
    assert any(says in text for _, text in found)


def test_reported_values_that_can_be_pass(board: OpenBoard) -> None:
    values = {"top1": 0.8, "rotation_r2_global": -3.5, "color_r2_global": 0.98, "mrr_train": 0.5}
    one = made.entry(board).set("reported", {"source": "Table 2", "values": values})
    assert not refused(one.place(board), board)


def test_a_run_that_no_one_named_is_refused(board: OpenBoard) -> None:
    one = made.entry(board)
    one.files["runs/9/predictions.npz"] = one.files["runs/0/predictions.npz"]
    assert [name for name, _ in refused(one.place(board), board)] == ["foreign-file"]


def test_the_year_is_that_of_submission(board: OpenBoard) -> None:
    folder = made.entry(board).write(board.root / "entries" / "2025" / "sie-ours")
    assert [name for name, _ in refused(folder, board)] == ["wrong-year"]


@pytest.mark.parametrize(
    "where", ["entries/2025/sie-ours", "entries/2026/SIE-Ours", "selftests/sie-ours"]
)
def test_an_id_that_is_taken_is_refused(board: OpenBoard, where: str) -> None:
    (board.root / where).mkdir(parents=True)
    folder = made.entry(board).place(board)
    found = [(name, says) for name, says in refused(folder, board) if name == "name-taken"]
    assert len(found) == 1
    assert where in found[0][1]


@pytest.mark.parametrize("slug", ["con", "com1", "nul"])
def test_an_id_that_windows_does_not_have_is_refused(board: OpenBoard, slug: str) -> None:
    assert ("reserved-id") in [n for n, _ in refused(made.entry(board, slug).place(board), board)]


def test_all_faults_are_told_at_once(board: OpenBoard) -> None:
    one = made.entry(board).change(0, _rolled).change(2, _cut).set("protocol.version", 2)
    one.files["card.md"] = b"\xff"
    folder = one.place(board)
    names = {name for name, _ in refused(folder, board)}
    assert names == {"text", "wrong-protocol", "permuted-rows", "missing-row"}
    with pytest.raises(EntryError, match=r"problems? more\)") as err:
        check_entry(folder, board)
    assert err.value.name == "text"


def test_truth_decides_how_many_rows_there_are(tmp_path: Path) -> None:
    """Predictions for a board of other objects fit nowhere else, even of the same form."""
    here = made.make(tmp_path / "here", made.truth(seed=1))
    there = made.make(tmp_path / "there", made.truth(seed=2))
    folder = made.entry(here).place(there)
    assert {name for name, _ in refused(folder, there)} == {"wrong-list"}
