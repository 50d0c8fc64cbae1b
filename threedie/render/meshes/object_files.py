"""The files of one object, behind one small protocol: a folder on disk or a zip archive.

Names are relative to the folder of the object's mesh file, with forward slashes, and have passed
`local_name`: below that folder, or in ShapeNet's `../images` beside it. Nothing else is ever
opened, whatever a material library or a glTF asks for, and links are followed only as long as they
stay there.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from threedie.errors import AssetError

BLOCK_BYTES = 1 << 20
IMAGES = "../images"
"""The only folder outside the mesh's own that textures may come from (ShapeNetCore.v2)."""


# absolute, home, host; drive or scheme; control characters
_FOREIGN = re.compile(r"[/~]|[A-Za-z][A-Za-z0-9+.-]*:|.*[\x00-\x1f\x7f]", re.DOTALL)


class MissingFile(Exception):
    """The object has no such file; the caller decides what that means."""


class ObjectFiles(Protocol):
    """Reads the files of one object."""

    @property
    def main(self) -> str:
        """Name of the mesh file."""

    def label(self, name: str) -> str:
        """The name as a person finds it: relative to the source, for messages."""

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        """A file in blocks.

        Args:
            name: has passed `local_name`.
            limit: bytes.

        Raises:
            MissingFile: there is none.
            AssetError: it is no regular file, outside of the object, unreadable, or too large.
        """


def show(text: str | bytes, width: int = 80) -> str:
    """A foreign name or line for a message: one line, no control characters, cut."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"


def local_name(text: str, *, asked_by: str) -> str:
    """Check a file name that was found inside a foreign file.

    Args:
        text: the name as written there; backslashes count as slashes.
        asked_by: the file it was found in, for the message.

    Returns:
        The normalised name: below the mesh's folder, or below `../images`.

    Raises:
        AssetError: it is absolute, has a drive, a host or a scheme, or leads elsewhere.
    """
    name = text.replace("\\", "/")
    normal = posixpath.normpath(name)
    elsewhere = normal.split("/")[0] == ".." and not normal.startswith(f"{IMAGES}/")
    if elsewhere or normal == "." or len(name) > 1024 or _FOREIGN.match(name):
        raise AssetError(
            f"{asked_by}: refused to open {show(text)!r}. Expected a file in the mesh's own folder "
            f"or in {IMAGES}; make the name relative and put the file there."
        )
    return normal


class FolderFiles:
    """Files on disk. Only regular files, only below the object's folder and the source's root."""

    def __init__(self, root: Path, mesh: Path) -> None:
        self._root = os.path.realpath(root)
        self._shown_root = root
        self._mesh = mesh

    @property
    def main(self) -> str:
        """Name of the mesh file."""
        return self._mesh.name

    def label(self, name: str) -> str:
        """The name relative to the source's folder."""
        whole = os.path.normpath(self._mesh.parent / name)
        return show(os.path.relpath(whole, self._shown_root), 200)

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        """See `ObjectFiles.stream`."""
        try:
            descriptor = self._open(name)
        except (FileNotFoundError, NotADirectoryError) as err:
            raise MissingFile(name) from err
        except (OSError, ValueError) as err:
            raise AssetError(f"{self.label(name)} cannot be opened: {_reason(err)}.") from err
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield from self._blocks(file.fileno(), name, limit)

    def _blocks(self, descriptor: int, name: str, limit: int) -> Iterator[bytes]:
        total = 0
        while True:
            try:
                block = os.read(descriptor, BLOCK_BYTES)
            except OSError as err:
                raise AssetError(f"{self.label(name)} cannot be read: {_reason(err)}.") from err
            total += len(block)
            if total > limit:
                raise too_large(self.label(name), limit)
            if not block:
                return
            yield block

    def _open(self, name: str) -> int:
        real = os.path.realpath(self._mesh.parent / name, strict=True)
        self._require_inside(real, name)
        # Looked at before it is opened (opening a device can act), and again after.
        if not stat.S_ISREG(Path(real).stat().st_mode):
            raise self._not_a_file(name)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(real, flags)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._not_a_file(name)
        return descriptor

    def _require_inside(self, real: str, name: str) -> None:
        folder = self._mesh.parent
        homes = [os.path.realpath(folder), os.path.realpath(folder / IMAGES)]
        if name == self.main:
            homes = [self._root]  # a mesh may be a link to another place of the same data set
        if not (_below(real, self._root) and any(_below(real, home) for home in homes)):
            raise AssetError(
                f"{self.label(name)} is a link that leads out of its object. Links are followed "
                "only inside the source; copy the file, or give the folder that holds both."
            )

    def _not_a_file(self, name: str) -> AssetError:
        return AssetError(
            f"{self.label(name)} is no regular file (a folder, pipe, socket or device); "
            "expected a file with content."
        )


def _below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _reason(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or str(err)


def too_large(label: str, limit: int) -> AssetError:
    """The refusal of a file that is longer than its limit."""
    return AssetError(
        f"{label} is larger than {limit / 2**20:.0f} MiB, the most that is read of such a file; "
        "simplify it or leave the object out."
    )


class HashedFiles:
    """Reads an object's files and remembers what was read, for `source_sha256`."""

    def __init__(self, files: ObjectFiles) -> None:
        self._files = files
        self._read: dict[str, str] = {}
        self.main = files.main

    def label(self, name: str) -> str:
        """The name as a person finds it."""
        return self._files.label(name)

    def stream(self, name: str, limit: int) -> Iterator[bytes]:
        """A file in blocks; it counts as read once its end was reached."""
        digest, size = hashlib.sha256(), 0
        for block in self._files.stream(name, limit):
            digest.update(block)
            size += len(block)
            yield block
        self._read[name] = f"{name}\0{size}\0{digest.hexdigest()}\n"

    def read(self, name: str, limit: int) -> bytes:
        """A whole file."""
        return b"".join(self.stream(name, limit))

    def sha256(self) -> str:
        """Hash over name, size and content of every file read, in the order of the names."""
        lines = "".join(self._read[name] for name in sorted(self._read))
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


__all__ = [
    "FolderFiles",
    "HashedFiles",
    "MissingFile",
    "ObjectFiles",
    "local_name",
    "show",
    "too_large",
]
