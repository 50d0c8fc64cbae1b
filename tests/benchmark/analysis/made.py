"""Embeddings that hold the rotation itself, and predictors whose answers are known.

An embedding is the 3 × 3 rotation matrix of a view, row by row, and two numbers of its object.

Shape suffixes: N = objects, V = views, R = rows, E = 11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from tests.benchmark.evaluation.fakes import FakeSplit, truth_of
from threedie.benchmark.analysis.embedded import Embedded, embed
from threedie.benchmark.evaluation.features import Features
from threedie.benchmark.evaluation.retrieval import Predictor

Floats = NDArray[np.float64]
CPU = torch.device("cpu")


def matrices(split: FakeSplit) -> Floats:
    """(N, V, 11): rotation by SciPy, and the object's own two numbers."""
    n, views = split.latents_NVL.shape[:2]
    turned = Rotation.from_euler("xyz", split.latents_NVL[..., :3].reshape(-1, 3)).as_matrix()
    own = np.random.default_rng(5).normal(size=(n, 1, 2)).repeat(views, axis=1)
    return np.concatenate([turned.reshape(n, views, 9), own], axis=2)


def turn_matrix(q_R4: Tensor) -> Tensor:
    """(R, 3, 3), by SciPy."""
    return torch.from_numpy(Rotation.from_quat(q_R4.numpy()).as_matrix())


class Moves:
    """A predictor of such embeddings: what happens to the matrix is an argument."""

    latent_group = "rotation"

    def __init__(self, act: Callable[[Tensor, Tensor], Tensor], scale: float = 1.0) -> None:
        self._act, self._scale = act, scale

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        moved = self._act(e_NE[:, :9].reshape(-1, 3, 3), z_NG)
        return self._scale * torch.cat([moved.reshape(-1, 9), e_NE[:, 9:]], dim=1)


def right(pose: Tensor, q: Tensor) -> Tensor:
    """R·q: what inv(R1)·R2 asks for."""
    return pose @ turn_matrix(q)


def left(pose: Tensor, q: Tensor) -> Tensor:
    """q·R: composes in the wrong order."""
    return turn_matrix(q) @ pose


def twice(pose: Tensor, q: Tensor) -> Tensor:
    """Turns twice as far: a factor of 2."""
    return pose @ turn_matrix(q) @ turn_matrix(q)


def still(pose: Tensor, q: Tensor) -> Tensor:
    """Does nothing."""
    return pose


def embedded_of(
    split: FakeSplit, predictor: Predictor, values: Any = None, *, seed: int = 0
) -> Embedded:
    values = matrices(split) if values is None else values
    features = Features(
        data_MD=values.reshape(-1, values.shape[-1]).astype(np.float32), n_views=split.n_views
    )
    return embed(features, truth_of(split), predictor, device=CPU, seed=seed)
