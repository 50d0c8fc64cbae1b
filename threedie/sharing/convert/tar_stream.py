"""A foreign tar as it streams by: strict, in bounded memory, every byte accounted for.

Regular files are handed out; whatever else a tar can hold is set aside, as long as the next header
is sure to be found. Where it is not (a damaged header, a cut), reading ends with an error that
names the byte: Python's tarfile would end there quietly, with half of the data.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from threedie.errors import ManifestError
from threedie.sharing.convert.set_aside import SetAside

BLOCK = 512
MAX_MEMBER = 64 * 2**20
_MAX_RECORDS = 64 * 1024  # of a pax header, and of a GNU long name
_REGULAR, _FOLDER, _SPARSE = b"\0" + b"0" + b"7", b"5", b"S"
_WITHOUT_DATA = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"6": "FIFO",
}
_OCTAL = re.compile(rb"[0-7]+")
_PAX_RECORD = re.compile(rb"(\d{1,6}) ([^=\n]{1,200})=")
_MEND = "Fetch the archive anew."


class _Bytes:
    """Exact reads from chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._chunk, self._at = iter(chunks), memoryview(b""), 0
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        stop = self._at + count
        if stop <= len(self._chunk):
            piece = bytes(self._chunk[self._at : stop])
            self._at, self.position = stop, self.position + count
            return piece
        return b"".join(self._pieces(count))

    def skip(self, count: int) -> int:
        """Pass over bytes without keeping them; returns how many there were."""
        return sum(len(piece) for piece in self._pieces(count))

    def rest(self) -> Iterator[memoryview]:
        """All that is left, a piece at a time."""
        return self._pieces(1 << 62)

    def _pieces(self, count: int) -> Iterator[memoryview]:
        while count:
            if self._at == len(self._chunk):
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._chunk, self._at = memoryview(chunk), 0
                continue
            piece = self._chunk[self._at : self._at + count]
            self._at += len(piece)
            self.position += len(piece)
            count -= len(piece)
            yield piece


