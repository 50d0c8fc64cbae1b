"""Meshes in zip archives, one per class, as ShapeNet distributes them. Nothing is unpacked.

An archive `<class>.zip` holds `<class>/<object>/models/…` or starts with `<object>/…`; inside, the
rules are those of a folder. Every member is read into memory under a byte limit; names that lead
elsewhere can't be looked up at all.
"""

from __future__ import annotations

import functools
import os
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threedie.data.dealing import ObjectRef
from threedie.errors import AssetError, ConfigError
from threedie.render.meshes import layout
from threedie.render.meshes.folder_source import check_name
from threedie.render.meshes.gate import Fetched, pass_gate
from threedie.render.meshes.object_files import BLOCK_BYTES, MissingFile, show, too_large
from threedie.render.meshes.textures import MissingTexture

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Archive:
    """An open archive. Names are relative to the class."""

    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo | None]
    """None where two members share a name."""
    objects: dict[str, list[str]]
    """Object id to the names that may be its mesh."""


@dataclass(frozen=True, slots=True)
class ZipSource:
    """Archives `<class>.zip`; open handles are kept per process, not in this value.

    An archive is opened when its class is listed, so a broken one only stops its own class.
    """

    archives: tuple[Path, ...]

    @property
    def kind(self) -> str:
        """`zips`."""
        return "zips"

    def list_classes(self) -> list[str]:
        """Names of the archives without `.zip`."""
        return sorted(check_name(path.stem, path.parent) for path in self.archives)

    def list_objects(self, class_id: str) -> list[ObjectRef]:
        """One object per folder or mesh file at the archive's top level."""
        path = self._path(class_id)
        ids = [check_name(name, path) for name in _open(path).objects]
        return [ObjectRef(class_id=class_id, object_id=name) for name in sorted(ids)]

    def fetch(self, ref: ObjectRef, scratch: Path, *, missing_texture: MissingTexture) -> Fetched:
        """See `MeshSource.fetch`."""
        path = self._path(ref.class_id)
        archive = _open(path)
        mesh = layout.choose_mesh(archive.objects.get(ref.object_id, []), ref.name)
        files = _ZipFiles(path, archive, mesh)
        return pass_gate(files, scratch, missing_texture=missing_texture)

    def _path(self, class_id: str) -> Path:
        for path in self.archives:
            if path.stem == class_id:
                return path
        raise ConfigError(
            f"no archive {class_id}.zip; there are: {', '.join(p.name for p in self.archives)}."
        )


@dataclass(frozen=True, slots=True)
class _ZipFiles:
    """The files of one object in an archive (see `ObjectFiles`)."""

    path: Path
    archive: _Archive
    mesh: str

    @property
    def main(self) -> str:
        """Name of the mesh file."""
        return posixpath.basename(self.mesh)

    def label(self, name: str) -> str:
        """`<archive>:<member>`."""
        return show(f"{self.path.name}:{self._whole(name)}", 200)

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        """See `ObjectFiles.stream`."""
        info = self._member(name)
        if info.file_size > limit:
            raise too_large(self.label(name), limit)
        size = 0
        try:
            with self.archive.file.open(info) as member:
                while block := member.read(BLOCK_BYTES):
                    size += len(block)
                    yield block
            if size != info.file_size:
                raise zipfile.BadZipFile(f"{size} bytes, expected {info.file_size}")
        except _BROKEN as err:
            raise AssetError(
                f"{self.label(name)} is damaged: {show(str(err))}. Download the archive again."
            ) from err

    def _whole(self, name: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.mesh), name))

    def _member(self, name: str) -> zipfile.ZipInfo:
        whole = self._whole(name)
        if whole not in self.archive.members:
            raise MissingFile(name)
        info = self.archive.members[whole]
        if info is None:
            raise AssetError(f"{self.label(name)} is twice in the archive; expected it once.")
        if info.flag_bits & 1 or info.compress_type not in _METHODS:
            raise AssetError(
                f"{self.label(name)} is encrypted or packed in an unusual way; expected a "
                "plain zip (stored or deflated). Pack it again."
            )
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise AssetError(f"{self.label(name)} is no regular file; expected one with content.")
        return info


def _open(path: Path) -> _Archive:
    """The archive, opened once per process and again when it has changed."""
    try:
        state = path.stat()
        return _open_cached(path, state.st_size, state.st_mtime_ns, os.getpid())
    except _BROKEN as err:
        raise _broken(path, str(err)) from err


@functools.lru_cache(maxsize=8)
def _open_cached(path: Path, size: int, mtime_ns: int, pid: int) -> _Archive:
    file = zipfile.ZipFile(path)
    archive = _Archive(file, {}, {})
    for info in file.infolist():
        name = _inside(info.filename, path.stem)
        if name and not info.is_dir():
            _add(archive, name, info)
    return archive


def _add(archive: _Archive, name: str, info: zipfile.ZipInfo) -> None:
    archive.members[name] = None if name in archive.members else info
    top, _, below = name.partition("/")
    owner = layout.object_id(top, is_folder=bool(below))
    if owner is None:
        return
    candidates = archive.objects.setdefault(owner, [])
    direct = "/" not in below.removeprefix("models/")
    if direct and name not in candidates:
        candidates.append(name)


def _inside(member: str, class_id: str) -> str:
    """Name relative to the class, or nothing if it leads elsewhere."""
    parts = member.replace("\\", "/").split("/")
    if any(part in ("", ".", "..") for part in parts[:-1]):
        return ""
    if class_id in parts[:2]:
        parts = parts[parts.index(class_id) + 1 :]
    return "/".join(parts)


def _broken(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is no usable zip archive: {show(why)}. Expected ShapeNet's <synset>.zip; download "
        "it again and compare its size."
    )


__all__ = ["ZipSource"]
