"""Parts: rendered objects that wait for their shard, each a file that proves itself.

A part is the sample's bytes as they will stand in the tar, and their SHA-256 after them. So a
shard is the parts one after the other, and a run that was stopped goes on with the next object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from threedie.data.shard import end_of_shard

_DIGEST = hashlib.sha256().digest_size


def seal(sample: bytes) -> bytes:
    """The content of a part file."""
    return sample + hashlib.sha256(sample).digest()


def read_part(path: Path) -> bytes | None:
    """The sample's bytes, or None where there is no whole part (which is then removed)."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    sample, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(sample).digest() != digest:
        path.unlink()
        return None
    return sample


class PartMissing(Exception):
    """A part was damaged between its check and its use; its object must be rendered again."""


def shard_pieces(parts: Iterable[Path]) -> Iterator[bytes]:
    """The bytes of a shard, one sample at a time.

    Raises:
        PartMissing: a part is not whole.
    """
    size = 0
    for path in parts:
        sample = read_part(path)
        if sample is None:
            raise PartMissing(path.name)
        size += len(sample)
        yield sample
    yield end_of_shard(size)
