"""The index of a split: where every view of every object lies, and all latents in one array.

`index/<split>.npz` holds the keys, labels, shard numbers, byte offsets and lengths;
`index/<split>.latents.npy` is (N, V, 7 or 10) float64 and can be memory-mapped.

Shape suffixes: N = objects of the split, V = views, D = 7 or 10.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedie import files
from threedie.data.shard import Member, SampleMembers, parse_latents, scan_shard
from threedie.errors import ManifestError
from threedie.manifests.dataset import FileEntry
from threedie.manifests.latents import Array

FOLDER = "index"
_ROWS = 1024  # of latents that are written at a time
_KINDS = {
    "objects": "U",
    "keys": "U",
    "labels": "i",
    "shards": "i",
    "offsets": "i",
    "lengths": "i",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitIndex:
    """Everything about a split but the pixels."""

    objects_N: NDArray[np.str_]
    """`<class>/<object>`, true names."""
    keys_N: NDArray[np.str_]
    labels_N: NDArray[np.int64]
    shards_N: NDArray[np.int64]
    """Number of the shard within the split's shards, in the manifest's order."""
    offsets_NV: NDArray[np.int64]
    lengths_NV: NDArray[np.int64]
    latents_NVD: Array


@dataclass(slots=True)
class PixelSums:
    """Exact sums over pixels, for mean and standard deviation. True RGB, values 0..255."""

    count: int = 0
    total: NDArray[np.int64] | None = None
    squares: NDArray[np.int64] | None = None

    def add(self, record: dict[str, Any], pixels: int) -> None:
        """Add a sample by its record."""
        self.count += pixels
        total, squares = np.array(record["pixel_sum"]), np.array(record["pixel_sum_squares"])
        self.total = total if self.total is None else self.total + total
        self.squares = squares if self.squares is None else self.squares + squares

    def plus(self, other: PixelSums) -> PixelSums:
        """Both together."""
        if self.total is None or self.squares is None:
            return other
        if other.total is None or other.squares is None:
            return self
        count, total = self.count + other.count, self.total + other.total
        return PixelSums(count, total, self.squares + other.squares)

    def mean_std(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and standard deviation per channel, 0..1; zeros without pixels."""
        if self.total is None or self.squares is None or not self.count:
            return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        mean = self.total / self.count
        std = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0.0))
        m, s = (mean / 255).round(6).tolist(), (std / 255).round(6).tolist()
        return (m[0], m[1], m[2]), (s[0], s[1], s[2])


def build_index(
    shards: Sequence[Path],
    *,
    views: int,
    latent_size: int,
    pixels_per_view: int,
    sums: PixelSums,
    summed_views: int | None = None,
) -> SplitIndex:
    """Index the finished shards of one split by scanning them.

    Args:
        shards: of the split, in the manifest's order.
        views: of every sample.
        latent_size: 7 or 10.
        pixels_per_view: of a picture.
        sums: of the samples' records; added to.
        summed_views: pictures of a sample that its record's sums are of; None: all.

    Raises:
        ManifestError: a shard is damaged, or a sample has another number of views.
    """
    rows = []
    for number, path in enumerate(shards):
        for sample, content in _with_content(path):
            row = _row(path, number, sample, content, views)
            sums.add(row.pop("record"), (summed_views or views) * pixels_per_view)
            rows.append(row)
    stacked = np.stack([r["latents"] for r in rows]) if rows else np.zeros((0, views, latent_size))
    return SplitIndex(
        objects_N=np.array([r["object"] for r in rows], dtype=np.str_),
        keys_N=np.array([r["key"] for r in rows], dtype=np.str_),
        labels_N=np.array([r["label"] for r in rows], dtype=np.int64),
        shards_N=np.array([r["shard"] for r in rows], dtype=np.int64),
        offsets_NV=np.array([r["offsets"] for r in rows], dtype=np.int64).reshape(-1, views),
        lengths_NV=np.array([r["lengths"] for r in rows], dtype=np.int64).reshape(-1, views),
        latents_NVD=stacked,
    )


def _with_content(path: Path) -> list[tuple[SampleMembers, tuple[bytes, bytes]]]:
    with path.open("rb") as file:
        return [(s, (_read(file, s.latents), _read(file, s.record))) for s in scan_shard(path)]


