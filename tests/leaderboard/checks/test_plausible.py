"""Claims proved here, on warnings: they refuse nothing; each is given where it should, only there.

- Few seeds, runs left out, a date in the future, val objects used, words of two scripts.
- Seeds that deviate far less than others' or not at all, or lie far apart; numbers as
  good as knowing the answers.
- One answer for every row; ranks that contradict the nearest view; rows that look permuted, by
  object, although the list's order is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard import made
from threedie.benchmark.evaluation.items import Items
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.selftests import oracle
from threedie.leaderboard.verify import verify_entry


@pytest.fixture
def board(tmp_path: Path) -> OpenBoard:
    return made.make(tmp_path / "board", made.truth(objects=60, views=6))


def warned(one: made.Entry, board: OpenBoard) -> set[str]:
    found = verify_entry(one.place(board), board, by="x", today=made.TODAY)
    assert not any(warning.ok for warning in found.warnings)
    return {warning.name for warning in found.warnings}


def every(one: made.Entry, how: Callable[[Items], Items]) -> made.Entry:
    for run in one.body["runs"]:
        one.change(run["seed"], how)
    return one


def test_an_ordinary_entry_is_not_odd(board: OpenBoard) -> None:
    assert warned(made.entry(board), board) == set()


def test_what_is_declared(board: OpenBoard) -> None:
    assert warned(made.entry(board, seeds=[0, 1]), board) == {"few-seeds"}
    assert warned(made.entry(board).set("selection.runs_started", 5), board) == {"runs-left-out"}
    assert warned(made.entry(board).set("submitted", "2026-03-05"), board) == {"from-the-future"}
    used = made.entry(board).set("track", "open").set("training_data.val_objects_used", True)
    assert warned(used, board) == {"val-objects-used"}


@pytest.mark.parametrize("field", ["method.name", "method.variant", "submitter.name"])
def test_words_of_two_scripts(board: OpenBoard, field: str) -> None:
    cyrillic = "S\u0406E"  # looks like SIE
    assert warned(made.entry(board).set(field, f"the {cyrillic}"), board) == {"mixed-scripts"}
    assert (
        warned(made.entry(board).set(field, "SIE von \u0418\u0432\u0430\u043d \u03b1"), board)
        == set()
    )


def test_perfect_numbers(board: OpenBoard) -> None:
    truth = oracle(board, 0)

    def almost(items: Items) -> Items:
        noise = 0.003 * np.random.default_rng(items.about.seed).standard_normal((360, 4))
        return replace(items, rotation={**items.rotation, "all": truth.rotation["all"] + noise})

    assert warned(every(made.entry(board), almost), board) == {"near-perfect"}


def test_steady_seeds(board: OpenBoard) -> None:
    """Three honest entries deviate; a fourth one's top-1 is the same share of hits each time."""
    for i in range(3):
        other = made.entry(board, f"honest-{i}", method=10 + i)
        folder = other.place(board)
        found = verify_entry(folder, board, by="x", today=made.TODAY)
        found.write(folder / "verification.json")
        assert not found.warnings
    class_M = board.truth.labels_N[board.truth.listed.object_M]

    def steady(items: Items) -> Items:
        rng = np.random.default_rng(items.about.seed)
        rest = np.argsort(rng.random((360, 11)), axis=1)[:, :4]  # of the other eleven classes
        wrong_M = rng.permutation(360) < 72 + (items.about.seed == 1)
        first_M = np.where(wrong_M, (class_M + 1 + rng.integers(0, 11, 360)) % 12, class_M)
        top5 = np.concatenate([first_M[:, None], (first_M[:, None] + 1 + rest) % 12], axis=1)
        return replace(items, top5={**items.top5, "all": top5})

    assert warned(every(made.entry(board, "steady", method=20), steady), board) == {"steady-seeds"}


def test_equal_digits(board: OpenBoard) -> None:
    class_M = board.truth.labels_N[board.truth.listed.object_M]

    def equal(items: Items) -> Items:
        rng = np.random.default_rng(items.about.seed)
        rest = np.argsort(rng.random((360, 11)), axis=1)[:, :4]
        first_M = np.where(rng.permutation(360) < 72, (class_M + 1) % 12, class_M)
        top5 = np.concatenate([first_M[:, None], (first_M[:, None] + 1 + rest) % 12], axis=1)
        return replace(items, top5={**items.top5, "all": top5})

    assert warned(every(made.entry(board), equal), board) == {"equal-digits"}


def test_uneven_seeds(board: OpenBoard) -> None:
    """One honest run beside two that were made better; among few objects this is no sign."""

    def poor(items: Items) -> Items:
        rng = np.random.default_rng(5)
        top5 = np.argsort(rng.random((360, 12)), axis=1)[:, :5]
        return replace(items, top5={**items.top5, "all": top5})

    one = made.entry(board).change(0, poor)
    assert warned(one, board) == {"uneven-seeds"}
    found = verify_entry(one.place(board), board, by="x", today=made.TODAY)
    top1 = found.metrics["all"]["top1"].per_seed
    assert [w.says[:8] for w in found.warnings] == ["all/top1"]
    assert f"{top1[0]:.3f} to {max(v for v in top1 if v is not None):.3f}" in found.warnings[0].says


def test_one_answer_for_every_row(board: OpenBoard) -> None:
    def constant(items: Items) -> Items:
        same = np.tile([0.1, 0.0, 0.0, 0.5 + 0.1 * items.about.seed], (360, 1))
        return replace(items, rotation={**items.rotation, "all": same})

    assert warned(every(made.entry(board), constant), board) == {"constant"}


def test_ranks_that_contradict_the_nearest(board: OpenBoard) -> None:
    def forged(items: Items) -> Items:
        greater_M = np.maximum(np.asarray(items.greater_M) - 1, 0)
        return replace(items, greater_M=greater_M)

    assert warned(every(made.entry(board), forged), board) == {"ranks-and-nearest"}


def test_objects_in_another_order(board: OpenBoard) -> None:
    """Good predictions, whole objects of which were answered in another split's order."""
    sixths = np.arange(360).reshape(60, 6)
    order_M = np.random.default_rng(1).permutation(sixths).reshape(-1)

    def moved(items: Items) -> Items:
        good = made.permuted(items, order_M, rows=False)
        return replace(good, greater_M=items.greater_M, nearest_M=items.nearest_M)

    assert warned(every(made.entry(board), moved), board) == {"looks-permuted"}


def test_rows_in_any_order_show_as_chance(board: OpenBoard) -> None:
    """No refusal can tell them from a method that knows nothing; they score as it does."""
    order_M = np.random.default_rng(1).permutation(360)
    one = every(made.entry(board), lambda items: made.permuted(items, order_M, rows=False))
    found = verify_entry(one.place(board), board, by="x", today=made.TODAY).metrics["all"]
    assert found["top1"].value == pytest.approx(1 / 12, abs=0.06)
    assert (found["rotation_r2_uniform"].value or 0) < 0
