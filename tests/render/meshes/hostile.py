"""Builders of small meshes, good and bad, and a way to put them through the gate."""

from __future__ import annotations

import base64
import io
import json
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from threedie.render.meshes.gate import Fetched, pass_gate
from threedie.render.meshes.limits import DEFAULT_LIMITS, Limits
from threedie.render.meshes.object_files import BLOCK_BYTES, MissingFile, too_large
from threedie.render.meshes.textures import MissingTexture

SQUARE = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
"""Four vertices of an OBJ."""


class MemoryFiles:
    """The files of one object as a dict of names relative to its mesh."""

    def __init__(self, main: str, files: Mapping[str, bytes]) -> None:
        self.main = main
        self._files = files

    def label(self, name: str) -> str:
        return name

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        if name not in self._files:
            raise MissingFile(name)
        data = self._files[name]
        if len(data) > limit:
            raise too_large(name, limit)
        for start in range(0, len(data), BLOCK_BYTES):
            yield data[start : start + BLOCK_BYTES]


def gate(
    main: str,
    data: bytes,
    *,
    scratch: Path,
    missing_texture: MissingTexture = "grey",
    limits: Limits = DEFAULT_LIMITS,
    others: Mapping[str, bytes] | None = None,
) -> Fetched:
    """Put one mesh through the gate.

    Args:
        main: its name.
        data: its bytes.
        scratch: where the gate may write.
        missing_texture: as in the gate.
        limits: as in the gate.
        others: further files by name.
    """
    files = MemoryFiles(main, {main: data, **(others or {})})
    return pass_gate(files, scratch, missing_texture=missing_texture, limits=limits)


def obj_text(data: bytes) -> str:
    """What the gate makes of an OBJ."""
    with tempfile.TemporaryDirectory() as folder:
        gate("a.obj", data, scratch=Path(folder))
        return (Path(folder) / "mesh.obj").read_text(encoding="utf-8")


def mtl_text(
    data: bytes, *materials: str, others: Mapping[str, bytes] | None = None
) -> tuple[str, tuple[str, ...]]:
    """What the gate makes of an MTL whose materials are all used, and its notes."""
    uses = "".join(f"usemtl {name}\nf 1 2 3\n" for name in materials).encode()
    with tempfile.TemporaryDirectory() as folder:
        main = b"mtllib a.mtl\n" + SQUARE + uses
        fetched = gate(
            "a.obj", main, scratch=Path(folder), others={"a.mtl": data, **(others or {})}
        )
        return (Path(folder) / "mesh.mtl").read_text(encoding="utf-8"), fetched.notes


def image(kind: str = "PNG", *, mode: str = "RGB", size: tuple[int, int] = (4, 4)) -> bytes:
    """A picture with distinct pixels."""
    n = size[0] * size[1] * 4
    rgba = Image.frombytes("RGBA", size, (np.arange(n) * 37 % 251).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    (rgba.convert("RGB") if mode == "P" else rgba).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def stl(count: int = 1, claimed: int | None = None) -> bytes:
    """A binary STL; its header may claim another number of triangles."""
    triangle = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
    return bytes(80) + struct.pack("<I", count if claimed is None else claimed) + triangle * count


ASCII_STL = (
    b"solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n"
    b"endloop\nendfacet\nendsolid a\n"
)


def ply(
    body: bytes = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n4 0 1 2 3\n",
    *,
    vertices: str = "4",
    faces: str = "2",
    extra: str = "",
    form: str = "ascii",
    listed: str = "property list uchar int vertex_indices",
) -> bytes:
    """A PLY of a triangle and a square."""
    return (
        f"ply\nformat {form} 1.0\ncomment test\nelement vertex {vertices}\n"
        f"property float x\nproperty float y\nproperty float z\n{extra}"
        f"element face {faces}\n{listed}\nend_header\n"
    ).encode() + body


def binary_ply(order: str = "<") -> bytes:
    """The same triangle and square in binary."""
    points = struct.pack(order + "12f", 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0)
    polygons = struct.pack(order + "B3i", 3, 0, 1, 2) + struct.pack(order + "B4i", 4, 0, 1, 2, 3)
    form = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    return ply(points + polygons, form=form)


OFF = b"OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n4 0 1 2 3\n"


def gltf_tree(**changes: Any) -> dict[str, Any]:
    """A glTF of one triangle with its buffer inside; `changes` replace top-level keys."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    data = points + struct.pack("<3H", 0, 1, 2)
    tree: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 6},
        ],
        "buffers": [{"byteLength": len(data), "uri": data_uri(data)}],
    }
    return {**tree, **changes}


def data_uri(data: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


def gltf(**changes: Any) -> bytes:
    """`gltf_tree` as a file."""
    return json.dumps(gltf_tree(**changes)).encode()


def glb(tree: dict[str, Any] | None = None, binary: bytes = b"") -> bytes:
    """A GLB of a tree."""
    text = json.dumps(gltf_tree() if tree is None else tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        binary += bytes(-len(binary) % 4)
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks
