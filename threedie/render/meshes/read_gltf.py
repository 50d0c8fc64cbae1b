"""glTF 2.0 and GLB: what its numbers point to is checked, then trimesh reads the default scene.

trimesh gets the JSON without materials, images and cameras, and the buffers by our own names; it
can reach nothing else. Morph targets, skins, normals, cameras, lights, lines and points are not
read. Sparse accessors and triangle fans are refused: trimesh 5.2 would leave them out.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from threedie.render.meshes.by_trimesh import Piece, load
from threedie.render.meshes.gltf_buffers import check_accessors, read_buffers
from threedie.render.meshes.gltf_materials import Materials, base_texture
from threedie.render.meshes.gltf_meshes import check_meshes
from threedie.render.meshes.gltf_tree import Json, count_meshes, numbers, parse
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import Material, TriangleMesh
from threedie.render.meshes.object_files import HashedFiles, show
from threedie.render.meshes.textures import MissingTexture, Textures
from threedie.render.meshes.triangles import BadMesh, Floats, Part, join

_KEPT = ("asset", "scene", "scenes", "nodes", "meshes", "materials", "accessors", "bufferViews",
         "buffers")  # fmt: skip


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
    textures = Textures(files, scratch, limits)
    try:
        tree, binary = parse(data, limits, is_glb=files.main.lower().endswith(".glb"))
        served = read_buffers(tree, binary, files, limits)
        check_accessors(tree, served, limits)
        sources = check_meshes(tree, count_meshes(tree, limits), served, limits)
        maker = Materials(tree, served, files, textures, missing_texture, limits)
        materials = tuple(maker.make(source, f"m{i}") for i, source in enumerate(sources))
        tree["materials"] = [{"name": str(i)} for i in range(len(sources))]
        text = json.dumps({key: tree[key] for key in _KEPT if key in tree}).encode()
        parts = [_part(piece, sources, materials) for piece in load(text, "gltf", served)]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as err:
        reason = show(f"{type(err).__name__}, {err}")  # a list where a number should be, and so on
        raise BadMesh(f"its JSON does not have the form of a glTF ({reason})") from err
    return join(parts, materials, limits), tuple(dict.fromkeys(maker.notes))


def _part(piece: Piece, sources: list[Json | None], materials: tuple[Material, ...]) -> Part:
    """Texture coordinates where there is a texture, else vertex colours times the factor."""
    number = int(piece.visual.material.name)
    source, material = sources[number], materials[number]
    uv_V2, color = piece.visual.uv, piece.visual.vertex_attributes.get("color")
    uv = color_V3 = None
    if material.texture is not None and uv_V2 is not None:
        uv = _moved(np.asarray(uv_V2, dtype=np.float64), source or {})[piece.faces_F3]
    elif material.texture is None and color is not None:
        factor = (1, 1, 1) if source is None else material.base_color
        color_V3 = np.clip(np.asarray(color, dtype=np.float64)[:, :3], 0, 1) * factor
    return Part(
        vertices_V3=piece.vertices_V3,
        faces_F3=piece.faces_F3,
        material_F=np.full(len(piece.faces_F3), number),
        uv_F32=uv,
        color_V3=color_V3,
    )


def _moved(uv_V2: Floats, source: Json) -> Floats:
    """KHR_texture_transform: scaled, rotated and moved where v points down (ours points up)."""
    extension = base_texture(source).get("extensions", {}).get("KHR_texture_transform")
    if not extension:
        return uv_V2
    [angle] = numbers(extension, "rotation", (0,))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, sin], [-sin, cos]]) @ np.diag(numbers(extension, "scale", (1, 1)))
    moved = (uv_V2 * (1, -1) + (0, 1)) @ matrix.T + numbers(extension, "offset", (0, 0))
    turned: Floats = moved * (1, -1) + (0, 1)
    return turned


__all__ = ["read_gltf"]
