"""The gate for material libraries: only known keys, only finite numbers, only our own textures.

Written for what Blender's OBJ importer reads. Materials are renamed m0, m1 … in the order of
their first `usemtl`; one that no library defines keeps Blender's default grey. If a name is
defined twice the first definition counts, and `<mesh>.mtl` is read even when the OBJ does not ask
for it: both as in Blender.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from threedie import files as disk
from threedie.errors import AssetError
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.obj_text import whole_lines
from threedie.render.meshes.object_files import HashedFiles, MissingFile, local_name, show
from threedie.render.meshes.textures import BadTexture, MissingTexture, Textures

_NUMBERS = {  # key in lower case -> (key as Blender spells it, numbers)
    key.lower(): (key, count)
    for count, keys in ((3, "Ka Kd Ks Ke Tf"), (1, "Ns Ni d Tr illum Pr Pm Ps Pc Pcr"))
    for key in keys.split()
}
_MAP_KEYS = "map_Kd map_Ks map_Ke map_Ns map_d map_Bump bump norm map_refl refl"
_MAPS = {key.lower(): key for key in _MAP_KEYS.split()}
_OPTIONS = {  # arguments of a map's options: None = one to three numbers, str = a word
    "-o": None, "-s": None, "-t": None, "-bm": 1, "-boost": 1, "-texres": 1, "-mm": 2,
    "-blendu": "on", "-blendv": "on", "-cc": "on", "-clamp": "on", "-imfchan": "l",
    "-type": "sphere",
}  # fmt: skip
_KEPT = {"-o": "0.0", "-s": "1.0", "-bm": ""}  # options that Blender reads; what fills to three
_GREY = "Kd 0.8 0.8 0.8"


@dataclass(slots=True)
class _Material:
    lines: dict[str, str] = field(default_factory=dict)
    """Key to the whole line, in the order of the file."""
    maps: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Key to options and checked file name."""


def gate_materials(
    files: HashedFiles,
    scratch: Path,
    libraries: list[bytes],
    used: dict[bytes, int],
    *,
    missing_texture: MissingTexture,
    limits: Limits,
) -> tuple[str, ...]:
    """Write `mesh.mtl` and its textures.

    Args:
        files: the object's files.
        scratch: where to write.
        libraries: what the OBJ's `mtllib` lines ask for.
        used: `usemtl` names and our numbers for them.
        missing_texture: see `MissingTexture`.
        limits: caps.

    Returns:
        Notes: missing libraries, dropped values, missing textures.

    Raises:
        AssetError: a name leads out of the object, a map option is malformed, a cap is exceeded,
            or a texture is missing and `missing_texture` is "fail".
    """
    gate = _MtlGate(files, Textures(files, scratch, limits), missing_texture, limits)
    gate.read_libraries(libraries)
    lines = [line for name, number in used.items() for line in gate.material(name, number)]
    disk.put(scratch / "mesh.mtl", "".join(f"{line}\n" for line in lines).encode())
    return tuple(dict.fromkeys(gate.notes))


