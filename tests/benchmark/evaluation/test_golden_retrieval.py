"""Claims proved here: retrieval gives the numbers that the official scripts print.

Whatever `result/<source>-<target>/<metric>` the golden files hold must come out within 1e-6 (the
official code is facebookresearch/SIE at 54541cf; its inputs and outputs are data, not code).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.benchmark.evaluation.fakes import FakeSplit, truth_of
from threedie.benchmark.evaluation.features import Features
from threedie.benchmark.evaluation.metrics import hits_at, reciprocal_rank
from threedie.benchmark.evaluation.retrieval import MovedSplit, retrieve, rotation_errors

VIEWS = 50


class GoldenPredictor:
    """y = W(q) x with W = (weight @ q) as a square matrix."""

    latent_group = "rotation"

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        width = e_NE.shape[1]
        w_NEE = (z_NG @ self.weight.T).view(-1, width, width)
        return torch.einsum("nij,nj->ni", w_NEE, e_NE)


def moved_split(golden: Any, name: str) -> MovedSplit:
    embeddings, latents = golden[f"embeddings_{name}"], golden[f"latents_{name}"]
    split = FakeSplit(name, len(embeddings) // VIEWS, VIEWS, 1)
    split.latents_NVL = latents.reshape(-1, VIEWS, latents.shape[1])
    predictor = GoldenPredictor(torch.from_numpy(golden["hypernetwork_weight"]))
    features = Features(data_MD=embeddings, n_views=VIEWS)
    return MovedSplit(features, truth_of(split), predictor, device=torch.device("cpu"))


def measured(golden: Any, mode: str, metric: str) -> float:
    source, target = mode.split("-")
    quiet: Any = lambda *_: None  # noqa: E731
    split = moved_split(golden, source)
    if metric == "PRE":
        names = ["train", "val"] if target == "all" else [target]
        targets = [moved_split(golden, name) for name in names]
        return float(rotation_errors(split, targets, quiet, "pre").mean())
    ranks = retrieve(split, quiet, "ranks").ranks["predictor"]
    if metric == "MRR":
        return float(reciprocal_rank(ranks.greater_NV, ranks.equal_NV).mean())
    return float(hits_at(int(metric.removeprefix("H@")), ranks.greater_NV, ranks.equal_NV).mean())


def test_golden_retrieval(golden_dir: Path) -> None:
    files = sorted((golden_dir / "retrieval").glob("*.npz"))
    if not files:
        pytest.skip(f"no golden retrieval in {golden_dir}")
    for path in files:
        with np.load(path, allow_pickle=False) as golden:
            cases = [name for name in golden.files if name.startswith("result/")]
            assert cases
            for name in cases:
                _, mode, metric = name.split("/")
                expected = float(golden[name])
                assert measured(golden, mode, metric) == pytest.approx(expected, abs=1e-6), name
