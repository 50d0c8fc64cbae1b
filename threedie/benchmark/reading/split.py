"""One split of a data set: the interface that training and evaluation read, and `open_split`.

Shape suffixes: N = objects of the split, V = views, L = 7 or 10 latent columns, B = pictures asked
for, H, W = pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.reading.encoded import Rows, Three
from threedie.benchmark.reading.indexed import IndexedSplit
from threedie.benchmark.reading.memory import Cache
from threedie.benchmark.reading.pictures import Picture
from threedie.benchmark.reading.published import ChannelOrder, PublishedSplit, is_published
from threedie.data.dataset import Dataset, Verify
from threedie.data.urls import is_url, scheme_of, shown
from threedie.errors import ConfigError
from threedie.manifests.dataset import FILE_NAME
from threedie.manifests.latents import Array

__all__ = ["IndexedSplit", "PublishedSplit", "Split", "open_split"]


class Split(Protocol):
    """What training and evaluation read."""

    name: str
    """train or val."""
    objects_N: NDArray[np.str_]
    """`<class>/<object>`."""
    labels_N: NDArray[np.int64]
    latents_NVL: Array
    """Published column order (manifests.latents.COLUMNS)."""
    n_classes: int
    """One more than the largest label of the whole data set."""
    pixel_mean: Three
    """True RGB, 0..1."""
    pixel_std: Three
    data_hash: str
    """SHA-256 that identifies the pictures."""
    picture_size: int
    """Side in pixels, as stored."""

    def __len__(self) -> int:
        """N."""

    @property
    def n_views(self) -> int:
        """V."""

    def read(
        self, rows_B: Sequence[int] | Rows, views_B: Sequence[int] | Rows, size: int, out: Picture
    ) -> None:
        """Decode B pictures; see `encoded.EncodedSplit.read`."""


def open_split(
    data: str | os.PathLike[str] | Dataset,
    split: str,
    *,
    verify: Verify = "once",
    cache: Cache = "none",
    lists: Path | None = None,
    channel_order: ChannelOrder = "bgr",
) -> Split:
    """Open one split of a data set.

    Args:
        data: folder of shards (dataset.json), folder in the published layout, or an open Dataset.
        split: train or val.
        verify: hash each shard "once" (remembered over processes), "always" or "never".
        cache: "none", or "ram": compressed pictures stay in memory.
        lists: where the official lists are (published layout only).
        channel_order: of the files (published layout only; shards say theirs).

    Raises:
        ConfigError: no such split, or a URL.
        ManifestError: damaged data.
    """
    if isinstance(data, Dataset):
        return IndexedSplit(data, split, cache=cache)
    if isinstance(data, str) and is_url(data):
        scheme_of(data)
        raise ConfigError(
            f"{shown(data)} is a URL, and this reads in any order: only training streams. Fetch "
            "the data set into a folder and give that."
        )
    folder = Path(data)
    if not (folder / FILE_NAME).exists() and folder.is_dir() and is_published(folder):
        return PublishedSplit(
            folder, split, lists=lists, channel_order=channel_order, verify=verify, cache=cache
        )
    return IndexedSplit(Dataset(folder, split=split, verify=verify), split, cache=cache)
