"""Claims proved here, on tables: rows come under their own angle and class.

- A bin holds its lower edge; the last one holds 180 too. Its points are the metric of its rows.
- Classes go by their names, and by name and label where names are not enough.
- Views are placed by their angle from upright, pairs by the angle between them.
- Metrics without a meaning on a part of the rows have neither curve nor classes.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmark.evaluation.fakes import FakeSplit, fake_data, truth_of
from threedie.benchmark.evaluation import findings, metrics
from threedie.benchmark.evaluation.findings import Measured, Rows
from threedie.benchmark.evaluation.tables import Tables
from threedie.benchmark.evaluation.targets import judged_pairs

EDGES = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0)


def tables(splits: dict[str, FakeSplit]) -> Tables:
    return Tables(dict(splits), edges_deg=EDGES, seed=0, resamples=20)


def test_rows_come_into_their_bins_and_classes() -> None:
    splits = fake_data(4, 6, 2, 3)  # val: classes 0 1 2 0 1 2
    angles = np.array([0.0, 29.999, 30.0, 89.0, 150.0, 180.0])
    rows = Rows(split="val", object_R=np.arange(6), angle_R=angles, axis="relative")
    values = np.array([1.0, 2, 3, 4, 5, 7])
    made = tables(splits)
    made.add("all", [Measured(name="x", statistic=metrics.mean(values), rows=rows)])
    found = [(point.value, point.n) for point in made.curves["all"]["x"].points]
    assert found == [(1.5, 2), (3, 1), (4, 1), (None, 0), (None, 0), (6, 2)]
    classes = {name: (n.value, n.n) for name, n in made.per_class["all"]["x"].items()}
    assert classes == {"class0": (2.5, 2), "class1": (3.5, 2), "class2": (5, 2)}
    assert made.metrics["all"]["x"].value == pytest.approx(22 / 6)


def test_what_has_no_meaning_on_a_part_has_no_curve() -> None:
    rows = findings.view_rows(truth_of(FakeSplit("val", 6, 2, 3)))
    made = tables(fake_data(4, 6, 2, 3))
    degrees = np.linspace(1, 9, 12)
    made.add(
        "all",
        [
            Measured(name="m", statistic=metrics.median_deg(degrees), rows=rows, curve=False),
            findings.undefined("u", "no reason"),
        ],
    )
    assert set(made.metrics["all"]) == {"m", "u"}
    assert not made.curves["all"]
    assert not made.per_class["all"]


def test_classes_of_one_name_are_told_apart() -> None:
    splits = fake_data(4, 6, 1, 3)
    splits["val"].objects_N = np.array([f"object{i}" for i in range(6)])
    made = tables(splits)
    rows = findings.view_rows(truth_of(splits["val"]))
    made.add("all", [Measured(name="x", statistic=metrics.mean(np.ones(6)), rows=rows)])
    assert set(made.per_class["all"]["x"]) == {"object0", "object1", "object2"}
    splits["val"].objects_N = np.array(["same/object"] * 6)
    made = tables(splits)
    made.add("all", [Measured(name="x", statistic=metrics.mean(np.ones(6)), rows=rows)])
    assert set(made.per_class["all"]["x"]) == {"same:0", "same:1", "same:2"}


def test_where_views_pairs_and_queries_are_placed() -> None:
    split = FakeSplit("val", 2, 4, 1)
    split.latents_NVL[..., :3] = 0
    split.latents_NVL[..., 2] = np.radians([[0, 20, 50, 90], [10, 10, -30, 85]])
    truth = truth_of(split)
    views = findings.view_rows(truth)
    assert views.angle_R == pytest.approx([0, 20, 50, 90, 10, 10, 30, 85])
    assert (views.axis, views.object_R.tolist()) == ("absolute", [0] * 4 + [1] * 4)
    queries = findings.query_rows(truth, "val")
    assert queries.angle_R == pytest.approx([0, 20, 50, 90, 0, 0, 40, 75])
    assert queries.axis == "relative"
    pairs = judged_pairs(2, 4, 3, seed=0)
    turned = np.degrees(split.latents_NVL[..., 2])
    ends = [turned[pairs.object_R, v] for v in (pairs.first_R, pairs.second_R)]
    assert findings.pair_rows(truth, pairs).angle_R == pytest.approx(np.abs(ends[0] - ends[1]))
    assert findings.first_view_rows(truth, pairs).angle_R == pytest.approx(np.abs(ends[0]))
