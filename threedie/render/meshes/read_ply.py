"""PLY, ASCII and binary: header and rows are checked, polygons become triangles, trimesh reads it.

trimesh 5.2 refuses or misreads binary polygons of mixed sizes and loses which colour belongs to
which face when it cuts quads: hence the triangles. Textures are left out, with a note. Never
Blender's own PLY reader, which crashes on damaged headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from threedie.render.meshes.by_trimesh import load, untextured
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.meshes.object_files import show
from threedie.render.meshes.ply_header import Element, read_header
from threedie.render.meshes.triangles import BadMesh, cap, fan


def read_ply(data: bytes, limits: Limits) -> tuple[TriangleMesh, tuple[str, ...]]:
    """Read a PLY file.

    Returns:
        The mesh, and notes.

    Raises:
        BadMesh: a wrong header, a body that is too short, or wrong numbers.
    """
    text, form, elements, body = read_header(data, limits)
    rows = _text_rows if form == "ascii" else _binary_rows
    clean = b"".join(rows(body, elements, limits))  # this also counts the triangles
    lines = "".join(element.text() for element in elements)
    head = f"ply\nformat {form} 1.0\n{lines}end_header\n"
    mesh, notes = untextured(load(head.encode() + clean, "ply"), limits)
    return mesh, ("the PLY's texture left out", *notes) if "TextureFile" in text else notes


def _text_rows(body: bytes, elements: list[Element], limits: Limits) -> Iterator[bytes]:
    """Lines of the elements; the last one's, the faces, as triangles."""
    text = body.decode("latin-1").encode("ascii", "replace")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for element in elements:
        rows, lines = lines[: element.count], lines[element.count :]
        if len(rows) < element.count:
            raise _cut_short(element)
        if element is elements[-1]:
            rows = [row for words in rows for row in _text_triangles(words, element, limits)]
            element.count = len(rows)
            cap(element.count, limits.faces, "triangles")
        elif any(len(words) != len(element.kinds) for words in rows):
            raise BadMesh(f"a {show(element.name)} has more or fewer values than the header says")
        yield b"".join(b" ".join(words) + b"\n" for words in rows)


def _text_triangles(words: list[bytes], face: Element, limits: Limits) -> list[list[bytes]]:
    at = face.list_at
    size = int(words[at]) if len(words) > at and words[at].isdigit() and len(words[at]) < 10 else -1
    corners, behind = words[at + 1 : at + 1 + size], words[at + 1 + size :]
    if size < 0 or len(behind) != len(face.kinds) - at - 1 or not all(map(bytes.isdigit, corners)):
        raise BadMesh(
            f"the face {show(b' '.join(words))!r} does not have the values that its header and "
            "its number of corners ask for"
        )
    return [[*words[:at], b"3", *abc, *behind] for abc in fan(corners, limits)]


def _binary_rows(body: bytes, elements: list[Element], limits: Limits) -> Iterator[bytes]:
    """Bytes of the elements; the last one's, the faces, as triangles."""
    *others, face = elements
    start = at = 0
    for element in others:
        at += element.count * sum(np.dtype(kind).itemsize for kind in element.kinds)
        if at > len(body):
            raise _cut_short(element)
        yield body[start:at]
        start = at
    fields: list[Any] = [(f"value{i}", kind) for i, kind in enumerate(face.kinds)]
    fields[face.list_at] = ("corners", face.kinds[face.list_at], (3,))
    fields.insert(face.list_at, ("size", face.size_kind))
    size = face.count * np.dtype(fields).itemsize
    rows = body[at : at + size]
    if not rows or len(rows) < size or np.any(np.frombuffer(rows, fields)["size"] != 3):
        rows = _binary_triangles(body[at:], face, limits)
    yield rows


def _binary_triangles(body: bytes, face: Element, limits: Limits) -> bytes:
    """Row by row, because polygons of mixed sizes make rows of mixed lengths."""
    width = [np.dtype(kind).itemsize for kind in face.kinds]
    before, item, behind = (
        sum(width[: face.list_at]),
        width[face.list_at],
        sum(width[face.list_at + 1 :]),
    )
    size_kind = np.dtype(face.size_kind)
    three, triangles, start = np.array(3, size_kind).tobytes(), list[bytes](), 0
    for _ in range(face.count):
        first = start + before + size_kind.itemsize
        size = int(np.frombuffer(body[start + before : first].ljust(8, b"\0"), size_kind)[0])
        end = first + size * item
        if size < 0 or end + behind > len(body):
            raise _cut_short(face)
        corners = [body[i : i + item] for i in range(first, end, item)]
        head, tail = body[start : start + before] + three, body[end : end + behind]
        triangles += [head + a + b + c + tail for a, b, c in fan(corners, limits)]
        start = end + behind
    face.count = len(triangles)
    cap(face.count, limits.faces, "triangles")
    return b"".join(triangles)


def _cut_short(element: Element) -> BadMesh:
    return BadMesh(
        f"it claims {element.count} rows of {show(element.name)}, more than it holds, or one of "
        "them has an impossible length; the file is damaged or cut short"
    )


__all__ = ["read_ply"]
