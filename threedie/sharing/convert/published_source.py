"""Reading the published layout into a spool: out of an archive that streams by, or from a folder.

Only names of the layout are taken, `[FOLDER/]SYNSET/OBJECT/image_<v>.jpg` and `latent_<v>.npy`, and
the split lists. Nothing is ever written under a name out of the source.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from threedie.data.published import TRAIN_LIST, VAL_LIST, is_safe_name
from threedie.errors import ConfigError, StorageError
from threedie.sharing.convert.inflate import Received, inflated
from threedie.sharing.convert.progress import ConvertProgress
from threedie.sharing.convert.set_aside import SetAside
from threedie.sharing.convert.spool import LATENT, PICTURE, SpoolWriter
from threedie.sharing.convert.tar_stream import MAX_MEMBER, TarStream

_LISTS = {VAL_LIST, TRAIN_LIST}
_MEMBER = re.compile(
    r"(?:\./)?(?:(?P<root>[^/]+)/)?(?P<object>(?P<class>[^/]+)/(?P<id>[^/]+))/"
    r"(?:image_(?P<image>0|[1-9]\d{0,3})\.jpg|latent_(?P<latent>0|[1-9]\d{0,3})\.npy)"
)
_DEEPEST = 4
_NOT_OURS = "file that is not of the published layout"


class Source(Protocol):
    """Where pictures come from."""

    @property
    def kind(self) -> Literal["archive", "folder"]:
        """What it is."""

    @property
    def name(self) -> str:
        """Without its path, or query."""

    @property
    def size(self) -> int | None:
        """Bytes of an archive; None for a folder, or if unknown."""

    def needed(self) -> int | None:
        """Bytes that its pictures can take; None if nobody knows."""

    def read(
        self, writer: SpoolWriter, aside: SetAside, progress: ConvertProgress
    ) -> tuple[int | None, str | None]:
        """Everything into the spool, once; returns size and SHA-256 of an archive."""


@dataclass(slots=True)
class ArchiveSource:
    """A tar or tar.gz, as it arrives."""

    chunks: Iterable[bytes]
    name: str
    size: int | None
    kind: Literal["archive"] = "archive"

    def needed(self) -> int | None:
        """Its own size: pictures do not shrink in an archive."""
        return self.size

    def read(
        self, writer: SpoolWriter, aside: SetAside, progress: ConvertProgress
    ) -> tuple[int | None, str | None]:
        """See `Source`.

        Raises:
            ManifestError: damaged, cut off, or a bomb.
            ConfigError: no tar or tar.gz.
        """
        received = Received(self.chunks)
        taker = _Taker(writer, aside)
        for number, (name, content) in enumerate(
            TarStream(inflated(received, self.name), self.name, aside)
        ):
            taker.take(name, content)
            if number % 256 == 0:
                progress.read(received.bytes, writer.objects)
        progress.read(received.bytes, writer.objects)
        return received.bytes, received.sha256


@dataclass(slots=True)
class FolderSource:
    """A folder in the published layout. Links in it are not followed."""

    folder: Path
    kind: Literal["folder"] = "folder"
    size: None = None

    @property
    def name(self) -> str:
        """The folder's own."""
        return self.folder.resolve().name or "/"

    def needed(self) -> int | None:
        """The sum of its files."""
        return sum(entry.stat(follow_symlinks=False).st_size for _, entry in self._files(None))

    def read(
        self, writer: SpoolWriter, aside: SetAside, progress: ConvertProgress
    ) -> tuple[int | None, str | None]:
        """See `Source`.

        Raises:
            ConfigError: the folder can't be read.
        """
        taker, done = _Taker(writer, aside), 0
        for number, (name, entry) in enumerate(self._files(aside)):
            if taker.wants(name):
                content = _read_regular(Path(entry.path), name, aside)
                if content is not None:
                    taker.take(os.fsencode(name), content)
                    done += len(content)
            elif not _is_beside(name):
                aside.add(_NOT_OURS, name)
            if number % 256 == 0:
                progress.read(done, writer.objects)
        progress.read(done, writer.objects)
        return None, None

    def _files(self, aside: SetAside | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Names relative to the folder, in sorted order, and their files."""
        waiting = [("", self.folder, 1)]
        while waiting:
            prefix, folder, depth = waiting.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
            except OSError as err:
                if depth == 1:
                    raise ConfigError(f"cannot read {folder}: {err.strerror}.") from err
                entries = []
                if aside is not None:
                    aside.add("unreadable folder", prefix)
            deeper = []
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST:
                        deeper.append((f"{name}/", Path(entry.path), depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield name, entry
                elif aside is not None:
                    aside.add("link, device or FIFO", name)
            waiting += deeper


def _read_regular(path: Path, name: str, aside: SetAside) -> bytes | None:
    """A file's bytes, if it still is a file of reasonable size."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_MEMBER:
                return file.read(MAX_MEMBER)
    except OSError:
        aside.add("unreadable file", name)
        return None
    aside.add(f"file of more than {MAX_MEMBER // 2**20} MiB", name)
    return None


class _Taker:
    """Sorts members by their names; the rest is set aside."""

    def __init__(self, writer: SpoolWriter, aside: SetAside) -> None:
        self._writer, self._aside = writer, aside
        self._good_names: set[str] = set()

    def wants(self, name: str) -> bool:
        """Whether a file can be of the layout, by its name."""
        return bool(_MEMBER.fullmatch(name)) or _list_name(name) is not None

    def take(self, raw_name: bytes, content: bytes) -> None:
        """Take a member, or set it aside."""
        try:
            name = raw_name.decode()
        except UnicodeDecodeError:
            self._aside.add("name that is not UTF-8", raw_name.decode("utf-8", "replace"))
            return
        match = _MEMBER.fullmatch(name)
        if match is None:
            if list_name := _list_name(name):
                self._writer.add_list(list_name, content)
            elif not _is_beside(name):
                self._aside.add(_kind_of(name), name)
        elif match["root"] in ("..", ".") or not self._is_good(match):
            self._aside.add(_kind_of(name, default="unsafe name of an object"), name)
        elif match["image"]:
            self._writer.add(match["object"], PICTURE, int(match["image"]), content)
        else:
            self._writer.add(match["object"], LATENT, int(match["latent"]), content)

    def _is_good(self, match: re.Match[str]) -> bool:
        if match["object"] in self._good_names:
            return True
        good = all(is_safe_name(match[part]) for part in ("class", "id"))
        if good:
            self._good_names.add(match["object"])
        return good


def _list_name(name: str) -> str | None:
    parts = name.removeprefix("./").split("/")
    return parts[-1] if parts[-1] in _LISTS and len(parts) <= 2 and ".." not in parts else None


def _is_beside(name: str) -> bool:
    """Whether a file says nothing new: labels are ranks of names, the marker is an export's own."""
    return name.rpartition("/")[2] in ("val_labels.npy", "train_labels.npy", ".export.json")


def _kind_of(name: str, default: str = _NOT_OURS) -> str:
    if name.startswith("/"):
        return "absolute path"
    return "path with '..'" if ".." in name.split("/") else default


def open_source(path: Path, chunk_bytes: int = 1 << 20) -> ArchiveSource | FolderSource:
    """A file as an archive, a folder as a folder.

    Raises:
        ConfigError: neither is there.
    """
    if path.is_dir():
        return FolderSource(path)
    try:
        size = path.stat().st_size
    except OSError as err:
        raise ConfigError(
            f"cannot read {path}: {err.strerror}. Give a .tar, a .tar.gz, or a folder of "
            "SYNSET/OBJECT folders."
        ) from err
    return ArchiveSource(_file_chunks(path, chunk_bytes), path.name, size)


def _file_chunks(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(chunk_bytes):
                yield chunk
    except OSError as err:
        raise StorageError(f"cannot read {path}: {err.strerror}.") from err
