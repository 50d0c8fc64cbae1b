"""A split whose pictures say which picture they are, and encoders that know the truth.

A picture's first pixels hold the number of the object, of the view and of the split, so that an
encoder of pictures can look anything up: real data flow, no renderer.

Shape suffixes: N = objects, V = views, B = batch, D = representation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from threedie.benchmark.evaluation.targets import Truth
from threedie.manifests.latents import euler_to_quaternion_xyzw

SIZE = 4
QUIET: dict[str, Any] = {"normalise": "none", "device": "cpu"}
"""Arguments of `evaluate` under which `numbers` can read the pictures."""


class FakeSplit:
    """N objects × V views with latents of the paper's law (or yaw), as a `Split`."""

    def __init__(
        self, name: str, n: int, views: int, classes: int, *, seed: int = 0, law: str = "box"
    ) -> None:
        rng = np.random.default_rng([seed, name == "val"])
        latents = rng.random((n, views, 7))
        limit = np.pi if law == "yaw" else np.pi / 2
        latents[..., :3] = (2 * latents[..., :3] - 1) * limit
        latents[..., 4] *= np.pi / 4
        latents[..., 5] *= 2 * np.pi
        if law == "yaw":
            latents[..., :2] = 0.0
            latents[..., 3:] = 0.3
        self.name, self.latents_NVL = name, latents
        self.labels_N = np.arange(n, dtype=np.int64) % classes
        self.objects_N = np.array([f"class{i % classes}/object{i}" for i in range(n)])
        self.n_classes = classes
        self.pixel_mean, self.pixel_std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
        self.data_hash = hashlib.sha256(latents.tobytes()).hexdigest()
        self.picture_size = SIZE
        self.n_views = views
        self.reads = 0

    def __len__(self) -> int:
        return len(self.labels_N)

    def read(
        self,
        rows_B: Sequence[int] | NDArray[np.int64],
        views_B: Sequence[int] | NDArray[np.int64],
        size: int,
        out: NDArray[np.uint8],
    ) -> None:
        rows = np.asarray(rows_B)
        out[:] = 0
        out[:, 0, 0, 0], out[:, 0, 0, 1] = rows % 256, rows // 256
        out[:, 0, 0, 2], out[:, 0, 1, 0] = np.asarray(views_B), self.name == "val"
        self.reads += len(rows)


def fake_data(
    train: int = 64, val: int = 32, views: int = 10, classes: int = 8, *, law: str = "box"
) -> dict[str, Any]:
    """Both splits, as `evaluate` takes them."""
    return {
        "train": FakeSplit("train", train, views, classes, law=law),
        "val": FakeSplit("val", val, views, classes, law=law),
    }


def numbers(images_BCHW: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Split (0 train, 1 val), object and view of pictures in 0..1."""
    pixels = (images_BCHW * 255).round().long().cpu().numpy()
    rows = pixels[:, 0, 0, 0] + 256 * pixels[:, 1, 0, 0]
    return pixels[:, 0, 0, 1], rows, pixels[:, 2, 0, 0]


def looked_up(data: dict[str, Any], values: Callable[[FakeSplit], Any]) -> Any:
    """An encoder that gives `values(split)[object, view]`, (N, V, D)."""
    tables = [torch.as_tensor(values(data[name])).float() for name in ("train", "val")]

    def encode(images_BCHW: Tensor) -> Tensor:
        splits, rows, views = numbers(images_BCHW)
        found = zip(splits, rows, views, strict=True)
        return torch.stack([tables[s][r, v] for s, r, v in found])

    return encode


def poses(split: FakeSplit) -> NDArray[np.float64]:
    """(N, V, 4) true rotations."""
    return euler_to_quaternion_xyzw(split.latents_NVL[..., :3])


def noise(dim: int) -> Callable[[FakeSplit], NDArray[np.float64]]:
    """(N, V, D) features that know nothing."""

    def values(split: FakeSplit) -> NDArray[np.float64]:
        rng = np.random.default_rng([9, split.name == "val"])
        return rng.normal(size=(len(split), split.n_views, dim))

    return values


def labels(split: FakeSplit) -> NDArray[np.float64]:
    """(N, V, K) one-hot labels, the same in all views."""
    one_hot = np.eye(split.n_classes)[split.labels_N]
    return np.repeat(one_hot[:, None], split.n_views, axis=1)


def truth_of(split: FakeSplit) -> Truth:
    return Truth(split, np.unique(split.labels_N))


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of (N, 4) quaternions xyzw, written out once more for the tests."""
    av, aw, bv, bw = a[:, :3], a[:, 3:], b[:, :3], b[:, 3:]
    vector = aw * bv + bw * av + torch.linalg.cross(av, bv)
    return torch.cat([vector, aw * bw - (av * bv).sum(dim=1, keepdim=True)], dim=1)


class PosePredictor:
    """Moves a pose as the latents say: what a perfect predictor of a perfect encoder does."""

    latent_group = "rotation"

    def embed(self, r_ND: Tensor) -> Tensor:
        return r_ND

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        return multiply(e_NE, z_NG)
