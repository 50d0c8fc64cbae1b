"""Meshes in a folder with one subfolder per class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from threedie.data.dealing import ObjectRef
from threedie.errors import AssetError, ConfigError
from threedie.render.meshes import layout
from threedie.render.meshes.gate import Fetched, pass_gate
from threedie.render.meshes.object_files import FolderFiles, show
from threedie.render.meshes.textures import MissingTexture

_OUTPUT_MARKS = ("dataset.json", ".render")


@dataclass(frozen=True, slots=True)
class FolderSource:
    """ShapeNetCore.v2 unpacked, or any folder of meshes (see `sources`)."""

    root: Path

    @property
    def kind(self) -> str:
        """`folder`."""
        return "folder"

    def list_classes(self) -> list[str]:
        """Names of the subfolders."""
        classes = [
            check_name(entry.name, self.root)
            for entry in _scan(self.root)
            if not entry.name.startswith(".") and entry.is_dir() and not is_output(entry)
        ]
        if not classes:
            raise self._no_class()
        self._check_level(min(classes))
        return sorted(classes)

    def list_objects(self, class_id: str) -> list[ObjectRef]:
        """One object per subfolder or mesh file of the class."""
        folder = self._class_folder(class_id)
        entries = ((entry, entry.is_dir()) for entry in _scan(folder))
        found = (
            layout.object_id(entry.name, is_folder=is_folder)
            for entry, is_folder in entries
            if not (is_folder and is_output(entry))
        )
        ids = {check_name(name, folder) for name in found if name is not None}
        return [ObjectRef(class_id=class_id, object_id=name) for name in sorted(ids)]

    def fetch(self, ref: ObjectRef, scratch: Path, *, missing_texture: MissingTexture) -> Fetched:
        """See `MeshSource.fetch`."""
        folder = self.root / ref.class_id
        mesh = folder / layout.choose_mesh(_candidates(folder, ref.object_id), ref.name)
        files = FolderFiles(self.root, mesh)
        return pass_gate(files, scratch, missing_texture=missing_texture)

    def _class_folder(self, class_id: str) -> Path:
        folder = self.root / class_id
        if class_id in ("", ".", "..") or "/" in class_id or not folder.is_dir():
            raise ConfigError(f"no class {class_id!r} in {self.root}; expected a subfolder.")
        return folder

    def _no_class(self) -> ConfigError:
        meshes = [entry.name for entry in _scan(self.root) if layout.is_mesh(entry.name)]
        found = f"mesh files directly ({show(meshes[0])})" if meshes else "no subfolders"
        return ConfigError(
            f"{self.root} holds {found}; expected one subfolder per class with its meshes inside, "
            "such as chair/my-chair.obj or 03001627/<id>/models/model_normalized.obj."
        )

    def _check_level(self, class_id: str) -> None:
        """A class folder given as the source would make objects look like classes."""
        models = self.root / class_id / "models"
        if models.is_dir() and any(layout.is_mesh(entry.name) for entry in _scan(models)):
            raise ConfigError(
                f"{self.root} looks like the folder of one class: {class_id}/models holds a mesh. "
                f"Expected the folder of all classes; give {self.root.parent}."
            )


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as err:
        raise ConfigError(f"mesh folder {folder} cannot be listed: {err.strerror}.") from err


def is_output(folder: os.PathLike[str]) -> bool:
    """Whether a folder is a data set, or a run's work: never a class or an object."""
    return any(os.path.lexists(Path(folder, mark)) for mark in _OUTPUT_MARKS)


def check_name(name: str, where: Path) -> str:
    """Names of classes and objects end up in file names, tables and JSON.

    Raises:
        ConfigError: it is not UTF-8 or holds control characters.
    """
    if not name.isprintable():
        raise ConfigError(f"{where} holds a name that is not printable UTF-8: {name!a}; rename it.")
    return name


def _candidates(folder: Path, object_id: str) -> list[str]:
    """Files that may be the mesh of an object, relative to the class folder."""
    if object_id in ("", ".", "..") or "/" in object_id or "\0" in object_id:
        raise AssetError(f"{object_id!r} is no object name.")
    suffixes = (*layout.MESH_SUFFIXES, layout.REFUSED_SUFFIX)
    flat = [object_id + s for suffix in suffixes for s in (suffix, suffix.upper())]
    names = [name for name in flat if os.path.lexists(folder / name)]
    for inner in (object_id, f"{object_id}/models"):
        try:
            names += [f"{inner}/{entry.name}" for entry in (folder / inner).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as err:
            raise AssetError(f"{folder.name}/{inner} cannot be listed: {err.strerror}.") from err
    return names


__all__ = ["FolderSource", "check_name", "is_output"]
