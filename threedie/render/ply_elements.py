"""Header and body of a PLY file: elements with single values and lists, ASCII and binary.

Every count is compared with the bytes that are there before anything is allocated for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedie.render.object_files import show
from threedie.render.triangles import BadMesh, Floats, Ints, numbers

_TYPES = {  # NumPy's names; struct's differ only in the letters of _STRUCT
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_STRUCT = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Property:
    """A column of an element."""

    name: str
    kind: str
    """NumPy type of the value, or of a list's items."""
    count_kind: str | None = None
    """NumPy type of a list's length; None for a single value."""


@dataclass(frozen=True, slots=True)
class Element:
    """What the header says about a table."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)

    @property
    def lists(self) -> list[Property]:
        """The properties that are lists."""
        return [p for p in self.properties if p.count_kind is not None]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of an element."""

    singles: dict[str, Floats]
    lists: dict[str, tuple[Ints, Floats]]
    """Length in every row, and all items one after the other."""


def read_header(data: bytes) -> tuple[str, list[Element], bytes]:
    """Byte order (empty for ASCII), elements, and the body.

    Raises:
        BadMesh: no PLY, or a line that is not valid in its place.
    """
    end = data.find(b"end_header", 0, HEADER_BYTES)
    newline = data.find(b"\n", end)
    if not data.startswith(b"ply") or end < 0 or newline < 0:
        raise BadMesh("its header does not go from ply to end_header; the file is no PLY")
    order: str | None = None
    elements: list[Element] = []
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        words = line.split()
        if words[:1] == ["format"]:
            order = _ORDERS.get(words[1] if len(words) > 1 else "")
        else:
            _add_line(elements, words)
    if order is None or len({e.name for e in elements}) != len(elements):
        raise BadMesh("its header has no known format line, or an element twice")
    return order, elements, data[newline + 1 :]


def _add_line(elements: list[Element], words: list[str]) -> None:
    match words:
        case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 19:
            elements.append(Element(name, int(count)))
        case ["property", "list", count_kind, kind, name] if elements:
            if _type(count_kind) not in _STRUCT:
                raise BadMesh("a list's length has a float type; expected a whole one")
            elements[-1].properties.append(Property(name, _type(kind), _type(count_kind)))
        case ["property", kind, name] if elements:
            elements[-1].properties.append(Property(name, _type(kind)))
        case [] | ["comment" | "obj_info", *_]:
            pass
        case _:
            raise BadMesh(f"header line {show(' '.join(words))!r} is not valid in its place")
    if elements and len({p.name for p in elements[-1].properties}) != len(elements[-1].properties):
        raise BadMesh(f"element {show(elements[-1].name)} has a property twice")


def _type(name: str) -> str:
    if name not in _TYPES:
        raise BadMesh(f"type {show(name)!r} in the header is unknown")
    return _TYPES[name]


def read_tables(order: str, elements: list[Element], body: bytes) -> dict[str, Table]:
    """All elements by name.

    Raises:
        BadMesh: the body is too short, or a list has an impossible length.
    """
    reader = _Binary(body, order) if order else _Ascii(numbers(body))
    return {e.name: reader.read(e) if e.count and e.properties else _empty(e) for e in elements}


def _empty(element: Element) -> Table:
    return Table(
        {p.name: np.zeros(0) for p in element.properties if p.count_kind is None},
        {p.name: (np.zeros(0, np.int64), np.zeros(0)) for p in element.lists},
    )


