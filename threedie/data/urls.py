"""Reading files by URL: local paths, http(s), and stores through fsspec.

No URL can run a command or name another file system: the schemes are a list, and webdataset's own
opener, which hands `pipe:` to a shell, is never called. A broken connection is taken up again where
it broke.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, MAX_BYTES, DatasetManifest

STORES = ("s3", "gs", "gcs", "hf", "az", "abfs")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):")
_PLACE = re.compile(r"^[^:]+://[^/?#\s]+")
_USER = re.compile(r"(?<=://)[^/@]*@")
_HUB = re.compile(
    r"hf://datasets/(?P<name>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>\w[\w.%-]*))?/(?P<file>.+)",
    re.ASCII,
)
_CHUNK = 1 << 20


class Reading(Protocol):
    """A file that is being read: pieces with their positions, in order.

    Where a source can't go on in the middle, positions start over at 0.
    """

    whole: int | None
    """Bytes of the file as its source says, once the first piece has come; None: it does not."""
    validator: str
    """What changes when the file does (an ETag); empty where the source gives none."""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(position, bytes)."""


def scheme_of(address: str) -> str:
    """`file`, `http`, `https`, or one of `STORES`.

    Raises:
        ConfigError: any other, or a chain of them; a server or bucket is not named.
    """
    match = _SCHEME.match(address)
    scheme = match[1].lower() if match else "file"
    if "::" in address or scheme not in ("file", "http", "https", *STORES):
        raise ConfigError(
            f"cannot read '{address[:80]}': give a path, http(s)://, or one of "
            f"{', '.join(f'{s}://' for s in STORES)}. Commands (pipe:) and chains (::) are refused."
        )
    if scheme != "file" and not _PLACE.match(address):  # fsspec would take s3:/x for a folder
        raise ConfigError(
            f"'{shown(address)[:80]}' names no {'bucket' if scheme in STORES else 'server'}: give "
            f"{scheme}://{'BUCKET' if scheme in STORES else 'HOST'}/path."
        )
    return scheme


def is_url(address: str) -> bool:
    """Whether this is not a path on this machine (`pipe:` and the like too: see `scheme_of`)."""
    return bool(_SCHEME.match(address)) and ("://" in address or not Path(address).exists())


def shown(address: str) -> str:
    """For messages: without the query and the `user:password@`, where secrets are."""
    return _USER.sub("", address.partition("?")[0])


def join(base: str, name: str) -> str:
    """The address of a file in a folder; a query (`?token=…`) stays at the end."""
    if scheme_of(base) in ("http", "https"):
        parts = urlsplit(base)
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}", fragment=""))
    return f"{base.rstrip('/')}/{name}"


def read_small(address: str, limit: int) -> bytes:
    """A whole file of unknown size.

    Raises:
        ManifestError: more than `limit` bytes.
        StorageError: it can't be read.
    """
    content = b"".join(chunks(address, None, limit + 1))
    if len(content) > limit:
        raise ManifestError(f"{shown(address)}: larger than {limit // 2**20} MiB.")
    return content


def hub_address(address: str) -> str:
    """Where a web client finds `hf://datasets/user/name[@revision]/file`.

    Raises:
        ConfigError: another kind of address of the hub.
    """
    match = _HUB.fullmatch(address.partition("?")[0])
    if not match or ".." in match["file"].split("/"):
        raise ConfigError(
            f"cannot read {shown(address)[:80]}: of the hub, hf://datasets/user/name is read."
        )
    end = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return f"{end}/datasets/{match['name']}/resolve/{match['revision'] or 'main'}/{match['file']}"


def open_reading(
    address: str,
    first: int = 0,
    *,
    end: int | None = None,
    size: int | None = None,
    validator: str = "",
    token: bool = True,
) -> Reading:
    """A file from byte `first` on; nothing is asked for before the first piece is taken.

    Args:
        address: path or URL.
        first: the first wanted byte.
        end: the byte to stop before; None: the end of the file.
        size: known number of bytes of the file; None if unknown.
        validator: what the file's was when bytes before `first` were read.
        token: whether THREEDIE_TOKEN may be sent to this host.

    Raises:
        ConfigError: an address that is refused. While reading: a store's package is missing.
        StorageError: while reading: it can't be read, or it was changed meanwhile.
    """
    scheme = scheme_of(address)
    if scheme == "hf":
        scheme, address = "https", hub_address(address)
    if scheme in ("http", "https"):
        from threedie.data.web import WebReading

        return WebReading(address, first, end=end, size=size, validator=validator, token=token)
    if scheme in STORES:
        from threedie.data.remote import StoreReading

        return StoreReading(address, first, end=end, validator=validator)
    return _LocalReading(address, first, end=end)


def chunks(address: str, size: int | None, limit: int) -> Iterator[bytes]:
    """The bytes of a file, at most `limit` of them.

    Args:
        address: path or URL.
        size: known number of bytes; a connection that ends before is taken up again. None if
            unknown.
        limit: where to stop.

    Raises:
        StorageError: it can't be read; says why.
    """
    return _in_order(open_reading(address, size=size), limit)


def read_range(address: str, first: int, end: int, *, size: int, token: bool = True) -> bytes:
    """Bytes `first` to `end` (exclusive) of a file of `size` bytes.

    Raises:
        ManifestError: the file has another size.
        StorageError: it can't be read, or its server can't send parts.
    """
    reading, content = open_reading(address, first, end=end, size=size, token=token), bytearray()
    for position, piece in reading:
        if reading.whole not in (None, size):
            raise ManifestError(
                f"{shown(address)}: {reading.whole} bytes, {size} were expected: another file."
            )
        if position != first + len(content):
            raise StorageError(
                f"cannot read a part of {shown(address)}: the server sends whole files only."
            )
        content += piece
    if len(content) != end - first:
        raise StorageError(f"cannot read {shown(address)}: it ends at byte {first + len(content)}.")
    return bytes(content)


def _in_order(reading: Reading, limit: int) -> Iterator[bytes]:
    """Each byte once, whatever is sent again."""
    done = 0
    for position, content in reading:
        new = content[done - position : limit - position]
        if new:
            yield new
        done = max(done, min(limit, position + len(content)))
        if done >= limit:
            return


def open_manifest(data: str) -> tuple[str, bytes, DatasetManifest]:
    """The folder's address, and its manifest as bytes and as what they say.

    Args:
        data: the folder of a data set, a path or URL, or its dataset.json.

    Raises:
        ConfigError: an address that is refused.
        ManifestError: not a manifest.
        StorageError: it can't be reached.
    """
    scheme_of(data)
    path, mark, query = data.partition("?")
    base = path.rstrip("/").removesuffix(f"/{FILE_NAME}") + mark + query
    address = join(base, FILE_NAME)
    content = read_small(address, MAX_BYTES)
    return base, content, DatasetManifest.parse(content, shown(address))


class _LocalReading:
    def __init__(self, address: str, first: int, *, end: int | None) -> None:
        self._address, self._first, self._end = address, first, end
        self.whole: int | None = None
        self.validator = ""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        try:
            path = Path(re.sub(r"^file:(//)?", "", self._address))
            with path.open("rb", buffering=0) as file:
                self.whole = path.stat().st_size
                position = file.seek(self._first)
                end = self.whole if self._end is None else self._end
                while position < end and (piece := file.read(min(_CHUNK, end - position))):
                    yield position, piece
                    position += len(piece)
        except OSError as err:
            raise StorageError(f"cannot read {self._address}: {err.strerror}.") from err
