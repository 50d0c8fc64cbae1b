"""One split of a folder of shards, random access: a picture is one pread of an open shard.

Shape suffixes: N = objects of the split, V = views, L = 7 or 10 latent columns.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from threedie.benchmark.reading.encoded import EncodedSplit
from threedie.benchmark.reading.memory import Cache, with_cache
from threedie.data.dataset import Dataset
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import DatasetManifest, canonical_json


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
        self.n_classes = n_classes(manifest)
        self.pixel_mean, self.pixel_std = manifest.pixel_mean, manifest.pixel_std
        self.data_hash = split_hash(manifest, split)
        self.picture_size = manifest.making.size
        self._bgr = manifest.making.channel_order == "bgr"
        self._fetch = with_cache(_Shards(dataset, split).read, index.lengths_NV, cache)


def n_classes(manifest: DatasetManifest) -> int:
    """One more than the largest label of a data set."""
    return max((c.label for c in manifest.classes), default=-1) + 1


def split_hash(manifest: DatasetManifest, split: str) -> str:
    """SHA-256 over a manifest, in which every shard's hash is, and the split's name."""
    body = canonical_json([manifest.model_dump(mode="json"), split])
    return hashlib.sha256(body).hexdigest()


class _OpenShard:
    """A descriptor that is closed with its last user."""

    _close = staticmethod(os.close)  # held: when Python ends, modules are emptied first

    def __init__(self, path: Path) -> None:
        self.path, self.descriptor = path, -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as err:
            raise StorageError(f"cannot read {path}: {err.strerror}.") from err

    def __del__(self) -> None:
        if self.descriptor >= 0:
            self._close(self.descriptor)


class _Shards:
    """Shards that were checked once and stay open: a read is one pread."""

    MOST_OPEN = 256  # a process may have 1024 files open by default

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset, self._split = dataset, split
        self._index = dataset.indices[split]
        self._open: dict[int, _OpenShard] = {}
        self._lock = threading.Lock()

    def read(self, row: int, view: int) -> bytes:
        """The encoded bytes of a picture."""
        shard = self._shard(int(self._index.shards_N[row]))
        length = int(self._index.lengths_NV[row, view])
        content = os.pread(shard.descriptor, length, int(self._index.offsets_NV[row, view]))
        if len(content) != length:
            raise ManifestError(f"{shard.path}: cut off while it was being read.")
        return content

    def _shard(self, number: int) -> _OpenShard:
        shard = self._open.get(number)
        if shard is None:
            with self._lock:  # a shard is hashed by one thread only
                shard = self._open.get(number) or self._add(number)
        return shard

    def _add(self, number: int) -> _OpenShard:
        shard = _OpenShard(self._dataset.checked_shard(self._split, number))
        while len(self._open) >= self.MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[number] = shard
        return shard
