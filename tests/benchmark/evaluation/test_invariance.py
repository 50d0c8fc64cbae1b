"""Claims proved here, on invariance measured directly.

- The ratio of variances is that of one-way analysis of variance, known where it can be computed.
- Features that know nothing of the object score 0, and not 1/V; equal views are undefined.
- Cosines are those of all pairs; effective rank counts equal directions and is blind to rotation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.features import Features, Gather
from threedie.benchmark.evaluation.invariance import (
    between_over_within,
    effective_rank,
    object_cosine,
    pair_cosines,
)
from threedie.benchmark.evaluation.targets import judged_pairs

CPU, ALL = torch.device("cpu"), slice(None)


def features_of(f_NVD: Any) -> Features:
    return Features(
        data_MD=f_NVD.reshape(-1, f_NVD.shape[-1]).astype(np.float32), n_views=f_NVD.shape[1]
    )


def gather(f_NVD: Any) -> Gather:
    return Gather(features_of(f_NVD), ALL, CPU)


def test_the_ratio_by_hand() -> None:
    """Objects at 0 and 10, views ±1: within 2·1/(2−1) = 2, between 50 − 2/2 = 49."""
    f = np.array([[[-1.0], [1.0]], [[9.0], [11.0]]])
    assert between_over_within(features_of(f), ALL).value() == pytest.approx(49 / 2)


def test_the_ratio_finds_the_components() -> None:
    rng = np.random.default_rng(0)
    f = rng.normal(size=(4000, 1, 3)) * [3, 1, 2] + rng.normal(size=(4000, 5, 3)) + 1000
    # between 9 + 1 + 4, within 3
    assert between_over_within(features_of(f), ALL).value() == pytest.approx(14 / 3, rel=0.06)
    assert between_over_within(features_of(f), slice(1, 2)).value() == pytest.approx(1, rel=0.1)


def test_features_without_the_object_score_zero() -> None:
    f = np.random.default_rng(1).normal(size=(300, 4, 8))
    number = Resampler(300, seed=0).number(between_over_within(features_of(f), ALL), np.arange(300))
    assert number.low is not None
    assert number.high is not None
    assert number.low < 0 < number.high
    assert abs(number.value or 9) < 0.02


@pytest.mark.parametrize("shape", ["equal views", "one object", "collapsed"])
def test_where_there_is_no_ratio(shape: str) -> None:
    rng = np.random.default_rng(2)
    f = np.repeat(rng.normal(size=(5, 1, 3)), 4, axis=1)
    if shape == "one object":
        f = rng.normal(size=(1, 4, 3))
    elif shape == "collapsed":
        f = np.full((5, 4, 3), 0.1)
    assert np.isnan(between_over_within(features_of(f), ALL).value())


def test_cosines_against_loops() -> None:
    f = np.random.default_rng(3).normal(1, 1, size=(4, 3, 6))
    u = f / np.linalg.norm(f, axis=-1, keepdims=True)
    pairs = judged_pairs(4, 3, 2, seed=0)
    expected = [
        u[n, i] @ u[n, j]
        for n, i, j in zip(pairs.object_R, pairs.first_R, pairs.second_R, strict=True)
    ]
    assert pair_cosines(gather(f), pairs, 3) == pytest.approx(expected, abs=1e-6)
    others = [
        u[n, i] @ u[k, j]
        for n in range(4)
        for k in range(4)
        for i in range(3)
        for j in range(3)
        if n != k
    ]
    assert object_cosine(gather(f), 3) == pytest.approx(np.mean(others), abs=1e-6)
    assert np.isnan(object_cosine(gather(f[:1]), 3))


def test_effective_rank_counts_directions() -> None:
    rng = np.random.default_rng(4)
    basis, _ = np.linalg.qr(rng.normal(size=(2000, 8)))
    basis = basis - basis.mean(axis=0)
    f = np.zeros((1000, 2, 8))
    f[..., :5] = basis[:, :5].reshape(1000, 2, 5) * 40
    assert effective_rank(gather(f + 3)) == pytest.approx(5, abs=0.05)
    turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    assert effective_rank(gather(f @ turn)) == pytest.approx(5, abs=0.05)
    two = f[..., :2] * [1, 3]  # singular values 1 : 3
    share = np.array([0.25, 0.75])
    assert effective_rank(gather(two)) == pytest.approx(
        np.exp(-(share * np.log(share)).sum()), abs=0.02
    )
    assert np.isnan(effective_rank(gather(np.full((5, 2, 4), 7.0))))
