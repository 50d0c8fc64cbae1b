"""predictions.npz: what one run predicts for each row of the frozen list, and nothing else.

An npz of plain arrays, in the order of the list; metrics are computed from it by whoever doubts
them. Members, with M rows and K classes:

    about                    JSON text as uint8: schema, protocol, list_sha256, parts, seed
    row                      uint32 (M,): n·V + v of the list's row that each row answers
                             (FrozenList.flat_M): a permuted or shifted file says so itself
    top5.<part>              uint8 (M, min(5, K)): classes, the likeliest first
    rotation.<part>          float16 (M, 4): relative quaternion xyzw to the partner, as predicted
    scene.<part>             float16 (M, 7): as targets.scene_outputs; of "all" only
    greater, equal           uint16 (M,): where the target stands among the views of its object
                             when view 0 is moved to the row's view (retrieval.Ranks)
    nearest                  uint32 (M,): n·V + v of the val view nearest to the moved view 0

The last three are there for a method with a predictor, `rotation` where objects have two views or
more. The file is read without pickle, its sizes are checked before anything is unpacked.

Shape suffixes: M = rows of the list.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.npz import npz
from threedie.errors import ManifestError
from threedie.manifests.dataset import Model, Sha256, parse_json, validated
from threedie.manifests.results import PartName

FILE_NAME = "predictions.npz"
MAX_BYTES = 2 * 2**20
"""Of the file; an entry has five megabytes for all its seeds."""
_MAX_UNPACKED, _MAX_MEMBERS = 64 * 2**20, 16
_TYPES = {
    "about": "|u1",
    "row": "<u4",
    "top5": "|u1",
    "rotation": "<f2",
    "scene": "<f2",
    "greater": "<u2",
    "equal": "<u2",
    "nearest": "<u4",
}
_MEMBER = re.compile(
    r"(?:about|row|greater|equal|nearest|(?:top5|rotation|scene)\.[a-z][a-z0-9_]{0,39})\.npy"
)
_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z]\d)', 'fortran_order': (False|True), "
    rb"'shape': \((\d{1,9}(?:, ?\d{1,9})*),?\), ?\} *\n"
)
"""As NumPy writes it, of a plain array. It is matched and never evaluated."""
_MAX_ABOUT, _MAX_HEADER = 64 * 2**10, 1000
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What zipfile raises of damaged or hostile archives."""


class About(Model):
    """What the arrays are predictions of."""

    schema_version: Literal[1] = 1
    protocol: str
    """Name and version, `3die-v1/1`."""
    list_sha256: Sha256
    classes: Annotated[int, Field(ge=1, le=256)]
    parts: tuple[PartName, ...]
    seed: Annotated[int, Field(ge=0)]
    """Of the run that was evaluated."""
    checkpoint_sha256: Sha256 | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """Predictions for M rows; float64 and int64 in memory, whatever the file holds."""

    about: About
    row_M: Ints
    """`FrozenList.flat_M` of the list that was answered."""
    top5: Mapping[str, Ints]
    """By part, (M, 5 or fewer)."""
    rotation: Mapping[str, Array]
    scene: Mapping[str, Array]
    greater_M: Ints | None = None
    equal_M: Ints | None = None
    nearest_M: Ints | None = None

    @property
    def has_predictor(self) -> bool:
        """Whether a predictor moved embeddings."""
        return self.nearest_M is not None


def to_bytes(items: Items) -> bytes:
    """The file's content; equal predictions give equal bytes."""
    arrays: dict[str, NDArray[np.generic]] = {
        "about": np.frombuffer(items.about.model_dump_json().encode(), dtype=np.uint8)
    }
    for kind, parts in (("top5", items.top5), ("rotation", items.rotation), ("scene", items.scene)):
        for part, values in parts.items():
            arrays[f"{kind}.{part}"] = values.astype(_TYPES[kind])
    for kind, rows in _rows(items).items():
        arrays[kind] = rows.astype(_TYPES[kind])
    return npz(arrays)


def _rows(items: Items) -> dict[str, Ints]:
    named = {
        "row": items.row_M,
        "greater": items.greater_M,
        "equal": items.equal_M,
        "nearest": items.nearest_M,
    }
    return {name: rows for name, rows in named.items() if rows is not None}


