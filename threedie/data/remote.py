"""What fsspec's file systems are asked to do, with one kind of error and one way to try again.

s3fs, huggingface_hub and their like raise dozens of types. Here a file that is not there is None, a
fault that may pass is tried again with back-off, and every other is one StorageError. Endpoint,
region and credentials are the environment's.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from threedie.data.urls import scheme_of, shown
from threedie.errors import ConfigError, MissingExtra, StorageError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3  # each of which is several requests of the store's own client
_PIECE = 8 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_EXTRA = {"s3": "s3fs", "hf": "huggingface_hub"}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_PASSING_STATUS = {408, 409, 425, 429}
_INSUFFICIENT_STORAGE = 507
_SECRETS = re.compile(r"\?[^\s\"'>)]+|(?<=//)[^/\s\"'@]+@")


class Remote:
    """Files below an address of a store.

    Args:
        address: with its scheme, `s3://bucket/path`.

    Raises:
        ConfigError: a kind of store that is not known, or a package that it needs.
        MissingExtra: fsspec, s3fs or huggingface_hub is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = shown(address).rstrip("/")
        self._fs, self._root = _opened(address.rstrip("/"))

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""

        def ask() -> int | None:
            self._fs.invalidate_cache()
            found = self._fs.info(self._path(name))
            return int(found["size"]) if found["type"] == "file" else None

        return self._or_none("look at", name, ask)

    def look(self) -> tuple[int, str]:
        """Bytes of the file that the address itself names, and its ETag or empty.

        Raises:
            StorageError: it is not there.
        """

        def ask() -> tuple[int, str]:
            self._fs.invalidate_cache()
            found = self._fs.info(self._root)
            if found["type"] != "file":
                raise IsADirectoryError("a folder")
            return int(found["size"]), str(found.get("ETag") or found.get("etag") or "")

        return self._do("read", "", ask)

    def read(self, name: str, first: int, end: int) -> bytes | None:
        """Bytes `first` to `end` (exclusive) of a file; None if it is not there."""

        def ask() -> bytes:
            # Some stores answer an empty range with an error.
            found = self._fs.cat_file(self._path(name), start=first, end=end)
            return bytes(found)

        return b"" if end <= first else self._or_none("read", name, ask)

    def list(self, folder: str) -> list[str]:
        """Names of all files below a folder, sorted; none where it is not there."""

        def ask() -> list[str]:
            self._fs.invalidate_cache()
            found = self._fs.find(self._path(folder) if folder else self._root)
            return sorted(str(path)[len(self._root) + 1 :] for path in found)

        return self._or_none("list", folder, ask) or []

    def put(self, name: str, content: bytes) -> None:
        """Write a file; it appears when all of it has arrived."""
        self._do("write", name, lambda: self._fs.pipe_file(self._path(name), content))

    def put_file(self, name: str, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Copy a local file there; it appears when all of it has arrived."""
        from fsspec.callbacks import Callback

        class Told(Callback):  # type: ignore[misc]  # fsspec is untyped
            def relative_update(self, inc: int = 1) -> None:
                on_bytes(inc)

        def send() -> None:
            self._fs.put_file(str(path), self._path(name), callback=Told())

        self._do("write", name, send)

    def delete(self, name: str) -> None:
        """Remove a file; no error where there is none."""
        self._or_none("delete", name, lambda: self._fs.rm_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _or_none(self, doing: str, name: str, call: Callable[[], T]) -> T | None:
        try:
            return self._do(doing, name, call)
        except StorageError as err:
            if isinstance(err.__cause__, FileNotFoundError) and not _no_place(err.__cause__):
                return None
            raise

    def _do(self, doing: str, name: str, call: Callable[[], T]) -> T:
        where = f"{self.address}/{name}" if name else self.address
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return call()
            except ImportError as err:
                raise _missing(self.address, err) from err
            except Exception as err:  # each store has its own
                if attempt == _ATTEMPTS or not may_pass(err):
                    raise StorageError(f"cannot {doing} {where}: {_told(err)}") from err
                _LOG.warning("%s: %s; trying again (%d)", where, _reason(err), attempt)
                pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempt - 1))
                time.sleep(pause * random.uniform(0.5, 1.0))
        raise AssertionError


class StoreReading:
    """A file of a store (see `urls.Reading`).

    Args:
        address: of the file, with its scheme.
        first: the first wanted byte.
        end: the byte to stop before; None: the end of the file.
        validator: what the file's was when bytes before `first` were read.
    """

    def __init__(
        self, address: str, first: int = 0, *, end: int | None = None, validator: str = ""
    ) -> None:
        self._address, self._first, self._end = address, first, end
        self.whole: int | None = None
        self.validator = validator

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(position, bytes).

        Raises:
            ConfigError: a package of the store's is missing.
            StorageError: it can't be read, or is not there.
        """
        remote = Remote(self._address)
        self.whole, self.validator = remote.look()
        stop = self.whole if self._end is None else min(self._end, self.whole)
        for position in range(self._first, stop, _PIECE):
            content = remote.read("", position, min(position + _PIECE, stop))
            if content is None or len(content) != min(_PIECE, stop - position):
                raise StorageError(
                    f"cannot read {remote.address}: it was changed while it was being read."
                )
            yield position, content


def may_pass(err: BaseException) -> bool:
    """Whether a fault may go away by itself: no answer, an overload, a broken connection."""
    status = _status(err)
    if status is not None:
        return (status >= 500 and status != _INSUFFICIENT_STORAGE) or status in _PASSING_STATUS
    if isinstance(err, _PERMANENT) or "Credential" in type(err).__name__:
        return False
    return not (isinstance(err, OSError) and err.errno in _FULL)


def _status(err: BaseException | None) -> int | None:
    """The HTTP status behind a store's exception, where there is one."""
    while err is not None:
        response = getattr(err, "response", None)
        if isinstance(response, dict):  # botocore
            response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        found = getattr(response, "status_code", response)
        if isinstance(found, int):
            return found
        err = err.__cause__
    return None


def _no_place(err: BaseException | None) -> bool:
    """Whether it is the bucket or repository that is not there."""
    while err is not None:
        response = getattr(err, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        if code == "NoSuchBucket" or type(err).__name__ == "RepositoryNotFoundError":
            return True
        err = err.__cause__
    return False


def _opened(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as err:
        raise MissingExtra("fsspec", "share") from err
    try:
        options = _credentials(scheme_of(address))
        fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False, **options)
    except ImportError as err:
        raise _missing(address, err) from err
    except Exception as err:
        raise ConfigError(f"cannot open {shown(address)}: {_reason(err)}.") from err
    return fs, str(root).rstrip("/")


def _credentials(scheme: str) -> dict[str, str]:
    """What a client is given when it is made: the hub's would look for its token at every request.

    While pictures are rendered the environment holds no secrets, so that workers have none.
    """
    token = os.environ.get("HF_TOKEN") if scheme == "hf" else None
    return {"token": token} if token else {}


def _missing(address: str, err: ImportError) -> ConfigError:
    scheme = scheme_of(address)
    if scheme in _EXTRA:
        return MissingExtra(_EXTRA[scheme], "share", why=str(err)[:200])
    package = _PACKAGES.get(scheme, "a package of the store's")
    return ConfigError(
        f"{shown(address)} needs {package}: pip install {package} ({str(err)[:200]})."
    )


def _told(err: Exception) -> str:
    """One line: what the store said, and what to do about it."""
    if isinstance(err, FileNotFoundError):
        hint = " Make it first: public or private is yours to choose." if _no_place(err) else ""
        return f"not there ({_reason(err)}).{hint}"
    if isinstance(err, PermissionError) or "Credential" in type(err).__name__:
        return (
            f"not allowed ({_reason(err)}). Credentials come from the environment: AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, HF_TOKEN."
        )
    if getattr(err, "errno", None) == errno.EFBIG:
        return (
            f"the file is too large for this store ({_reason(err)}). Nothing half-written is kept."
        )
    if _status(err) == _INSUFFICIENT_STORAGE or getattr(err, "errno", None) in _FULL:
        return f"no space left there ({_reason(err)}). Nothing half-written is kept."
    return f"{_reason(err)}. The same command goes on when it can be reached."


def _reason(err: BaseException) -> str:
    text = _SECRETS.sub("", " ".join(str(err).split()))[:200].rstrip(". ")
    return f"{type(err).__name__}: {text}" if text else type(err).__name__
