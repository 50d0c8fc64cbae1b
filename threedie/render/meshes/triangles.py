"""What the readers of PLY, STL, OFF and glTF share: polygons, colours, joining, final checks.

Shape suffixes: V = vertices, F = triangles.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threedie.errors import AssetError
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import Material, TriangleMesh

MOST_FACE_COLORS = 256
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class BadMesh(Exception):
    """What is wrong with a mesh file; the gate adds which file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Some triangles of an object, before they are joined."""

    vertices_V3: Floats
    faces_F3: Ints
    material_F: Ints
    uv_F32: Floats | None = None
    color_V3: Floats | None = None
    """Linear RGB."""


def fan(corners: Sequence[bytes], limits: Limits) -> list[tuple[bytes, bytes, bytes]]:
    """Cut a polygon into triangles around its first corner; none of less than three corners."""
    if len(corners) > limits.corners_per_face:
        raise BadMesh(f"a face has {len(corners)} corners; expected {limits.corners_per_face}")
    return [(corners[0], b, c) for b, c in itertools.pairwise(corners[1:])]


def srgb_to_linear(srgb: Floats) -> Floats:
    """IEC 61966-2-1, from 0..1 to 0..1."""
    srgb = np.clip(srgb, 0.0, 1.0)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Floats) -> Floats:
    """The inverse of `srgb_to_linear`."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def color_materials(srgb_F3: Floats) -> tuple[tuple[Material, ...], Ints, str | None]:
    """One material per distinct face colour.

    Args:
        srgb_F3: colours in 0..1.

    Returns:
        Materials, their index for every face, and a note if colours had to be merged.
    """
    byte_F3 = np.rint(np.clip(srgb_F3, 0, 1) * 255).astype(np.int64)
    distinct, index_F = np.unique(byte_F3, axis=0, return_inverse=True)
    found, step = len(distinct), 1
    while len(distinct) > MOST_FACE_COLORS:
        step *= 2
        coarse_F3 = np.minimum(byte_F3 // step * step + step // 2, 255)
        distinct, index_F = np.unique(coarse_F3, axis=0, return_inverse=True)
    materials = tuple(
        Material(name=f"m{i}", base_color=(float(r), float(g), float(b)))
        for i, (r, g, b) in enumerate(srgb_to_linear(distinct / 255))
    )
    note = f"{found} face colours merged into {len(distinct)}" if step > 1 else None
    return materials, index_F.reshape(-1), note


def join(parts: Sequence[Part], materials: tuple[Material, ...], limits: Limits) -> TriangleMesh:
    """Put parts together into one checked mesh.

    Vertices at the same place with the same colour become one, so that shading is smooth across
    the seams that STL and glTF cut; vertices that no triangle uses go, so that they don't count
    for the object's size (as in Blender's OBJ importer).

    Raises:
        BadMesh: no triangles, indices out of range, coordinates not finite or absurd, no area.
    """
    parts = [part for part in parts if len(part.faces_F3)]
    if not parts:
        raise BadMesh("it holds no triangles; expected a mesh with faces")
    for part in parts:
        _check(part, limits)
    vertices_V3 = np.concatenate([part.vertices_V3 for part in parts])
    color_V3 = _colors(parts, materials)
    offsets = np.cumsum([0, *(len(part.vertices_V3) for part in parts)])
    faces_F3 = np.concatenate([p.faces_F3 + o for p, o in zip(parts, offsets, strict=False)])
    vertices_V3, color_V3, faces_F3 = _weld(vertices_V3, color_V3, faces_F3)
    _check_area(vertices_V3, faces_F3)
    return TriangleMesh(
        vertices_V3=vertices_V3,
        faces_F3=faces_F3,
        material_F=np.concatenate([part.material_F for part in parts]),
        materials=materials,
        uv_F32=_uvs(parts),
        color_V3=color_V3,
    )


def _check(part: Part, limits: Limits) -> None:
    count = len(part.vertices_V3)
    if part.faces_F3.min() < 0 or part.faces_F3.max() >= count:
        bad = part.faces_F3.min() if part.faces_F3.min() < 0 else part.faces_F3.max()
        raise BadMesh(f"a face uses vertex {bad}; expected 0 to {count - 1}")
    if not np.all(np.abs(part.vertices_V3) <= limits.coordinate):  # also catches nan
        raise BadMesh(f"expected finite coordinates of at most {limits.coordinate:g}")
    if part.uv_F32 is not None and not np.all(np.isfinite(part.uv_F32)):
        raise BadMesh("expected finite texture coordinates")
    if part.color_V3 is not None and not np.all(np.isfinite(part.color_V3)):
        raise BadMesh("expected finite colours")


def _colors(parts: Sequence[Part], materials: tuple[Material, ...]) -> Floats | None:
    """Vertex colours; a part without any takes the colour of its first material."""
    if all(part.color_V3 is None for part in parts):
        return None
    colors = []
    for part in parts:
        plain = np.array(materials[part.material_F[0]].base_color, dtype=np.float64)
        filled = np.tile(plain, (len(part.vertices_V3), 1))
        colors.append(filled if part.color_V3 is None else part.color_V3)
    return np.concatenate(colors)


def _uvs(parts: Sequence[Part]) -> Floats | None:
    if all(part.uv_F32 is None for part in parts):
        return None
    return np.concatenate(
        [np.zeros((len(p.faces_F3), 3, 2)) if p.uv_F32 is None else p.uv_F32 for p in parts]
    )


def _weld(
    vertices_V3: Floats, color_V3: Floats | None, faces_F3: Ints
) -> tuple[Floats, Floats | None, Ints]:
    used, faces = np.unique(faces_F3, return_inverse=True)
    vertices_V3 = vertices_V3[used] + 0.0  # -0.0 and 0.0 are one place
    color_V3 = None if color_V3 is None else color_V3[used]
    rows = vertices_V3 if color_V3 is None else np.hstack([vertices_V3, color_V3])
    keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    _, first, index = np.unique(keys.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)  # keep the file's order
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    keep = first[order]
    faces_F3 = place[index.reshape(-1)][faces.reshape(-1)].reshape(-1, 3)
    return vertices_V3[keep], None if color_V3 is None else color_V3[keep], faces_F3


def _check_area(vertices_V3: Floats, faces_F3: Ints) -> None:
    for start in range(0, len(faces_F3), 1 << 20):  # the first piece nearly always suffices
        a, b, c = (vertices_V3[faces_F3[start : start + (1 << 20), i]] for i in range(3))
        if np.any(np.cross(b - a, c - a)):
            return
    raise BadMesh("none of its triangles has an area, so nothing could be seen")


def cap(count: int, limit: int, what: str) -> None:
    """Refuse a count from a header before anything is allocated for it."""
    if not 0 <= count <= limit:
        raise BadMesh(f"it claims {count} {what}; expected 0 to {limit}")


def one_file_error(label: str, err: BadMesh) -> AssetError:
    """The AssetError of a BadMesh."""
    return AssetError(f"{label}: {err}. Repair the file or leave the object out.")


__all__ = [
    "BadMesh",
    "Part",
    "cap",
    "color_materials",
    "fan",
    "join",
    "linear_to_srgb",
    "one_file_error",
    "srgb_to_linear",
]
