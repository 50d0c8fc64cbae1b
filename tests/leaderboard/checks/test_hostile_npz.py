"""Claims proved here, on hostile predictions.npz.

- Nothing in it is unpickled, evaluated or unpacked beyond what its sizes say: pickles, bombs,
  swollen, doubled, foreign and absolute members, other packings and versions are refused.
- Cut or changed anywhere, it is refused with the file's name or read as plain arrays; nothing else
  ever comes out of the reader.
- What this project writes and what `np.savez` writes is read.
"""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard import made
from threedie.benchmark.evaluation import items as predictions
from threedie.errors import ManifestError
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import examine_entry


class Bomb:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("pwned"),)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenBoard:
    monkeypatch.chdir(tmp_path)
    return made.make(tmp_path / "board", made.truth(objects=6, views=3))


@pytest.fixture
def good(board: OpenBoard) -> bytes:
    return predictions.to_bytes(made.predict(board, 0))


def _object_array() -> bytes:
    return made.npy(np.array([Bomb()], dtype=object), allow_pickle=True)


def _claims(shape: str, descr: str = "<f2") -> bytes:
    """An array's file with a header that says so, and no bytes."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _lying(content: bytes, size: int) -> bytes:
    """The same zip with another unpacked size in its first central record."""
    place = content.index(b"PK\x01\x02")
    return content[: place + 24] + struct.pack("<I", size) + content[place + 28 :]


def _doubled(members: dict[str, bytes]) -> bytes:
    """A zip in which the first member stands twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile tells of doubled names, and writes them
        for name, content in (*members.items(), next(iter(members.items()))):
            archive.writestr(name, content)
    return out.getvalue()


def _encrypted(content: bytes) -> bytes:
    place = content.index(b"PK\x01\x02") + 8
    return content[:place] + b"\x01" + content[place + 1 :]


def _member(name: str, content: Callable[[], bytes]) -> Callable[[bytes], bytes]:
    """The good file with one member replaced or added."""
    return lambda good: made.packed({**made.unpacked(good), f"{name}.npy": content()})


def _without(name: str) -> Callable[[bytes], bytes]:
    return lambda good: made.packed(
        {k: v for k, v in made.unpacked(good).items() if k != f"{name}.npy"}
    )


def _other(name: str, content: bytes) -> Callable[[bytes], bytes]:
    return lambda good: made.packed({**made.unpacked(good), name: content})


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "text": lambda _: b"top1: 0.99",
    "a pickle": lambda _: pickle.dumps(Bomb()),
    "a bare array": lambda _: made.npy(np.zeros(3)),
    "an array of objects": _member("greater", _object_array),
    "a pickle as an array": _member("greater", lambda: pickle.dumps(Bomb())),
    "a zip bomb": _member("greater", lambda: bytes(100 * 2**20)),
    "many members": lambda good: made.packed(
        {**made.unpacked(good), **{f"top5.p{i}.npy": b"" for i in range(20)}}
    ),
    "a swollen member": lambda good: _lying(good, 10),
    "a shrunk member": lambda good: _lying(good, 10**6),
    "a member that says it is endless": lambda good: _lying(good, 0xFFFFFFFE),
    "a doubled member": lambda good: _doubled(made.unpacked(good)),
    "a foreign member": _other("run.py", b"import os"),
    "a way out": _other("../greater.npy", b"x"),
    "an absolute way": _other("/etc/greater.npy", b"x"),
    "a folder": _other("top5/", b""),
    "lzma": lambda good: made.packed(made.unpacked(good), zipfile.ZIP_LZMA),
    "bzip2": lambda good: made.packed(made.unpacked(good), zipfile.ZIP_BZIP2),
    "another type": _member("greater", lambda: made.npy(np.zeros(18))),
    "Fortran": _member("rotation.all", lambda: made.npy(np.zeros((18, 4), "<f2", order="F"))),
    "three dimensions": _member("rotation.all", lambda: made.npy(np.zeros((18, 4, 1), "<f2"))),
    "no dimension": _member("greater", lambda: made.npy(np.uint16(3))),
    "bytes it has not": _member("rotation.all", lambda: _claims("(999999999, 4)")),
    "a shape that overflows": _member("rotation.all", lambda: _claims("(4294967296, 4294967296)")),
    "a negative shape": _member("rotation.all", lambda: _claims("(-1, 4)")),
    "code for a shape": _member(
        "greater", lambda: _claims("(__import__('os').system('touch pwned'),)", "<u2")
    ),
    "a nested header": _member("greater", lambda: _claims("(" * 400, "<u2")),
    "version 2": _member("greater", lambda: made.npy(np.zeros(18, "<u2")).replace(b"\1", b"\2", 1)),
    "no about": _without("about"),
    "no row": _without("row"),
    "a huge about": _member("about", lambda: made.npy(np.full(10**6, 32, dtype=np.uint8))),
    "a deep about": _member("about", lambda: made.npy(np.frombuffer(b"[" * 50000, np.uint8))),
    "an encrypted member": _encrypted,
    "larger than it may be": lambda good: good + bytes(predictions.MAX_BYTES),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(
    board: OpenBoard, good: bytes, name: str, tmp_path: Path
) -> None:
    folder = made.entry(board).put(1, HOSTILE[name](good)).place(board)
    found = examine_entry(folder, board).problems
    assert [err.name for err in found] in (["predictions-form"], ["too-large"])
    assert "runs/1/predictions.npz" in found[0].says
    assert not list(tmp_path.rglob("pwned"))


def test_what_is_written_is_read(good: bytes, board: OpenBoard) -> None:
    back = predictions.from_bytes(good, "good")
    own = made.predict(board, 0)
    np.testing.assert_array_equal(back.rotation["equi"], own.rotation["equi"])
    np.testing.assert_array_equal(back.row_M, board.truth.listed.flat_M)
    assert predictions.to_bytes(back) == good


def test_what_numpy_writes_is_read(good: bytes) -> None:
    with np.load(io.BytesIO(good)) as members:
        arrays = {name: members[name] for name in members.files}
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, **arrays)
        back = predictions.from_bytes(out.getvalue(), "numpy")
        assert predictions.to_bytes(back) == good


def test_cut_anywhere_it_is_refused(good: bytes) -> None:
    for length in range(0, len(good) - 1, 97):
        with pytest.raises(ManifestError, match=r"^file: "):
            predictions.from_bytes(good[:length], "file")


def test_changed_anywhere_it_is_refused_or_plain(good: bytes) -> None:
    """Of any change: our own error, or arrays."""
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(1500):
        content = bytearray(good)
        for place in rng.integers(len(good), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        # Most of what matters lies in the headers and in the central directory at the end.
        content[-rng.integers(1, 1200)] = rng.integers(256)
        try:
            predictions.from_bytes(bytes(content), "file")
            read += 1
        except ManifestError:
            pass
    assert read < 1500
