"""Submitted features: a folder of plain arrays, written from a run, read as a stranger's.

    features.json   what the arrays are of, and the hash of each
    train.npy       (N·k, D) of frozen_train's views of every train object, object by object
    val.npy         (N_val·V, D) of every val view
    embedding.npy   (N_val·V, E) what the predictor moves, of every val view
    moved.npy       (M, E) view 0 of each listed row's object, moved to the row's view

All are float16 in C order. Representations come standardised by all train views and held within
±20, as the protocol's probes see them; embeddings have length 1: only their directions count. The
last two are there for methods with a predictor. Arrays are mapped, never unpickled.

Shape suffixes: N = objects, V = views, k = submitted views of a train object, D = representation,
E = embedding, M = rows of the list.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from threedie import files
from threedie.benchmark.evaluation.frozen import frozen_train
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.board import OpenBoard
from threedie.manifests.dataset import Count, Model, Sha256, parse_json, validated
from threedie.manifests.results import PartName

FILE_NAME = "features.json"
TRAIN, VAL, EMBEDDING, MOVED = "train.npy", "val.npy", "embedding.npy", "moved.npy"
LARGEST = 20.0
"""Of a standardised number (features.MOST_STD)."""
_MAX_JSON, _BLOCK, _PAST_LARGEST = 64 * 2**10, 2**22, 0.01
_NPY: Any = np.lib.format
Halves = NDArray[np.float16]


ArrayName = Annotated[str, Field(pattern=r"^(train|val|embedding|moved)\.npy$")]


class ArrayRef(Model):
    """One array of the folder."""

    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1, le=65536)]
    sha256: Sha256


class FeaturesInfo(Model):
    """features.json."""

    schema_version: Literal[1] = 1
    protocol: str
    """Name and version, `3die-v1/1`."""
    list_sha256: Sha256
    seed: Count
    """Of the run."""
    checkpoint_sha256: Sha256 | None = None
    train_views: Annotated[int, Field(ge=1)]
    """k; all views where it is the data set's number of them."""
    parts: dict[PartName, tuple[Count, Count]]
    arrays: dict[ArrayName, ArrayRef]


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedFeatures:
    """A folder whose form is right: shapes, types, hashes, finite numbers."""

    info: FeaturesInfo
    info_sha256: str
    """Of features.json, which names the hash of all else."""
    train: Halves
    val: Halves
    embedding: Halves | None
    moved: Halves | None

    @property
    def parts(self) -> dict[str, slice]:
        """Columns of each part."""
        return {name: slice(*ends) for name, ends in self.info.parts.items()}


def read_features(folder: Path, board: OpenBoard, n_train: int) -> SubmittedFeatures:
    """Read a folder that nobody vouches for.

    Args:
        folder: of the features.
        board: whose list and val split they are to be of.
        n_train: train objects of the data set.

    Raises:
        ManifestError: a missing, foreign or linked file, another list, shape, type or hash, a
            number that is none.
    """
    content = _small(folder / FILE_NAME)
    where = f"{folder.name}/{FILE_NAME}"
    info = validated(FeaturesInfo, parse_json(content, where), where)
    _check_info(info, board, n_train, where)
    arrays = {name: _array(folder / name, ref) for name, ref in info.arrays.items()}
    _check_rotten(arrays, folder)
    return SubmittedFeatures(
        info=info,
        info_sha256=hashlib.sha256(content).hexdigest(),
        train=arrays[TRAIN],
        val=arrays[VAL],
        embedding=arrays.get(EMBEDDING),
        moved=arrays.get(MOVED),
    )


def expected_rows(board: OpenBoard, n_train: int) -> dict[str, int]:
    """How many rows each array has for a board."""
    n_val, n_views = board.truth.latents_NVL.shape[:2]
    k = frozen_train(n_train, n_views).shape[1]
    total = n_val * n_views
    return {TRAIN: n_train * k, VAL: total, EMBEDDING: total, MOVED: len(board.truth.listed)}


def _check_info(info: FeaturesInfo, board: OpenBoard, n_train: int, where: str) -> None:
    if (info.protocol, info.list_sha256) != (board.protocol, board.truth.sha256):
        raise ManifestError(
            f"{where}: of {info.protocol} and list {info.list_sha256[:12]}…; the board has "
            f"{board.protocol} and {board.truth.sha256[:12]}…. Write the features anew."
        )
    names = set(info.arrays)
    if names not in ({TRAIN, VAL}, {TRAIN, VAL, EMBEDDING, MOVED}):
        raise ManifestError(
            f"{where}: arrays are {', '.join(sorted(names))}; train and val, or all four, belong "
            "in it."
        )
    wanted = expected_rows(board, n_train)
    if info.train_views * n_train != wanted[TRAIN]:
        raise ManifestError(
            f"{where}: train_views is {info.train_views}; {wanted[TRAIN] // n_train} are asked."
        )
    for name, ref in info.arrays.items():
        if ref.rows != wanted[name]:
            raise ManifestError(f"{where}: {name} has {ref.rows} rows; {wanted[name]} are asked.")
    pairs = [(TRAIN, VAL)] + ([(EMBEDDING, MOVED)] if EMBEDDING in names else [])
    for one, other in pairs:
        if info.arrays[one].columns != info.arrays[other].columns:
            raise ManifestError(f"{where}: {one} and {other} differ in their columns.")
    dim = info.arrays[TRAIN].columns
    if "all" not in info.parts or any(not a < b <= dim for a, b in info.parts.values()):
        raise ManifestError(f"{where}: parts are {info.parts}; of {dim} columns, with 'all'.")