def from_bytes(content: bytes, where: str) -> Items:
    """Read a file that nobody vouches for.

    Only its form is looked at: members, types, sizes. What the numbers must be for a list is the
    checker's business (leaderboard.checks.check).

    Args:
        content: all of it.
        where: its name, for messages.

    Raises:
        ManifestError: too large, no zip, a foreign, doubled or swollen member, a pickle, another
            type, a broken `about`.
    """
    arrays = _unpacked(content, where)
    for name in ("about", "row"):
        if name not in arrays:
            raise ManifestError(f"{where}: member '{name}.npy' is missing.")
    about_bytes = arrays.pop("about").tobytes()
    if len(about_bytes) > _MAX_ABOUT:
        raise ManifestError(f"{where}: about has {len(about_bytes)} bytes.")
    about = validated(About, parse_json(about_bytes, f"{where}: about"), f"{where}: about")
    by_kind: dict[str, dict[str, NDArray[np.generic]]] = {"top5": {}, "rotation": {}, "scene": {}}
    rows: dict[str, Ints] = {}
    for name, array in arrays.items():
        kind, _, part = name.partition(".")
        if part:
            by_kind[kind][part] = array
        else:
            rows[kind] = array.astype(np.int64)
    return Items(
        about=about,
        row_M=rows["row"],
        top5={part: a.astype(np.int64) for part, a in by_kind["top5"].items()},
        rotation={part: a.astype(np.float64) for part, a in by_kind["rotation"].items()},
        scene={part: a.astype(np.float64) for part, a in by_kind["scene"].items()},
        greater_M=rows.get("greater"),
        equal_M=rows.get("equal"),
        nearest_M=rows.get("nearest"),
    )


def _unpacked(content: bytes, where: str) -> dict[str, NDArray[np.generic]]:
    if len(content) > MAX_BYTES:
        raise ManifestError(f"{where}: {len(content)} bytes; {MAX_BYTES} at most are allowed.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS or sum(m.file_size for m in members) > _MAX_UNPACKED:
                raise ManifestError(
                    f"{where}: unpacks to more than {_MAX_MEMBERS} members or "
                    f"{_MAX_UNPACKED // 2**20} MiB."
                )
            names = [member.filename for member in members]
            if len(set(names)) < len(names):
                raise ManifestError(f"{where}: a member stands twice.")
            if any(m.compress_type not in _PACKED for m in members):
                raise ManifestError(f"{where}: a member is packed by another method than deflate.")
            return {
                _known(m.filename, where): _array(_read(archive, m, where), m.filename, where)
                for m in members
            }
    except _DAMAGED as err:
        raise ManifestError(f"{where}: not a whole npz file ({str(err)[:200]}).") from err


def _known(filename: str, where: str) -> str:
    if not _MEMBER.fullmatch(filename):
        raise ManifestError(f"{where}: member {filename[:60]!r} is not one of predictions.")
    return filename.removesuffix(".npy")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """A member's bytes, and no more of them than it said."""
    with archive.open(member) as packed:
        content = packed.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise ManifestError(f"{where}: {member.filename} is not as long as the archive says.")
    return content


def _array(content: bytes, filename: str, where: str) -> NDArray[np.generic]:
    """A plain array whose header tells exactly the bytes that follow."""
    wanted = np.dtype(_TYPES[filename.removesuffix(".npy").partition(".")[0]])
    length = int.from_bytes(content[8:10], "little")
    header = _HEADER.fullmatch(content[10 : 10 + length])
    if content[:8] != b"\x93NUMPY\x01\x00" or length > _MAX_HEADER or header is None:
        raise ManifestError(f"{where}: {filename} is no plain array as NumPy writes one.")
    dtype, fortran = header[1].decode(), header[2] == b"True"
    shape = tuple(int(n) for n in header[3].split(b","))
    if dtype != wanted.str or fortran or len(shape) > 2:
        raise ManifestError(
            f"{where}: {filename} is {dtype} {shape[:4]}; {wanted.str} in C order is expected."
        )
    rest = content[10 + length :]
    if math.prod(shape) * wanted.itemsize != len(rest):
        raise ManifestError(f"{where}: {filename} says {shape}, but holds {len(rest)} bytes.")
    return np.frombuffer(rest, dtype=wanted).reshape(shape)