def _read(file: Any, member: Member) -> bytes:
    file.seek(member.offset)
    content: bytes = file.read(member.size)
    return content


def _row(
    path: Path, number: int, sample: SampleMembers, content: tuple[bytes, bytes], views: int
) -> dict[str, Any]:
    latents, record = parse_latents(content[0], f"{path}: {sample.key}"), json.loads(content[1])
    if not len(sample.images) == len(latents) == views:
        raise ManifestError(
            f"{path}: {sample.key} has {len(sample.images)} pictures and {len(latents)} latents, "
            f"{views} views were expected."
        )
    return {
        "key": sample.key,
        "object": f"{record['class']}/{record['object']}",
        "label": record["label"],
        "record": record,
        "shard": number,
        "offsets": np.array([m.offset for m in sample.images], dtype=np.int64),
        "lengths": np.array([m.size for m in sample.images], dtype=np.int64),
        "latents": latents,
    }


def write_index(folder: Path, split: str, index: SplitIndex) -> dict[str, FileEntry]:
    """Write both files of a split; returns their manifest entries by relative path."""
    files.make_directory(folder / FOLDER)
    table = io.BytesIO()
    np.savez(
        table,
        objects=index.objects_N,
        keys=index.keys_N,
        labels=index.labels_N,
        shards=index.shards_N,
        offsets=index.offsets_NV,
        lengths=index.lengths_NV,
    )
    contents: dict[str, Iterable[bytes]] = {
        f"{split}.npz": (table.getvalue(),),
        f"{split}.latents.npy": _npy_pieces(index.latents_NVD),
    }
    entries = {}
    for name, pieces in contents.items():
        written = files.put(folder / FOLDER / name, pieces)
        entries[f"{FOLDER}/{name}"] = FileEntry(bytes=written.size, sha256=written.sha256)
    return entries


def _npy_pieces(latents_NVD: Array) -> Iterator[bytes]:
    """What np.save writes, without another copy of it all in memory."""
    head = io.BytesIO()
    said = np.lib.format.header_data_from_array_1_0(latents_NVD)  # type: ignore[no-untyped-call]
    np.lib.format.write_array_header_1_0(head, said)  # type: ignore[no-untyped-call]
    yield head.getvalue()
    for start in range(0, len(latents_NVD), _ROWS):
        yield latents_NVD[start : start + _ROWS].tobytes()


def read_index(folder: Path, split: str, entries: dict[str, FileEntry]) -> SplitIndex:
    """Read and check a split's index.

    Raises:
        ManifestError: a file is missing, or is not what the manifest says.
    """
    content = _checked(folder, f"{split}.npz", entries)
    latents = io.BytesIO(_checked(folder, f"{split}.latents.npy", entries))
    try:
        table = _read_table(content)
        return SplitIndex(
            objects_N=table["objects"],
            keys_N=table["keys"],
            labels_N=table["labels"],
            shards_N=table["shards"],
            offsets_NV=table["offsets"],
            lengths_NV=table["lengths"],
            latents_NVD=np.load(latents, allow_pickle=False),
        )
    except (ValueError, KeyError, OSError, MemoryError, zipfile.BadZipFile) as err:
        raise ManifestError(f"{folder / FOLDER / split}: not an index: {err}.") from err


def _read_table(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz that `write_index` has written: stored, so no larger than its file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("an array is compressed")
    with np.load(io.BytesIO(content), allow_pickle=False) as table:
        arrays = {name: table[name] for name in _KINDS}
    for name, kind in _KINDS.items():
        if getattr(arrays[name], "dtype", np.dtype(object)).kind != kind:
            raise ValueError(f"'{name}' is of another type")
    return arrays


def _checked(folder: Path, name: str, entries: dict[str, FileEntry]) -> bytes:
    path, entry = folder / FOLDER / name, entries.get(f"{FOLDER}/{name}")
    if entry is None:
        raise ManifestError(f"{folder}: the manifest lists no {FOLDER}/{name}.")
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}; the manifest lists it.") from err
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ManifestError(
            f"{path}: {len(content)} bytes with another hash than the manifest's "
            f"({entry.bytes} bytes, sha256 {entry.sha256[:12]}…). "
            "Run the render command again: it is made anew."
        )
    return content
