"""Claims proved here, on predictions that are somebody else's.

- Copied whole, in one part, under another part's name, in a tenth of the rows, in another order, or
  with a few rows changed: refused by name, and both entries are named; self-tests can't be copied.
- Honest runs that agree by chance or by being perfect pass: perfect ranks, perfect classes of few
  kinds, a constant answer, collapsed networks that meet in half floats.
- Of two alike the later one is refused: verified later, or else submitted later.
- Seeds of one entry that are one run are refused.
- Rotations that follow another entry's, and the same wrong classes, are a warning; broken
  neighbours are no obstacle, and told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard import made
from threedie.benchmark.evaluation import items as predictions
from threedie.benchmark.evaluation.items import Items
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import examine_entry
from threedie.leaderboard.selftests import oracle, write_selftests
from threedie.leaderboard.verify import verify_entry


@pytest.fixture
def board(tmp_path: Path) -> OpenBoard:
    board = made.make(tmp_path / "board")
    made.entry(board, "first").place(board)
    return board


def judged(board: OpenBoard, how: Callable[[Items], Items]) -> list[str]:
    """Refusals of an entry that has one of its seeds from what `how` makes of the first's."""
    theirs = made.predict(board, 1)  # seed 1 of `first`
    forged = how(theirs)
    forged = replace(forged, about=forged.about.model_copy(update={"seed": 0}))
    own = made.entry(board, "second", method=9).put(0, predictions.to_bytes(forged))
    found = examine_entry(own.place(board), board).problems
    for err in found:
        assert "entries/2026/first, seed 1" in err.says
        assert "seed 0" in err.says
    return [err.name for err in found]


def _mixed(board: OpenBoard, **theirs: bool) -> Callable[[Items], Items]:
    """Own predictions, but for some arrays."""

    def how(copied: Items) -> Items:
        own = made.predict(board, 0, method=9)
        return replace(own, **{name: getattr(copied, name) for name in theirs})

    return how


def test_an_own_entry_passes(board: OpenBoard) -> None:
    assert judged(board, lambda _: made.predict(board, 0, method=9)) == []


def test_a_whole_copy_is_refused(board: OpenBoard) -> None:
    assert judged(board, lambda theirs: theirs) == ["copied"]


@pytest.mark.parametrize("name", ["top5", "rotation", "scene"])
def test_a_copy_of_one_kind_is_refused(board: OpenBoard, name: str) -> None:
    assert judged(board, _mixed(board, **{name: True})) == ["copied"]


def test_copied_ranks_are_refused(board: OpenBoard) -> None:
    ranks = {"greater_M": True, "equal_M": True, "nearest_M": True}
    assert judged(board, _mixed(board, **ranks)) == ["copied"]


def test_a_part_under_another_name_is_refused(board: OpenBoard) -> None:
    def how(theirs: Items) -> Items:
        own = made.predict(board, 0, method=9)
        return replace(own, rotation={**own.rotation, "all": theirs.rotation["equi"]})

    assert judged(board, how) == ["copied"]


def test_a_fifth_of_the_rows_is_refused(board: OpenBoard) -> None:
    def how(theirs: Items) -> Items:
        own = made.predict(board, 0, method=9)
        mixed = own.rotation["all"].copy()
        mixed[::5] = theirs.rotation["all"][::5]
        return replace(own, rotation={**own.rotation, "all": mixed})

    assert judged(board, how) == ["copied"]


def test_a_copy_with_most_rows_changed_a_little_is_a_warning(board: OpenBoard) -> None:
    def how(theirs: Items) -> Items:
        own = made.predict(board, 0, method=9)
        noise = 0.004 * np.random.default_rng(0).standard_normal(own.rotation["all"].shape)
        return replace(own, rotation={**own.rotation, "all": theirs.rotation["all"] + noise})

    assert judged(board, how) == []
    found = examine_entry(board.root / "entries/2026/second", board)
    assert {warning.name for warning in found.near} == {"near-copy"}
    assert "entries/2026/first, seed 1" in found.near[0].says
    honest = examine_entry(made.entry(board, "third", method=3).place(board), board)
    assert not honest.near


def test_the_same_wrong_classes_are_a_warning(board: OpenBoard) -> None:
    """The likeliest class is taken over but for a few rows, everything else is one's own."""
    board = made.make(board.root.parent / "larger", made.truth(objects=100))
    made.entry(board, "first").place(board)
    theirs = made.predict(board, 1).top5["all"]

    def taken(items: Items) -> Items:
        own = items.top5["all"]
        rest = np.stack([np.setdiff1d(np.arange(12), row[:1])[:4] for row in theirs])
        top5 = np.concatenate([theirs[:, :1], rest], axis=1)
        top5[::50] = own[::50]
        return replace(items, top5={**items.top5, "all": top5})

    copy = made.entry(board, "second", method=9).change(0, taken)
    found = examine_entry(copy.place(board), board)
    assert not found.problems
    (warning,) = found.near
    assert warning.name == "near-copy"
    assert "seed 0: in " in warning.says
    assert "entries/2026/first, seed 1 has a wrong class" in warning.says
    (board.root / "entries/2026/second/submission.json").unlink()
    assert not examine_entry(made.entry(board, "third", method=3).place(board), board).near


