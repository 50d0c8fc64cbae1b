"""Buffers of a glTF, and what its views and accessors claim of them."""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedie.render.meshes.gltf_tree import Json, item, natural
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.object_files import HashedFiles, local_name
from threedie.render.meshes.triangles import BadMesh, cap

KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""NumPy's names of glTF's component types."""
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def content(uri: Any, files: HashedFiles, limit: int) -> bytes:
    """Bytes of a `data:` URI or of a file of the object.

    Raises:
        MissingFile: there is no such file.
        AssetError: its name leads out of the object.
    """
    if not isinstance(uri, str):
        raise BadMesh("a uri is no text")
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        try:
            return base64.b64decode(body if head.endswith(";base64") else "?", validate=True)
        except ValueError:
            raise BadMesh("a data URI is not valid base64") from None
    name = urllib.parse.unquote(uri, errors="surrogateescape")
    return files.read(local_name(name, asked_by=files.label(files.main)), limit)


def read_buffers(
    tree: Json, binary: bytes | None, files: HashedFiles, limits: Limits
) -> dict[str, bytes]:
    """Read all buffers, and rename them in the tree to the keys of what is returned."""
    served: dict[str, bytes] = {}
    left = limits.whole_file_bytes
    for i, buffer in enumerate(tree.setdefault("buffers", [])):
        data = binary if i == 0 and "uri" not in buffer else None
        if data is None:
            data = content(buffer.get("uri"), files, left)
        left -= len(data)
        cap(max(0, -left), 0, "bytes of buffers beyond the limit")
        size = natural(buffer, "byteLength")
        if size > len(data):
            raise BadMesh(f"buffers[{i}] has {len(data)} bytes; expected {size}")
        buffer["uri"] = f"b{i}"
        served[f"b{i}"] = data[:size]
    return served


def view(tree: Json, index: Any, served: dict[str, bytes]) -> memoryview:
    """Bytes of a buffer view."""
    what = item(tree, "bufferViews", index)
    data = served[item(tree, "buffers", what.get("buffer"))["uri"]]
    start = natural(what, "byteOffset", 0)
    end = start + natural(what, "byteLength")
    if end > len(data):
        raise BadMesh(f"bufferViews[{index}] ends at byte {end} of a buffer of {len(data)}")
    return memoryview(data)[start:end]


def check_accessors(tree: Json, served: dict[str, bytes], limits: Limits) -> None:
    """Check that all views and accessors end where they may, and are no more than a file."""
    total = sum(len(view(tree, i, served)) for i in range(len(tree.setdefault("bufferViews", []))))
    cap(total, limits.whole_file_bytes, "bytes in views")
    total = 0
    for i, what in enumerate(tree.setdefault("accessors", [])):
        if what.get("componentType") not in KINDS or what.get("type") not in _WIDTHS:
            raise BadMesh(f"accessors[{i}] has a type that glTF does not have")
        row = _WIDTHS[what["type"]] * np.dtype(KINDS[what["componentType"]]).itemsize
        start, count = natural(what, "byteOffset", 0), natural(what, "count")
        cap(count, 3 * max(limits.vertices, limits.faces), "values in an accessor")
        total += count * row
        cap(total, limits.whole_file_bytes, "bytes in accessors")
        if "bufferView" in what:
            size = len(view(tree, what["bufferView"], served))
            stride = natural(tree["bufferViews"][what["bufferView"]], "byteStride", row)
            end = start + (count - 1) * stride + row
            if stride < row or end > size:
                raise BadMesh(f"accessors[{i}] ends at byte {end} of a view of {size}")


def make_float(tree: Json, what: Json, served: dict[str, bytes]) -> None:
    """Turn a checked accessor into floats; trimesh 5.2 takes normalised integers as they are."""
    kind, width = np.dtype(KINDS[what["componentType"]]), _WIDTHS[what["type"]]
    stride = tree["bufferViews"][what["bufferView"]].get("byteStride", width * kind.itemsize)
    data, shape = view(tree, what["bufferView"], served), (what["count"], width)
    strided: NDArray[Any] = np.ndarray(
        shape, kind, data, what.get("byteOffset", 0), (stride, kind.itemsize)
    )
    scale = np.iinfo(kind).max if what.get("normalized") is True else 1
    lowest = -1.0 if what.get("normalized") is True else -np.inf
    body = np.maximum(strided / np.float32(scale), lowest).astype("<f4").tobytes()
    name = f"b{len(served)}"
    served[name] = body
    tree["buffers"].append({"uri": name, "byteLength": len(body)})
    tree["bufferViews"].append({"buffer": len(served) - 1, "byteLength": len(body)})
    what.update(bufferView=len(tree["bufferViews"]) - 1, byteOffset=0, componentType=5126)


__all__ = ["KINDS", "check_accessors", "content", "make_float", "read_buffers", "view"]
