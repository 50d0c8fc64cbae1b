"""Claims proved here, on reading a foreign tar as it streams by.

- Regular files come out whole and in order, whatever the format (USTAR, GNU, pax, before POSIX),
  the length of names and the size of the pieces that arrive; so says Python's tarfile.
- Links, devices, FIFOs, sparse files, unknown types, endless names and huge members are set aside,
  one line a kind, and the rest goes on; a member of 10 GB costs no memory.
- Where the next header is not sure, there is an error that names the byte: a flipped bit in any
  header, a cut at any place, zeroed headers, bytes after the end, sizes that are none.
"""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.sharing.published import END, header, member, pieces
from threedie.errors import ManifestError
from threedie.sharing.convert.set_aside import SetAside
from threedie.sharing.convert.tar_stream import MAX_MEMBER, TarStream

A, B = member("a", b"first"), member("b", b"second" * 200)
BOTH = [(b"a", b"first"), (b"b", b"second" * 200)]


def record(text: str) -> bytes:
    """A record of a pax header, with its length."""
    length = len(text) + 3  # a blank, a line feed, and a digit
    length += len(str(length)) - 1
    return f"{length} {text}\n".encode()


def read(content: bytes, size: int = 10_000) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """Members, and the lines of what was set aside."""
    aside = SetAside()
    found = list(TarStream(pieces(content, size), "x.tar", aside))
    return found, aside.lines()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("size", [1, 511, 512, 513, 100_000])
