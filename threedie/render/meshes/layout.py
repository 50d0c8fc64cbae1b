"""Which names in a data set are objects, and which file of an object is its mesh.

The same rules for folders and for zip archives.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from threedie.errors import AssetError
from threedie.render.meshes.object_files import show

MESH_SUFFIXES = (".obj", ".glb", ".gltf", ".ply", ".stl", ".off")
REFUSED_SUFFIX = ".blend"
NOT_OBJECTS = frozenset({"images", "textures", "materials", "__macosx"})
"""Folders that lie beside flat mesh files."""
_SHAPENET = "models/model_normalized.obj"


def is_mesh(name: str) -> bool:
    """Whether a file name is that of a mesh."""
    return not name.startswith(".") and posixpath.splitext(name)[1].lower() in MESH_SUFFIXES


def object_id(name: str, *, is_folder: bool) -> str | None:
    """Object that an entry of a class belongs to, or None: hidden, or no mesh."""
    if name.startswith(".") or (is_folder and name.lower() in NOT_OBJECTS):
        return None
    if is_folder:
        return name
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in (*MESH_SUFFIXES, REFUSED_SUFFIX) else None


def choose_mesh(names: Iterable[str], label: str) -> str:
    """Pick the mesh of one object.

    Args:
        names: its files relative to the class: `<id>.obj`, `<id>/<file>`, `<id>/models/<file>`.
        label: the object, for messages.

    Returns:
        One of the names. `models/model_normalized.obj` is the mesh whatever lies beside it.

    Raises:
        AssetError: none, or several.
    """
    names = sorted(names)
    meshes = [name for name in names if is_mesh(posixpath.basename(name))]
    shapenet = [name for name in meshes if name.endswith(f"/{_SHAPENET}")]
    if len(meshes) > 1 and len(shapenet) != 1:
        raise AssetError(
            f"{label}: two mesh files for one object: {show(meshes[0])} and {show(meshes[1])}; "
            "expected one. Remove or rename one of them."
        )
    if meshes:
        return (shapenet or meshes)[0]
    if any(name.lower().endswith(REFUSED_SUFFIX) for name in names):
        raise AssetError(
            f"{label} is a .blend file, which can hold programs and is not opened; "
            "export it as .glb or .obj."
        )
    raise AssetError(
        f"{label}: no mesh found; expected {', '.join(MESH_SUFFIXES)} in its folder or in models/. "
        "Leave the object out, or put the file back."
    )


__all__ = ["MESH_SUFFIXES", "choose_mesh", "is_mesh", "object_id"]
