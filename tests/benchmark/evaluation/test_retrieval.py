"""Claims proved here, on retrieval, neighbours and the equivariance error.

- Ranks and PRE agree with loops written from their definition, whatever the size of the blocks.
- Rotating all embeddings, scaling them or permuting the objects changes nothing.
- A collapsed embedding and a prediction that does not look at z score chance exactly.
- Doing nothing has gain 0, the oracle 1.
- kNN is the weighted vote of its definition.
- What a predictor gets wrong in form, or gives as NaN, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.benchmark.evaluation.fakes import FakeSplit, PosePredictor, poses, truth_of
from threedie.benchmark.evaluation import findings, neighbours
from threedie.benchmark.evaluation.features import Features, Gather
from threedie.benchmark.evaluation.findings import Measured, moved, query_rows, ranked
from threedie.benchmark.evaluation.metrics import reciprocal_rank, rotation_distance
from threedie.benchmark.evaluation.neighbours import knn_votes, nearest, unit
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.evaluation.retrieval import (
    MovedSplit,
    Predictor,
    at_rest,
    retrieve,
    rotation_errors,
)
from threedie.errors import ConfigError

CPU = torch.device("cpu")
N, V, E = 6, 7, 5


def quiet(*_: object) -> None:
    """No progress."""


class Linear:
    """W(q) = Σ q_i W_i, as SIE's linear hypernetwork."""

    latent_group = "rotation"

    def __init__(self, turn: Tensor | None = None) -> None:
        self.weight = torch.randn(4, E, E, generator=torch.Generator().manual_seed(0))
        self.turn = torch.eye(E) if turn is None else turn

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND @ self.turn.T

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        moved_NE = torch.einsum("ng,gij,nj->ni", z_NG, self.weight, e_NE @ self.turn)
        return moved_NE @ self.turn.T


class Same:
    """Does nothing."""

    latent_group = "rotation"

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return e_NE


def embeddings(split: FakeSplit) -> Any:
    rng = np.random.default_rng([1, split.name == "val"])
    return rng.normal(size=(len(split), split.n_views, E)).astype(np.float32)


def made(
    split: FakeSplit, predictor: Predictor, values: Any = None, batch: int = 256
) -> MovedSplit:
    values = embeddings(split) if values is None else values
    features = Features(data_MD=values.reshape(-1, values.shape[-1]), n_views=split.n_views)
    return MovedSplit(features, truth_of(split), predictor, device=CPU, batch_size=batch)


@pytest.fixture
def train() -> FakeSplit:
    return FakeSplit("train", N + 2, V, 3)


@pytest.fixture
def val() -> FakeSplit:
    return FakeSplit("val", N, V, 3)


def by_hand(split: FakeSplit, values: Any) -> tuple[Any, Any]:
    """Ranks (N, V) and predictions (N, V, E), with loops."""
    from scipy.spatial.transform import Rotation

    rotations = [Rotation.from_euler("xyz", e) for e in split.latents_NVL[..., :3]]
    weight = Linear().weight.double().numpy()
    ranks, predictions = np.zeros((N, V), dtype=int), np.zeros((N, V, E))
    for n in range(N):
        for v in range(V):
            q = (rotations[n][0].inv() * rotations[n][v]).as_quat()
            predictions[n, v] = sum(q[i] * weight[i] for i in range(4)) @ values[n, 0]
            cosines = [
                predictions[n, v]
                @ values[n, u]
                / np.linalg.norm(predictions[n, v])
                / np.linalg.norm(values[n, u])
                for u in range(V)
            ]
            ranks[n, v] = 1 + sum(c > cosines[v] for c in cosines)
    return ranks, predictions


@pytest.mark.parametrize("batch", [1, 7, 20, 256])
def test_ranks_against_loops(val: FakeSplit, batch: int) -> None:
    values = embeddings(val)
    ranks, predictions = by_hand(val, values.astype(float))
    found = retrieve(made(val, Linear(), batch=batch), quiet, "x")
    assert np.array_equal(found.ranks["predictor"].greater_NV + 1, ranks)
    assert (found.ranks["predictor"].equal_NV == 1).all()
    assert (found.ranks["oracle"].greater_NV == 0).all()
    cosine = (predictions * values).sum(-1) / (
        np.linalg.norm(predictions, axis=-1) * np.linalg.norm(values, axis=-1)
    )
    assert found.error_NV == pytest.approx(1 - cosine, abs=1e-5)


