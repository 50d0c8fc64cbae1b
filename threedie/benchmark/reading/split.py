"""One split of a data set, random access: names, labels, latents, and pictures on demand.

`open_split` takes a folder of shards, the published layout (see published.py) or an open Dataset.

Shape suffixes: N = objects of the split, V = views, L = 7 or 10 latent columns, B = pictures asked
for, H, W = pixels.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.reading.memory import Cache, with_cache
from threedie.benchmark.reading.pictures import Picture, decode_into
from threedie.data.dataset import Dataset, Verify
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, canonical_json
from threedie.manifests.latents import Array

Rows = NDArray[np.int64]
Three = tuple[float, float, float]


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
        """Decode B pictures; see `EncodedSplit.read`."""


class EncodedSplit:
    """A split whose pictures are files or parts of files; subclasses give `_fetch`.

    Thread-safe. Fields as in `Split`.
    """

    name: str
    objects_N: NDArray[np.str_]
    labels_N: NDArray[np.int64]
    latents_NVL: Array
    n_classes: int
    pixel_mean: Three
    pixel_std: Three
    data_hash: str
    picture_size: int
    _bgr: bool

    def __len__(self) -> int:
        return len(self.objects_N)

    @property
    def n_views(self) -> int:
        """V."""
        return self.latents_NVL.shape[1]

    def encoded(self, row: int, view: int) -> bytes:
        """A picture's file as it is stored (its channel order too)."""
        raise NotImplementedError

    def read(
        self, rows_B: Sequence[int] | Rows, views_B: Sequence[int] | Rows, size: int, out: Picture
    ) -> None:
        """Decode B pictures into a buffer.

        Args:
            rows_B: object of each.
            views_B: view of each.
            size: wanted side in pixels, at most `picture_size`.
            out: (B, size, size, 3) uint8, C-contiguous; filled in true RGB.

        Raises:
            ConfigError: a larger size than the stored one.
            ManifestError: a damaged picture or shard; names the object and the view.
        """
        check_size(size, self.picture_size)
        for i, (row, view) in enumerate(zip(rows_B, views_B, strict=True)):
            content = self.encoded(int(row), int(view))
            try:
                decode_into(content, out[i], side=self.picture_size, bgr=self._bgr)
            except ManifestError as err:
                raise ManifestError(f"{self.objects_N[row]}, view {view}: {err}") from err


def check_size(size: int, picture_size: int) -> None:
    """Refuse to enlarge pictures.

    Raises:
        ConfigError: smaller than a pixel or larger than stored.
    """
    if not 1 <= size <= picture_size:
        raise ConfigError(
            f"pictures of {size} pixels were asked for; the data set's have {picture_size}. "
            f"Give a size of 1 … {picture_size}: enlarging adds no detail and costs time."
        )


class IndexedSplit(EncodedSplit):
    """A split of a folder of shards.

    Args:
        dataset: an open one; it decides how shards are verified.
        split: which.
        cache: "ram" keeps compressed pictures in memory from their first reading on.

    Raises:
        ConfigError: no such split, no objects in it, or too little memory for the cache.
    """

    def __init__(self, dataset: Dataset, split: str, *, cache: Cache = "none") -> None:
        manifest = dataset.manifest
        index = dataset.indices.get(split)
        if index is None or not len(index.objects_N):
            known = ", ".join(s for s, i in dataset.indices.items() if len(i.objects_N))
            raise ConfigError(
                f"{dataset.folder} has no objects in split '{split}'; it has {known}."
            )
        self.name = split
        self.objects_N, self.labels_N = index.objects_N, index.labels_N
        self.latents_NVL = index.latents_NVD
        self.n_classes = max(c.label for c in manifest.classes) + 1
        self.pixel_mean, self.pixel_std = manifest.pixel_mean, manifest.pixel_std
        body = canonical_json([manifest.model_dump(mode="json"), split])
        self.data_hash = hashlib.sha256(body).hexdigest()
        self.picture_size = manifest.making.size
        self._bgr = manifest.making.channel_order == "bgr"
        self._index, self._shards = index, _OpenShards(dataset, split)
        self._fetch = with_cache(self._from_shard, index.lengths_NV, cache)

    def encoded(self, row: int, view: int) -> bytes:
        """A picture's file as it stands in the shard."""
        return self._fetch(row, view)

    def _from_shard(self, row: int, view: int) -> bytes:
        index = self._index
        shard = self._shards.get(int(index.shards_N[row]))
        length = int(index.lengths_NV[row, view])
        content = os.pread(shard.descriptor, length, int(index.offsets_NV[row, view]))
        if len(content) != length:
            raise ManifestError(f"{shard.path}: cut off while it was being read.")
        return content


class _OpenShard:
    """A descriptor that is closed with its last user."""

    def __init__(self, path: Path) -> None:
        self.path, self.descriptor = path, -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as err:
            raise StorageError(f"cannot read {path}: {err.strerror}.") from err

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class _OpenShards:
    """Shards that were checked once and stay open: a read is one pread."""

    _MOST = 256  # a process may have 1024 files open by default

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset, self._split = dataset, split
        self._open: dict[int, _OpenShard] = {}
        self._lock = threading.Lock()

    def get(self, number: int) -> _OpenShard:
        shard = self._open.get(number)
        if shard is None:
            with self._lock:  # a shard is hashed by one thread only
                shard = self._open.get(number) or self._add(number)
        return shard

    def _add(self, number: int) -> _OpenShard:
        shard = _OpenShard(self._dataset.checked_shard(self._split, number))
        while len(self._open) >= self._MOST:
            self._open.pop(next(iter(self._open)))
        self._open[number] = shard
        return shard


def open_split(
    data: str | os.PathLike[str] | Dataset,
    split: str,
    *,
    verify: Verify = "once",
    cache: Cache = "none",
) -> Split:
    """Open one split of a data set.

    Args:
        data: folder of shards (dataset.json), folder in the published layout, or an open Dataset.
        split: train or val.
        verify: hash each shard "once" (remembered over processes), "always" or "never".
        cache: "none", or "ram": compressed pictures stay in memory.

    Raises:
        ConfigError: no such split, or neither kind of folder.
        ManifestError: damaged data.
    """
    if isinstance(data, Dataset):
        return IndexedSplit(data, split, cache=cache)
    folder = Path(data)
    if (folder / FILE_NAME).exists():
        return IndexedSplit(Dataset(folder, split=split, verify=verify), split, cache=cache)
    raise ConfigError(f"{folder} has no {FILE_NAME}.")