def twins(board: OpenBoard, first: str, second: str) -> tuple[Path, Path]:
    """Two entries of the same predictions, submitted on two days."""
    return (
        made.entry(board, "one", method=4).set("submitted", first).place(board),
        made.entry(board, "two", method=4).set("submitted", second).place(board),
    )


def named(path: Path, board: OpenBoard) -> tuple[list[str], set[str]]:
    found = examine_entry(path, board)
    return [err.name for err in found.problems][:1], {warning.name for warning in found.near}


def test_of_two_alike_the_later_one_is_refused(board: OpenBoard) -> None:
    one, two = twins(board, "2026-02-01", "2026-02-02")
    assert named(one, board) == ([], {"copied-by"})
    assert named(two, board) == (["copied"], set())
    one, two = twins(board, "2026-02-01", "2026-02-01")  # nobody was first
    assert (named(one, board)[0], named(two, board)[0]) == (["copied"], ["copied"])


def test_a_verified_entry_is_the_original_whatever_its_copy_says(board: OpenBoard) -> None:
    one, _ = twins(board, "2026-02-02", "2026-02-03")
    verify_entry(one, board, by="x", today="2026-02-09").write(one / "verification.json")
    one, two = twins(board, "2026-02-02", "2026-01-01")  # it claims an earlier day
    assert named(two, board) == (["copied"], set())
    again = verify_entry(one, board, by="x", today="2026-03-01")
    assert {warning.name for warning in again.warnings} == {"copied-by"}
    (one / "card.md").write_text("# Changed\n")  # what was verified is no more
    assert named(two, board) == ([], {"copied-by"})


def test_another_order_of_rows_is_refused(board: OpenBoard) -> None:
    """The member `row` says the list's order, the rest was permuted under it."""
    order_M = np.random.default_rng(0).permutation(len(board.truth.listed))
    for rows in (order_M, np.roll(np.arange(len(order_M)), 8)):
        found = judged(board, lambda theirs, rows=rows: made.permuted(theirs, rows, rows=False))  # type: ignore[misc]
        assert found == ["permuted-copy"]


def test_a_permuted_seed_of_ones_own_is_refused(board: OpenBoard) -> None:
    own = made.entry(board, "second", method=9)
    order_M = np.random.default_rng(0).permutation(len(board.truth.listed))
    forged = made.permuted(made.predict(board, 0, method=9), order_M, rows=False)
    forged = replace(forged, about=forged.about.model_copy(update={"seed": 2}))
    own.put(2, predictions.to_bytes(forged))
    (err,) = examine_entry(own.place(board), board).problems
    assert err.name == "identical-seeds"
    assert "seed 2" in err.says
    assert "seed 0" in err.says


def test_the_same_run_twice_is_refused(board: OpenBoard) -> None:
    own = made.entry(board, "second", method=9)
    twin = made.predict(board, 0, method=9)
    twin = replace(twin, about=twin.about.model_copy(update={"seed": 1}))
    own.put(1, predictions.to_bytes(twin))
    assert [e.name for e in examine_entry(own.place(board), board).problems] == ["identical-seeds"]


def test_seeds_of_one_checkpoint_are_refused(board: OpenBoard) -> None:
    """Probed twice, one network gives other rows; it is one training all the same."""
    own = made.entry(board, "second", method=9)
    for seed, mark in ((0, "a"), (1, "b"), (2, "a")):
        about = {"checkpoint_sha256": mark * 64}
        own.change(seed, lambda i, a=about: replace(i, about=i.about.model_copy(update=a)))  # type: ignore[misc]
    (err,) = examine_entry(own.place(board), board).problems
    assert err.name == "identical-seeds"
    assert "seed 2" in err.says
    assert "seed 0" in err.says
    own.set("runs.2.checkpoint_sha256", "c" * 64)
    (err,) = examine_entry(own.place(board), board).problems
    assert err.name == "wrong-checkpoint"


