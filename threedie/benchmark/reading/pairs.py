"""Which pairs: the order of objects and the two views of each, keyed by (seed, epoch).

A run is one stream of positions p = 0, 1, 2, …: epoch p // N, place p % N. An epoch's order is a
permutation of all objects and its views belong to the object's row, so neither depends on batch
size, number of ranks or where a run was resumed. Only raw words of Philox are used: numpy promises
those over versions. The view pair of SIE (section 4) is two different views of one object.

Shape suffixes: N = objects of the split or of the batch, C = 3 channels, H, W = pixels,
V = views, L = 7 or 10 latent columns, G = numbers of a latent group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from threedie.errors import ConfigError
from threedie.manifests.latents import COLUMNS, LATENT_GROUPS, Array, relative_rotation_xyzw

Rows = NDArray[np.int64]
_HUES = [COLUMNS.index("floor_hue"), COLUMNS.index("spot_hue")]
_ORDER, _VIEWS, SHARDS, BUFFER = range(4)  # streams of random words that never meet


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairBatch:
    """Two views of each object, and what changed between them."""

    x_NCHW: Tensor
    """First views: uint8, true RGB, channels_last memory, pinned when asked for."""
    y_NCHW: Tensor
    """Second views."""
    rotation_N4: Tensor
    """float32 relative quaternion xyzw, inv(R1)·R2."""
    hue_N2: Tensor
    """float32 (floor, spot) hue of the second view minus the first's: −1..1, not wrapped."""
    label_N: Tensor
    """int64."""
    row_N: Tensor
    """int64, the object's row in its split."""
    view_N2: Tensor
    """int64, which two views."""

    def latents(self, group: str) -> Tensor:
        """(N, G) float32: what the predictor is told, see `LATENT_GROUPS`.

        Raises:
            ConfigError: no such group.
        """
        if group not in LATENT_GROUPS:
            raise ConfigError(f"unknown latents '{group}'. Known: {', '.join(LATENT_GROUPS)}.")
        parts = {"rotation": [self.rotation_N4], "color": [self.hue_N2]}
        return torch.cat(parts.get(group, [self.rotation_N4, self.hue_N2]), dim=1)


class PairSource(Protocol):
    """Where training gets its pairs; indexed and streaming readers are both one."""

    @property
    def n_objects(self) -> int:
        """N of the split."""

    @property
    def n_classes(self) -> int:
        """One more than the largest label of the data set."""

    @property
    def batch_size(self) -> int:
        """Global: over all ranks."""

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        """True RGB, 0..1."""

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        """True RGB, 0..1."""

    @property
    def data_hash(self) -> str:
        """Says which pictures these are."""

    def batches(self, first_step: int, last_step: int) -> Iterator[PairBatch]:
        """This rank's part of the global batches first_step … last_step − 1."""


def words(seed: int, epoch: int, stream: int, count: int, *, part: int = 0) -> NDArray[np.uint64]:
    """Raw 64-bit words, keyed by (seed, epoch, stream, part)."""
    generator = np.random.Philox(key=[seed, epoch], counter=[0, 0, part, stream])
    return generator.random_raw(count).astype(np.uint64)


def below(words_N: NDArray[np.uint64], limit: int | Rows) -> Rows:
    """Integers 0 … limit − 1 from 64-bit words (bias below limit / 2³²)."""
    high, limits = words_N >> np.uint64(32), np.asarray(limit, np.uint64)
    return (high * limits >> np.uint64(32)).astype(np.int64)


def epoch_order(n_objects: int, *, seed: int, epoch: int) -> Rows:
    """(N,) a permutation of all rows."""
    return np.argsort(words(seed, epoch, _ORDER, n_objects), kind="stable").astype(np.int64)


def epoch_views(n_objects: int, n_views: int, *, seed: int, epoch: int) -> Rows:
    """(N, 2) two different views of each row; every ordered pair is equally likely."""
    raw_N2 = words(seed, epoch, _VIEWS, 2 * n_objects).reshape(n_objects, 2)
    first_N = below(raw_N2[:, 0], n_views)
    second_N = (first_N + 1 + below(raw_N2[:, 1], n_views - 1)) % n_views
    return np.stack([first_N, second_N], axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The pairs of one rank in one step."""

    rows_N: Rows
    views_N2: Rows


class Pairs:
    """The stream of pairs of a split, cut into global batches and these into ranks.

    Args:
        n_objects: N.
        n_views: V, the same for all.
        batch_size: global.
        seed: 0 … 2⁶³ − 1.
        rank: which part of each batch.
        world: how many parts.

    Raises:
        ConfigError: fewer than two views, or a batch that is larger than the data or that the
            ranks can't share.
    """

    def __init__(
        self,
        *,
        n_objects: int,
        n_views: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        check_batch(n_objects, n_views, batch_size, seed=seed, rank=rank, world=world)
        self.n_objects, self.n_views, self.batch_size = n_objects, n_views, batch_size
        self._seed, self._rank, self._world = seed, rank, world
        self._epochs: dict[int, tuple[Rows, Rows]] = {}

    def step(self, step: int) -> Slice:
        """This rank's pairs of a global step."""
        share = self.batch_size // self._world
        first = step * self.batch_size + self._rank * share
        positions_N = np.arange(first, first + share)
        epoch_N, place_N = positions_N // self.n_objects, positions_N % self.n_objects
        rows, views = [], []
        for epoch in np.unique(epoch_N).tolist():
            order_N, views_N2 = self._epoch(epoch)
            rows.append(order_N[place_N[epoch_N == epoch]])
            views.append(views_N2[rows[-1]])
        return Slice(rows_N=np.concatenate(rows), views_N2=np.concatenate(views))

    def _epoch(self, epoch: int) -> tuple[Rows, Rows]:
        if epoch not in self._epochs:
            self._epochs = {e: v for e, v in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = (
                epoch_order(self.n_objects, seed=self._seed, epoch=epoch),
                epoch_views(self.n_objects, self.n_views, seed=self._seed, epoch=epoch),
            )
        return self._epochs[epoch]


def check_batch(
    n_objects: int, n_views: int, batch_size: int, *, seed: int, rank: int, world: int
) -> None:
    """Refuse what can't give pairs; see `Pairs`."""
    if n_views < 2:
        raise ConfigError(
            f"a pair is two different views of an object; the data set has {n_views} per object. "
            "Render it with --views 2 or more."
        )
    if batch_size < 1:
        raise ConfigError(f"the batch size is {batch_size}; it must be 1 or more.")
    if batch_size > n_objects:
        raise ConfigError(
            f"the batch size is {batch_size}, and the split has {n_objects} objects: no object may "
            "stand twice in a batch. Give a smaller one."
        )
    if not 0 <= rank < world or batch_size % world:
        raise ConfigError(
            f"rank {rank} of {world} can't share a batch of {batch_size}: the number of ranks must "
            "divide it."
        )
    if not 0 <= seed < 2**63:
        raise ConfigError(f"the seed is {seed}; it must be 0 … 2⁶³ − 1.")


def changes(latents_N2L: Array) -> tuple[Tensor, Tensor]:
    """Relative quaternion (N, 4) and hue differences (N, 2) of pairs of latents, float32."""
    first_NL, second_NL = latents_N2L[:, 0], latents_N2L[:, 1]
    rotation_N4 = relative_rotation_xyzw(first_NL[:, :3], second_NL[:, :3])
    hue_N2 = second_NL[:, _HUES] - first_NL[:, _HUES]
    return torch.from_numpy(rotation_N4).float(), torch.from_numpy(hue_N2).float()
