"""OFF: counts and corners are checked, polygons become triangles, then trimesh reads it.

Reads OFF, COFF, NOFF, CNOFF and STOFF in text, and ModelNet's files whose counts stand in the
line of the keyword. trimesh 5.2 leaves colours out and puts quads behind triangles, so the colours
of vertices (COFF) or faces are read here: sRGB, 0..255 or 0..1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from threedie.render.meshes.by_trimesh import load, untextured
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.meshes.object_files import show
from threedie.render.meshes.triangles import BadMesh, Floats, cap, fan

_KEYWORD = re.compile(rb"\s*(ST)?(C)?(N)?OFF\b\s*|\s*OFF(?=\d)")
_COMMENT = re.compile(rb"#[^\n]*")


def read_off(data: bytes, limits: Limits) -> tuple[TriangleMesh, tuple[str, ...]]:
    """Read an OFF file.

    Returns:
        The mesh, and notes.

    Raises:
        BadMesh: not an OFF file, cut short, or with wrong numbers.
    """
    text = _COMMENT.sub(b"", data)
    keyword = _KEYWORD.match(text)
    if keyword is None or not text.isascii() or b"\0" in text:
        raise BadMesh("it does not begin with OFF in text; expected an ASCII OFF file")
    lines = [line for line in text[keyword.end() :].splitlines() if line.strip()]
    n_vertices, n_faces = _counts(lines, limits)
    vertices = lines[1 : n_vertices + 1]
    faces, colors = _triangles(lines[n_vertices + 1 : n_vertices + n_faces + 1], limits)
    start = 6 if keyword[3] else 3  # behind the normal
    return untextured(
        load(b"\n".join([b"OFF", b"%d %d 0" % (n_vertices, len(faces)), *vertices, *faces]), "off"),
        limits,
        vertex_srgb_V3=_srgb([v.split()[start : start + 3] for v in vertices])
        if keyword[2]
        else None,
        face_srgb_F3=_srgb(colors),
    )


def _counts(lines: list[bytes], limits: Limits) -> tuple[int, int]:
    words = lines[0].split()[:2] if lines else []
    if len(words) != 2 or not all(w.isdigit() and len(w) < 19 for w in words):
        raise BadMesh("expected whole numbers of vertices and faces in its first line")
    n_vertices, n_faces = map(int, words)
    cap(n_vertices, limits.vertices, "vertices")
    cap(n_faces, limits.faces, "faces")
    if n_vertices + n_faces > len(lines) - 1:
        raise BadMesh(
            f"it claims {n_vertices} vertices and {n_faces} faces but has {len(lines) - 1} lines; "
            "the file is cut short"
        )
    return n_vertices, n_faces


def _triangles(lines: list[bytes], limits: Limits) -> tuple[list[bytes], list[Sequence[bytes]]]:
    """Lines of triangles, and the words of each one's colour."""
    faces: list[bytes] = []
    colors: list[Sequence[bytes]] = []
    for line in lines:
        words = line.split()
        size = int(words[0]) if words[0].isdigit() and len(words[0]) < 10 else -1
        if not 0 <= size < len(words):
            raise BadMesh(f"a face line begins with {show(words[0])}; expected its corner count")
        triangles = fan(words[1 : size + 1], limits)
        faces += [b"3 %b %b %b" % triangle for triangle in triangles]
        colors += [words[size + 1 : size + 4]] * len(triangles)
    cap(len(faces), limits.faces, "triangles")
    return faces, colors


def _srgb(rows: list[Sequence[bytes]]) -> Floats | None:
    """In 0..1, if every row has a colour: numbers up to 1 are fractions, others count to 255."""
    if not rows or any(len(row) != 3 for row in rows):
        return None
    try:
        colors = np.array(rows).astype(np.float64)
    except ValueError:
        raise BadMesh("expected numbers as colours") from None
    if not np.all(np.isfinite(colors)):
        raise BadMesh("expected finite colours")
    return colors / 255 if colors.max() > 1 else colors


__all__ = ["read_off"]