@pytest.mark.parametrize("group", [2**30, 0])
def test_pre_against_loops(
    train: FakeSplit, val: FakeSplit, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_HOST_BYTES", group)
    monkeypatch.setattr(neighbours, "_TILE_QUERIES", 5)
    values = {s.name: embeddings(s) for s in (train, val)}
    _, predictions = by_hand(val, values["val"].astype(float))
    candidates = np.concatenate([values[n].reshape(-1, E) for n in ("train", "val")])
    turned = np.concatenate([poses(s).reshape(-1, 4) for s in (train, val)])
    expected = np.zeros((N, V))
    for n in range(N):
        for v in range(V):
            cosine = candidates @ predictions[n, v] / np.linalg.norm(candidates, axis=1)
            q = turned[np.argmax(cosine)]
            expected[n, v] = 1 - (q @ poses(val)[n, v]) ** 2
    told: list[tuple[str, int, int]] = []
    source = made(val, Linear(), batch=9)
    targets = [made(s, Linear(), batch=9) for s in (train, val)]
    found = rotation_errors(source, targets, lambda *a: told.append(a), "pre")
    assert found == pytest.approx(expected, abs=1e-6)
    assert told[-1] == ("pre", N * V, N * V)
    assert all(a[1] <= b[1] for a, b in pairwise(told))


def summary(split: MovedSplit) -> list[float]:
    found = retrieve(split, quiet, "x")
    pre = rotation_errors(split, [split], quiet, "x").mean()
    ranks = found.ranks["predictor"]
    mrr = reciprocal_rank(ranks.greater_NV, ranks.equal_NV).mean()
    return [float(mrr), float(pre), float(found.error_NV.mean())]


def test_what_changes_nothing(val: FakeSplit) -> None:
    expected = summary(made(val, Linear()))
    turn, _ = torch.linalg.qr(torch.randn(E, E, generator=torch.Generator().manual_seed(1)))
    assert summary(made(val, Linear(turn))) == pytest.approx(expected, abs=1e-5)
    assert summary(made(val, Linear(), 37 * embeddings(val))) == pytest.approx(expected, abs=1e-5)
    order = np.random.default_rng(0).permutation(N)
    shuffled = FakeSplit("val", N, V, 3)
    shuffled.latents_NVL = val.latents_NVL[order]
    found = summary(made(shuffled, Linear(), embeddings(val)[order]))
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("values", ["collapsed", "zero", "alive"])
def test_no_look_at_z_is_chance_exactly(val: FakeSplit, values: str) -> None:
    """A fixed answer's ranks are 1 … V once each; ties share them. Nothing is gained by either."""
    table = embeddings(val)
    if values == "collapsed":
        table[:] = table[0, 0]
    elif values == "zero":
        table[:] = 0
    ranks = retrieve(made(val, Same(), table), quiet, "x").ranks
    for name in ("predictor", "identity"):
        mrr = reciprocal_rank(ranks[name].greater_NV, ranks[name].equal_NV).mean()
        assert mrr == pytest.approx(np.mean(1 / np.arange(1, V + 1)))
    oracle = reciprocal_rank(ranks["oracle"].greater_NV, ranks["oracle"].equal_NV).mean()
    assert oracle == pytest.approx(1.0 if values == "alive" else np.mean(1 / np.arange(1, V + 1)))


def test_the_oracle_and_doing_nothing(val: FakeSplit) -> None:
    rows = query_rows(truth_of(val), "val")

    def gain(predictor: Predictor, table: Any) -> float:
        found = moved(retrieve(made(val, predictor, table), quiet, "x"), rows)
        assert isinstance(found[1], Measured)
        assert found[1].name == "equivariance_gain"
        assert len(found[1].rows.object_R) == N * (V - 1)  # moving to itself is no feat
        return found[1].statistic.value()

    table = poses(val).astype(np.float32)
    assert gain(PosePredictor(), table) == pytest.approx(1.0, abs=1e-5)
    assert gain(Same(), table) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(gain(Same(), np.ones_like(table)))


def test_hits_that_cannot_miss_are_null(val: FakeSplit) -> None:
    found = ranked(
        retrieve(made(val, Linear()), quiet, "x").ranks["predictor"],
        query_rows(truth_of(val), "val"),
        V,
    )
    kinds = {one.name: isinstance(one, findings.Given) for one in found}
    assert kinds == {
        "mrr_val": False,
        "h_at_1_val": False,
        "h_at_2_val": False,
        "h_at_5_val": False,
        "h_at_10_val": True,
    }


def test_hits_at_as_many_as_there_are_views_are_null() -> None:
    split = FakeSplit("val", 3, 5, 1)
    ranks = retrieve(made(split, Linear()), quiet, "x").ranks["predictor"]
    found = ranked(ranks, query_rows(truth_of(split), "val"), 5)
    null = [one.name for one in found if isinstance(one, findings.Given)]
    assert null == ["h_at_5_val", "h_at_10_val"]


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("block", [4, 100])
def test_nearest_against_a_sort(k: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_TILE_QUERIES", 3)
    generator = torch.Generator().manual_seed(2)
    queries, candidates = (unit(torch.randn(n, E, generator=generator)) for n in (8, 30))
    calls = []

    def blocks() -> Iterable[Tensor]:
        calls.append(1)
        return torch.split(candidates, block)

    cosine, place = nearest(queries, blocks, k)
    expected = (queries @ candidates.T).sort(dim=1, descending=True)
    assert torch.allclose(cosine, expected.values[:, :k], atol=1e-6)
    assert torch.equal(place, expected.indices[:, :k])
    assert len(calls) == 1


def test_knn_is_the_vote_of_its_definition() -> None:
    rng = np.random.default_rng(5)
    bank, queries = (rng.normal(size=(n, E)).astype(np.float32) for n in (40, 12))
    classes = rng.integers(3, size=40)
    protocol = replace(PROTOCOLS["3die-v1"], knn_neighbours=6, knn_temperature=0.2)
    gathers = [Gather(Features(data_MD=d, n_views=1), slice(None), CPU) for d in (bank, queries)]
    votes = knn_votes(gathers[0], classes, gathers[1], 3, protocol)
    for query, vote in zip(queries, votes, strict=True):
        cosine = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
        expected = np.zeros(3)
        for i in np.argsort(-cosine)[:6]:
            expected[classes[i]] += np.exp(cosine[i] / 0.2)
        assert vote / vote.sum() == pytest.approx(expected / expected.sum(), rel=1e-4)


class Broken(Same):
    """Gives what it is told to give."""

    def __init__(self, embedded: Any = None, predicted: Any = None) -> None:
        self.embedded, self.predicted = embedded, predicted

    def embed(self, r_ND: Tensor) -> Tensor:
        return self.embedded(r_ND) if self.embedded else r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return self.predicted(e_NE) if self.predicted else e_NE


@pytest.mark.parametrize(
    ("predictor", "told"),
    [
        (Broken(embedded=lambda r: r / 0), "embed gives NaN"),
        (Broken(embedded=lambda r: r[:, 0]), r"embed gave shape \(42,\)"),
        (Broken(predicted=lambda e: e / 0), "predict gives NaN"),
        (Broken(predicted=lambda e: e[:, :2]), r"predict gave shape \(42, 2\); \(42, 5\)"),
    ],
)
def test_broken_predictors_are_refused(val: FakeSplit, predictor: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        retrieve(made(val, predictor), quiet, "x")


def test_a_predictor_is_left_as_it_was() -> None:
    class Module(nn.Module):
        latent_group = "rotation"

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(E)

        def embed(self, r_ND: Tensor) -> Tensor:
            raise NotImplementedError

        def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
            raise NotImplementedError

    module = Module().train()
    with at_rest(module, CPU):
        modes = [part.training for part in module.modules()]
    assert modes == [False, False]
    assert [part.training for part in module.modules()] == [True, True]


def test_rotation_distance_is_what_pre_averages(val: FakeSplit) -> None:
    """With the true pose as embedding, the nearest candidate is the target: PRE 0."""
    table = poses(val).astype(np.float32)
    split = made(val, PosePredictor(), table)
    assert rotation_errors(split, [split], quiet, "x").max() < 1e-9
    assert rotation_distance(poses(val)[0, :1], -poses(val)[0, :1])[0] == pytest.approx(0, abs=1e-9)
