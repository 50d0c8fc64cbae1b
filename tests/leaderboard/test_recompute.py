"""Claims proved here, on the numbers of an entry.

- On a case small enough for a hand, they are what the hand gets.
- Every metric of each seed agrees with plain NumPy and SciPy that share no line with it; the value
  is the mean over seeds, the deviation unbiased.
- Replicates are those of rows that are really repeated; the seeds' share of the variance is s²/S.
- Objects are drawn alike for all entries, so differences are paired; seeds are drawn for each.
- Order of seeds changes nothing; what a method or the data do not have is null with its reason.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.leaderboard import made
from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.evaluation.metrics import Array
from threedie.leaderboard import recompute as module
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.metrics import METRICS
from threedie.leaderboard.recompute import over_seeds, recompute

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> OpenBoard:
    return made.make(tmp_path_factory.mktemp("boards") / "board", made.truth(unknown=1))


@pytest.fixture(scope="module")
def runs(board: OpenBoard) -> dict[int, Items]:
    """Three seeds, with ties and quaternions of the wrong sign."""
    runs = {seed: made.predict(board, seed) for seed in SEEDS}
    rng = np.random.default_rng(5)
    for seed, items in runs.items():
        greater_M = items.greater_M
        assert greater_M is not None
        equal_M = 1 + rng.integers(0, 8 - greater_M)
        signs_M1 = rng.choice([-1.0, 1.0], p=[0.1, 0.9], size=(len(greater_M), 1))
        rotation = {part: q * signs_M1 for part, q in items.rotation.items()}
        runs[seed] = replace(items, equal_M=equal_M, rotation=rotation)
    return runs


def reference(items: Items, board: OpenBoard) -> dict[str, dict[str, float]]:
    """The same metrics in plain words."""
    whole, listed = board.truth, board.truth.listed
    found: dict[str, dict[str, float]] = {}
    rows = range(len(listed))
    label = [int(whole.labels_N[n]) for n in listed.object_M]
    turns = [Rotation.from_euler("xyz", latents[:, :3]) for latents in whole.latents_NVL]
    places = list(zip(listed.object_M, listed.view_M, listed.partner_M, strict=True))
    relative = np.array([(turns[n][v].inv() * turns[n][w]).as_quat() for n, v, w in places])
    relative = np.where(relative[:, 3:] < 0, -relative, relative)
    for part in items.about.parts:
        hits = np.array([items.top5[part][m, 0] == label[m] for m in rows])
        five = np.array([label[m] in items.top5[part][m] for m in rows])
        each = [hits[np.array(label) == k].mean() for k in sorted(set(label))]
        found[part] = {"top1": hits.mean(), "top5": five.mean(), "balanced_top1": np.mean(each)}
        error = _degrees(items.rotation[part], relative)
        found[part] |= _regression("rotation", items.rotation[part], relative, error)
    latents = np.array([whole.latents_NVL[n, v] for n, v, _ in places])
    for name, column, place in (("floor_hue", 3, 0), ("light_hue", 6, 2)):
        target = np.exp(2j * np.pi * latents[:, column])
        guess = items.scene["all"][:, place] + 1j * items.scene["all"][:, place + 1]
        error = np.abs(np.degrees(np.angle(guess / target)))
        two = [np.stack([z.real, z.imag], axis=1) for z in (guess, target)]
        found["all"] |= _regression(name, two[0], two[1], error)
    theta, phi = latents[:, 4], latents[:, 5]
    light = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], 1)
    guess = items.scene["all"][:, 4:]
    cosine = (guess * light).sum(1) / np.linalg.norm(guess, axis=1)
    found["all"] |= _regression("light_direction", guess, light, np.degrees(np.arccos(cosine)))
    assert items.greater_M is not None
    assert items.equal_M is not None
    assert items.nearest_M is not None
    orders = [range(g + 1, g + e + 1) for g, e in zip(items.greater_M, items.equal_M, strict=True)]
    found["all"]["mrr_val"] = float(np.mean([np.mean([1 / r for r in ranks]) for ranks in orders]))
    for k in (1, 2, 5):
        shares = [np.mean([r <= k for r in ranks]) for ranks in orders]
        found["all"][f"h_at_{k}_val"] = float(np.mean(shares))
    flat = np.concatenate([turn.as_quat() for turn in turns])
    cosines = (flat[items.nearest_M] * flat[listed.flat_M]).sum(axis=1)
    found["all"]["pre_val"] = float(np.mean(1 - cosines**2))
    return found


def _regression(name: str, guess: Array, target: Array, degrees: Array) -> dict[str, float]:
    columns = range(target.shape[1])
    shares = [
        np.square(guess[:, c] - target[:, c]).sum()
        / np.square(target[:, c] - target[:, c].mean()).sum()
        for c in columns
    ]
    total = np.square(target - target.mean()).sum()
    return {
        f"{name}_r2_global": 1 - np.square(guess - target).sum() / total,
        f"{name}_r2_uniform": 1 - float(np.mean(shares)),
        f"{name}_geodesic_deg": float(degrees.mean()),
        f"{name}_geodesic_deg_median": float(np.median(degrees)),
    }


def test_agrees_with_plain_words(board: OpenBoard, runs: dict[int, Items]) -> None:
    found = recompute(runs, board.truth).metrics
    expected = [reference(runs[seed], board) for seed in SEEDS]
    assert set(found) == {"all", "inv", "equi"}
    seen = 0
    for part, numbers in expected[0].items():
        for name in numbers:
            values = [one[part][name] for one in expected]
            measured = found[part][name]
            assert measured.per_seed == pytest.approx(values, rel=1e-7, abs=1e-9), (part, name)
            assert measured.value == pytest.approx(np.mean(values), rel=1e-7)
            assert measured.std == pytest.approx(np.std(values, ddof=1), rel=1e-5, abs=1e-9)
            assert measured.objects == 24
            assert measured.low is not None
            assert measured.high is not None
            assert measured.low <= measured.high
            seen += 1
    assert seen == 3 * 7 + 12 + 5
    assert {name for name, m in found["all"].items() if m.value is None} == {"h_at_10_val"}


def test_by_hand(tmp_path: Path) -> None:
    """Two objects of two views: every number can be counted."""
    board = made.make(tmp_path / "board", made.truth(objects=2, views=2, classes=6))
    listed, one = board.truth.listed, made.predict(board, 0, parts=["all"])
    assert listed.object_M.tolist() == [0, 0, 1, 1]
    first = np.array([0, 3, 3, 3])  # classes 0, 0, 1, 1: the first is right
    rest = [[1, 2, 3, 4], [0, 1, 2, 4], [2, 1, 0, 4], [0, 2, 4, 5]]  # the last never says 1
    one = replace(
        one,
        top5={"all": np.concatenate([first[:, None], rest], axis=1)},
        greater_M=np.array([0, 1, 0, 0]),
        equal_M=np.array([1, 1, 2, 1]),
        nearest_M=listed.flat_M,
    )
    found = recompute({0: one}, board.truth).metrics["all"]
    assert found["top1"].value == 1 / 4
    assert found["top5"].value == 3 / 4
    assert found["balanced_top1"].value == 1 / 4  # (1/2 + 0) / 2
    assert found["mrr_val"].value == (1 + 1 / 2 + (1 + 1 / 2) / 2 + 1) / 4
    assert found["h_at_1_val"].value == (1 + 0 + 1 / 2 + 1) / 4
    assert found["h_at_2_val"].value is None
    assert found["pre_val"].value == pytest.approx(0, abs=1e-12)
    assert found["top1"].std is None
    assert found["top1"].per_seed == (1 / 4,)
    assert (found["top1"].low, found["top1"].high) == (0.0, 0.5)  # the one object, or the other


def test_intervals_are_of_repeated_rows_and_seeds(
    board: OpenBoard, runs: dict[int, Items], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 60)
    found = recompute(runs, board.truth, key="an-entry")
    objects = np.random.Generator(np.random.PCG64(20230707))
    counts_BS = module._seed_draws(3, "an-entry")
    listed = board.truth.listed
    class_M = board.truth.labels_N[listed.object_M]
    hits = [runs[s].top5["all"][:, 0] == class_M for s in SEEDS]
    target = board.truth.truth.relative(listed.pairs(), "positive-w")
    values: dict[str, list[float]] = {"top1": [], "rotation_r2_uniform": [], "median": []}
    for b in range(60):
        drawn = objects.integers(24, size=24)
        rows = np.concatenate([np.flatnonzero(listed.object_M == n) for n in drawn])
        for name in values:
            each = []
            for s in SEEDS:
                q = runs[s].rotation["all"][rows]
                one = {
                    "top1": hits[s][rows].mean(),
                    "rotation_r2_uniform": _regression("r", q, target[rows], np.zeros(1))[
                        "r_r2_uniform"
                    ],
                    "median": np.median(_degrees(q, target[rows])),
                }
                each.append(float(one[name]))
            mean, drawn_mean = np.mean(each), np.average(each, weights=counts_BS[b])
            values[name].append(float(mean + np.sqrt(3 / 2) * (drawn_mean - mean)))
    for name in ("top1", "rotation_r2_uniform"):
        measured = found.metrics["all"][name]
        ends = [float(np.percentile(values[name], q)) for q in (2.5, 97.5)]
        assert [measured.low, measured.high] == pytest.approx(ends, rel=1e-7)
        assert found.replicates[f"all/{name}"] == pytest.approx(values[name], rel=1e-5)
    median = found.metrics["all"]["rotation_geodesic_deg_median"]
    ends = [float(np.percentile(values["median"], q)) for q in (2.5, 97.5)]
    assert [median.low, median.high] == pytest.approx(ends, abs=0.3)  # from bins of 0.1°


def _degrees(a_R4: Array, b_R4: Array) -> Array:
    both = Rotation.from_quat(a_R4).inv() * Rotation.from_quat(b_R4)
    return np.asarray(np.degrees(both.magnitude()))


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_seeds_give_their_own_variance(seeds: int) -> None:
    """Drawing S of S gives (S − 1) / S of s² / S; here it is all of it."""
    values = np.random.default_rng(seeds).normal(size=seeds)
    counts_BS = np.concatenate([module._seed_draws(seeds, f"entry-{i}") for i in range(20)])
    replicates = over_seeds(np.broadcast_to(values, counts_BS.shape), counts_BS)
    expected = values.std(ddof=1) / np.sqrt(seeds)
    assert replicates.std() == pytest.approx(expected, rel=0.03)
    assert replicates.mean() == pytest.approx(values.mean(), abs=0.03 * expected)
    assert (counts_BS.sum(axis=1) == seeds).all()


def test_one_seed_has_the_objects_variance_only(board: OpenBoard, runs: dict[int, Items]) -> None:
    alone = [recompute({0: runs[0]}, board.truth, key=key).replicates for key in ("a", "b")]
    assert alone[0] == alone[1]
    assert len(alone[0]["all/top1"]) == 500


def test_differences_of_entries_are_paired_by_object(board: OpenBoard) -> None:
    """A worse copy of a method differs by little, however much objects differ."""
    better = made.predict(board, 0, noise=0.3)
    worse = replace(better, rotation={p: q * 1.02 for p, q in better.rotation.items()})
    other = made.predict(board, 1, noise=0.3)
    values = [
        np.array(recompute({0: one}, board.truth, key=key).replicates["all/rotation_r2_uniform"])
        for key, one in (("better", better), ("worse", worse), ("other", other))
    ]
    assert np.corrcoef(values[0], values[1])[0, 1] > 0.999
    assert (values[0] - values[1]).std() < 0.1 * values[0].std()
    assert np.corrcoef(values[0], values[2])[0, 1] < 0.99


def test_seeds_are_drawn_for_each_entry_anew() -> None:
    counts = [module._seed_draws(3, key) for key in ("a", "b", "a")]
    assert (counts[0] == counts[2]).all()
    assert abs(np.corrcoef(counts[0][:, 0], counts[1][:, 0])[0, 1]) < 0.1


def test_the_order_of_seeds_changes_nothing(board: OpenBoard, runs: dict[int, Items]) -> None:
    backwards = dict(reversed(runs.items()))
    assert recompute(backwards, board.truth, key="k") == recompute(runs, board.truth, key="k")


def test_what_is_not_there_is_null_with_its_reason(board: OpenBoard) -> None:
    found = recompute({3: made.predict(board, 3, predictor=False)}, board.truth)
    for name in ("mrr_val", "h_at_1_val", "pre_val"):
        measured = found.metrics["all"][name]
        assert (measured.value, measured.low, measured.per_seed) == (None, None, (None,))
        assert measured.note == "the method has no predictor"
    assert set(found.replicates) == {
        "all/top1",
        "all/rotation_r2_uniform",
        "equi/rotation_r2_uniform",
    }
    assert set(found.metrics["all"]) == set(METRICS)
    assert set(found.metrics["inv"]) == {n for n, m in METRICS.items() if m.parts == "each"}


def test_data_of_one_view_and_few_classes(tmp_path: Path) -> None:
    board = made.make(tmp_path / "board", made.truth(objects=9, views=1, classes=3))
    one = replace(made.predict(board, 0, predictor=False), rotation={})
    found = recompute({0: one}, board.truth).metrics["all"]
    assert found["rotation_r2_global"].note == "with one view per object there are no pairs"
    assert found["top5"].note == "with 3 classes, five guesses are always right"
    assert found["top1"].value is not None


def test_registry_holds_what_is_measured(board: OpenBoard, runs: dict[int, Items]) -> None:
    for part, numbers in recompute(runs, board.truth).metrics.items():
        for name, measured in numbers.items():
            metric = METRICS[name]
            assert part == "all" or metric.parts == "each"
            for value in (measured.low, measured.value, measured.high):
                if value is not None:
                    assert value <= metric.high
                    assert metric.low is None or value >= metric.low


def test_the_interval_of_a_median_holds_it(board: OpenBoard) -> None:
    """Bins of 0.1° have middles of .05: an error of .01° would lie below its interval."""
    items = made.predict(board, 0, noise=1e-4)
    found = recompute({0: items}, board.truth).metrics["all"]["rotation_geodesic_deg_median"]
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.value < 0.04
    assert found.low <= found.value <= found.high
