"""Scanning the published layout: latents and picture sizes of many small files, once.

A data set has millions of files, so the result is kept in the user's cache, under a name that
changes with the list of objects and the time of any object's folder.

Shape suffixes: N = objects, V = views, L = 7 or 10 latent columns.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from threedie import files
from threedie.data.published import IMAGE, MAX_LATENT_BYTES, parse_latent
from threedie.errors import ManifestError, StorageError
from threedie.manifests.latents import Array
from threedie.manifests.splits import BROKEN_ARRAY

_THREADS = 16  # on a network file system a scan is waiting, not work


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedIndex:
    """What is in the folders of a list of objects."""

    lengths_NV: NDArray[np.int64]
    """Bytes of every picture."""
    latents_NVL: Array
    suffix: str
    """jpg or png."""


@dataclass(frozen=True, slots=True)
class _Object:
    lengths: list[int]
    latents_VL: Array
    suffix: str


def read_published(folder: Path, objects: list[str], *, remembered: bool) -> PublishedIndex:
    """Index the objects of a split.

    Args:
        folder: of the data set.
        objects: `<class folder>/<object>`, at least one.
        remembered: believe an earlier scan; else scan anew.

    Raises:
        ManifestError: a missing or broken file; names the object.
    """
    note = _note(folder, objects)
    if remembered and (index := _recall(note, len(objects))):
        return index
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = list(pool.map(functools.partial(_scan, folder), objects))
    for name, row in zip(objects, rows, strict=True):
        _check_alike(folder / name, row, folder / objects[0], rows[0])
    index = PublishedIndex(
        lengths_NV=np.array([row.lengths for row in rows], dtype=np.int64),
        latents_NVL=np.stack([row.latents_VL for row in rows]),
        suffix=rows[0].suffix,
    )
    _remember(note, index)
    return index


def _scan(folder: Path, name: str) -> _Object:
    path = folder / name
    try:
        with os.scandir(path) as entries:
            found = [(m, e) for e in entries if (m := IMAGE.fullmatch(e.name))]
        sizes = {int(m["view"]): entry.stat().st_size for m, entry in found}
        suffixes = {m["format"] for m, _ in found}
        missing = sorted(set(range(max(sizes, default=0) + 1)) - set(sizes))
        if missing or len(suffixes) != 1 or len(found) != len(sizes):
            what = f"image_{missing[0]} is missing" if missing else "jpg and png are mixed"
            raise ManifestError(f"{path}: {what}. Fetch this object anew.")
        latents = [_latent(path / f"latent_{view}.npy") for view in range(len(sizes))]
    except OSError as err:
        where = err.filename or path
        raise ManifestError(f"{where}: {err.strerror}. Fetch this object anew.") from err
    if len({len(row) for row in latents}) != 1:
        raise ManifestError(f"{path}: latents of 7 and of 10 numbers are mixed.")
    return _Object([sizes[view] for view in range(len(sizes))], np.stack(latents), suffixes.pop())


def _latent(path: Path) -> Array:
    with path.open("rb", buffering=0) as file:
        content = file.read(MAX_LATENT_BYTES)
    row = parse_latent(content)
    if row is None:
        raise ManifestError(
            f"{path}: {len(content)} bytes are not 7 or 10 finite float64 numbers in a .npy file. "
            "Fetch this object anew."
        )
    return row.astype(np.float64)


def _check_alike(path: Path, row: _Object, first_path: Path, first: _Object) -> None:
    found = (len(row.lengths), row.latents_VL.shape[1], row.suffix)
    expected = (len(first.lengths), first.latents_VL.shape[1], first.suffix)
    if found != expected:
        raise ManifestError(
            f"{path}: {found[0]} views, {found[1]} latent numbers, .{found[2]}; the first object, "
            f"{first_path}, has {expected[0]}, {expected[1]}, .{expected[2]}. All must be alike: "
            "fetch the shorter one anew."
        )


def _note(folder: Path, objects: list[str]) -> Path:
    """Name of the remembered scan."""
    digest = hashlib.sha256(f"{folder.resolve()}\n".encode())
    for name in objects:
        with contextlib.suppress(OSError):
            digest.update(f"{name} {(folder / name).stat().st_mtime_ns}\n".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "threedie" / "published" / f"{digest.hexdigest()}.npz"


def _recall(note: Path, n_objects: int) -> PublishedIndex | None:
    try:
        with np.load(io.BytesIO(note.read_bytes()), allow_pickle=False) as table:
            lengths, latents = table["lengths"], table["latents"]
            suffix = str(table["suffix"])
    except (*BROKEN_ARRAY, OSError):
        return None
    good = lengths.dtype == np.int64 and latents.dtype == np.float64
    if not good or lengths.shape != latents.shape[:2] or len(lengths) != n_objects:
        return None
    return PublishedIndex(lengths_NV=lengths, latents_NVL=latents, suffix=suffix)


def _remember(note: Path, index: PublishedIndex) -> None:
    table = io.BytesIO()
    np.savez(table, lengths=index.lengths_NV, latents=index.latents_NVL, suffix=index.suffix)
    with contextlib.suppress(StorageError):  # a cache that can't be written is no cache
        files.make_directory(note.parent)
        files.put(note, table.getvalue())
