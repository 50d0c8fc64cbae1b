"""Features on disk: found again by everything that decides them, and verified before use.

`<key>.npy` is (M, D) float32, written while it is computed; `<key>.json` comes last, with the hash
of the array and the key in full. What is damaged is computed anew and said.

Shape suffixes: M = rows, D = representation.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from threedie import files
from threedie.benchmark.evaluation.features import Block, in_memory
from threedie.errors import ManifestError, StorageError
from threedie.manifests.dataset import Count, Model, Sha256, canonical_json, read_json, validated

VERSION = 1
"""Of what features mean for a given key: decoding, resizing, normalising."""


class _Entry(Model):
    """The note beside an array."""

    version: int
    key: dict[str, JsonValue]
    shape: tuple[Count, Count]
    sha256: Sha256


def default_folder() -> Path:
    """Where features are kept when nobody says: in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "threedie" / "features"


def cached(
    folder: Path,
    key: dict[str, JsonValue],
    rows: int,
    compute: Callable[[], Iterator[Block]],
    note: Callable[[str], None],
) -> Block:
    """The features of a key: from the folder, or computed and kept there.

    Args:
        folder: of the cache; made if it is not there.
        key: everything that decides the features.
        rows: M.
        compute: gives the blocks in order.
        note: is told when a cache was damaged or can't be written.

    Returns:
        (M, D), memory-mapped from the folder where that is possible.
    """
    name = hashlib.sha256(canonical_json({"version": VERSION, **key})).hexdigest()[:32]
    found = _read(folder, name, key, rows, note)
    if found is not None:
        return found
    try:
        files.make_directory(folder)
        files.sweep(folder)
        _check_room(folder, key, rows)
        _write(folder, name, key, rows, compute())
    except StorageError as err:
        note(f"features are not cached: {err}")
        return in_memory(compute(), rows)
    found = _read(folder, name, key, rows, note)
    return in_memory(compute(), rows) if found is None else found


def _check_room(folder: Path, key: dict[str, JsonValue], rows: int) -> None:
    """Before every picture is encoded: a disk that is found to be full later costs doing it twice.

    Raises:
        StorageError: features of the key's `dim` do not fit.
    """
    dim, free = key.get("dim"), shutil.disk_usage(folder).free
    if isinstance(dim, int) and 4 * rows * dim > free:
        raise StorageError(f"they need {4 * rows * dim:,} bytes and {folder} has {free:,} free.")


def _write(
    folder: Path, name: str, key: dict[str, JsonValue], rows: int, blocks: Iterator[Block]
) -> None:
    first = next(blocks)
    shape = (rows, first.shape[1])
    with contextlib.suppress(FileNotFoundError):  # no note may stand beside another array
        (folder / f"{name}.json").unlink()
    written = files.put(folder / f"{name}.npy", _pieces(shape, first, blocks))
    entry = _Entry(version=VERSION, key=key, shape=shape, sha256=written.sha256)
    files.put(folder / f"{name}.json", canonical_json(entry.model_dump(mode="json")))


def _pieces(shape: tuple[int, int], first: Block, rest: Iterator[Block]) -> Iterator[bytes]:
    yield npy_header(shape, "<f4")
    yield first.astype("<f4").tobytes()
    for block in rest:
        yield block.astype("<f4").tobytes()


def npy_header(shape: tuple[int, int], kind: str) -> bytes:
    """Of a .npy file, version 1.0 (numpy.lib.format): padded, so that data begin at 64 bytes."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    padded = text + " " * (-(11 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


def _read(
    folder: Path, name: str, key: dict[str, JsonValue], rows: int, note: Callable[[str], None]
) -> Block | None:
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        entry = validated(_Entry, read_json(path), path)
        if entry.key != key or entry.version != VERSION or entry.shape[0] != rows:
            raise ManifestError("it is of another key")
        return _verified(folder / f"{name}.npy", entry)
    except (ManifestError, OSError, ValueError) as err:
        note(f"cached features {name[:12]}… were damaged and are computed anew ({err})")
        return None


def _verified(path: Path, entry: _Entry) -> Block:
    if files.sha256_file(path) != entry.sha256:
        raise ManifestError(f"{path}: not the bytes that were written")
    data: Block = np.load(path, mmap_mode="r", allow_pickle=False)
    if data.shape != entry.shape or data.dtype != np.float32:
        raise ManifestError(f"{path}: {data.shape} of {data.dtype}, {entry.shape} was expected")
    return data
