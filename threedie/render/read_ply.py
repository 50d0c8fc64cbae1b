"""PLY, ASCII and binary: polygons with optional colours per vertex or per face.

Never Blender's own PLY reader, which crashes on damaged headers. Colours are sRGB: whole numbers
of 8 or 16 bits, or fractions. Textures of PLY files are left out, with a note.
"""

from __future__ import annotations

import numpy as np

from threedie.render.limits import Limits
from threedie.render.mesh import Material, TriangleMesh
from threedie.render.object_files import show
from threedie.render.ply_elements import HEADER_BYTES, Element, Table, read_header, read_tables
from threedie.render.triangles import (
    BadMesh,
    Floats,
    Ints,
    Part,
    cap,
    color_materials,
    fan,
    join,
    srgb_to_linear,
    whole,
)

_INDICES = ("vertex_indices", "vertex_index")
_WHITE = {"u1": 255.0, "i1": 127.0, "u2": 65535.0, "i2": 32767.0, "f4": 1.0, "f8": 1.0}


def read_ply(data: bytes, limits: Limits) -> tuple[TriangleMesh, tuple[str, ...]]:
    """Read a PLY file.

    Returns:
        The mesh, and notes.

    Raises:
        BadMesh: a wrong header, a body that is too short, or wrong numbers.
    """
    order, elements, body = read_header(data)
    for element in elements:
        cap(element.count, max(limits.vertices, limits.faces), f"rows of {show(element.name)}")
    tables = read_tables(order, elements, body)
    kinds = {element.name: element for element in elements}
    if "vertex" not in tables or "face" not in tables:
        raise BadMesh("it has no vertices or no faces; expected the elements vertex and face")
    faces_F3, polygon_F = fan(*_polygons(tables["face"]), limits)
    cap(len(faces_F3), limits.faces, "triangles")
    color_V3 = _colors(tables["vertex"], kinds["vertex"])
    face_color_P3 = None if color_V3 is not None else _colors(tables["face"], kinds["face"])
    materials: tuple[Material, ...] = (Material(name="m0"),)
    material_F, note = np.zeros(len(faces_F3), np.int64), None
    if face_color_P3 is not None:
        materials, material_F, note = color_materials(face_color_P3[polygon_F])
    part = Part(
        vertices_V3=np.stack([_column(tables["vertex"], axis) for axis in "xyz"], axis=1),
        faces_F3=faces_F3,
        material_F=material_F,
        color_V3=None if color_V3 is None else srgb_to_linear(color_V3),
    )
    texture = "the PLY's texture left out" if b"TextureFile" in data[:HEADER_BYTES] else None
    return join([part], materials, limits), tuple(n for n in (texture, note) if n)


def _polygons(faces: Table) -> tuple[Ints, Ints]:
    for name in _INDICES:
        if name in faces.lists:
            sizes, corners = faces.lists[name]
            return sizes, whole(corners)
    raise BadMesh(f"its faces have no list {' or '.join(_INDICES)}")


def _column(vertices: Table, name: str) -> Floats:
    if name not in vertices.singles:
        raise BadMesh(f"its vertices have no {name}")
    return vertices.singles[name]


def _colors(table: Table, element: Element) -> Floats | None:
    """(rows, 3) sRGB in 0..1."""
    names = ("red", "green", "blue")
    if not all(name in table.singles for name in names):
        return None
    kinds = {p.name: p.kind for p in element.properties}
    columns = [table.singles[name] / _WHITE.get(kinds[name], 255.0) for name in names]
    srgb: Floats = np.stack(columns, axis=1)
    return srgb


__all__ = ["read_ply"]
