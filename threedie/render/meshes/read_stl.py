"""STL, binary and ASCII: sizes and counts are checked, then trimesh reads it. No materials."""

from __future__ import annotations

import re

from threedie.render.meshes.by_trimesh import load, untextured
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.meshes.triangles import BadMesh, cap

_HEADER_BYTES = 84  # 80 bytes of text and the number of triangles
_TRIANGLE_BYTES = 50
_VERTEX = re.compile(rb"^\s*vertex(?:[ \t]+\S+){3}[ \t\r]*$", re.MULTILINE)


def read_stl(data: bytes, limits: Limits) -> TriangleMesh:
    """Read an STL file. One that begins with "solid" is binary, too, if its size says so.

    Raises:
        BadMesh: neither a whole binary nor a whole ASCII file.
    """
    claimed = int.from_bytes(data[80:_HEADER_BYTES], "little")
    size = _HEADER_BYTES + claimed * _TRIANGLE_BYTES
    if len(data) == size:
        cap(claimed, limits.faces, "triangles")
    elif data.lstrip()[:5].lower() == b"solid":
        data = data.decode("latin-1").encode("ascii", "replace")
        _check_text(data.lower(), limits)
    else:
        raise BadMesh(
            f"it is {len(data)} bytes long, but {claimed} triangles in its header make "
            f"{size}; the file is cut short or no STL"
        )
    return untextured(load(data, "stl"), limits)[0]


def _check_text(text: bytes, limits: Limits) -> None:
    facets = text.count(b"endfacet")
    cap(facets, limits.faces, "triangles")
    corners = sum(1 for _ in _VERTEX.finditer(text))
    if corners != 3 * facets or b"endsolid" not in text:
        raise BadMesh("a facet or the end is missing; the ASCII file is cut short or damaged")


__all__ = ["read_stl"]
