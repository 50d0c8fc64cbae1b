"""A shard as a stream: two views of each wanted object, given out only when the whole was verified.

webdataset takes the tar apart. It opens nothing here (its opener hands some URLs to a shell), and
what it reads is checked on the way: headers may only be what a shard's are, so that no sparse file,
no archive in an archive and no huge header reaches it. It ends quietly at a damaged header; the
hash of all bytes does not.

Shape suffixes: V = views, L = 7 or 10 latent columns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from webdataset.tariterators import group_by_keys, tar_file_expander

from threedie.data.shard import BLOCK, parse_latents
from threedie.errors import ManifestError, ThreedieError
from threedie.manifests.dataset import DatasetManifest, ShardEntry, parse_json
from threedie.manifests.latents import Array

Chosen = Mapping[int, tuple[int, int]]
"""Place of an object in the shard -> its two views."""
_MAX_MEMBER = 64 * 2**20
_OCTAL = re.compile(rb"([0-7]{11})\0")


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPair:
    """Two encoded views of one object."""

    object: str
    """`<class>/<object>`."""
    row: int
    views: tuple[int, int]
    images: tuple[bytes, bytes]
    latents_2L: Array
    label: int


class VerifiedStream:
    """A file for tarfile that is exactly what the manifest says, or raises.

    Args:
        pieces: the bytes, in pieces of any size.
        entry: what they must be.
        where: for messages.
    """

    def __init__(self, pieces: Iterator[bytes], entry: ShardEntry, where: str) -> None:
        self._pieces, self._entry, self._where = pieces, entry, where
        self._buffer, self._position, self._header = bytearray(), 0, 0
        self._digest, self._received = hashlib.sha256(), 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end.

        Raises:
            ManifestError: the bytes can't be those of a shard.
        """
        while len(self._buffer) < size and (piece := self._next()):
            self._buffer += piece
        found = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._check_headers(found)
        self._position += len(found)
        return found

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        self._digest.update(piece)
        self._received += len(piece)
        return piece

    def finish(self) -> None:
        """Take what is left and compare size and hash.

        Raises:
            ManifestError: they are not the manifest's.
        """
        while self._next():
            pass
        if self._received != self._entry.bytes:
            how = "cut off" if self._received < self._entry.bytes else "too long"
            raise ManifestError(
                f"{self._where}: {how}: {self._received} bytes, the manifest says "
                f"{self._entry.bytes}. Upload or fetch it anew."
            )
        if self._digest.hexdigest() != self._entry.sha256:
            raise ManifestError(
                f"{self._where}: sha256 is {self._digest.hexdigest()[:16]}…, the manifest says "
                f"{self._entry.sha256[:16]}…: a byte of it was changed. Upload or fetch it anew."
            )

    def _check_headers(self, found: bytes) -> None:
        """Headers start at multiples of a block, and tarfile asks for whole blocks."""
        while self._position <= self._header < self._position + len(found):
            start = self._header - self._position
            header = found[start : start + BLOCK]
            if not any(header):  # the end blocks; the hash decides on what follows
                self._header = self._entry.bytes + BLOCK
                return
            plain = header[156:157] == b"0" and header[257:265] == b"ustar\x0000"
            octal = _OCTAL.fullmatch(header[124:136])
            size = int(octal[1], 8) if octal else -1
            if not plain or not 0 <= size <= _MAX_MEMBER or header[345:500].strip(b"\0"):
                raise ManifestError(
                    f"{self._where}: at byte {self._header} is no header that a shard may have."
                )
            self._header += BLOCK + size + -size % BLOCK


def read_shard(
    pieces: Iterator[bytes],
    entry: ShardEntry,
    chosen: Chosen,
    *,
    manifest: DatasetManifest,
    first_row: int,
    where: str,
) -> list[EncodedPair]:
    """Stream a shard through and keep the chosen views.

    Args:
        pieces: its bytes.
        entry: its line in the manifest.
        chosen: wanted objects.
        manifest: of the data set.
        first_row: row of its first object in the split.
        where: its address, for messages.

    Returns:
        The wanted objects, in order.

    Raises:
        ManifestError: cut off, changed, or not a shard.
    """
    stream, picker = VerifiedStream(pieces, entry, where), _Picker(chosen, manifest, where)
    files = tar_file_expander([{"url": where, "stream": stream}], select_files=picker)
    try:
        samples = list(group_by_keys(files, lcase=False))
        stream.finish()
    except Exception as err:
        if isinstance(err, ThreedieError):  # webdataset has put its own words behind ours
            raise type(err)(err.args[0]) from err
        reason = str(err.args[0] if err.args else err)[:200]
        stream.finish()  # says better what is wrong, if it is
        raise ManifestError(f"{where}: cannot be read as a shard: {reason}.") from err
    if picker.count != entry.samples or len(samples) != len(chosen):
        raise ManifestError(
            f"{where}: {picker.count} objects, the manifest says {entry.samples}; "
            f"{len(samples)} of {len(chosen)} wanted ones were found."
        )
    return [_pair(sample, picker, first_row) for sample in samples]


class _Picker:
    """Says which members to read, and refuses all that a shard does not hold."""

    def __init__(self, chosen: Chosen, manifest: DatasetManifest, where: str) -> None:
        self.chosen, self.manifest, self.where = chosen, manifest, where
        self._places: dict[str, int] = {}
        self._key = ""

    @property
    def count(self) -> int:
        """Objects seen."""
        return len(self._places)

    def place(self, key: str) -> int:
        """Number of an object within the shard."""
        return self._places[key]

    def name(self, view: int) -> str:
        """Of a picture, without the key."""
        return f"{view:03d}.{self.manifest.making.image_format}"

    def __call__(self, name: str) -> bool:
        key, _, suffix = name.partition(".")
        new, other = key != self._key, suffix in ("latents.npy", "json")
        digits = suffix.partition(".")[0]
        view = int(digits) if digits.isascii() and digits.isdigit() else -1
        known = other or (0 <= view < self.manifest.making.views and suffix == self.name(view))
        if not known or not key or "/" in key or (new and key in self._places):
            raise ManifestError(f"{self.where}: member {name[:80]!r} is not one of a shard.")
        if new:
            self._key = key
            self._places[key] = len(self._places)
        views = self.chosen.get(self._places[key])
        return views is not None and (other or view in views)


def _pair(sample: Mapping[str, Any], picker: _Picker, first_row: int) -> EncodedPair:
    place = picker.place(sample["__key__"])
    views, where = picker.chosen[place], f"{picker.where}: {sample['__key__']}"
    expected = {picker.name(view) for view in views} | {"latents.npy", "json"}
    if not expected <= set(sample):
        raise ManifestError(f"{where}: {', '.join(sorted(expected - set(sample)))} is missing.")
    latents_VL = parse_latents(sample["latents.npy"], where)
    if latents_VL.shape != (picker.manifest.making.views, len(picker.manifest.latent_columns)):
        raise ManifestError(f"{where}: latents of shape {latents_VL.shape}.")
    record = parse_json(sample["json"], where)
    labels = {c.class_id: c.label for c in picker.manifest.classes}
    if labels.get(str(record.get("class"))) != record.get("label"):
        raise ManifestError(f"{where}: its class or label is not the manifest's.")
    first, second = (sample[picker.name(view)] for view in views)
    return EncodedPair(
        object=f"{record['class']}/{record.get('object')}",
        row=first_row + place,
        views=views,
        images=(first, second),
        latents_2L=latents_VL[np.array(views)],
        label=int(record["label"]),
    )
