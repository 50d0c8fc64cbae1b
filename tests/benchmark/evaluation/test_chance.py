"""Claims proved here, on chance rows: they are the published ones where those exist.

- 50 views: MRR .0900, H@1 .02, H@5 .10. Majority class of the official val split: 16.0 %.
- On the paper's latents a constant rotation has r2_global 0.229 (SciPy's signs) and r2_uniform 0,
  and a random pose a PRE of .627.
- With w >= 0 as the target that constant scores .245: numbers of both signs do not mix.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmark.evaluation.fakes import FakeSplit, poses, truth_of
from threedie.benchmark.evaluation import chance, findings
from threedie.benchmark.evaluation.targets import judged_pairs


def test_ranks_of_fifty_views() -> None:
    found = chance.ranks("val", 50, 10_552)
    assert found["mrr_val"].value == pytest.approx(0.0900, abs=5e-5)
    hits = [found[f"h_at_{k}_val"].value for k in (1, 2, 5, 10)]
    assert hits == pytest.approx([0.02, 0.04, 0.10, 0.20])
    assert "h_at_10_train" not in chance.ranks("train", 10, 5)


def test_a_random_pose_on_the_papers_latents() -> None:
    q = poses(FakeSplit("val", 2000, 50, 1)).reshape(-1, 4)
    found = chance.random_pose("pre_val", q, q, 2000)["pre_val"].value
    assert found == pytest.approx(0.627, abs=0.002)
    some = q[:300]
    pairs = 1 - np.mean([(some @ p) ** 2 for p in some])
    assert chance.random_pose("x", some, some, 6)["x"].value == pytest.approx(pairs)
    upright = np.array([[0.0, 0.0, 0.0, 1.0]])
    turned = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, -1.0]])
    assert chance.random_pose("x", upright, turned, 1)["x"].value == pytest.approx(0.5)


@pytest.mark.parametrize(("hemisphere", "expected"), [("scipy", 0.229), ("positive-w", 0.245)])
def test_a_constant_rotation_on_the_papers_latents(hemisphere: str, expected: float) -> None:
    truth = truth_of(FakeSplit("val", 2000, 50, 1))
    pairs = judged_pairs(2000, 50, 2, seed=0)
    target = truth.relative(pairs, hemisphere)
    constant = np.broadcast_to(target.mean(axis=0), target.shape)
    rows = findings.pair_rows(truth, pairs)
    found = chance.constant(findings.rotated(constant, target, rows), 2000)
    assert found["rotation_r2_global"].value == pytest.approx(expected, abs=0.002)
    assert found["rotation_r2_uniform"].value == pytest.approx(0.0, abs=1e-9)


def test_the_majority_class(shared_dir: Path) -> None:
    path = shared_dir / "official" / "val_labels.npy"
    if not path.is_file():
        pytest.skip("no official labels")
    labels = np.load(path, allow_pickle=False).astype(np.int64)
    split = FakeSplit("val", len(labels), 1, 55)
    rows = findings.view_rows(truth_of(split))
    found = chance.most_frequent(labels, 55, rows)
    assert found["top1"].value == pytest.approx(0.160, abs=5e-4)
    assert found["balanced_top1"].value == pytest.approx(1 / len(np.unique(labels)))
    counts = np.sort(np.bincount(labels))[::-1]
    assert found["top5"].value == pytest.approx(counts[:5].sum() / len(labels))
