"""OFF: polygons with optional colours per vertex (COFF) or per face.

Reads OFF, COFF, NOFF, CNOFF and STOFF in text, and ModelNet's files whose counts stand in the
line of the keyword. Colours are sRGB, 0..255 or 0..1.
"""

from __future__ import annotations

import re

import numpy as np

from threedie.render.limits import Limits
from threedie.render.mesh import Material, TriangleMesh
from threedie.render.triangles import (
    BadMesh,
    Floats,
    Ints,
    Part,
    cap,
    color_materials,
    fan,
    join,
    numbers,
    srgb_to_linear,
    whole,
)

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
    if keyword is None or b"\0" in data:
        raise BadMesh("it does not begin with OFF in text; expected an ASCII OFF file")
    lines = [line for line in text[keyword.end() :].splitlines() if line.strip()]
    n_vertices, n_faces = _counts(lines[0] if lines else b"", len(lines) - 1, limits)
    rows = _table(lines[1 : n_vertices + 1], 3)
    sizes, corners, face_colors = _faces(lines[n_vertices + 1 : n_vertices + n_faces + 1])
    faces_F3, polygon_F = fan(sizes, corners, limits)
    material_F, note = np.zeros(len(faces_F3), np.int64), None
    materials: tuple[Material, ...] = (Material(name="m0"),)
    colors = _vertex_colors(rows, has_color=bool(keyword[2]), has_normal=bool(keyword[3]))
    if colors is None and face_colors is not None:
        materials, material_F, note = color_materials(_srgb(face_colors)[polygon_F])
    part = Part(vertices_V3=rows[:, :3], faces_F3=faces_F3, material_F=material_F, color_V3=colors)
    return join([part], materials, limits), (note,) if note else ()


def _counts(line: bytes, n_lines: int, limits: Limits) -> tuple[int, int]:
    counts = whole(numbers(line))
    if len(counts) < 2:
        raise BadMesh("its counts of vertices and faces are missing")
    n_vertices, n_faces = int(counts[0]), int(counts[1])
    cap(n_vertices, limits.vertices, "vertices")
    cap(n_faces, limits.faces, "faces")
    if n_vertices + n_faces > n_lines:
        raise BadMesh(
            f"it claims {n_vertices} vertices and {n_faces} faces but has {n_lines} lines; "
            "the file is cut short"
        )
    return n_vertices, n_faces


def _table(lines: list[bytes], least: int) -> Floats:
    """Rows of equally many numbers."""
    widths = {len(line.split()) for line in lines}
    if len(widths) != 1 or min(widths) < least:
        raise BadMesh(f"its vertices have {sorted(widths)[:5]} numbers; expected {least} or more")
    return numbers(b"\n".join(lines)).reshape(len(lines), -1)


def _faces(lines: list[bytes]) -> tuple[Ints, Ints, Floats | None]:
    """Sizes, corners, and (P, 3) colours if every face has one."""
    sizes, corners, colors = [], [], []
    for line in lines:
        words = line.split()
        size = int(words[0]) if words[0].isdigit() and len(words[0]) < 10 else -1
        if not 0 <= size < len(words):
            raise BadMesh(f"a face line begins with {words[0][:20]!r}; expected its corner count")
        sizes.append(size)
        corners.append(b" ".join(words[1 : size + 1]))
        colors.append(b" ".join(words[size + 1 : size + 4]))
    all_colored = bool(colors) and all(len(color.split()) == 3 for color in colors)
    return (
        np.array(sizes, np.int64),
        whole(numbers(b"\n".join(corners))),
        numbers(b"\n".join(colors)).reshape(-1, 3) if all_colored else None,
    )


def _vertex_colors(rows: Floats, *, has_color: bool, has_normal: bool) -> Floats | None:
    start = 6 if has_normal else 3
    if not has_color or rows.shape[1] < start + 3:
        return None
    return srgb_to_linear(_srgb(rows[:, start : start + 3]))


def _srgb(colors: Floats) -> Floats:
    """To 0..1: numbers up to 1 are fractions, larger ones count to 255."""
    return colors / 255 if colors.size and colors.max() > 1 else colors


__all__ = ["read_off"]
