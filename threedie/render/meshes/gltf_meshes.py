"""The meshes that a glTF's scene shows: checked, counted, and left as trimesh can read them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from threedie.render.meshes.gltf_buffers import KINDS, make_float
from threedie.render.meshes.gltf_materials import base_texture
from threedie.render.meshes.gltf_tree import Json, item, natural
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.triangles import BadMesh, cap

_TRIANGLES, _STRIP = 4, 5
_TYPES = {
    "POSITION": ("VEC3",), "COLOR_0": ("VEC3", "VEC4"), "TEXCOORD_0": ("VEC2",),
    "indices": ("SCALAR",),
}  # fmt: skip


def check_meshes(
    tree: Json, uses: Counter[int], served: dict[str, bytes], limits: Limits
) -> list[Json | None]:
    """Check all primitives that are shown and drop the others, so lines and points.

    Returns:
        The glTF's materials by the numbers that primitives have now; None for the default one.
    """
    number_of: dict[Any, int] = {}
    vertices = faces = 0
    for index, mesh in enumerate(tree.get("meshes", [])):
        shown = [p for p in mesh["primitives"] if p.get("mode", _TRIANGLES) >= _TRIANGLES]
        mesh.update(name=f"g{index}", primitives=shown if uses[index] else [])
        for primitive in mesh["primitives"]:
            source = primitive.get("material")
            material = {} if source is None else item(tree, "materials", source)
            primitive["material"] = number_of.setdefault(source, len(number_of))
            count, triangles = _check(tree, primitive, base_texture(material), served, limits)
            vertices += uses[index] * count
            faces += uses[index] * triangles
            cap(vertices, limits.vertices, "vertices, instances counted")
            cap(faces, limits.faces, "triangles, instances counted")
    cap(len(number_of), limits.materials, "materials in use")
    for node in tree.get("nodes", []):  # trimesh 5.2 loses what hangs below an empty mesh
        if node.get("mesh") in uses and not tree["meshes"][node["mesh"]]["primitives"]:
            del node["mesh"]
    return [None if i is None else item(tree, "materials", i) for i in number_of]


def _check(
    tree: Json, primitive: Json, texture: Json, served: dict[str, bytes], limits: Limits
) -> tuple[int, int]:
    """Keep what is used of a primitive. trimesh 5.2 knows one set of texture coordinates only.

    Returns:
        Vertices and triangles.
    """
    mode = primitive.get("mode", _TRIANGLES)
    if mode not in (_TRIANGLES, _STRIP):
        raise BadMesh("it has triangle fans, which are not read; export plain triangles")
    transform = texture.get("extensions", {}).get("KHR_texture_transform", {})
    uv_set = natural(transform, "texCoord", natural(texture, "texCoord", 0))
    given = primitive["attributes"]
    kept = {"POSITION": given.get("POSITION"), "COLOR_0": given.get("COLOR_0")}
    kept["TEXCOORD_0"] = given.get(f"TEXCOORD_{uv_set}") if texture else None
    primitive["attributes"] = {k: v for k, v in kept.items() if k == "POSITION" or v is not None}
    primitive.pop("extensions", None)
    counts = [_count(tree, name, i, served) for name, i in primitive["attributes"].items()]
    if len(set(counts)) > 1:
        raise BadMesh(f"the attributes of a mesh have {counts} values; expected equally many")
    corners = counts[0]
    if "indices" in primitive:
        corners = _count(tree, "indices", primitive["indices"], served)
    return counts[0], corners // 3 if mode == _TRIANGLES else corners


def _count(tree: Json, name: str, index: Any, served: dict[str, bytes]) -> int:
    what = item(tree, "accessors", index)
    kind = KINDS[what["componentType"]]
    if what["type"] not in _TYPES[name] or (name == "indices" and "u" not in kind):
        raise BadMesh(f"{name} is {what['type']} of {kind}, which is not expected there")
    if "bufferView" not in what or "sparse" in what:
        raise BadMesh(
            f"{name} is sparse or has no data, which is not read; export plain accessors "
            "(no Draco, no meshopt)"
        )
    if name != "indices" and "f" not in kind:
        make_float(tree, what, served)
    return natural(what, "count")


__all__ = ["check_meshes"]
