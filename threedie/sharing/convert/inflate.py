"""The bytes of an archive while they arrive: counted, hashed, and unpacked where they are gzip.

Unpacking is bounded: at most a MiB at a time, and no more than a hundredfold in all.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from threedie.errors import ConfigError, ManifestError

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"<!DO": "HTML",
    b"<htm": "HTML",
}
_MOST_RATIO, _FREE_BYTES = 100, 64 * 2**20


class Received:
    """Passes bytes on, and knows how many they were and their SHA-256.

    Args:
        chunks: of the file, in order.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._digest = chunks, hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._digest.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """Of what has come so far, lower-case hex."""
        return self._digest.hexdigest()


def inflated(received: Received, where: str) -> Iterator[bytes]:
    """The bytes of the tar inside: gzip is known by its first bytes, anything else is passed on.

    Raises:
        ConfigError: another kind of compression.
        ManifestError: damaged or cut gzip, bytes after it, or a bomb; names the byte.
    """
    chunks = iter(received)
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= 6:
            break
    for magic, kind in _FOREIGN.items():
        if first.startswith(magic):
            raise ConfigError(
                f"{where} is {kind}; a tar or a tar.gz was expected. Unpack it, and convert the "
                "tar or the folder in it."
            )
    if first.startswith(_GZIP):
        yield from _gunzip(_with(first, chunks), received, where)
    else:
        yield from _with(first, chunks)


def _with(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


def _gunzip(chunks: Iterator[bytes], received: Received, where: str) -> Iterator[bytes]:
    member, made = zlib.decompressobj(wbits=31), 0
    for chunk in chunks:
        rest = chunk
        while rest:
            if member.eof:  # another gzip member may follow, or padding
                rest = rest.lstrip(b"\0")
                member = zlib.decompressobj(wbits=31) if rest else member
                continue
            try:
                piece = member.decompress(rest, _PIECE)
            except zlib.error as err:
                raise ManifestError(
                    f"{where}: damaged gzip data before byte {received.bytes:,} ({err}). "
                    "Fetch the archive anew."
                ) from err
            made += len(piece)
            if made > _FREE_BYTES + _MOST_RATIO * received.bytes:
                raise ManifestError(
                    f"{where}: {received.bytes:,} bytes unpack to more than {made:,}: a gzip bomb, "
                    f"or no pictures (at most {_MOST_RATIO} to 1 is taken)."
                )
            yield piece
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise ManifestError(
            f"{where}: the gzip data end in the middle after {received.bytes:,} bytes: the archive "
            "is cut off. Fetch the rest, or fetch it anew."
        )
