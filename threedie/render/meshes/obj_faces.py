"""Checks of the `v`, `vt`, `vn` and `f` lines of an OBJ, thousands of lines at a time.

Shape suffixes: L = lines of a block, T = tokens (numbers or corners) in them, I = indices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

V, VT, VN, F, OTHER, DROP = 1, 2, 3, 4, 0, -1
KEYWORD_BYTES = {V: 1, VT: 2, VN: 2, F: 1}
_SPACE, _NEWLINE, _SLASH = ord(" "), ord("\n"), ord("/")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class BadLine(Exception):
    """A line of the block is wrong; the caller knows the file and adds the line number."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line  # index within the block, from 0
        self.why = why


@dataclass(frozen=True, slots=True)
class Lines:
    """A block of text as arrays over its lines."""

    buffer: NDArray[np.uint8]
    starts_L: Ints
    lengths_L: Ints
    kind_L: Ints

    def bytes_of(self, mask_L: Bools) -> bytes:
        """The text of some of the lines."""
        return self.buffer[np.repeat(mask_L, self.lengths_L)].tobytes()


def split_lines(text: bytes) -> Lines:
    """Find lines and tell their kinds by the first bytes; text ends with a newline."""
    buffer = np.frombuffer(text, np.uint8)
    ends_L = np.flatnonzero(buffer == _NEWLINE)
    starts_L = np.concatenate(([0], ends_L[:-1] + 1))
    first, second, third = (buffer[np.minimum(starts_L + i, len(buffer) - 1)] for i in range(3))
    kind_L = np.full(len(starts_L), OTHER)
    kind_L[(first == ord("v")) & (second == _SPACE)] = V
    kind_L[(first == ord("v")) & (second == ord("t")) & (third == _SPACE)] = VT
    kind_L[(first == ord("v")) & (second == ord("n")) & (third == _SPACE)] = VN
    kind_L[(first == ord("f")) & (second == _SPACE)] = F
    kind_L[(first == _NEWLINE) | (first == ord("#"))] = DROP
    return Lines(buffer, starts_L, ends_L - starts_L + 1, kind_L)


def _arguments(lines: Lines, kind: int) -> tuple[bytes, Ints, Ints]:
    """Text without keywords of the lines of one kind, tokens per line, and the lines' numbers."""
    mask_L = lines.kind_L == kind
    numbers_L = np.flatnonzero(mask_L)
    blank = lines.buffer.copy()
    for i in range(KEYWORD_BYTES[kind]):
        blank[lines.starts_L[numbers_L] + i] = _SPACE
    text = blank[np.repeat(mask_L, lines.lengths_L)]
    lengths = lines.lengths_L[numbers_L]
    starts = np.cumsum(lengths) - lengths
    tokens_L = np.add.reduceat(_token_starts(text), starts, dtype=np.int64)
    return text.tobytes(), tokens_L, numbers_L


def _token_starts(text: NDArray[np.uint8]) -> Bools:
    solid = text > _SPACE
    before = np.concatenate(([False], solid[:-1]))
    return solid & ~before


def read_vectors(lines: Lines, kind: int, allowed: tuple[int, ...], limit: float) -> Floats:
    """Numbers of all `v`, `vt` or `vn` lines of a block.

    Args:
        lines: the block; it holds at least one line of this kind.
        kind: V, VT or VN.
        allowed: how many numbers a line may have.
        limit: the largest absolute value.

    Returns:
        (L, min(allowed)) the leading numbers of every line; the others are checked only.

    Raises:
        BadLine: a number is malformed, not finite or too large, or there are too few or many.
    """
    text, tokens_L, numbers_L = _arguments(lines, kind)
    wrong_L = ~np.isin(tokens_L, allowed)
    if wrong_L.any():
        raise BadLine(_first(numbers_L, wrong_L), f"expected {_or(allowed)} numbers")
    values_T = _floats(text, tokens_L, numbers_L)
    wrong_T = ~(np.abs(values_T) <= limit)  # also catches nan
    if wrong_T.any():
        line = np.repeat(numbers_L, tokens_L)[wrong_T][0]
        raise BadLine(int(line), f"expected finite numbers of at most {limit:g}")
    firsts_L = np.cumsum(tokens_L) - tokens_L
    return values_T[firsts_L[:, None] + np.arange(min(allowed))]


def _floats(text: bytes, tokens_L: Ints, numbers_L: Ints) -> Floats:
    tokens = text.split()
    try:
        if b"_" in text:  # Python reads 1_000, nobody else does
            raise ValueError
        return np.array(list(map(float, tokens)))
    except ValueError:
        bad = next(i for i, token in enumerate(tokens) if not _is_float(token))
        line = int(np.repeat(numbers_L, tokens_L)[bad])
        raise BadLine(line, "expected numbers") from None


