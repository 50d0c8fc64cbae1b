"""The spool: a source's pictures and latents in the order they came, and an index of them.

A conversion reads its source once, from the first byte to the last. Pictures are appended to one
working file and latents to another; where each lies is kept in arrays of a few bytes a member. When
the source has ended the arrays are written beside them, and `sealed.json` last: from then on the
source is not needed any more, and a killed conversion goes on from the spool.

    pictures.spool, latents.spool    contents, one after the other
    members.bin                      the columns of `_COLUMNS`, one after the other
    objects.txt                      `<class>/<object>`, a line each
    lists/                           the split lists that the source holds
    sealed.json                      counts and hashes of the other files; what the source was
"""

from __future__ import annotations

import hashlib
import os
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from threedie import files
from threedie.data.jpeg import jpeg_size
from threedie.data.published import parse_latent
from threedie.errors import ManifestError, StorageError
from threedie.manifests.dataset import Model, Sha256, canonical_json, read_json, validated

PICTURE, LATENT = 0, 1
_MOST_OBJECTS, _MOST_MEMBERS = 1_000_000, 16_000_000
_COLUMNS = {"object": "i", "view": "H", "kind": "B", "length": "I", "crc": "I", "side": "H"}
"""Of a member: array typecodes. `side` of a picture in pixels, of a latent its numbers; 0: faulty.
A view has four digits at most, a content 64 MiB, a JPEG 65,535 pixels a side."""


class Sealed(Model):
    """sealed.json."""

    kind: Literal["archive", "folder"]
    name: str
    bytes: int | None
    """Of the archive; null for a folder."""
    sha256: Sha256 | None
    members: int
    objects: int
    picture_bytes: int
    latents_sha256: Sha256
    members_sha256: Sha256
    objects_sha256: Sha256
    lists: tuple[str, ...]
    set_aside: tuple[str, ...]
    """A line for every kind of thing that was not taken."""


class SpoolWriter:
    """Takes members in any order; see the file's head.

    Args:
        folder: working folder of the conversion.
        append_picture: to pictures.spool.
        append_latent: to latents.spool.
    """

    def __init__(
        self,
        folder: Path,
        append_picture: Callable[[bytes], None],
        append_latent: Callable[[bytes], None],
    ) -> None:
        self._folder = folder
        self._append = (append_picture, append_latent)
        self._picture_bytes, self._latents_digest = 0, hashlib.sha256()
        self._numbers: dict[str, int] = {}
        self._columns = {name: array(code) for name, code in _COLUMNS.items()}
        self._lists: dict[str, bytes] = {}

    @property
    def objects(self) -> int:
        """How many objects there are so far."""
        return len(self._numbers)

    def add(self, name: str, kind: int, view: int, content: bytes) -> None:
        """Take a member.

        Args:
            name: `<class>/<object>`.
            kind: PICTURE or LATENT.
            view: of the object.
            content: the file. One that can't be used is counted, and not kept.

        Raises:
            ManifestError: more objects or members than a conversion can hold.
        """
        if kind == PICTURE:
            size = jpeg_size(content)
            side = size[0] if size is not None and size[0] == size[1] else 0
        else:
            row = parse_latent(content)
            side, content = (0, b"") if row is None else (len(row), row.tobytes())
        content = content if side else b""
        number = self._numbers.setdefault(name, len(self._numbers))
        row_of = (number, view, kind, len(content), zlib.crc32(content), side)
        for column, value in zip(self._columns.values(), row_of, strict=True):
            column.append(value)
        self._append[kind](content)
        if kind == PICTURE:
            self._picture_bytes += len(content)
        else:
            self._latents_digest.update(content)
        if len(self._numbers) > _MOST_OBJECTS or len(self._columns["object"]) > _MOST_MEMBERS:
            raise ManifestError(
                f"the source has more than {_MOST_OBJECTS:,} objects or {_MOST_MEMBERS:,} files; "
                "convert it in parts."
            )

    def add_list(self, name: str, content: bytes) -> None:
        """Keep a split list: val_images.npy, train_images.npy."""
        self._lists[name] = content

    def seal(
        self,
        kind: Literal["archive", "folder"],
        name: str,
        size: int | None,
        sha256: str | None,
        aside: tuple[str, ...],
    ) -> None:
        """Write the index and, last, sealed.json. The spools must be durable.

        Raises:
            StorageError: it can't be written.
        """
        lists = files.make_directory(self._folder / "lists")
        for file_name, content in self._lists.items():
            files.put(lists / file_name, content)
        members = files.put(
            self._folder / "members.bin", (column.tobytes() for column in self._columns.values())
        )
        objects = files.put(
            self._folder / "objects.txt", (f"{name}\n".encode() for name in self._numbers)
        )
        sealed = Sealed(
            kind=kind,
            name=name,
            bytes=size,
            sha256=sha256,
            members=len(self._columns["object"]),
            objects=len(self._numbers),
            picture_bytes=self._picture_bytes,
            latents_sha256=self._latents_digest.hexdigest(),
            members_sha256=members.sha256,
            objects_sha256=objects.sha256,
            lists=tuple(sorted(self._lists)),
            set_aside=aside,
        )
        files.put(self._folder / "sealed.json", canonical_json(sealed.model_dump(mode="json")))