def _small(path: Path) -> bytes:
    descriptor = _opened(path)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_JSON + 1)
    if len(content) > _MAX_JSON:
        raise ManifestError(f"{path}: more than {_MAX_JSON} bytes.")
    return content


def _opened(path: Path) -> int:
    """A descriptor of a plain file: no link, no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        how = "`3die leaderboard features` writes it."
        raise ManifestError(f"{path}: {err.strerror}. {how}") from err
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ManifestError(f"{path}: not a plain file.")
    return descriptor


def _array(path: Path, ref: ArrayRef) -> Halves:
    """An array that is mapped, after its header, its size and its hash were looked at."""
    with os.fdopen(_opened(path), "rb") as file:
        try:
            if _NPY.read_magic(file) != (1, 0):
                raise ValueError("another version of npy")
            shape, fortran, dtype = _NPY.read_array_header_1_0(file, max_header_size=1000)
        except ValueError as err:
            raise ManifestError(f"{path}: no plain array ({str(err)[:80]}).") from err
        begin, size = file.tell(), os.fstat(file.fileno()).st_size
        if dtype != np.dtype("<f2") or fortran or shape != (ref.rows, ref.columns):
            raise ManifestError(
                f"{path}: {dtype.str} {shape}; <f2 {(ref.rows, ref.columns)} in C order is "
                "expected."
            )
        if size != begin + 2 * math.prod(shape):
            raise ManifestError(f"{path}: {size} bytes do not fit {shape}.")
        mapped: Halves = np.memmap(file, dtype="<f2", mode="r", offset=begin, shape=shape)
    if files.sha256_file(path) != ref.sha256:
        raise ManifestError(f"{path}: its hash is not the one of {FILE_NAME}.")
    return mapped


def _check_rotten(arrays: Mapping[str, Halves], folder: Path) -> None:
    """Numbers that are none, and representations beyond what standardised ones can be."""
    for name, array in arrays.items():
        most = LARGEST * (1 + _PAST_LARGEST) if name in (TRAIN, VAL) else 1 + _PAST_LARGEST
        step = max(1, _BLOCK // array.shape[1])
        for first in range(0, len(array), step):
            size = np.abs(array[first : first + step]).max()
            if not size <= most:  # NaN is not
                raise ManifestError(
                    f"{folder.name}/{name}: rows {first} … hold {size}; numbers within "
                    f"±{most:g} are expected."
                )


def write_features(
    run: Path, data: Path, out: Path, *, device: str = "auto", batch_size: int = 256
) -> Path:
    """Write the features of a run that a verifier needs for "re-probed".

    Args:
        run: a run folder.
        data: folder of the data set.
        out: folder to write into, which holds nothing else; made where it is not there.
        device: where pictures are encoded.
        batch_size: pictures at a time.

    Returns:
        features.json, written last.

    Raises:
        ConfigError: arguments that can't be, too little memory.
        ManifestError: a damaged run or data set.
        StorageError: it can't be written.
    """
    from threedie.benchmark.evaluation.feature_cache import npy_header
    from threedie.leaderboard.levels.encoded_run import encode_run

    _check_own(out)
    encoded = encode_run(run, data, device=device, batch_size=batch_size)
    files.make_directory(out)
    arrays = {}
    for name, (shape, blocks) in encoded.arrays().items():
        written = files.put(out / name, _pieces(npy_header(shape, "<f2"), blocks))
        arrays[name] = ArrayRef(rows=shape[0], columns=shape[1], sha256=written.sha256)
    info = validated(FeaturesInfo, {**encoded.about(), "arrays": arrays}, FILE_NAME)
    files.put(out / FILE_NAME, info.model_dump_json(indent=1).encode() + b"\n")
    return out / FILE_NAME


def _check_own(out: Path) -> None:
    """A folder of its own, in which nothing is mixed with or written over."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out is '{out}', a file; a folder is expected.")
    known = {FILE_NAME, TRAIN, VAL, EMBEDDING, MOVED}
    foreign = sorted(p.name for p in out.iterdir() if p.name not in known) if out.is_dir() else []
    if foreign:
        raise ConfigError(
            f"--out is '{out}', which holds '{foreign[0]}'; features need a folder of their own."
        )


def _pieces(header: bytes, blocks: Iterator[NDArray[np.float32]]) -> Iterator[bytes]:
    yield header
    for block in blocks:
        yield block.astype("<f2").tobytes()