class _Binary:
    """Reads elements from bytes, in their order."""

    def __init__(self, body: bytes, order: str) -> None:
        self._body = body
        self._order = order
        self._at = 0

    def read(self, element: Element) -> Table:
        """All rows at once if their lists are as long as the first row's, else one by one."""
        lengths = self._first_lengths(element)
        rows = self._rows(element, lengths)
        if rows is None or any(np.any(rows[f"#{name}"] != k) for name, k in lengths.items()):
            return self._read_slowly(element)
        self._at += rows.nbytes
        values = {p.name: rows[p.name].astype(np.float64) for p in element.properties}
        return _table(element, values, {n: np.full(element.count, k) for n, k in lengths.items()})

    def _first_lengths(self, element: Element) -> dict[str, int]:
        at, lengths = self._at, {}
        for p in element.properties:
            if p.count_kind is not None:
                lengths[p.name] = self._length(at, p.count_kind, element)
                at += np.dtype(p.count_kind).itemsize
            at += lengths.get(p.name, 1) * np.dtype(p.kind).itemsize
        return lengths

    def _rows(self, element: Element, lengths: dict[str, int]) -> NDArray[Any] | None:
        """A view of the rows, or None if the body is too short for lists of these lengths."""
        fields: list[Any] = []
        for p in element.properties:
            if p.count_kind is not None:
                fields.append((f"#{p.name}", self._order + p.count_kind))
            shape = (lengths[p.name],) if p.name in lengths else ()
            fields.append((p.name, self._order + p.kind, shape))
        kind = np.dtype(fields)
        if element.count * kind.itemsize <= len(self._body) - self._at:
            return np.frombuffer(self._body, kind, element.count, self._at)
        if not lengths:
            raise _cut_short(element)
        return None

    def _read_slowly(self, element: Element) -> Table:
        pieces: dict[str, list[bytes]] = {p.name: [] for p in element.properties}
        lengths: dict[str, list[int]] = {p.name: [] for p in element.lists}
        plan = [(p, np.dtype(p.kind).itemsize, _size(p.count_kind)) for p in element.properties]
        at = self._at
        for _ in range(element.count):
            for p, item_size, count_size in plan:
                size = item_size
                if p.count_kind is not None:
                    n = self._length(at, p.count_kind, element)
                    lengths[p.name].append(n)
                    size, at = n * item_size, at + count_size
                if at + size > len(self._body):
                    raise _cut_short(element)
                pieces[p.name].append(self._body[at : at + size])
                at += size
        self._at = at
        values = {
            p.name: np.frombuffer(b"".join(pieces[p.name]), self._order + p.kind).astype(float)
            for p in element.properties
        }
        return _table(element, values, {n: np.array(k, np.int64) for n, k in lengths.items()})

    def _length(self, at: int, kind: str, element: Element) -> int:
        if at + _size(kind) > len(self._body):
            raise _cut_short(element)
        (length,) = struct.unpack_from(self._order + _STRUCT[kind], self._body, at)
        return _checked_length(length, len(self._body))


class _Ascii:
    """Reads elements from numbers, in their order."""

    def __init__(self, values: Floats) -> None:
        self._values = values
        self._at = 0

    def read(self, element: Element) -> Table:
        """All rows at once if their lists are as long as the first row's, else one by one."""
        starts, lengths = self._first_row(element)
        width = starts.pop("")
        end = self._at + element.count * width
        if end > len(self._values):
            return self._read_slowly(element)
        rows_RW = self._values[self._at : end].reshape(-1, width)
        if any(np.any(rows_RW[:, starts[name] - 1] != k) for name, k in lengths.items()):
            return self._read_slowly(element)
        self._at = end
        values = {n: rows_RW[:, at : at + lengths.get(n, 1)] for n, at in starts.items()}
        return _table(element, values, {n: np.full(element.count, k) for n, k in lengths.items()})

    def _first_row(self, element: Element) -> tuple[dict[str, int], dict[str, int]]:
        """Where each property starts in the first row (its end under ""), and lists' lengths."""
        at, starts, lengths = self._at, {}, {}
        for p in element.properties:
            if p.count_kind is not None:
                lengths[p.name] = self._length(at, element)
                at += 1
            starts[p.name] = at - self._at
            at += lengths.get(p.name, 1)
        starts[""] = at - self._at
        return starts, lengths

    def _read_slowly(self, element: Element) -> Table:
        pieces: dict[str, list[Floats]] = {p.name: [] for p in element.properties}
        lengths: dict[str, list[int]] = {p.name: [] for p in element.lists}
        at = self._at
        for _ in range(element.count):
            for p in element.properties:
                n = 1
                if p.count_kind is not None:
                    n, at = self._length(at, element), at + 1
                    lengths[p.name].append(n)
                if at + n > len(self._values):
                    raise _cut_short(element)
                pieces[p.name].append(self._values[at : at + n])
                at += n
        self._at = at
        values = {name: np.concatenate(column) for name, column in pieces.items()}
        return _table(element, values, {n: np.array(k, np.int64) for n, k in lengths.items()})

    def _length(self, at: int, element: Element) -> int:
        if at >= len(self._values):
            raise _cut_short(element)
        return _checked_length(float(self._values[at]), len(self._values))


def _table(element: Element, values: dict[str, NDArray[Any]], lengths: dict[str, Ints]) -> Table:
    flat = {name: value.reshape(-1) for name, value in values.items()}
    return Table(
        {p.name: flat[p.name] for p in element.properties if p.count_kind is None},
        {p.name: (lengths[p.name], flat[p.name]) for p in element.lists},
    )


def _size(kind: str | None) -> int:
    return 0 if kind is None else int(kind[1])


def _checked_length(length: float, most: int) -> int:
    if not 0 <= length <= most or length != int(length):
        raise BadMesh(f"a list has the length {length:g}; expected a whole number that fits")
    return int(length)


def _cut_short(element: Element) -> BadMesh:
    return BadMesh(
        f"it claims {element.count} rows of {show(element.name)}, more than it holds; "
        "the file is cut short"
    )


__all__ = ["HEADER_BYTES", "Element", "Table", "read_header", "read_tables"]