def _is_float(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return b"_" not in token


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of a block, indices resolved to absolute ones."""

    sizes: Ints
    """Corners of every face."""
    vertices: Ints
    """Positions of all corners one after the other, from 0."""
    negative: list[int]
    """Absolute values (from 1) of the relative indices, in the order of the text."""


def read_faces(lines: Lines, defined_KL: Ints, corners_per_face: int) -> Faces:
    """Indices of all `f` lines of a block.

    Args:
        lines: the block; it holds at least one `f` line.
        defined_KL: (3, L) how many v, vt, vn were defined before each line.
        corners_per_face: largest number of corners.

    Raises:
        BadLine: a corner is malformed, an index is 0 or points to nothing.
    """
    text, sizes_L, numbers_L = _arguments(lines, F)
    wrong_L = sizes_L > corners_per_face
    if wrong_L.any():
        raise BadLine(_first(numbers_L, wrong_L), f"expected at most {corners_per_face} corners")
    line_T = np.repeat(numbers_L, sizes_L)
    corner_I, kind_I = _fields(text, line_T)
    values_I = _integers(text, line_T[corner_I])
    limit_I = defined_KL[kind_I, line_T[corner_I]]
    wrong_I = (values_I == 0) | (values_I > limit_I) | (values_I < -limit_I)
    if wrong_I.any():
        raise _out_of_range(wrong_I, values_I, limit_I, kind_I, line_T[corner_I])
    relative_I = values_I < 0
    values_I = np.where(relative_I, values_I + limit_I + 1, values_I)
    return Faces(sizes_L, values_I[kind_I == 0] - 1, values_I[relative_I].tolist())


def _fields(text: bytes, line_T: Ints) -> tuple[Ints, Ints]:
    """For every index its corner and kind (0 v, 1 vt, 2 vn); checks a, a/b, a//c and a/b/c."""
    buffer = np.frombuffer(text, np.uint8)
    slash = buffer == _SLASH
    inside = (buffer > _SPACE) & ~slash
    starts_T = np.flatnonzero(_token_starts(buffer))
    field_starts = inside & ~np.concatenate(([False], inside[:-1]))
    double = slash & np.concatenate((slash[1:], [False]))
    slashes_T, fields_T, doubles_T = (
        np.add.reduceat(mask, starts_T, dtype=np.int64) for mask in (slash, field_starts, double)
    )
    no_uv_T = (slashes_T == 2) & (fields_T == 2) & (doubles_T == 1)
    wrong_T = ~(((slashes_T <= 2) & (fields_T == slashes_T + 1)) | no_uv_T)
    if wrong_T.any():
        raise BadLine(_first(line_T, wrong_T), "expected corners like 1, 1/2, 1//3 or 1/2/3")
    corner_I = np.repeat(np.arange(len(starts_T)), fields_T)
    rank_I = np.arange(len(corner_I)) - np.repeat(np.cumsum(fields_T) - fields_T, fields_T)
    return corner_I, np.where(no_uv_T[corner_I] & (rank_I == 1), 2, rank_I)


def _integers(text: bytes, line_I: Ints) -> Ints:
    tokens = text.replace(b"/", b" ").split()
    try:
        if text.translate(None, b"0123456789-/ \n"):
            raise ValueError
        return np.array(list(map(int, tokens)), dtype=np.int64)
    except (ValueError, OverflowError):
        bad = next(i for i, token in enumerate(tokens) if not _is_index(token))
        raise BadLine(int(line_I[bad]), "expected whole numbers as indices") from None


def _is_index(token: bytes) -> bool:
    return len(token) < 19 and token.removeprefix(b"-").isdigit()


def _out_of_range(
    wrong_I: Bools, values_I: Ints, limit_I: Ints, kind_I: Ints, line_I: Ints
) -> BadLine:
    i = int(wrong_I.argmax())
    what = ("vertices", "texture coordinates", "normals")[kind_I[i]]
    return BadLine(
        int(line_I[i]), f"index {values_I[i]}, but {limit_I[i]} {what} are defined above this line"
    )


def small_faces(lines: Lines) -> Ints:
    """Line numbers of faces with fewer than three corners; Blender drops them too."""
    if not (lines.kind_L == F).any():
        return np.zeros(0, np.int64)
    _, sizes_L, numbers_L = _arguments(lines, F)
    return numbers_L[sizes_L < 3]


def with_absolute(text: bytes, absolute: list[int]) -> bytes:
    """Replace the relative indices of face lines, one after the other."""
    values = iter(absolute)
    return re.sub(rb"-\d+", lambda _: b"%d" % next(values), text)


def has_area(faces: Faces, points_V3: Floats) -> bool:
    """Whether any face of a fan of triangles over every polygon has an area."""
    ends = np.cumsum(faces.sizes)
    first = np.repeat(ends - faces.sizes, faces.sizes)
    corner = np.arange(len(faces.vertices))
    middle = (corner > first) & (corner < np.repeat(ends, faces.sizes) - 1)
    a, b, c = (
        points_V3[faces.vertices[i]] for i in (first[middle], corner[middle], corner[middle] + 1)
    )
    return bool(np.any(np.cross(b - a, c - a)))


def _first(numbers: Ints, wrong: Bools) -> int:
    return int(numbers[wrong][0])


def _or(counts: tuple[int, ...]) -> str:
    return " or ".join(map(str, counts))


__all__ = [
    "BadLine",
    "Faces",
    "Lines",
    "has_area",
    "read_faces",
    "read_vectors",
    "small_faces",
    "split_lines",
    "with_absolute",
]
