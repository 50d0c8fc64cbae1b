"""STL, binary and ASCII: triangles without materials."""

from __future__ import annotations

import re

import numpy as np

from threedie.render.limits import Limits
from threedie.render.mesh import Material, TriangleMesh
from threedie.render.triangles import BadMesh, Floats, Part, cap, join, numbers

_HEADER_BYTES = 84  # 80 bytes of text and the number of triangles
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)")


def read_stl(data: bytes, limits: Limits) -> TriangleMesh:
    """Read an STL file.

    Raises:
        BadMesh: neither a whole binary nor a whole ASCII file.
    """
    claimed = int.from_bytes(data[80:_HEADER_BYTES], "little")
    if len(data) == _HEADER_BYTES + claimed * _TRIANGLE.itemsize:
        cap(claimed, limits.faces, "triangles")
        corners = np.frombuffer(data, _TRIANGLE, offset=_HEADER_BYTES)["corners"]
    elif data.lstrip()[:5].lower() == b"solid":
        corners = _ascii(data.lower(), limits)
    else:
        raise BadMesh(
            f"it is {len(data)} bytes long, but {claimed} triangles in its header make "
            f"{_HEADER_BYTES + claimed * _TRIANGLE.itemsize}; the file is cut short or no STL"
        )
    vertices_V3 = corners.reshape(-1, 3).astype(np.float64)
    faces_F3 = np.arange(len(vertices_V3)).reshape(-1, 3)
    part = Part(
        vertices_V3=vertices_V3, faces_F3=faces_F3, material_F=np.zeros(len(faces_F3), np.int64)
    )
    return join([part], (Material(name="m0"),), limits)


def _ascii(text: bytes, limits: Limits) -> Floats:
    cap(text.count(b"endfacet"), limits.faces, "triangles")
    found = [b" ".join(match.groups()) for match in _VERTEX.finditer(text)]
    if len(found) != 3 * text.count(b"endfacet") or b"endsolid" not in text:
        raise BadMesh("a facet or the end is missing; the ASCII file is cut short or damaged")
    return numbers(b"\n".join(found)).reshape(-1, 3, 3)


__all__ = ["read_stl"]