def test_regular_files_come_out_as_tarfile_reads_them(form: int, size: int) -> None:
    names = ["a", "d/" * 40 + "long", f"{'n' * 90}/{'m' * 90}", "x" * 99, "y" * 100]
    if form != tarfile.USTAR_FORMAT:
        names += ["z" * 101, "é" * 200, "deep/" * 200 + "end"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = number * 300, 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    found, aside = read(out.getvalue(), size)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        expected = [(m.name.encode(), archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    assert found == expected
    assert aside == []


def test_a_tar_from_before_posix(tmp_path: object) -> None:
    old = bytearray(header("a", 5))
    old[156:157], old[257:265], old[148:156] = b"\0", bytes(8), b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    assert read(bytes(old) + b"first".ljust(512, b"\0") + B + END)[0] == BOTH


STRANGE = {
    "hard link": header("l", 0, type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "symbolic link": header("l", 0, type=tarfile.SYMTYPE, linkname="../../x"),
    "character device": header("l", 0, type=tarfile.CHRTYPE),
    "block device": header("l", 0, type=tarfile.BLKTYPE),
    "FIFO": header("l", 0, type=tarfile.FIFOTYPE),
    "member of the unknown type b'V'": header("l", 700, type=b"V") + bytes(1024),
    "member with a name of more than 65,536 bytes": header("././@LongLink", 70_000, type=b"L")
    + b"n" * 70_000
    + bytes(-70_000 % 512)
    + member("cut", b"x"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_file_is_set_aside_and_the_rest_goes_on(kind: str) -> None:
    found, aside = read(A + STRANGE[kind] * 3 + B + END)
    assert found == BOTH
    assert len(aside) == 1
    assert aside[0].startswith(f"set aside: {kind} (3; the first is '")


def test_folders_are_nothing() -> None:
    assert read(A + header("d/", 0, type=tarfile.DIRTYPE) + B + END) == (BOTH, [])


def test_sparse_files_are_set_aside_with_their_maps() -> None:
    old = bytearray(header("s", 600, type=tarfile.GNUTYPE_SPARSE))
    old[482:483], old[148:156] = b"\1", b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    more = bytearray(512)
    more[504:505] = b"\1"
    gnu = bytes(old) + bytes(more) + bytes(512) + bytes(1024)
    records = record("GNU.sparse.major=1") + record("GNU.sparse.realsize=1000000")
    pax = member("x", records, type=tarfile.XHDTYPE) + member("s", b"1" * 600)
    found, aside = read(A + gnu + pax + B + END)
    assert found == BOTH
    assert aside == ["set aside: sparse file (2; the first is 's')"]


def test_a_member_of_ten_gigabytes_costs_no_memory() -> None:
    size = 10 * 2**30
    block = bytes(2**20)

    def stream() -> Iterator[bytes]:
        yield A + header("huge", size)
        for _ in range(size // len(block)):
            yield block
        yield B + END

    aside = SetAside()
    tracemalloc.start()
    found = list(TarStream(stream(), "x.tar", aside))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == BOTH
    assert aside.lines() == ["set aside: member of more than 64 MiB (1; the first is 'huge')"]
    assert peak < 8 * 2**20


def test_the_largest_member_that_is_taken() -> None:
    found, aside = read(member("big", bytes(MAX_MEMBER)) + END, 2**20)
    assert [(name, len(content)) for name, content in found] == [(b"big", MAX_MEMBER)]
    assert aside == []


def test_pax_headers_may_say_name_and_size() -> None:
    said = ("path=b/c", "size=5", "mtime=1676543210.1234567", "SCHILY.xattr.u=x")
    records = b"".join(map(record, said))
    found, _ = read(A + member("p", records, type=tarfile.XHDTYPE) + member("b", b"third") + END)
    assert found == [(b"a", b"first"), (b"b/c", b"third")]
    comment = member("g", record("comment=abc"), type=tarfile.XGLTYPE)
    assert read(comment + A + B + END)[0] == BOTH


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (member("x", b"garbage", type=tarfile.XHDTYPE), "a damaged pax header"),
        (member("x", b"99 path=x\n", type=tarfile.XHDTYPE), "a damaged pax header"),
        (member("x", b"5 path=x\n", type=tarfile.XHDTYPE), "a damaged pax header"),
        (member("x", record("size=-100"), type=tarfile.XHDTYPE), "size is not a number"),
        (member("x", record("size=1e9"), type=tarfile.XHDTYPE), "size is not a number"),
        (member("g", record("path=abc"), type=tarfile.XGLTYPE), "a global pax header with path"),
        (header("x", 2**30, type=tarfile.XHDTYPE), "a pax header of 1,073,741,824 bytes"),
        (header("l", 10, type=tarfile.SYMTYPE) + bytes(512), "a symbolic link of 10 bytes"),
        (header("d", 10, type=tarfile.DIRTYPE) + bytes(512), "a folder of 10 bytes"),
        (header("n", -5), "not a number, or negative"),
    ],
)
def test_what_can_not_be_followed_is_an_error(content: bytes, told: str) -> None:
    with pytest.raises(ManifestError, match=rf"x\.tar: at byte 1,024 of the tar: .*{told}"):
        read(A + content + B + END)


def test_a_flipped_bit_in_a_header_is_told_with_its_byte() -> None:
    content = bytearray(A + B + END)
    for bit in range(0, 8 * 512, 7):
        content[1024 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(ManifestError, match="at byte 1,024 of the tar"):
            read(bytes(content))
        content[1024 + bit // 8] ^= 1 << bit % 8
    assert read(bytes(content))[0] == BOTH


def test_a_cut_anywhere_is_told() -> None:
    whole = A + B + END
    for length in [*range(0, len(whole) - 512, 97), 1024, 1536, len(A + B), len(A + B) + 512]:
        with pytest.raises(ManifestError, match=r"cut off|half an end marker"):
            read(whole[:length])


def test_zeroed_headers_and_joined_archives_are_told() -> None:
    for lost in (A + bytes(512) + B + END, A + END + B + END, A + B + END + b"x" * 512):
        with pytest.raises(ManifestError, match=r"half an end marker|other bytes after byte"):
            read(lost)
    assert read(A + B + END + bytes(20 * 512))[0] == BOTH


@pytest.mark.parametrize("content", [b"<p>404</p>" * 100, bytes(range(256)) * 4, b"text" * 200])
def test_something_else_is_no_archive(content: bytes) -> None:
    with pytest.raises(ManifestError, match="this is no tar archive"):
        read(content)


def test_a_strange_name_is_shown_harmlessly() -> None:
    aside = SetAside()
    aside.add("file", "\x1b]0;title\x07\u202e" + "n" * 500)
    (line,) = aside.lines()
    assert line.isprintable()
    assert len(line) < 200
