"""What the hub makes of a tar member: the columns that its content becomes, and their types.

As `datasets` reads WebDataset: json, npy, text and whole numbers are decoded by their extension,
pictures are kept, everything else is bytes.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any, NoReturn

import numpy as np

from threedie.manifests.splits import BROKEN_ARRAY

NULL, EMPTY = "null", "an empty list"
PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm")
EXECUTED = ("pickle", "pkl", "pyd", "pth", "pt", "dill", "joblib")
"""What readers of WebDataset unpickle, which runs code of whoever has made the file."""
_TEXT, _NUMBER = ("txt", "text", "transcript"), ("cls", "cls2", "index", "inx", "id")
_MAGIC = {"jpg": b"\xff\xd8\xff", "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
_MAX_JSON = 4 * 2**20
_DEEPEST = 20
_MOST_COLUMNS = 10_000


class Undecodable(Exception):
    """A member that is not what its name says; says why."""

    def __init__(self, why: str, *, stops: bool = True) -> None:
        super().__init__(why)
        self.stops = stops
        """Whether the hub's reader ends there; else it takes it as it is."""


class _Lax(ValueError):
    """What Python's json takes and JSON does not allow."""


def columns_of(field: str, content: bytes) -> dict[str, str]:
    """The columns of a member.

    Args:
        field: its name after the key: `000.jpg`, `json`.
        content: its bytes.

    Returns:
        Type by column; the fields of a json are columns of their own, `json/label`.

    Raises:
        Undecodable: the hub can't read it.
    """
    kind = field.rpartition(".")[2].lower()
    if kind in ("json", "jsn"):
        return _flat(field, _json(content))
    if kind == "npy":
        return {field: _npy(content)}
    if kind in _NUMBER or kind in _TEXT:
        return {field: _text(kind, content)}
    if not content.startswith(_MAGIC.get(kind, b"")):
        raise Undecodable(f"is no {kind.upper()} picture", stops=False)
    return {field: "a picture" if kind in PICTURES else "bytes"}


def _text(kind: str, content: bytes) -> str:
    try:
        text = content.decode()
        if kind in _NUMBER:
            int(text)
    except ValueError as err:
        raise Undecodable(f"does not hold what its name says: {str(err)[:80]}") from err
    return "a text" if kind in _TEXT else "int"


def _json(content: bytes) -> Any:
    if len(content) > _MAX_JSON:
        raise Undecodable(f"is larger than {_MAX_JSON // 2**20} MiB")
    try:
        return json.loads(content, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as err:
        lax = isinstance(err, _Lax)
        raise Undecodable(f"is not strict JSON: {str(err)[:80]}", stops=not lax) from err


def _no_constant(name: str) -> NoReturn:
    raise _Lax(f"{name} is not allowed")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Lax("a key stands twice in one object")
    return value


def _flat(name: str, value: Any, depth: int = 0) -> dict[str, str]:
    """Nested fields as columns of their own."""
    if not isinstance(value, dict):
        return {name: _type(value)}
    if depth > _DEEPEST:
        raise Undecodable(f"is nested deeper than {_DEEPEST}")
    columns = {name: "an object"}
    for key, part in value.items():
        columns |= _flat(f"{name}/{key}", part, depth + 1)
        if len(columns) > _MOST_COLUMNS:
            raise Undecodable(f"has more than {_MOST_COLUMNS} fields")
    return columns


def _type(value: Any, depth: int = 0) -> str:
    if value is None:
        return NULL
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, list):
        return {bool: "bool", int: "int", float: "float", str: "text"}[type(value)]
    if depth > _DEEPEST:
        raise Undecodable(f"is nested deeper than {_DEEPEST}")
    kinds = sorted({_type(part, depth + 1) for part in value})
    return f"a list of {' and '.join(kinds)}" if kinds else EMPTY


def _npy(content: bytes) -> str:
    """Type and shape of an array, from its header alone.

    Raises:
        Undecodable: pickled, or its bytes are not what its header says.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"format version {version}")
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        else:
            header = np.lib.format.read_array_header_2_0(file)  # type: ignore[no-untyped-call]
        shape, _, dtype = header
        left, size = len(content) - file.tell(), math.prod(shape) * dtype.itemsize
    except BROKEN_ARRAY as err:
        raise Undecodable(f"is no plain .npy: {str(err)[:80]}") from err
    if dtype.hasobject:
        raise Undecodable("is a pickled array, which nobody should load")
    if left != size:
        short = left < size
        raise Undecodable(f"has {left} bytes after its header, which says {size}", stops=short)
    return f"{dtype} of shape {tuple(shape)}"
