"""Where meshes come from: a folder, ShapeNet's zip archives, or the built-in shapes.

    source = open_source(Path("ShapeNetCore.v2"))
    for class_id in source.list_classes():
        for ref in source.list_objects(class_id):
            fetched = source.fetch(ref, scratch, missing_texture="grey")   # in the sandboxed child

A folder holds one subfolder per class (a synset id, a class name, or any other name), and in it
`<object>.{obj,glb,gltf,ply,stl,off}`, `<object>/<one mesh>` or `<object>/models/<one mesh>`, which
is ShapeNetCore.v2. Meshes of every format are taken as +Y up and −Z front, like ShapeNet's.
Every mesh passes the gate (`gate.py`) before anything else sees it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from threedie.data.dealing import ObjectRef
from threedie.errors import AssetError, ConfigError
from threedie.manifests.classes import find_class
from threedie.render.meshes.folder_source import FolderSource, is_output
from threedie.render.meshes.gate import Fetched
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.meshes.textures import MissingTexture
from threedie.render.meshes.zip_source import ZipSource


class MeshSource(Protocol):
    """Lists objects cheaply and hands one out as a checked mesh. Can be pickled."""

    @property
    def kind(self) -> str:
        """`folder`, `zips` or `builtin`."""

    def list_classes(self) -> list[str]:
        """Names of the classes, sorted.

        Raises:
            ConfigError: there are none, or the source can't be read.
        """

    def list_objects(self, class_id: str) -> list[ObjectRef]:
        """Objects of a class, sorted; nothing is opened.

        Raises:
            ConfigError: there is no such class.
        """

    def fetch(self, ref: ObjectRef, scratch: Path, *, missing_texture: MissingTexture) -> Fetched:
        """Read one object, check it, and write what Blender needs into a folder.

        Args:
            ref: the object.
            scratch: an empty, private folder.
            missing_texture: `grey` (with a note) or `fail`.

        Raises:
            AssetError: missing, broken, hostile or too large.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltinSource:
    """The procedural shapes: no licence, no download."""

    objects_per_class: int = 40
    """Objects `chair-0000` … of every class."""

    def __post_init__(self) -> None:
        if self.objects_per_class < 1:
            raise ConfigError(f"objects_per_class must be 1 or more, got {self.objects_per_class}.")

    @property
    def kind(self) -> str:
        """`builtin`."""
        return "builtin"

    def list_classes(self) -> list[str]:
        """Synset ids of the classes that have a shape."""
        from threedie.render.shapes import SHAPES

        return sorted(_synset(name) for name in SHAPES)

    def list_objects(self, class_id: str) -> list[ObjectRef]:
        """`<class name>-0000` and so on."""
        name = self._name(class_id)
        return [
            ObjectRef(class_id=class_id, object_id=f"{name}-{index:04d}")
            for index in range(self.objects_per_class)
        ]

    def fetch(self, ref: ObjectRef, scratch: Path, *, missing_texture: MissingTexture) -> Fetched:
        """Build the shape; nothing is read or written."""
        from threedie.render.shapes import build_shape

        name, _, number = ref.object_id.rpartition("-")
        if name != self._name(ref.class_id) or not (number.isascii() and number.isdigit()):
            raise AssetError(
                f"{ref.name}: no built-in shape; expected an id like "
                f"{self._name(ref.class_id)}-0000."
            )
        mesh = build_shape(name, int(number))
        return Fetched(mesh=mesh, source_sha256=_mesh_sha256(mesh), notes=())

    def _name(self, class_id: str) -> str:
        """The shape's name in SHAPES, from a synset id or a name."""
        from threedie.render.shapes import SHAPES

        names = {_synset(name): name for name in SHAPES}
        names.update((name, name) for name in SHAPES)
        if class_id not in names:
            raise ConfigError(
                f"no built-in shape for class {class_id!r}; there are: {', '.join(sorted(SHAPES))}."
            )
        return names[class_id]


def _synset(name: str) -> str:
    known = find_class(name)
    return known.synset if known else name


def _mesh_sha256(mesh: TriangleMesh) -> str:
    digest = hashlib.sha256()
    for array in (mesh.vertices_V3, mesh.faces_F3, mesh.material_F, mesh.uv_F32, mesh.color_V3):
        if array is None:
            digest.update(b"none\n")
            continue
        digest.update(f"{array.dtype.str}{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(mesh.materials).encode())
    return digest.hexdigest()


def open_source(path: Path | None, *, objects_per_class: int = 40) -> MeshSource:
    """Find out what lies at a path.

    Args:
        path: None for the built-in shapes; a folder of class folders; a folder of
            `<synset>.zip` archives; or one such archive.
        objects_per_class: of the built-in shapes.

    Raises:
        ConfigError: the path is missing, empty, or none of these.
    """
    if path is None:
        return BuiltinSource(objects_per_class=objects_per_class)
    path = path.absolute()  # child processes have a working directory of their own
    if path.is_file() and path.suffix.lower() == ".zip":
        return ZipSource((path,))
    if not path.exists():
        raise ConfigError(
            f"mesh folder {path} does not exist; expected one with a subfolder per class, or "
            "with ShapeNet's <synset>.zip archives. Check the path, or give none to use the "
            "built-in shapes."
        )
    if not path.is_dir():
        raise ConfigError(
            f"{path} is a file; expected a folder with one subfolder per class, or a .zip archive."
        )
    return _open_folder(path)


def _open_folder(path: Path) -> MeshSource:
    try:
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    except OSError as err:
        raise ConfigError(f"mesh folder {path} cannot be listed: {err.strerror}.") from err
    zips = [name for name in names if name.lower().endswith(".zip")]
    source = FolderSource(path)
    if not zips:
        source.list_classes()  # raises when there is no class
        return source
    folders = [n for n in names if (path / n).is_dir() and not is_output(path / n)]
    if folders:
        raise ConfigError(
            f"{path} holds both zip archives ({zips[0]}) and folders ({folders[0]}), so an object "
            "could be there twice; expected one kind. Move one of them away."
        )
    return ZipSource(tuple(path / name for name in zips))


__all__ = ["BuiltinSource", "Fetched", "MeshSource", "MissingTexture", "open_source"]
