"""A shard on disk: how a sample becomes tar members, and a reader that accepts nothing else.

A sample is one object: `<key>.000.jpg` … `<key>.049.jpg`, `<key>.latents.npy`, `<key>.json`.
Members are plain USTAR files with time 0 and owner 0, so equal samples are equal bytes; a shard is
its samples' bytes one after the other and the end blocks. Python's tarfile (and webdataset) end
quietly at a damaged header; this reader raises.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from threedie.errors import ManifestError
from threedie.manifests.dataset import canonical_json
from threedie.manifests.latents import Array

BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE
_MAX_MEMBER = 64 * 2**20
_MAX_KEY = 80  # with the longest suffix it fits USTAR's 100 characters
_MEMBER_FIELD = re.compile(
    rb"(?P<key>[A-Za-z0-9_-]{1,80})\.(?:\d{3,6}\.(?:jpg|png)|latents\.npy|json)(?=\0)"
)
_UNSAFE = re.compile(r"[^A-Za-z0-9-]+")
_HASHED = re.compile(r"-[0-9a-f]{10}$")


@dataclass(frozen=True, slots=True)
class Member:
    """Where one file lies in a shard."""

    key: str
    suffix: str
    """`000.jpg`, `latents.npy` or `json`."""
    offset: int
    """Of its content, in bytes from the start of the tar."""
    size: int


@dataclass(frozen=True, slots=True)
class SampleMembers:
    """One sample of a shard: its pictures in the order of views, and the two other members."""

    key: str
    images: tuple[Member, ...]
    latents: Member
    record: Member

    @property
    def extent(self) -> tuple[int, int]:
        """First and last byte (exclusive) of its members, with headers and padding."""
        end = self.record.offset + self.record.size
        return self.images[0].offset - BLOCK, end + -end % BLOCK


def sample_key(class_id: str, object_id: str) -> str:
    """The tar key of an object: `<class>_<object>`, safe as a file name and without dots.

    Other characters than letters, digits and `-` are replaced and the name gets a hash, and so
    does a name that looks as if it had one, so that keys never meet. The true names are in the
    sample's json.
    """
    return f"{_slug(class_id, 24)}_{_slug(object_id, _MAX_KEY - 25)}"


def _slug(name: str, longest: int) -> str:
    plain = _UNSAFE.sub("-", name)
    if plain == name and 0 < len(name) <= longest and not _HASHED.search(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{plain[: longest - 11]}-{digest}"


def pack_sample(
    key: str,
    images: Iterable[bytes],
    image_format: str,
    latents_VD: Array,
    record: Mapping[str, object],
) -> bytes:
    """The bytes of one sample as they stand in a shard.

    Args:
        key: of `sample_key`.
        images: encoded pictures, in the order of views.
        image_format: jpg or png.
        latents_VD: (V, 7 or 10) float64.
        record: what the sample's json says.

    Returns:
        Whole tar members; a multiple of 512 bytes.
    """
    out = io.BytesIO()
    for view, image in enumerate(images):
        _add(out, f"{key}.{view:03d}.{image_format}", image)
    array = io.BytesIO()
    np.save(array, np.ascontiguousarray(latents_VD, "<f8"), allow_pickle=False)
    _add(out, f"{key}.latents.npy", array.getvalue())
    _add(out, f"{key}.json", canonical_json(record))
    return out.getvalue()


def _add(out: io.BytesIO, name: str, content: bytes) -> None:
    out.write(tar_header(name, len(content)))
    out.write(content)
    out.write(b"\0" * (-len(content) % BLOCK))


def _blank_header() -> bytes:
    info = tarfile.TarInfo("")
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


_BLANK = _blank_header()
_BLANK_SUM = sum(_BLANK) - sum(_BLANK[148:155]) - sum(_BLANK[124:136]) + 7 * ord(" ")


def tar_header(name: str, size: int) -> bytes:
    """What TarInfo.tobuf makes of a member, in a tenth of the time: a set has millions of them.

    Args:
        name: ASCII, at most 100 characters.
        size: in bytes, less than 8 GiB.

    Raises:
        ValueError: it does not fit a USTAR header.
    """
    field, octal = name.encode("ascii"), b"%011o\0" % size
    if len(field) > 100 or len(octal) > 12 or size < 0:
        raise ValueError(f"{name[:120]!r} with {size} bytes does not fit a USTAR header")
    checksum = _BLANK_SUM + sum(field) + sum(octal)
    parts = (field.ljust(100, b"\0"), _BLANK[100:124], octal, _BLANK[136:148])
    return b"".join((*parts, b"%06o\0" % checksum, _BLANK[155:]))


def end_of_shard(size: int) -> bytes:
    """What closes a tar of `size` bytes: two zero blocks, filled up to a whole record."""
    return b"\0" * (2 * BLOCK + -(size + 2 * BLOCK) % _RECORD)


def scan_shard(path: Path) -> Iterator[SampleMembers]:
    """Read a shard's headers, strictly.

    Yields:
        Every sample, in order.

    Raises:
        ManifestError: anything that `pack_sample` does not write: a link, a path, another type or
            name, a damaged header, members of a sample apart, missing end blocks, bytes after them.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            yield from _samples(path, list(_members(path, view)))
    except (OSError, ValueError) as err:
        raise ManifestError(f"{path}: cannot be read as a shard: {err}.") from err