@dataclass(slots=True)
class _Extended:
    """What the headers before a member say of it."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False
    unnamed: bool = False
    """Its name is longer than is taken."""


class TarStream:
    """Iterates over (name, content) of the regular files of a tar.

    Args:
        chunks: the tar's bytes.
        where: its name, for messages.
        aside: told of what is not handed out.

    Raises:
        ManifestError: while iterating, where the next header can't be found for sure.
    """

    def __init__(self, chunks: Iterable[bytes], where: str, aside: SetAside) -> None:
        self._bytes, self._where, self._aside = _Bytes(chunks), where, aside
        self._start = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        extended = _Extended()
        while (header := self._header()) is not None:
            kind, size = header[156:157], self._size(header)
            if kind in (b"x", b"g", b"L", b"K"):
                self._read_extension(kind, size, extended)
                continue
            name = extended.name if extended.name is not None else _name(header)
            content = self._content(kind, name, header, size, extended)
            extended = _Extended()
            if content is not None:
                yield name, content

    def _header(self) -> bytes | None:
        """The next header, or None at the end of the archive."""
        self._start = self._bytes.position
        header = self._bytes.take(BLOCK)
        if len(header) < BLOCK:
            raise self._error("the archive is cut off: it has no end marker")
        if not any(header):
            self._check_end()
            return None
        if not _is_whole(header):
            what = "a tar header was expected" if self._start else "this is no tar archive"
            raise self._error(f"{what}, and its checksum is wrong")
        return header

    def _check_end(self) -> None:
        """Nothing but zeros may follow: else a header was lost, or archives were joined."""
        second = self._bytes.take(BLOCK)
        if len(second) == BLOCK and not any(second):
            position = self._bytes.position
            if not any(any(piece) for piece in self._bytes.rest()):
                return
            raise self._error(f"an end marker, but other bytes after byte {position:,}")
        raise self._error("half an end marker: a header was zeroed, or the archive is cut off")

    def _size(self, header: bytes) -> int:
        size = _number(header[124:136])
        if size is None:
            raise self._error("a member's size is not a number, or negative")
        return size

    def _read_extension(self, kind: bytes, size: int, extended: _Extended) -> None:
        """A pax header or a GNU long name: of the next member."""
        if size > _MAX_RECORDS and kind in (b"x", b"g"):
            raise self._error(f"a pax header of {size:,} bytes (at most {_MAX_RECORDS:,} is taken)")
        if kind == b"K" or size > _MAX_RECORDS:  # the target of a link, which is not taken anyway
            extended.unnamed |= kind == b"L"
            self._skip(size)
            return
        content = self._take(size)
        if kind == b"L":
            extended.name = content.rstrip(b"\0")
        else:
            self._read_records(content, extended, everywhere=kind == b"g")

    def _read_records(self, content: bytes, extended: _Extended, *, everywhere: bool) -> None:
        while content:
            match = _PAX_RECORD.match(content)
            length = int(match[1]) if match else 0
            if match is None or content[length - 1 : length] != b"\n" or length <= match.end():
                raise self._error("a damaged pax header")
            key, value = match[2], content[match.end() : length - 1]
            content = content[length:]
            if everywhere and (key in (b"path", b"size") or key.startswith(b"GNU.sparse")):
                raise self._error(f"a global pax header with {key.decode()}")
            if key == b"path":
                extended.name = value
            elif key == b"size":
                if not value.isdigit() or len(value) > 18:
                    raise self._error("a member's pax size is not a number")
                extended.size = int(value)
            elif key.startswith(b"GNU.sparse"):
                extended.sparse = True

    def _content(
        self, kind: bytes, name: bytes, header: bytes, size: int, extended: _Extended
    ) -> bytes | None:
        """A regular file's bytes; None where the member is set aside, its bytes passed over."""
        size = size if extended.size is None else extended.size
        strange = self._strange(kind, size, extended)
        if kind == _SPARSE:
            self._skip_sparse_maps(header)
        elif size and (kind in _WITHOUT_DATA or kind == _FOLDER):  # readers differ: is there data?
            raise self._error(f"a {strange or 'folder'} of {size:,} bytes")
        if strange is None and kind != _FOLDER:
            return self._take(size)
        if strange is not None:
            self._aside.add(strange, name.decode("utf-8", "replace"))
        self._skip(size)
        return None

    @staticmethod
    def _strange(kind: bytes, size: int, extended: _Extended) -> str | None:
        if kind in _WITHOUT_DATA:
            return _WITHOUT_DATA[kind]
        if kind == _SPARSE or extended.sparse:
            return "sparse file"
        if kind not in _REGULAR and kind != _FOLDER:
            return f"member of the unknown type {kind!r}"
        if extended.unnamed:
            return f"member with a name of more than {_MAX_RECORDS:,} bytes"
        if size > MAX_MEMBER:
            return f"member of more than {MAX_MEMBER // 2**20} MiB"
        return None

    def _skip_sparse_maps(self, header: bytes) -> None:
        more = header[482:483] not in (b"\0", b"0")
        while more:
            block = self._take(BLOCK)
            more = block[504:505] not in (b"\0", b"0")

    def _take(self, size: int) -> bytes:
        content = self._bytes.take(size)
        if len(content) < size or self._bytes.skip(-size % BLOCK) < -size % BLOCK:
            raise self._error("the archive is cut off in this member")
        return content

    def _skip(self, size: int) -> None:
        whole = size + -size % BLOCK
        if self._bytes.skip(whole) < whole:
            raise self._error("the archive is cut off in this member")

    def _error(self, what: str) -> ManifestError:
        return ManifestError(f"{self._where}: at byte {self._start:,} of the tar: {what}. {_MEND}")


def _is_whole(header: bytes) -> bool:
    """Whether its checksum is right: the sum of its bytes, with blanks for the checksum itself."""
    stored = _number(header[148:156])
    # Adler-32 has the sum in its low half, modulo 65,521, at a thirtieth of the cost of sum().
    summed = zlib.adler32(header[156:], zlib.adler32(header[:148]) & 0xFFFF) & 0xFFFF
    return stored is not None and (stored - 8 * 32 + 1 - summed) % 65_521 == 0


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0":  # GNU's own format keeps other things there
        prefix = header[345:500].partition(b"\0")[0]
        return prefix + b"/" + name if prefix else name
    return name


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's base 256; None where it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not text:
        return 0
    return int(text, 8) if _OCTAL.fullmatch(text) else None