class _MtlGate:
    def __init__(
        self, files: HashedFiles, textures: Textures, missing: MissingTexture, limits: Limits
    ) -> None:
        self._files = files
        self._textures = textures
        self._missing = missing
        self._limits = limits
        self._materials: dict[bytes, _Material] = {}
        self._bytes_left = limits.mtl_bytes
        self.notes: list[str] = []

    def read_libraries(self, asked: list[bytes]) -> None:
        main = self._files.main
        own = posixpath.splitext(main)[0] + ".mtl"
        names = [name for entry in asked for name in self._library_names(entry)]
        for name in dict.fromkeys([*names, own]):
            try:
                self._read(name)
            except MissingFile:
                if name in names:
                    self.notes.append(f"missing material library {show(name)}: default material")

    def _library_names(self, entry: bytes) -> list[str]:
        """One name, which may hold spaces, or several names."""
        label = self._files.label(self._files.main)
        whole = local_name(_text(entry), asked_by=label)
        if whole.lower().count(".mtl") <= 1:
            return [whole]
        return [local_name(part, asked_by=label) for part in _text(entry).split()]

    def _read(self, name: str) -> None:
        label = self._files.label(name)
        blocks = self._counted(self._files.stream(name, self._limits.mtl_bytes), label)
        material: _Material | None = None
        for chunk in whole_lines(blocks, label, self._limits):
            for i, line in enumerate(chunk.text.split(b"\n")):
                keyword, _, rest = line.strip().partition(b" ")
                if keyword.lower() == b"newmtl":
                    material = self._new(rest.strip(), label)
                elif material is not None:
                    self._add(
                        material, _text(keyword), rest, f"{label}, line {chunk.first_line + i}"
                    )

    def _counted(self, blocks: Iterator[bytes], label: str) -> Iterator[bytes]:
        for block in blocks:
            self._bytes_left -= len(block)
            if self._bytes_left < 0:
                raise AssetError(
                    f"{label}: the object's material libraries are larger than "
                    f"{self._limits.mtl_bytes / 2**20:.0f} MiB together; expected at most that."
                )
            yield block

    def _new(self, name: bytes, label: str) -> _Material | None:
        if name in self._materials:
            return None
        if len(self._materials) >= self._limits.materials:
            raise AssetError(f"{label} defines more than {self._limits.materials} materials.")
        self._materials[name] = _Material()
        return self._materials[name]

    def _add(self, material: _Material, keyword: str, rest: bytes, where: str) -> None:
        key = keyword.lower()
        if key in _NUMBERS:
            self._add_number(material, *_NUMBERS[key], rest.split(), where)
        elif key in _MAPS and rest.strip():
            options, name = _split_map(_text(rest), where)
            material.maps[_MAPS[key]] = options, local_name(name, asked_by=where)

    def _add_number(
        self, material: _Material, key: str, count: int, words: list[bytes], where: str
    ) -> None:
        if key == "d" and words[:1] == [b"-halo"]:
            words = words[1:]
        values = [_number(word) for word in words[:count]]
        if count == 3 and len(values) == 1:
            values *= 3  # the format's short form of a grey
        if len(values) != count or None in values:
            self.notes.append(f"{where}: {key} left out, expected {count} finite number(s)")
            return
        text = " ".join(str(int(v)) if key == "illum" else repr(v) for v in values if v is not None)
        material.lines.pop(key, None)
        material.lines[key] = f"{key} {text}"

    def material(self, name: bytes, number: int) -> Iterator[str]:
        """Lines of one material; nothing if no library defines it."""
        if name not in self._materials:
            return
        material = self._materials[name]
        yield f"newmtl m{number}"
        maps = {key: self._texture(key, *value) for key, value in material.maps.items()}
        if maps.get("map_Kd", "") is None:
            material.lines["Kd"] = _GREY
        yield from material.lines.values()
        yield from (line for line in maps.values() if line is not None)

    def _texture(self, key: str, options: str, name: str) -> str | None:
        try:
            png = self._textures.add_file(name)
        except BadTexture as err:
            if self._missing == "fail":
                raise AssetError(
                    f"{self._files.label(self._files.main)}: {err}. Expected the image to be "
                    'there; put it back, or allow a grey surface with missing_texture="grey".'
                ) from None
            self.notes.append(f"{err}: {'grey' if key == 'map_Kd' else f'{key} left out'}")
            return None
        return f"{key} {options}{png}"


def _split_map(text: str, where: str) -> tuple[str, str]:
    """Options that Blender reads, as text with a space behind, and the file name."""
    kept = ""
    while True:
        word, rest = _next_word(text)
        if word.lower() not in _OPTIONS:
            break
        option = word.lower()
        arguments, text = _arguments(option, rest, where)
        if option in _KEPT:
            kept += " ".join([option, *arguments]) + " "
    name = text.strip().strip('"')
    if not name:
        raise AssetError(f"{where}: expected a file name after the options of the texture.")
    return kept, name


def _arguments(option: str, text: str, where: str) -> tuple[list[str], str]:
    """An option's arguments, and the text behind them."""
    count = _OPTIONS[option]
    if isinstance(count, str):
        return [], _next_word(text)[1]
    values: list[str] = []
    while len(values) < (count or 3):
        word, rest = _next_word(text)
        value = _number(word.encode("utf-8", "replace"))
        if value is None:
            break
        values, text = [*values, repr(value)], rest
    if len(values) < (count or 1):
        raise AssetError(f"{where}: expected numbers after the texture option {option}.")
    return values + [_KEPT.get(option, "")] * ((count or 3) - len(values)), text


def _next_word(text: str) -> tuple[str, str]:
    word, _, rest = text.lstrip().partition(" ")
    return word, rest


def _number(word: bytes) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 3.4e38 and b"_" not in word else None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape").strip().strip('"')


__all__ = ["gate_materials"]
