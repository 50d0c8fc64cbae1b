"""glTF 2.0 and GLB: a scene flattened into one mesh.

Node transforms are applied; morph targets, skins, normals, cameras and lights are not read.
Texture coordinates are turned from glTF's v-down to v-up (OBJ, Blender).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from threedie.render.gltf_data import Buffers, Json, item, parse_glb, parse_json, reals, table
from threedie.render.gltf_materials import GltfMaterial, GltfMaterials
from threedie.render.limits import Limits
from threedie.render.mesh import TriangleMesh
from threedie.render.object_files import HashedFiles
from threedie.render.textures import MissingTexture, Textures
from threedie.render.triangles import BadMesh, Floats, Ints, Part, cap, join

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_IDENTITY = tuple(np.eye(4).ravel().tolist())


def read_gltf(
    files: HashedFiles, scratch: Path, *, missing_texture: MissingTexture, limits: Limits
) -> tuple[TriangleMesh, tuple[str, ...]]:
    """Read the default scene of a glTF or GLB file.

    Returns:
        The mesh, and notes.

    Raises:
        BadMesh: damaged or hostile.
        AssetError: a name leads out of the object, or a texture is missing and that is an error.
        MissingFile: a buffer is missing.
    """
    data = files.read(files.main, limits.whole_file_bytes)
    if files.main.lower().endswith(".glb"):
        tree, binary = parse_glb(data, limits)
    else:
        tree, binary = parse_json(data, limits), None
    buffers = Buffers(tree, binary, files, limits)
    textures = Textures(files, scratch, limits)
    materials = GltfMaterials(tree, buffers, textures, missing_texture, limits, files)
    reader = _Primitives(tree, buffers, materials, limits)
    parts = [
        part for mesh, matrix in _instances(tree, limits) for part in reader.parts(mesh, matrix)
    ]
    mesh = join(parts, tuple(m.material for m in materials.materials), limits)
    return mesh, tuple(dict.fromkeys(materials.notes))


def _instances(tree: Json, limits: Limits) -> Iterator[tuple[Any, Floats]]:
    """Every mesh of the scene with its matrix."""
    seen: set[int] = set()
    stack = [(root, np.eye(4), 0) for root in reversed(_roots(tree))]
    while stack:
        index, above, depth = stack.pop()
        node = item(tree, "nodes", index)
        if index in seen:
            raise BadMesh(f"nodes[{index}] is reached twice; expected a tree")
        seen.add(index)
        cap(depth, limits.node_depth, "levels of nodes")
        cap(len(seen), limits.nodes, "nodes")
        with np.errstate(all="ignore"):  # absurd numbers are found in the coordinates
            matrix = above @ _matrix(node)
        if "mesh" in node:
            yield node["mesh"], matrix
        stack += [(child, matrix, depth + 1) for child in reversed(_list(node, "children"))]


def _roots(tree: Json) -> list[Any]:
    if _list(tree, "scenes"):
        return _list(item(tree, "scenes", tree.get("scene", 0)), "nodes")
    nodes = _list(tree, "nodes")
    children = {c for i in range(len(nodes)) for c in _list(item(tree, "nodes", i), "children")}
    return [i for i in range(len(nodes)) if i not in children]


def _list(tree: Json, key: str) -> list[Any]:
    value = tree.get(key, [])
    if not isinstance(value, list):
        raise BadMesh(f"{key} is no list")
    return value


def _matrix(node: Json) -> Floats:
    if "matrix" in node:
        return reals(node, "matrix", _IDENTITY).reshape(4, 4).T
    x, y, z, w = reals(node, "rotation", (0.0, 0.0, 0.0, 1.0))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * reals(node, "scale", (1.0, 1.0, 1.0))
    matrix[:3, 3] = reals(node, "translation", (0.0, 0.0, 0.0))
    return matrix


class _Primitives:
    """Turns primitives into parts and counts them, instances included, against the caps."""

    def __init__(
        self, tree: Json, buffers: Buffers, materials: GltfMaterials, limits: Limits
    ) -> None:
        self._tree = tree
        self._buffers = buffers
        self._materials = materials
        self._limits = limits
        self._vertices = self._faces = 0

    def parts(self, mesh: Any, matrix: Floats) -> Iterator[Part]:
        """Parts of an instance of a mesh, in the scene's coordinates."""
        owner = item(self._tree, "meshes", mesh)
        for i in range(len(_list(owner, "primitives"))):
            part = self._part(item(owner, "primitives", i))
            if part is not None:
                yield _placed(part, matrix)

    def _count(self, vertices: int, corners: int) -> None:
        self._vertices += vertices
        self._faces += corners // 3
        cap(self._vertices, self._limits.vertices, "vertices, instances counted")
        cap(self._faces, self._limits.faces, "triangles, instances counted")

    def _part(self, primitive: Json) -> Part | None:
        mode = primitive.get("mode", _TRIANGLES)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            return None  # points and lines are not rendered
        attributes = table(primitive, "attributes")
        vertices_V3 = self._buffers.accessor(attributes.get("POSITION"), (3,)).astype(np.float64)
        if "indices" in primitive:
            flat = self._buffers.accessor(primitive["indices"], (1,))[:, 0]
            if flat.dtype.kind != "u":
                raise BadMesh("indices have a type that is not expected there")
        else:
            flat = np.arange(len(vertices_V3))
        self._count(len(vertices_V3), len(flat))
        faces_F3 = _triangles(flat.astype(np.int64), mode)
        if len(faces_F3) and faces_F3.max() >= len(vertices_V3):
            raise BadMesh(f"an index is {faces_F3.max()}; there are {len(vertices_V3)} vertices")
        number = self._materials.number(primitive.get("material"))
        look = self._materials.materials[number]
        return Part(
            vertices_V3=vertices_V3,
            faces_F3=faces_F3,
            material_F=np.full(len(faces_F3), number),
            uv_F32=self._uv(attributes, look, faces_F3, len(vertices_V3)),
            color_V3=self._color(attributes, look, len(vertices_V3)),
        )

    def _uv(self, attributes: Json, look: GltfMaterial, faces_F3: Ints, n: int) -> Floats | None:
        key = f"TEXCOORD_{look.uv_set}"
        if look.material.texture is None or key not in attributes:
            return None
        uv_V2: Floats = self._whole(attributes[key], (2,), n)
        if look.uv_transform is not None:
            uv_V2 = uv_V2 @ look.uv_transform[:, :2].T + look.uv_transform[:, 2]
        turned_V2: Floats = np.stack([uv_V2[:, 0], 1 - uv_V2[:, 1]], axis=1)
        return turned_V2[faces_F3]

    def _color(self, attributes: Json, look: GltfMaterial, n: int) -> Floats | None:
        if "COLOR_0" not in attributes or look.material.texture is not None:
            return None
        colors_V3: Floats = self._whole(attributes["COLOR_0"], (3, 4), n)[:, :3]
        factor: Floats = np.array(look.factor_RGB, dtype=np.float64)
        return np.clip(colors_V3, 0, 1) * factor

    def _whole(self, accessor: Any, widths: tuple[int, ...], n: int) -> Floats:
        values: Floats = self._buffers.accessor(accessor, widths).astype(np.float64)
        if len(values) != n:
            raise BadMesh(f"an attribute has {len(values)} values for {n} vertices")
        return values


def _triangles(flat: Ints, mode: int) -> Ints:
    if mode == _TRIANGLES:
        return flat[: len(flat) // 3 * 3].reshape(-1, 3)
    if len(flat) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == _FAN:
        return np.stack([np.repeat(flat[:1], len(flat) - 2), flat[1:-1], flat[2:]], axis=1)
    strip: Ints = np.stack([flat[:-2], flat[1:-1], flat[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip


def _placed(part: Part, matrix: Floats) -> Part:
    """Moved by a matrix; one that mirrors turns the winding, so that it is turned back."""
    with np.errstate(all="ignore"):  # absurd numbers are found in the coordinates
        vertices_V3 = part.vertices_V3 @ matrix[:3, :3].T + matrix[:3, 3]
        mirrors = np.linalg.det(matrix[:3, :3]) < 0
    part = replace(part, vertices_V3=vertices_V3)
    if not mirrors:
        return part
    uv = None if part.uv_F32 is None else part.uv_F32[:, ::-1]
    return replace(part, faces_F3=part.faces_F3[:, ::-1], uv_F32=uv)


__all__ = ["read_gltf"]
