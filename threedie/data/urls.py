"""Reading files by URL: local paths, http(s), and stores through fsspec.

No URL can run a command or name another file system: the schemes are a list, and webdataset's own
opener, which hands `pipe:` to a shell, is never called. A broken connection is taken up again where
it broke.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from threedie.errors import ConfigError, ManifestError, StorageError

_LOG = logging.getLogger(__name__)
STORES = ("s3", "gs", "gcs", "hf", "az", "abfs")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):")
_USER = re.compile(r"(?<=://)[^/@]*@")
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 5
"""In a row without a byte of progress."""


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def scheme_of(address: str) -> str:
    """`file`, `http`, `https`, or one of `STORES`.

    Raises:
        ConfigError: any other, or a chain of them.
    """
    match = _SCHEME.match(address)
    scheme = match[1].lower() if match else "file"
    if "::" in address or scheme not in ("file", "http", "https", *STORES):
        raise ConfigError(
            f"cannot read '{address[:80]}': give a path, http(s)://, or one of "
            f"{', '.join(f'{s}://' for s in STORES)}. Commands (pipe:) and chains (::) are refused."
        )
    return scheme


def is_url(address: str) -> bool:
    """Whether this is not a path on this machine (`pipe:` and the like too: see `scheme_of`)."""
    return bool(_SCHEME.match(address)) and not Path(address).exists()


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
    scheme = scheme_of(address)
    if scheme in ("http", "https"):
        return _http_chunks(address, size, limit)
    return _store_chunks(address, limit) if scheme in STORES else _local_chunks(address, limit)


def _local_chunks(address: str, limit: int) -> Iterator[bytes]:
    try:
        with Path(re.sub(r"^file:(//)?", "", address)).open("rb", buffering=0) as file:
            yield from _pieces(file, limit)
    except OSError as err:
        raise StorageError(f"cannot read {address}: {err.strerror}.") from err


def _store_chunks(address: str, limit: int) -> Iterator[bytes]:
    try:
        import fsspec

        with fsspec.open(address, "rb") as file:
            yield from _pieces(file, limit)
    except ImportError as err:
        raise ConfigError(
            f"reading {shown(address)} needs a package of the store's: {str(err)[:200]}."
        ) from err
    except GeneratorExit:
        raise
    except Exception as err:  # each store has its own
        what = f"{type(err).__name__}: {str(err)[:200]}"
        raise StorageError(f"cannot read {shown(address)} ({what}).") from err


def _pieces(file: Readable, limit: int) -> Iterator[bytes]:
    while limit > 0 and (piece := file.read(min(_CHUNK, limit))):
        limit -= len(piece)
        yield piece


def _http_chunks(address: str, size: int | None, limit: int) -> Iterator[bytes]:
    done, failures, reason, where = 0, 0, "", shown(address)
    while failures < _ATTEMPTS:
        if failures:
            _LOG.warning("%s: %s; trying again (%d of %d)", where, reason, failures, _ATTEMPTS - 1)
            time.sleep(min(8.0, 0.1 * 2**failures))
        try:
            with contextlib.closing(_request(address, done)) as response:
                whole = _whole_size(response)
                for piece in _pieces(response, limit - done):
                    done, failures = done + len(piece), 0
                    yield piece
            size = whole if size is None else size
            # The server's file may be shorter than it should be: that is the reader's to say.
            if size is None or done in (size, whole, limit):
                return
            reason = f"the connection ended after {done} of {size} bytes"
        except urllib.error.HTTPError as err:
            err.close()
            reason = f"HTTP {err.code} {err.reason}"
            if err.code < 500 and err.code not in (408, 429):
                raise StorageError(f"cannot read {where}: {reason}.") from None
        except (OSError, http.client.HTTPException) as err:
            reason = f"{type(err).__name__}: {str(err)[:200]}"
        failures += 1
    raise StorageError(f"cannot read {where} after {_ATTEMPTS} attempts: {reason}.")


def _request(address: str, first: int) -> http.client.HTTPResponse:
    """A response whose next byte is byte `first` of the file."""
    request = urllib.request.Request(address, headers={"User-Agent": "threedie"})
    if first:
        request.add_header("Range", f"bytes={first}-")
    response: http.client.HTTPResponse | None = _opener().open(request, timeout=_TIMEOUT_S)
    if response is None:  # redirected to another scheme
        raise StorageError(f"cannot read {shown(address)}: it leads to something that is not http.")
    if first and response.status != 206:
        for _ in _pieces(response, first):  # a server without ranges starts anew
            pass
    return response


def _whole_size(response: http.client.HTTPResponse) -> int | None:
    """What the server says that the file's size is."""
    span = response.headers.get("Content-Range", "")
    text = span.rpartition("/")[2] if span else response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _opener() -> urllib.request.OpenerDirector:
    """Http and https only, whatever a server redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
