"""Claims proved here, on shards.

- What is packed is read back; equal samples are equal bytes, and those bytes are pinned.
- Headers are tarfile's own, for every name and size that fits.
- webdataset and tarfile read a shard as it is.
- The strict reader raises for every flipped bit of every header, every cut at a block, every member
  dropped, doubled or moved, every foreign kind of member, compression, garbage, zeroed headers.
- What no header can show (payload bits) is caught by the hash.
- A latents member is read only if it is float64 (V, 7 or 10), finite, with exactly its bytes.
- Keys of different objects differ, fit into a member's name and hold no dot.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from tests.data.builders import Plan, latents_of, picture, sample_bytes, shard_bytes, shards_of
from threedie.data.dataset import check_hash, check_size
from threedie.data.index import PixelSums, build_index
from threedie.data.shard import (
    BLOCK,
    SampleMembers,
    end_of_shard,
    pack_sample,
    parse_latents,
    sample_key,
    scan_shard,
    tar_header,
)
from threedie.errors import ManifestError
from threedie.manifests.dataset import ShardEntry

PINNED = "97e7093d66fa14bb467046bd1f2633847aa351d7db61db6aba107fbd67dcbc0d"
TINY = Plan(objects=("a", "b"), classes=("zebra",), views=2, size=8)


def two_samples() -> bytes:
    """A shard of two objects with two small views each."""
    rows = [("train", "zebra", "a"), ("train", "zebra", "b")]
    return shard_bytes([sample_bytes(TINY, number, *row) for number, row in enumerate(rows)])


def scan(path: Path) -> list[SampleMembers]:
    """All samples; raises if the shard is not strictly one."""
    return list(scan_shard(path))


def members_of(content: bytes) -> list[bytes]:
    """Header, content and padding of each member, as bytes."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        infos = tar.getmembers()
    sizes = [BLOCK + -(-info.size // BLOCK) * BLOCK for info in infos]
    return [content[i.offset : i.offset + size] for i, size in zip(infos, sizes, strict=True)]


def closed(members: list[bytes]) -> bytes:
    """A whole tar of members."""
    return shard_bytes(members)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A good shard."""
    path = tmp_path / "train-000000.tar"
    path.write_bytes(two_samples())
    return path


def test_what_is_packed_is_read_back(shard: Path) -> None:
    content = shard.read_bytes()
    samples = scan(shard)
    assert [s.key for s in samples] == ["zebra_a", "zebra_b"]
    for sample, object_id in zip(samples, "ab", strict=True):
        assert [m.suffix for m in sample.images] == ["000.png", "001.png"]
        member = sample.latents
        latents = parse_latents(content[member.offset : member.offset + member.size], "here")
        np.testing.assert_array_equal(latents, latents_of(TINY, "zebra", object_id))
        member = sample.record
        record = json.loads(content[member.offset : member.offset + member.size])
        assert (record["class"], record["object"]) == ("zebra", object_id)


def test_members_carry_no_time_owner_or_machine(shard: Path) -> None:
    with tarfile.open(shard) as tar:
        infos = tar.getmembers()
    assert [i.name for i in infos[:4]] == [
        "zebra_a.000.png",
        "zebra_a.001.png",
        "zebra_a.latents.npy",
        "zebra_a.json",
    ]
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_the_bytes_of_a_sample_are_pinned() -> None:
    """A change here makes every shard of every finished data set another one."""
    latents = np.arange(14, dtype=np.float64).reshape(2, 7)
    packed = pack_sample("a_b", [b"first", b"second"], "jpg", latents, {"b": 1, "a": "ä"})
    assert len(packed) == 8 * BLOCK
    assert hashlib.sha256(packed).hexdigest() == PINNED


def test_equal_samples_are_equal_bytes_whatever_their_memory_layout() -> None:
    latents = np.arange(14, dtype=np.float64).reshape(2, 7)
    records = ({"x": 1, "y": 2}, {"y": 2, "x": 1})
    layouts = (latents, np.asfortranarray(latents), latents.astype(">f8"))
    packed = {
        pack_sample("a_b", [b"i", b"j"], "png", layout, record)
        for layout, record in itertools.product(layouts, records)
    }
    assert len(packed) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes late
def test_webdataset_reads_a_shard_as_it_is(tmp_path: Path) -> None:
    plan = Plan()
    name, _, samples = next(shards_of(plan))
    path = tmp_path / name
    path.write_bytes(shard_bytes(samples))
    read = list(webdataset.WebDataset(str(path), shardshuffle=False).decode("rgb8"))
    assert [s["__key__"] for s in read] == [
        sample_key(c, o) for split, c, o in plan.listed if split == "train"
    ][: len(samples)]
    for number, sample in enumerate(read):
        members = {k for k in sample if not k.startswith("__")}
        assert members == {"000.png", "001.png", "002.png", "latents.npy", "json"}
        _, class_id, object_id = plan.listed[number]
        assert (sample["json"]["class"], sample["json"]["object"]) == (class_id, object_id)
        np.testing.assert_array_equal(sample["latents.npy"], latents_of(plan, class_id, object_id))
        for view in range(plan.views):
            np.testing.assert_array_equal(sample[f"{view:03d}.png"], picture(number, view))


def test_every_flipped_bit_of_every_header_raises(shard: Path) -> None:
    content = closed([sample_bytes(TINY, 0, "train", "zebra", "a")])
    shard.write_bytes(content)
    starts = np.cumsum([0, *(len(m) for m in members_of(content))])[:-1]
    assert len(starts) == 4
    silent = []
    with shard.open("r+b", buffering=0) as file:
        for start, byte, bit in itertools.product(starts.tolist(), range(BLOCK), range(8)):
            position = start + byte
            file.seek(position)
            file.write(bytes([content[position] ^ 1 << bit]))
            try:
                scan(shard)
                silent.append((position, bit))
            except ManifestError:
                pass
            file.seek(position)
            file.write(content[position : position + 1])
    assert not silent
    assert len(scan(shard)) == 1


def test_a_cut_at_every_block_raises(shard: Path) -> None:
    content = shard.read_bytes()
    for size in range(0, len(content), BLOCK):
        shard.write_bytes(content[:size])
        with pytest.raises(ManifestError, match=shard.name):
            scan(shard)


def test_members_dropped_doubled_or_swapped_raise(shard: Path) -> None:
    members = members_of(shard.read_bytes())
    n = len(members)
    dropped = [members[:i] + members[i + 1 :] for i in range(n)]
    doubled = [members[: i + 1] + members[i:] for i in range(n)]
    swapped = []
    for i, j in itertools.combinations(range(n), 2):
        order = list(members)
        order[i], order[j] = order[j], order[i]
        swapped.append(order)
    for changed in (*dropped, *doubled, *swapped):
        shard.write_bytes(closed(changed))
        with pytest.raises(ManifestError, match=shard.name):  # a last view less: its count
            build_index([shard], views=2, latent_size=7, pixels_per_view=64, sums=PixelSums())


def test_a_sample_that_stands_twice_raises(shard: Path) -> None:
    sample = sample_bytes(TINY, 0, "train", "zebra", "a")
    other = sample_bytes(TINY, 1, "train", "zebra", "b")
    shard.write_bytes(shard_bytes([sample, other, sample]))
    with pytest.raises(ManifestError, match="doubled"):
        scan(shard)


def with_member(**changes: object) -> bytes:
    """A shard whose first member has a strange header but a right checksum."""
    info = tarfile.TarInfo(str(changes.pop("name", "zebra_a.000.png")))
    pax = changes.pop("format", tarfile.USTAR_FORMAT)
    info.size, info.mode = 8, 0o644
    for name, value in changes.items():
        setattr(info, name, value)
    head = info.tobuf(pax)  # type: ignore[arg-type]
    body = b"12345678".ljust(BLOCK, b"\0") if info.size else b""
    return closed([head + body, *members_of(two_samples())[1:]])


FOREIGN: dict[str, dict[str, object]] = {
    "symlink": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "zebra_b.000.png", "size": 0},
    "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5, "size": 0},
    "block device": {"type": tarfile.BLKTYPE, "size": 0},
    "fifo": {"type": tarfile.FIFOTYPE, "size": 0},
    "folder": {"type": tarfile.DIRTYPE, "size": 0},
    "contiguous": {"type": tarfile.CONTTYPE},
    "sparse": {"type": tarfile.GNUTYPE_SPARSE},
    "old type": {"type": tarfile.AREGTYPE},
    "unknown type": {"type": b"Z"},
    "parent": {"name": "../zebra_a.000.png"},
    "absolute": {"name": "/zebra_a.000.png"},
    "in a folder": {"name": "x/zebra_a.000.png"},
    "dot": {"name": "./zebra_a.000.png"},
    "pickle": {"name": "zebra_a.000.pkl"},
    "python": {"name": "zebra_a.pyd"},
    "other case": {"name": "zebra_a.000.PNG"},
    "newline": {"name": "zebra_a.000.png\n"},
    "no view": {"name": "zebra_a.png"},
    "GNU long name": {"name": "zebra_a" + "a" * 200 + ".000.png", "format": tarfile.GNU_FORMAT},
    "prefix": {"name": "a" * 80 + "/" + "zebra_a" + "a" * 60 + ".000.png"},
    "PAX path": {"name": "zébra_a.000.png", "format": tarfile.PAX_FORMAT},
    "PAX header": {"format": tarfile.PAX_FORMAT, "pax_headers": {"path": "/etc/passwd"}},
    "PAX size": {"format": tarfile.PAX_FORMAT, "pax_headers": {"size": "99999999999"}},
    "GNU number": {"format": tarfile.GNU_FORMAT, "mtime": 2**40},
    "time": {"mtime": 1},
}


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN.keys())
def test_members_that_we_never_write_raise(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(with_member(**changes))
    with pytest.raises(ManifestError, match=r"s\.tar"):
        scan(path)


def test_a_sample_whose_pictures_all_end_in_a_newline_raises(tmp_path: Path) -> None:
    images = []
    for view in range(2):
        info = tarfile.TarInfo(f"zebra_a.{view:03d}.png\n")
        info.mode = 0o644
        images.append(info.tobuf(tarfile.USTAR_FORMAT))
    path = tmp_path / "s.tar"
    path.write_bytes(closed([*images, *members_of(two_samples())[2:]]))
    with pytest.raises(ManifestError, match="not one that a shard may hold"):
        scan(path)


def test_the_foreign_members_differ_from_a_good_one_in_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(with_member())
    assert len(scan(path)) == 2


def test_an_oversized_member_raises_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("zebra_a.000.png")
    info.size = 8**11 - 1
    path = tmp_path / "s.tar"
    path.write_bytes(closed([info.tobuf(tarfile.USTAR_FORMAT)]))
    with pytest.raises(ManifestError, match="not one that a shard may hold"):
        scan(path)


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "two shards": lambda c: c + c,
    "garbage": lambda c: c + b"x",
    "a block of garbage": lambda c: c[:-BLOCK] + b"x" * BLOCK,
    "more zeros": lambda c: c + b"\0" * BLOCK,
    "no record": lambda c: c.rstrip(b"\0").ljust(-(-len(c.rstrip(b"\0")) // BLOCK) * BLOCK, b"\0"),
    "shifted": lambda c: b"\0" + c[:-1],
    "empty file": lambda c: c[:0],
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_other_wrappings_raise(shard: Path, wrap: Callable[[bytes], bytes]) -> None:
    shard.write_bytes(wrap(shard.read_bytes()))
    with pytest.raises(ManifestError, match=shard.name):
        scan(shard)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.tar"):
        scan(tmp_path / "gone.tar")


def entry_of(path: Path) -> ShardEntry:
    """What a manifest says of a shard."""
    content = path.read_bytes()
    return ShardEntry(
        name=path.name,
        split="train",
        samples=2,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def damaged(content: bytes) -> Iterator[bytes]:
    """Every zeroed sector and 300 flipped payload bits."""
    for start in range(0, len(content), BLOCK):
        yield content[:start] + b"\0" * BLOCK + content[start + BLOCK :]
    rng = random.Random(1)
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        yield bytes(changed)


def test_zeroed_sectors_and_payload_bits_are_caught_by_the_hash(shard: Path) -> None:
    content, entry = shard.read_bytes(), entry_of(shard)
    checked = 0
    for changed in damaged(content):
        if changed != content:
            shard.write_bytes(changed)
            check_size(shard.parent, entry)
            with pytest.raises(ManifestError, match=shard.name):
                check_hash(shard.parent, entry, remember=False)
            checked += 1
    assert checked > 310


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], **kwargs: bool) -> bytes:
    """The bytes of an .npy file."""
    out = io.BytesIO()
    np.save(out, array, **kwargs)
    return out.getvalue()


def claimed(shape: str, body: bytes = b"\0" * 56, descr: str = "'<f8'") -> bytes:
    """An .npy file with a header of our own."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body


NAN = np.full((1, 7), np.nan)
HOSTILE_NPY = {
    "empty": b"",
    "not npy": b"PK\x03\x04" + b"\0" * 60,
    "float32": npy(np.zeros((1, 7), np.float32)),
    "big endian": npy(np.zeros((1, 7), ">f8")),
    "fortran": npy(np.asfortranarray(np.zeros((2, 7)))),
    "6 columns": npy(np.zeros((1, 6))),
    "1 axis": npy(np.zeros(7)),
    "3 axes": npy(np.zeros((1, 7, 1))),
    "NaN": npy(NAN),
    "infinite": npy(np.where(np.isnan(NAN), np.inf, 0)),
    "object": npy(np.array([[None] * 7], dtype=object), allow_pickle=True),
    "cut": npy(np.zeros((1, 7)))[:-1],
    "longer": npy(np.zeros((1, 7))) + b"\0",
    "huge": claimed("(1099511627776, 7)"),
    "negative": claimed("(-1, 7)"),
    "zero times huge": claimed("(0, 1152921504606846976)"),
    "call": claimed("(__import__('os').getpid(), 7)"),
    "structured": claimed("(1, 7)", descr="[('x', '<f8')]"),
    "version 2": b"\x93NUMPY\x02\x00" + claimed("(1, 7)")[8:],
    "nested": claimed("(" * 500 + ")" * 500),
}


@pytest.mark.parametrize("content", HOSTILE_NPY.values(), ids=HOSTILE_NPY.keys())
def test_other_arrays_are_no_latents(content: bytes) -> None:
    with pytest.raises(ManifestError, match="the sample"):
        parse_latents(content, "the sample")


def test_our_own_header_would_do() -> None:
    assert parse_latents(claimed("(1, 7)"), "here").shape == (1, 7)
    assert parse_latents(npy(np.ones((3, 10))), "here").shape == (3, 10)


NAMES = st.text(min_size=0, max_size=120) | st.text("ab-_./ \n", max_size=12)


@given(NAMES, NAMES, NAMES, NAMES)
def test_keys_of_different_objects_differ(c1: str, o1: str, c2: str, o2: str) -> None:
    assert (sample_key(c1, o1) == sample_key(c2, o2)) == ((c1, o1) == (c2, o2))


@given(NAMES, NAMES)
def test_keys_are_plain_and_short(class_id: str, object_id: str) -> None:
    key = sample_key(class_id, object_id)
    assert len(key) <= 80
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@pytest.mark.parametrize("object_id", ["a.b", "a b", "ä", "x" * 200, "", "a_b", "a/b", "\ud800"])
def test_a_name_can_not_pose_as_the_key_of_an_awkward_one(object_id: str) -> None:
    taken = sample_key("chair", object_id).removeprefix("chair_")
    assert sample_key("chair", taken) != sample_key("chair", object_id)


def test_plain_names_are_their_own_keys() -> None:
    assert sample_key("03001627", "1a6f615e8b1b5ae4dbbc9440457e303e") == (
        "03001627_1a6f615e8b1b5ae4dbbc9440457e303e"
    )


def test_the_longest_key_fits_a_member_name(tmp_path: Path) -> None:
    key = sample_key("c" * 300, "o" * 300)
    packed = pack_sample(key, [b"i"], "jpg", np.zeros((1, 7)), {})
    path = tmp_path / "s.tar"
    path.write_bytes(packed + end_of_shard(len(packed)))
    assert scan(path)[0].key == key


@given(st.text("abcXYZ019-_./", min_size=1, max_size=100), st.integers(0, 8 * 2**30 - 1))
def test_headers_are_tarfiles_own(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    assert tar_header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(("name", "size"), [("n" * 101, 1), ("a", 8 * 2**30), ("a", -1), ("ä", 1)])
def test_what_does_not_fit_a_header_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"does not fit|can't encode"):
        tar_header(name, size)
