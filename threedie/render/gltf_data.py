"""Containers and numbers of glTF 2.0: GLB chunks, JSON, buffers, accessors. Nothing is trusted.

Every index, count and offset of the JSON is checked against what is there before it is used;
buffers are `data:` URIs, the GLB's own chunk, or files of the object by the usual name rule.
"""

from __future__ import annotations

import base64
import binascii
import json
import urllib.parse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedie.render.limits import Limits
from threedie.render.object_files import HashedFiles, local_name, show
from threedie.render.triangles import BadMesh, Floats, cap

Json = dict[str, Any]
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MAGIC, _JSON, _BIN = b"glTF", 0x4E4F534A, 0x004E4942
_MOST_ZEROS = (
    1_000_000  # of a sparse accessor on nothing: they cost memory but no bytes of the file
)
_DECODED_HERE = {"KHR_texture_transform", "KHR_mesh_quantization"}


def parse_glb(data: bytes, limits: Limits) -> tuple[Json, bytes | None]:
    """JSON and binary chunk of a GLB file."""
    if len(data) < 20 or data[:4] != _MAGIC:
        raise BadMesh("it does not begin with glTF; expected a GLB file")
    version, length = (int.from_bytes(data[i : i + 4], "little") for i in (4, 8))
    if version != 2 or length != len(data):
        raise BadMesh(
            f"its header says version {version} and {length} bytes; expected version 2 and "
            f"{len(data)} bytes: another format, or cut short"
        )
    chunks: list[tuple[int, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        size, kind = (int.from_bytes(data[i : i + 4], "little") for i in (at, at + 4))
        if at + 8 + size > len(data):
            raise BadMesh("a chunk goes beyond the end of the file; it is cut short")
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    if not chunks or chunks[0][0] != _JSON:
        raise BadMesh("its first chunk is not JSON")
    binary = next((chunk for kind, chunk in chunks[1:] if kind == _BIN), None)
    return parse_json(chunks[0][1], limits), binary


def parse_json(text: bytes, limits: Limits) -> Json:
    """The JSON of a glTF of version 2, with only extensions that may be ignored or are known."""
    cap(len(text), limits.json_bytes, "bytes of JSON")
    try:
        tree = json.loads(text.decode("utf-8-sig").rstrip("\0 "), parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise BadMesh(f"its JSON cannot be parsed ({show(str(err))})") from None
    if not isinstance(tree, dict):
        raise BadMesh("its JSON is no object")
    version = table(tree, "asset").get("version")
    if not str(version).startswith("2"):
        raise BadMesh(f"it is glTF version {show(str(version))}; expected 2")
    required = {str(name) for name in tree.get("extensionsRequired", [])}
    unknown = {n for n in required - _DECODED_HERE if not n.startswith("KHR_materials_")}
    if unknown:
        raise BadMesh(
            f"it needs {show(', '.join(sorted(unknown)))}, which is not read here; "
            "export it without (no Draco, no meshopt, PNG or JPEG images)"
        )
    return tree


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def item(tree: Json, key: str, index: Any) -> Json:
    """`tree[key][index]`, an object; negative and wrong indices are refused."""
    values = tree.get(key, [])
    if not isinstance(values, list) or not _is_index(index) or index >= len(values):
        raise BadMesh(f"{key}[{show(str(index))}] is used but does not exist")
    if not isinstance(values[index], dict):
        raise BadMesh(f"{key}[{index}] is no object")
    found: Json = values[index]
    return found


def table(tree: Json, key: str) -> Json:
    """`tree[key]` as an object; empty if it is missing."""
    value = tree.get(key, {})
    if not isinstance(value, dict):
        raise BadMesh(f"{key} is no object")
    return value


def natural(tree: Json, key: str, default: int | None = None) -> int:
    """`tree[key]` as a whole number of 0 or more."""
    value: Any = tree.get(key, default)
    if not _is_index(value):
        raise BadMesh(f"{key} is {show(str(value))}; expected a whole number of 0 or more")
    return int(value)


def reals(tree: Json, key: str, default: tuple[float, ...]) -> Floats:
    """`tree[key]` as finite numbers, as many as the default has."""
    value = tree.get(key, default)
    try:
        values = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.zeros(0)
    if values.shape != (len(default),) or not np.all(np.isfinite(values)):
        raise BadMesh(f"{key} is {show(str(value))}; expected {len(default)} finite numbers")
    return values


def real(tree: Json, key: str, default: float) -> float:
    """`tree[key]` as a finite number."""
    return float(reals({key: [tree.get(key, default)]}, key, (default,))[0])


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


class Buffers:
    """Bytes and accessors of one glTF."""

    def __init__(
        self, tree: Json, binary: bytes | None, files: HashedFiles, limits: Limits
    ) -> None:
        self._tree = tree
        self._files = files
        self._limits = limits
        self._loaded: dict[int, bytes] = {}
        self._binary = binary
        self._bytes_left = limits.whole_file_bytes

    def uri(self, uri: Any, limit: int) -> bytes:
        """Content of a `data:` URI or of a file of the object.

        Raises:
            MissingFile: there is no such file.
        """
        if not isinstance(uri, str):
            raise BadMesh("a uri is no text")
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise BadMesh("a data URI is not base64")
            try:
                return base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError):
                raise BadMesh("a data URI is not valid base64") from None
        name = urllib.parse.unquote(uri, errors="surrogateescape")
        label = self._files.label(self._files.main)
        return self._files.read(local_name(name, asked_by=label), limit)

    def view(self, index: Any) -> tuple[memoryview, int | None]:
        """Bytes of a buffer view, and its stride."""
        view = item(self._tree, "bufferViews", index)
        data = self._buffer(view.get("buffer"))
        start, size = natural(view, "byteOffset", 0), natural(view, "byteLength")
        if start + size > len(data):
            raise BadMesh(
                f"bufferViews[{index}] ends at byte {start + size} of a buffer of {len(data)}"
            )
        stride = natural(view, "byteStride") if "byteStride" in view else None
        return memoryview(data)[start : start + size], stride

    def _buffer(self, index: Any) -> bytes:
        buffer = item(self._tree, "buffers", index)
        if index not in self._loaded:
            data = self._binary if index == 0 and "uri" not in buffer else None
            if data is None:
                data = self.uri(buffer.get("uri"), self._bytes_left)
            size = natural(buffer, "byteLength")
            if size > len(data):
                raise BadMesh(f"buffers[{index}] has {len(data)} bytes; expected {size}")
            self._bytes_left -= len(data)
            cap(max(0, -self._bytes_left), 0, "bytes of buffers beyond the limit")
            self._loaded[index] = data[:size]
        return self._loaded[index]

    def accessor(self, index: Any, widths: tuple[int, ...]) -> NDArray[Any]:
        """(count, width) values of an accessor; normalised integers become fractions."""
        what = item(self._tree, "accessors", index)
        width = _WIDTHS.get(str(what.get("type")), 0)
        kind = natural(what, "componentType")
        if width not in widths or kind not in _COMPONENTS:
            raise BadMesh(f"accessors[{index}] has a type that is not expected there")
        dtype, count = np.dtype(_COMPONENTS[kind]), natural(what, "count")
        cap(count, 3 * max(self._limits.vertices, self._limits.faces), "values in an accessor")
        if "bufferView" in what:
            values = self._values(what, dtype, (count, width))
        elif "sparse" in what:
            cap(count, _MOST_ZEROS, "values without data")
            values = np.zeros((count, width), dtype)
        else:
            raise BadMesh(f"accessors[{index}] has no data; it may be compressed (Draco)")
        if "sparse" in what:
            values = self._with_sparse(values, table(what, "sparse"))
        return _fractions(values) if what.get("normalized") is True else values

    def _values(self, what: Json, dtype: np.dtype[Any], shape: tuple[int, int]) -> NDArray[Any]:
        data, stride = self.view(what.get("bufferView"))
        start, row = natural(what, "byteOffset", 0), shape[1] * dtype.itemsize
        stride = row if stride is None else stride
        end = start + (shape[0] - 1) * stride + row if shape[0] else start
        if stride < row or end > len(data):
            raise BadMesh(
                f"an accessor of {shape[0]} values ends at byte {end} of a view of {len(data)}"
            )
        strided: NDArray[Any] = np.ndarray(
            shape, dtype, buffer=data, offset=start, strides=(stride, dtype.itemsize)
        )
        return strided.copy()

    def _with_sparse(self, values: NDArray[Any], sparse: Json) -> NDArray[Any]:
        count = natural(sparse, "count")
        cap(count, len(values), "sparse values")
        where = table(sparse, "indices")
        kind = _COMPONENTS.get(natural(where, "componentType"), "")
        if kind not in ("<u1", "<u2", "<u4"):
            raise BadMesh("sparse indices have a type that is not expected there")
        rows = self._values(where, np.dtype(kind), (count, 1))[:, 0].astype(np.int64)
        if count and rows.max() >= len(values):
            raise BadMesh(f"a sparse index is {rows.max()}; expected less than {len(values)}")
        new = self._values(table(sparse, "values"), values.dtype, (count, values.shape[1]))
        values[rows] = new
        return values


def _fractions(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return values
    scaled: NDArray[Any] = np.maximum(values / np.iinfo(values.dtype).max, -1.0)
    return scaled


__all__ = [
    "Buffers",
    "Json",
    "item",
    "natural",
    "parse_glb",
    "parse_json",
    "real",
    "reals",
    "table",
]
