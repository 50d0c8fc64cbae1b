"""Text of an OBJ or MTL in whole, clean lines, block by block.

Tabs become spaces, CRLF and CR become LF, a BOM goes, a line that ends in a backslash is joined
with its successor (empty lines take the places, so that line numbers stay true). Bytes that no
text has are refused: UTF-16, NUL, control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from threedie.errors import AssetError
from threedie.render.meshes.limits import Limits

_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\r") + b"\x7f"
_SPACES = bytes.maketrans(b"\t", b" ")
_CONTINUED = b"\\\n"
_INDENT = re.compile(rb"(?m)^ +")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines."""

    text: bytes
    """Ends with a newline."""
    first_line: int
    """Number of its first line in the file, from 1."""


def whole_lines(blocks: Iterable[bytes], label: str, limits: Limits) -> Iterator[Chunk]:
    """Cut a stream of blocks at line ends and clean it.

    Raises:
        AssetError: not text, or a line is too long.
    """
    rest, line = b"", 1
    for data in _unified(blocks, label):
        cut = _last_line_end(rest + data)
        whole, rest = (rest + data)[:cut], (rest + data)[cut:]
        if len(rest) > limits.line_bytes:
            raise _too_long(label, line + whole.count(b"\n"), limits)
        if whole:
            yield _clean(whole, label, line, limits)
            line += whole.count(b"\n")
    if rest:
        yield _clean(rest.rstrip(b"\\\n") + b"\n", label, line, limits)


def _unified(blocks: Iterable[bytes], label: str) -> Iterator[bytes]:
    """The same bytes with LF line ends, no tabs and no BOM."""
    held, first = b"", True
    for block in blocks:
        data = held + block
        if first and len(data) >= 3:
            if data.startswith(_UTF16):
                raise AssetError(f"{label} is UTF-16 text; expected UTF-8. Save it as UTF-8.")
            data, first = data.removeprefix(b"\xef\xbb\xbf"), False
        held = data[-1:] if data.endswith(b"\r") else b""
        yield _one_line_end(data[: len(data) - len(held)], label)
    yield _one_line_end(held, label)


def _one_line_end(data: bytes, label: str) -> bytes:
    if len(data.translate(None, _CONTROL)) != len(data):
        raise AssetError(
            f"{label} holds control characters or NUL bytes: it is no text. Expected a text file; "
            "check that it is not compressed, binary or damaged."
        )
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.translate(_SPACES)


def _last_line_end(data: bytes) -> int:
    """Where the last complete line ends that is not continued."""
    end = data.rfind(b"\n")
    while end > 0 and data[end - 1 : end] == b"\\":
        end = data.rfind(b"\n", 0, end)
    return end + 1


def _clean(text: bytes, label: str, line: int, limits: Limits) -> Chunk:
    if _CONTINUED in text:
        text = _joined(text)
    if text.startswith(b" ") or b"\n " in text:
        text = _INDENT.sub(b"", text)
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > limits.line_bytes:
        raise _too_long(label, line + int(lengths.argmax()), limits)
    return Chunk(text, line)


def _joined(text: bytes) -> bytes:
    """Continued lines as one, followed by as many empty lines as were taken away."""
    first, *others = text.split(_CONTINUED)
    pieces, owed = [first], 0
    for part in others:
        owed += 1
        head, end, tail = part.partition(b"\n")
        pieces += [b" ", head, end * (owed + 1), tail]
        owed = 0 if end else owed
    return b"".join(pieces)


def _too_long(label: str, line: int, limits: Limits) -> AssetError:
    return AssetError(
        f"{label}, line {line} is longer than {limits.line_bytes} bytes; expected at most that. "
        "The file is damaged or no text."
    )


__all__ = ["Chunk", "whole_lines"]
