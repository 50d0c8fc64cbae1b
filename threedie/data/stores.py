"""Stores: places that files are written to, one interface for a folder and for others' stores.

`open_store("data/demo")`, `open_store("s3://bucket/demo")`. A file is put whole or not at all, in
every one of them: a folder through `files.put`, the others because an object of theirs appears when
its upload is complete.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from threedie import files
from threedie.data.remote import Remote
from threedie.data.urls import STORES, is_url, scheme_of, shown
from threedie.errors import ConfigError, ManifestError, StorageError

_NAME = re.compile(r"(?:[A-Za-z0-9._-]{1,200}/){0,8}[A-Za-z0-9._-]{1,200}")
_CHUNK = 1 << 20
OnBytes = Callable[[int], None]
"""Told how many more bytes have gone."""


class Store(Protocol):
    """A place with named files. Every method raises StorageError when the place fails."""

    address: str
    """For messages: without query and credentials."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file; None if it is not there.

        Raises:
            ManifestError: it has more than `limit` bytes.
        """

    def list(self, prefix: str) -> list[str]:
        """Names of the files below `prefix` (a folder, ending in `/`, or empty), sorted."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""

    def put_file(self, name: str, path: Path, *, on_bytes: OnBytes | None = None) -> None:
        """Copy a local file there, whole or not at all; the size of what arrived is checked."""

    def delete(self, name: str) -> None:
        """Remove a file; no error where there is none."""


def is_remote(address: str) -> bool:
    """Whether an address is that of a store, and not of a folder of this machine."""
    return is_url(address) and not address.lower().startswith("file:")


def open_store(address: str | Path) -> Store:
    """The store at an address; nothing is read or written yet.

    Args:
        address: a folder (it need not exist yet), or `s3://bucket/path`, `gs://bucket/path`,
            `az://container/path`, `hf://datasets/user/name`. Endpoint, region and credentials come
            from the environment (AWS_ENDPOINT_URL, AWS_PROFILE …, HF_TOKEN, HF_ENDPOINT).

    Raises:
        ConfigError: another kind of address, or an empty one; a web server, which can only be read.
        MissingExtra: the store's package is not installed.
    """
    if address == "":
        raise ConfigError("the destination is empty; give a folder, or the address of a store.")
    if isinstance(address, Path) or not is_url(address):
        return FolderStore(Path(address))
    scheme = scheme_of(address)
    if scheme == "file":
        return FolderStore(Path(re.sub(r"^file:(//)?", "", address)))
    if scheme in ("http", "https"):
        raise ConfigError(
            f"cannot write to {shown(address)}: a web server is read only here. Give a folder, or "
            f"one of {', '.join(f'{known}://' for known in STORES)}."
        )
    return RemoteStore(address)


def checked_name(name: str) -> str:
    """A name within a store: relative, plain characters, no `.` or `..`.

    Raises:
        ManifestError: another.
    """
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ManifestError(f"{name[:80]!r} is no name that a file of a data set may have.")
    return name


class FolderStore:
    """A folder of this machine (see `Store`).

    Args:
        folder: made when the first file is put.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, str(folder)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        path = self._path(name)
        with files.storage_errors(path, "read"):
            return path.stat().st_size if path.is_file() else None

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file; None if it is not there."""
        size = self.size(name)
        if size is None:
            return None
        check_limit(f"{self.address}/{name}", size, limit)
        with files.storage_errors(self._path(name), "read"):
            return self._path(name).read_bytes()

    def list(self, prefix: str) -> list[str]:
        """Names of the files below a prefix, without those that are still being written."""
        below = self.folder / checked_name(prefix.rstrip("/")) if prefix else self.folder
        with files.storage_errors(below, "read"):
            paths = [p for p in below.rglob("*") if p.is_file() and not files.is_temporary(p.name)]
        return sorted(path.relative_to(self.folder).as_posix() for path in paths)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        files.put(self._made(name), content)

    def put_file(self, name: str, path: Path, *, on_bytes: OnBytes | None = None) -> None:
        """Copy a local file there, whole or not at all."""
        sent = files.put(self._made(name), _pieces(path, on_bytes or _ignore))
        check_arrived(f"{self.address}/{name}", path, sent.size)

    def delete(self, name: str) -> None:
        """Remove a file, and folders that are empty then; no error where there is none."""
        path = self._path(name)
        with files.storage_errors(path, "delete"):
            if path.exists():
                path.unlink(missing_ok=True)
                files.sync_directory(path.parent)
        for folder in path.relative_to(self.folder).parents[:-1]:
            with contextlib.suppress(OSError):  # not empty, as most are
                (self.folder / folder).rmdir()

    def _path(self, name: str) -> Path:
        return self.folder / checked_name(name)

    def _made(self, name: str) -> Path:
        path = self._path(name)
        files.make_directory(path.parent)
        return path


class RemoteStore:
    """A store of others, through fsspec (see `Store`).

    Args:
        address: with its scheme.

    Raises:
        MissingExtra: its package is not installed.
    """

    def __init__(self, address: str) -> None:
        self._remote = Remote(address)
        self.address = self._remote.address

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        return self._remote.size(checked_name(name))

    def read(self, name: str, limit: int) -> bytes | None:
        """A small file; None if it is not there."""
        size = self.size(name)
        if size is None:
            return None
        check_limit(f"{self.address}/{name}", size, limit)
        return self._remote.read(name, 0, size)

    def list(self, prefix: str) -> list[str]:
        """Names of the files below a prefix."""
        return self._remote.list(checked_name(prefix.rstrip("/")) if prefix else "")

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        self._remote.put(checked_name(name), content)

    def put_file(self, name: str, path: Path, *, on_bytes: OnBytes | None = None) -> None:
        """Copy a local file there; it appears when all of it has arrived."""
        self._remote.put_file(checked_name(name), path, on_bytes or _ignore)
        check_arrived(f"{self.address}/{name}", path, self.size(name))

    def delete(self, name: str) -> None:
        """Remove a file; no error where there is none."""
        self._remote.delete(checked_name(name))


def check_limit(where: str, size: int, limit: int) -> None:
    """Refuse to read a file that is too large for its kind.

    Raises:
        ManifestError: `size` is more than `limit` bytes.
    """
    if size > limit:
        raise ManifestError(f"{where}: {size:,} bytes, at most {limit:,} were expected.")


def check_arrived(where: str, path: Path, size: int | None) -> None:
    """Compare what arrived with what was sent.

    Raises:
        StorageError: another size.
    """
    sent = path.stat().st_size
    if size != sent:
        raise StorageError(
            f"{where}: {size if size is not None else 'no'} bytes arrived, {path} has {sent}. "
            "Run the same command again: it sends only what lacks."
        )


def _pieces(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    with files.storage_errors(path, "read"), path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            yield piece
            on_bytes(len(piece))


def _ignore(count: int) -> None:
    pass
