"""The header of a PLY file, every line checked, up to the faces."""

from __future__ import annotations

from dataclasses import dataclass, field

from threedie.render.meshes.limits import Limits
from threedie.render.meshes.object_files import show
from threedie.render.meshes.triangles import BadMesh, cap

_KINDS = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_WORDS = {kind: word for word, kind in _KINDS.items()}
_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
_HEADER_BYTES = 1 << 16
_RGB = ("red", "green", "blue")
_INDICES = ("vertex_indices", "vertex_index")


@dataclass(slots=True)
class Element:
    """What the header says about a table. Kinds are NumPy's, with the byte order."""

    name: str
    count: int
    names: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    list_at: int = -1
    """Which property is a list: the corners of a face."""
    size_kind: str = ""
    """Of the list's length."""

    def text(self) -> str:
        """Its lines, with no names for what trimesh should not take for anything."""
        lines = [f"element {self.name} {self.count}\n"]
        for i, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            size = f"list {_WORDS[self.size_kind[1:]]} " if i == self.list_at else ""
            known = name in ("x", "y", "z", *_RGB, *_INDICES)
            lines.append(f"property {size}{_WORDS[kind[1:]]} {name if known else f'other{i}'}\n")
        return "".join(lines)


def read_header(data: bytes, limits: Limits) -> tuple[str, str, list[Element], bytes]:
    """Its text, the format, elements of which the last are the faces, and the body.

    Raises:
        BadMesh: no PLY, a line that is not valid in its place, or too much.
    """
    end = data.find(b"end_header", 0, _HEADER_BYTES)
    newline = data.find(b"\n", end)
    if not data.startswith(b"ply") or end < 0 or newline < 0:
        raise BadMesh("its header does not go from ply to end_header; the file is no PLY")
    text = data[:end].decode("ascii", "replace")
    form, elements = "", list[Element]()
    for words in map(str.split, text.splitlines()[1:]):
        if words[:1] == ["format"] and not elements:
            form = words[1] if len(words) > 1 else ""
        else:
            _add_line(elements, words, _ORDERS.get(form, ""))
    names = [element.name for element in elements]
    if form not in _ORDERS or len(set(names)) != len(names):
        raise BadMesh("its header has no known format line, or an element twice")
    if "vertex" not in names or "face" not in names[names.index("vertex") :]:
        raise BadMesh("expected the elements vertex and then face")
    elements = elements[: names.index("face") + 1]  # nothing behind is needed
    for element in elements:
        _check(element, limits)
    return text, form, elements, data[newline + 1 :]


def _add_line(elements: list[Element], words: list[str], order: str) -> None:
    match words:
        case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 19:
            elements.append(Element(name, int(count)))
        case ["property", "list", size, kind, name] if elements and elements[-1].list_at < 0:
            elements[-1].list_at = len(elements[-1].kinds)
            elements[-1].size_kind = order + _KINDS.get(size, "?")
            _add_property(elements[-1], name, order + _KINDS.get(kind, "?"), words)
        case ["property", kind, name] if elements:
            _add_property(elements[-1], name, order + _KINDS.get(kind, "?"), words)
        case [] | ["comment" | "obj_info", *_]:
            pass
        case _:
            raise BadMesh(f"header line {show(' '.join(words))!r} is not read in its place")


def _add_property(element: Element, name: str, kind: str, words: list[str]) -> None:
    wrong_color = name in _RGB and kind[1:] not in ("u1", "f4", "f8")
    if "?" in element.size_kind + kind or wrong_color or name in element.names:
        raise BadMesh(f"header line {show(' '.join(words))!r} has a type or name that is not read")
    element.names.append(name)
    element.kinds.append(kind)


def _check(element: Element, limits: Limits) -> None:
    cap(element.count, max(limits.vertices, limits.faces), f"rows of {show(element.name)}")
    missing = {"x", "y", "z"} - set(element.names)
    if element.name == "vertex" and missing:
        raise BadMesh(f"its vertices have no {min(missing)}")
    is_face, has_list = element.name == "face", element.list_at >= 0
    if is_face != has_list or (is_face and element.names[element.list_at] not in _INDICES):
        raise BadMesh(f"expected one list, {' or '.join(_INDICES)}, and in the faces only")
    if is_face and "f" in element.size_kind + element.kinds[element.list_at]:
        raise BadMesh("its corners have a float type; expected a whole one")


__all__ = ["Element", "read_header"]