def test_seeds_that_follow_each_other_are_a_warning(board: OpenBoard) -> None:
    own = made.entry(board, "second", method=9)
    first = made.predict(board, 0, method=9)
    noise = 0.004 * np.random.default_rng(0).standard_normal(first.rotation["all"].shape)
    near = {**first.rotation, "all": first.rotation["all"] + noise}
    own.change(2, lambda i: replace(i, rotation={**i.rotation, "all": near["all"]}))
    found = examine_entry(own.place(board), board)
    assert not found.problems
    assert [w.says.partition(" by ")[0] for w in found.near] == [
        "seed 0: its rotations differ from those of seed 2"
    ]


def test_networks_that_know_little_are_not_near(board: OpenBoard) -> None:
    """All of them say nearly the mean, each in its own way."""

    def weak(items: Items) -> Items:
        mean = np.array([0.0, 0.0, 0.0, 0.7])
        shrunk = {part: mean + 0.1 * (q - mean) for part, q in items.rotation.items()}
        return replace(items, rotation=shrunk)

    for slug, method in (("second", 5), ("third", 6)):
        own = made.entry(board, slug, method=method, noise=1.0)
        for seed in (0, 1, 2):
            own.change(seed, weak)
        found = examine_entry(own.place(board), board)
        assert not found.problems
        assert not found.near


def test_seeds_of_different_kinds_are_refused(board: OpenBoard) -> None:
    own = made.entry(board, "second", method=9)
    own.put(1, predictions.to_bytes(made.predict(board, 1, method=9, predictor=False)))
    assert [e.name for e in examine_entry(own.place(board), board).problems] == ["seeds-differ"]


def test_perfect_answers_agree_and_pass(board: OpenBoard) -> None:
    """Two methods that rank every target first, and a third that knows every class."""
    truth = oracle(board, 0)
    perfect: dict[str, Any] = {
        "greater_M": truth.greater_M,
        "equal_M": truth.equal_M,
        "nearest_M": truth.nearest_M,
    }
    for slug, method in (("second", 5), ("third", 6)):
        own = made.entry(board, slug, method=method)
        for seed in (0, 1, 2):
            own.change(seed, lambda items: replace(items, top5={**truth_of(items)}, **perfect))
        assert not examine_entry(own.place(board), board).problems


def truth_of(items: Items) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Classes by one rule: as many different rows as there are classes."""
    first_M = items.row_M // 8 % 12
    top5 = (first_M[:, None] + np.arange(5)) % 12
    return dict.fromkeys(items.top5, top5)


def test_collapsed_networks_that_meet_by_chance_pass(tmp_path: Path) -> None:
    """Rotations within a few steps of half floats of one constant: many rows coincide."""
    board = made.make(tmp_path / "board", made.truth(objects=300))
    rng = np.random.default_rng(0)

    def collapsed(items: Items) -> Items:
        noise = 2e-4 * rng.standard_normal(items.rotation["all"].shape)
        near = np.array([0.01, 0.02, 0.01, 0.75]) + noise
        return replace(items, rotation=dict.fromkeys(items.rotation, near))

    for slug, method in (("first", 1), ("second", 2)):
        own = made.entry(board, slug, method=method, parts=["all"])
        for seed in (0, 1, 2):
            own.change(seed, collapsed)
        assert not examine_entry(own.place(board), board).problems


def test_a_constant_answer_is_nobodys(board: OpenBoard) -> None:
    own = made.entry(board, "second", method=9)
    for seed in (0, 1, 2):
        own.change(
            seed,
            lambda i: replace(i, rotation=dict.fromkeys(i.rotation, i.rotation["all"] * 0 + 0.5)),
        )
    assert not examine_entry(own.place(board), board).problems


def test_self_tests_can_not_be_handed_in(board: OpenBoard) -> None:
    write_selftests(board, today=made.TODAY)
    for slug in ("oracle", "chance"):
        content = (board.root / f"selftests/{slug}/runs/0/predictions.npz").read_bytes()
        own = made.entry(board, f"my-{slug}", seeds=[0], parts=["all"]).put(0, content)
        (err,) = examine_entry(own.place(board), board).problems
        assert err.name == "copied"
        assert f"selftests/{slug}, seed 0" in err.says


def test_broken_neighbours_are_no_obstacle_and_are_told(board: OpenBoard, tmp_path: Path) -> None:
    entries = board.root / "entries"
    (entries / "2026/link").symlink_to(tmp_path)
    (entries / "2026/empty").mkdir()
    (entries / "stray.txt").write_text("x")
    made.entry(board, "broken").put(0, b"x").place(board)
    found = examine_entry(made.entry(board, "second", method=9).place(board), board)
    assert not found.problems
    (told,) = [check.says for check in found.checks if check.name == "copies"]
    assert "4 could not be read" in told
    copied = made.entry(board, "third", method=9, seeds=[0])
    (err,) = examine_entry(copied.place(board), board).problems
    assert err.name == "copied"