@dataclass(frozen=True, slots=True)
class Members:
    """The members of one kind, sorted by object and view; of equal ones the first to come first."""

    object: NDArray[np.int32]
    view: NDArray[np.uint16]
    offset: NDArray[np.int64]
    length: NDArray[np.uint32]
    crc: NDArray[np.uint32]
    side: NDArray[np.uint16]

    def starts(self, objects: int) -> NDArray[np.int64]:
        """The first row of every object, and one more: (objects + 1,)."""
        starts: NDArray[np.int64] = np.searchsorted(self.object, np.arange(objects + 1))
        return starts


class Spool:
    """A sealed spool.

    Args:
        folder: working folder of the conversion.

    Raises:
        ManifestError: a file of it was changed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / "sealed.json"
        self.sealed = validated(Sealed, read_json(path), path)
        names = self._checked("objects.txt", self.sealed.objects_sha256)
        self.objects = names.decode().split("\n")[:-1]
        columns = _columns(self._checked("members.bin", self.sealed.members_sha256), self.sealed)
        self.pictures, self.latents = (_members(columns, kind) for kind in (PICTURE, LATENT))
        rows = self._checked("latents.spool", self.sealed.latents_sha256)
        self._latents = np.frombuffer(rows, "<f8")

    def _checked(self, name: str, sha256: str) -> bytes:
        content = self._read(name)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _changed(self._folder / name)
        return content

    def _read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as err:
            raise StorageError(f"cannot read {path}: {err.strerror}. {_AGAIN}") from err

    def list_path(self, name: str) -> Path | None:
        """A split list of the source's own."""
        return self._folder / "lists" / name if name in self.sealed.lists else None

    def latents_of(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """(V, 7 or 10): the latents in these rows of `latents`, all of one width."""
        firsts = self.latents.offset[list(rows)] // 8
        width = int(self.latents.side[rows[0]])
        chosen: NDArray[np.float64] = self._latents[firsts[:, None] + np.arange(width)]
        return chosen

    def open_pictures(self) -> PictureFile:
        """The pictures, for reading."""
        return PictureFile(self._folder / "pictures.spool", self.pictures)


class PictureFile:
    """Reads pictures out of pictures.spool; close it, or use it as a context."""

    def __init__(self, path: Path, members: Members) -> None:
        self._path, self._members = path, members
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as err:
            raise StorageError(f"cannot read {path}: {err.strerror}. {_AGAIN}") from err

    def __enter__(self) -> PictureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, rows: Sequence[int]) -> list[bytes]:
        """The pictures in these rows, each the very bytes that came.

        Raises:
            ManifestError: the spool was changed.
        """
        chosen, file = list(rows), self._file.fileno()
        offsets = self._members.offset[chosen].tolist()
        lengths = self._members.length[chosen].tolist()
        first, size = min(offsets), sum(lengths)
        end = max(at + n for at, n in zip(offsets, lengths, strict=True))
        if end - first == size:  # one piece of the spool, as nearly always
            whole = os.pread(file, size, first)
            starts = (offset - first for offset in offsets)
            found = [whole[at : at + n] for at, n in zip(starts, lengths, strict=True)]
        else:
            found = [os.pread(file, n, o) for o, n in zip(offsets, lengths, strict=True)]
        if list(map(zlib.crc32, found)) != self._members.crc[chosen].tolist():
            raise _changed(self._path)
        return found


_AGAIN = "Remove the folder with it and run the same command again: the source is read anew."


def _changed(path: Path) -> ManifestError:
    return ManifestError(f"{path} is not what was written there. {_AGAIN}")


def _columns(content: bytes, sealed: Sealed) -> dict[str, NDArray[np.int64]]:
    columns, at = {}, 0
    for name, code in _COLUMNS.items():
        dtype = np.dtype(code)
        columns[name] = np.frombuffer(content, dtype, sealed.members, at)
        at += dtype.itemsize * sealed.members
    return columns


def _members(columns: dict[str, NDArray[np.int64]], kind: int) -> Members:
    rows = np.flatnonzero(columns["kind"] == kind)
    lengths = columns["length"][rows]
    offsets = np.cumsum(lengths, dtype=np.int64) - lengths
    order = np.lexsort((columns["view"][rows], columns["object"][rows]))
    chosen = rows[order]
    return Members(
        object=columns["object"][chosen].astype(np.int32),
        view=columns["view"][chosen].astype(np.uint16),
        offset=offsets[order],
        length=lengths[order].astype(np.uint32),
        crc=columns["crc"][chosen].astype(np.uint32),
        side=columns["side"][chosen].astype(np.uint16),
    )
