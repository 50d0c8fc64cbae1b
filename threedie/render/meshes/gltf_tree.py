"""The JSON of a glTF or GLB file, safe ways to follow its numbers, and its node tree."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from threedie.render.meshes.limits import Limits
from threedie.render.meshes.object_files import show
from threedie.render.meshes.triangles import BadMesh, Floats, cap

Json = dict[str, Any]
_READ_HERE = ("KHR_texture_transform", "KHR_mesh_quantization")


def parse(data: bytes, limits: Limits, *, is_glb: bool) -> tuple[Json, bytes | None]:
    """JSON and binary chunk of a file of version 2 that needs nothing unknown."""
    text, binary = _chunks(data) if is_glb else (data, None)
    cap(len(text), limits.json_bytes, "bytes of JSON")
    try:
        tree = json.loads(text.decode("utf-8-sig").rstrip("\0 "), parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise BadMesh(f"its JSON cannot be parsed ({show(str(err))})") from None
    if not isinstance(tree, dict):
        raise BadMesh("its JSON is no object")
    version = str(tree.get("asset", {}).get("version"))
    if not version.startswith("2"):
        raise BadMesh(f"it is glTF version {show(version)}; expected 2")
    needs = [name for name in tree.get("extensionsRequired", []) if name not in _READ_HERE]
    needs = [name for name in needs if not str(name).startswith("KHR_materials_")]
    if needs:
        raise BadMesh(
            f"it needs {show(str(needs))}, which is not read here; export it without "
            "(no Draco, no meshopt, PNG or JPEG images)"
        )
    return tree, binary


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _chunks(data: bytes) -> tuple[bytes, bytes | None]:
    """The first chunk, JSON, and the second if there is one."""
    version, length, size, kind = np.frombuffer(data[4:20].ljust(16, b"\0"), "<u4").tolist()
    if data[:4] != b"glTF" or kind != int.from_bytes(b"JSON", "little"):
        raise BadMesh("it does not begin with glTF and JSON; expected a GLB file")
    if version != 2 or length != len(data):
        raise BadMesh(
            f"its header says version {version} and {length} bytes; expected version 2 and "
            f"{len(data)} bytes: another format, or cut short"
        )
    rest = data[20 + size :]
    if 20 + size > length or (rest and len(rest) < 8 + int.from_bytes(rest[:4], "little")):
        raise BadMesh("a chunk goes beyond the end of the file; it is cut short")
    return data[20 : 20 + size], rest[8:] if rest[4:8] == b"BIN\0" else None


def item(tree: Json, key: str, index: Any) -> Any:
    """`tree[key][index]`; unlike Python's, negative indices are refused."""
    values = tree.get(key, [])
    if type(index) is not int or not 0 <= index < len(values):
        raise BadMesh(f"{key}[{show(str(index))}] is used but does not exist")
    return values[index]


def natural(tree: Json, key: str, default: int | None = None) -> int:
    """`tree[key]` as a whole number of 0 or more."""
    value = tree.get(key, default)
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadMesh(f"{key} is {show(str(value))}; expected a whole number of 0 or more")
    return value


def numbers(tree: Json, key: str, default: tuple[float, ...]) -> Floats:
    """`tree[key]` as finite numbers, as many as the default has."""
    values = np.array(tree.get(key, default), dtype=np.float64).reshape(-1)
    if len(values) != len(default) or not np.all(np.isfinite(values)):
        raise BadMesh(f"{key} does not hold {len(default)} finite numbers")
    return values


def count_meshes(tree: Json, limits: Limits) -> Counter[int]:
    """How often the scene shows each mesh. The nodes get our own names, in their order.

    Raises:
        BadMesh: the nodes are no tree, too deep or too many.
    """
    nodes = tree.get("nodes", [])
    if not tree.get("scenes"):
        below = {child for node in nodes for child in node.get("children", [])}
        roots = [i for i in range(len(nodes)) if i not in below]
        tree.update(scene=0, scenes=[{"nodes": roots}])
    stack = [(root, 0) for root in item(tree, "scenes", tree.get("scene", 0)).get("nodes", [])]
    uses, seen = Counter[int](), set[int]()
    while stack:
        index, depth = stack.pop()
        node = item(tree, "nodes", index)
        if index in seen:
            raise BadMesh(f"nodes[{index}] is reached twice; expected a tree")
        seen.add(index)
        cap(depth, limits.node_depth, "levels of nodes")
        cap(len(seen), limits.nodes, "nodes")
        node["name"] = f"n{index:09d}"
        node.pop("camera", None)  # trimesh 5.2 loses what hangs below a camera
        if "mesh" in node:
            item(tree, "meshes", node["mesh"])
            uses[node["mesh"]] += 1
        stack += [(child, depth + 1) for child in node.get("children", [])]
    return uses


__all__ = ["Json", "count_meshes", "item", "natural", "numbers", "parse"]