def parse_sample(content: bytes, where: Path) -> tuple[SampleMembers, bytes]:
    """One sample from the bytes of its members, and these bytes without zeros after them.

    Raises:
        ManifestError: not exactly one sample as `pack_sample` writes it, and zeros.
    """
    position, members = 0, []
    while any(header := content[position : position + BLOCK]):
        member = _parse(where, header, position)
        members.append(member)
        position = member.offset + member.size + -member.size % BLOCK
    samples = list(_samples(where, members))
    if len(samples) != 1 or position > len(content) or any(content[position:]):
        raise ManifestError(f"{where}: {len(samples)} samples, exactly one was expected.")
    return samples[0], content[:position]


def _members(path: Path, view: mmap.mmap) -> Iterator[Member]:
    position = 0
    while position + BLOCK <= len(view):
        header = view[position : position + BLOCK]
        if not any(header):
            _check_end(path, view, position)
            return
        member = _parse(path, header, position)
        position = member.offset + member.size + -member.size % BLOCK
        if position > len(view):
            raise ManifestError(
                f"{path}: {member.key}.{member.suffix} is cut off: the tar ends in it."
            )
        yield member
    raise ManifestError(f"{path}: the tar has no end blocks after byte {position}: it is cut off.")


def _parse(path: Path, header: bytes, position: int) -> Member:
    if member := _ours(header, position):
        return member
    try:
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as err:
        raise ManifestError(f"{path}: damaged tar header at byte {position}: {err}.") from err
    raise ManifestError(
        f"{path}: member {info.name[:80]!r} at byte {position} (type {info.type!r}, "
        f"{info.size} bytes) is not one that a shard may hold."
    )


def _ours(header: bytes, position: int) -> Member | None:
    """The member of a header that `pack_sample` writes, to the last bit; None for any other."""
    match = _MEMBER_FIELD.match(header)
    if match is None or not header[124:135].isdigit():
        return None
    name, size = match[0].decode("ascii"), int(header[124:135], 8)
    if size > _MAX_MEMBER or tar_header(name, size) != header:
        return None
    key = match["key"].decode("ascii")
    return Member(key, name[len(key) + 1 :], position + BLOCK, size)


def _check_end(path: Path, view: mmap.mmap, position: int) -> None:
    if view[position:] != end_of_shard(position):
        raise ManifestError(f"{path}: bytes after the end of the tar, or a part of it was zeroed.")


def _samples(path: Path, members: list[Member]) -> Iterator[SampleMembers]:
    start, seen = 0, set()
    while start < len(members):
        key = members[start].key
        stop = start
        while stop < len(members) and members[stop].key == key:
            stop += 1
        group = members[start:stop]
        names = [m.suffix for m in group]
        format_ = names[0].rpartition(".")[2]
        expected = [f"{i:03d}.{format_}" for i in range(len(group) - 2)] + ["latents.npy", "json"]
        if names != expected or len(group) < 3 or key in seen:
            raise ManifestError(
                f"{path}: sample {key} is incomplete, doubled or out of order: {names}."
            )
        seen.add(key)
        yield SampleMembers(key, tuple(group[:-2]), group[-2], group[-1])
        start = stop


def parse_latents(content: bytes, where: str) -> Array:
    """(V, 7 or 10) float64 from a latents.npy member.

    Raises:
        ManifestError: another type or shape, not finite, or bytes too many or too few.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version != (1, 0):
            raise ValueError(f"format version {version}")
        header = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        shape, fortran, dtype = header
    except ValueError as err:
        raise ManifestError(f"{where}: not a plain latents array: {err}.") from err
    body = content[file.tell() :]
    good = len(shape) == 2 and shape[1] in (7, 10) and dtype == np.dtype("<f8") and not fortran
    if not good or len(body) != shape[0] * shape[1] * 8:
        raise ManifestError(
            f"{where}: {dtype} of shape {shape} with {len(body)} bytes; "
            "float64 (V, 7 or 10) was expected."
        )
    latents = np.frombuffer(body, "<f8").reshape(shape).astype(np.float64)
    if not np.isfinite(latents).all():
        raise ManifestError(f"{where}: a latent is not finite.")
    return latents
