"""Claims proved here, on the bytes of an archive while they arrive.

- gzip is known by its first bytes, in pieces of any size, in one or many members, padded or not;
  anything else passes unchanged. What came is counted and hashed as it came.
- Damaged or cut gzip is an error that names the byte; a bomb is stopped early, in little memory.
- Other compressions, zip and HTML are named, with what to do.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from tests.sharing.published import pieces
from threedie.errors import ConfigError, ManifestError
from threedie.sharing.convert.inflate import Received, inflated

TEXT = random.Random(0).randbytes(300_000)
PACKED = gzip.compress(TEXT, mtime=0)


def inflate(content: bytes, size: int = 10_000) -> bytes:
    return b"".join(inflated(Received(pieces(content, size)), "x.tar.gz"))


@pytest.mark.parametrize("size", [1, 7, 10_000, 10**6])
def test_gzip_and_plain_by_their_first_bytes(size: int) -> None:
    short = slice(0, 5_000) if size == 1 else slice(None)
    assert inflate(gzip.compress(TEXT[short]), size) == TEXT[short]
    assert inflate(TEXT[short], size) == TEXT[short]


def test_several_members_and_padding() -> None:
    both = gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]) + bytes(700)
    for size in (13, 10**6):
        assert inflate(both, size) == TEXT


def test_what_came_is_counted_and_hashed() -> None:
    received = Received(pieces(PACKED))
    assert b"".join(inflated(received, "x")) == TEXT
    assert received.bytes == len(PACKED)
    assert received.sha256 == hashlib.sha256(PACKED).hexdigest()


def test_an_empty_file_is_empty() -> None:
    assert inflate(b"") == b""


def test_a_cut_is_told() -> None:
    for length in (12, 1000, len(PACKED) // 2, len(PACKED) - 1):
        with pytest.raises(ManifestError, match=rf"end in the middle after {length:,} bytes"):
            inflate(PACKED[:length])


def test_a_changed_byte_is_told() -> None:
    chance = random.Random(1)
    for _ in range(50):
        content = bytearray(PACKED)
        content[chance.randrange(10, len(content))] ^= 1 << chance.randrange(8)
        with pytest.raises(ManifestError, match=r"damaged gzip data before byte|in the middle"):
            inflate(bytes(content))


def test_bytes_after_the_end_are_told() -> None:
    with pytest.raises(ManifestError, match="damaged gzip data"):
        inflate(PACKED + b"garbage")


def test_a_bomb_is_stopped() -> None:
    def bomb() -> Iterator[bytes]:
        packer = zlib.compressobj(9, wbits=31)
        for _ in range(4096):  # 4 GiB
            yield packer.compress(bytes(2**20))

    tracemalloc.start()
    with pytest.raises(ManifestError, match="a gzip bomb"):
        for _ in inflated(Received(bomb()), "x"):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (bz2.compress(TEXT), "bzip2"),
        (lzma.compress(TEXT), "xz"),
        (b"\x28\xb5\x2f\xfd1234", "zstd"),
        (b"PK\x03\x04" + TEXT, "zip"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"<html><body>", "HTML"),
    ],
)
def test_other_kinds_are_named(content: bytes, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"x.tar.gz is {kind}; a tar or a tar.gz was expected"):
        inflate(content, 3)
