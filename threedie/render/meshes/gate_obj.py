"""The gate for Wavefront OBJ: what Blender's importer gets to see is written here, line by line.

Blender's own reader crashes on curve keywords and opens any file a material library names. So we
stream the file, keep an allow-list of keywords, check every number and index, and write a new
`mesh.obj` with our own `mesh.mtl` and textures. The text of `v`, `vt` and `vn` lines is kept as it
is, so the importer reads the very same numbers. Everything is one object afterwards: `o` and `g`
lines go, `usemtl` keeps the materials apart. Relative indices become absolute ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from threedie import files as disk
from threedie.errors import AssetError
from threedie.render.meshes import obj_faces as lines_of
from threedie.render.meshes.gate_mtl import gate_materials
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import ObjFile
from threedie.render.meshes.obj_faces import BadLine, Faces, Lines
from threedie.render.meshes.obj_text import Chunk, whole_lines
from threedie.render.meshes.object_files import HashedFiles, show
from threedie.render.meshes.textures import MissingTexture

_IGNORED = frozenset(b"g vp mg end bevel c_interp d_interp lod".split())
_FREE_FORM = frozenset(
    b"cstype deg bmat step curv curv2 surf parm trim hole scrv sp con cdc cdp res bsp bzp "
    b"ctech stech call csh maplib usemap shadow_obj trace_obj".split()
)
_FLOAT32_MAX = 3.4e38


def gate_obj(
    files: HashedFiles, scratch: Path, *, missing_texture: MissingTexture, limits: Limits
) -> ObjFile:
    """Filter an OBJ with its materials and textures into `scratch`.

    Args:
        files: the object's files; `files.main` is the OBJ.
        scratch: an empty folder; `mesh.obj`, `mesh.mtl` and `t0.png` … are written there.
        missing_texture: what to do when a texture is missing or unreadable.
        limits: caps.

    Raises:
        AssetError: broken, hostile or too large.
    """
    gate = _ObjGate(files.label(files.main), limits)
    path = scratch / "mesh.obj"
    disk.put(path, gate.filtered(files.stream(files.main, limits.mesh_bytes)))
    notes = gate_materials(
        files,
        scratch,
        gate.libraries,
        gate.materials,
        missing_texture=missing_texture,
        limits=limits,
    )
    return ObjFile(path=path, notes=(*gate.notes(), *notes))


class _ObjGate:
    """State of one pass over an OBJ."""

    def __init__(self, label: str, limits: Limits) -> None:
        self.label = label
        self.limits = limits
        self.materials: dict[bytes, int] = {}  # usemtl name -> our number
        self.libraries: list[bytes] = []
        self._defined = np.zeros(3, np.int64)  # v, vt, vn so far
        self._faces = self._corners = 0
        self._smooth = False
        self._seen_area = False
        self._points: list[lines_of.Floats] = []  # positions, only until a face has an area
        self._dropped: Counter[str] = Counter()

    def filtered(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The new file in pieces."""
        yield b"mtllib mesh.mtl\n"
        for chunk in whole_lines(blocks, self.label, self.limits):
            try:
                yield self._filter(chunk)
            except BadLine as err:
                raise self._error(chunk, err) from None
        self._check_whole()

    def notes(self) -> tuple[str, ...]:
        """What was left out, in sentences."""
        return tuple(f"{n} {what} left out" for what, n in sorted(self._dropped.items()))

    def _filter(self, chunk: Chunk) -> bytes:
        lines = lines_of.split_lines(chunk.text)
        self._drop_small_faces(lines)
        before_KL = self._count(lines)
        self._check_vectors(lines)
        faces = self._check_faces(lines, before_KL)
        rest = self._other_lines(lines, before_KL)
        is_face_L = lines.kind_L == lines_of.F
        vectors = lines.bytes_of((lines.kind_L >= lines_of.V) & (lines.kind_L <= lines_of.VN))
        return vectors + _interleave(lines, is_face_L, rest, faces)

    def _drop_small_faces(self, lines: Lines) -> None:
        small = lines_of.small_faces(lines)
        if len(small):
            lines.kind_L[small] = lines_of.DROP
            self._dropped["faces with fewer than three corners"] += len(small)

    def _count(self, lines: Lines) -> lines_of.Ints:
        """(3, L) how many v, vt, vn there are before each line; checks the caps."""
        kinds = np.array([[lines_of.V], [lines_of.VT], [lines_of.VN]])
        new_KL: lines_of.Ints = np.cumsum(lines.kind_L == kinds, axis=1)
        before_KL: lines_of.Ints = (
            new_KL + self._defined[:, None]
        )  # a line that defines uses no index itself
        self._defined = before_KL[:, -1].copy()
        if self._defined.max() > self.limits.vertices:
            raise self._too_many("vertices", self.limits.vertices)
        return before_KL

    def _check_vectors(self, lines: Lines) -> None:
        kinds = set(np.unique(lines.kind_L).tolist())
        if lines_of.V in kinds:
            xyz = lines_of.read_vectors(lines, lines_of.V, (3, 4, 6, 7), self.limits.coordinate)
            if not self._seen_area:
                self._points.append(xyz)
        if lines_of.VT in kinds:
            lines_of.read_vectors(lines, lines_of.VT, (1, 2, 3), _FLOAT32_MAX)
        if lines_of.VN in kinds:
            lines_of.read_vectors(lines, lines_of.VN, (3,), _FLOAT32_MAX)

    def _check_faces(self, lines: Lines, before_KL: lines_of.Ints) -> Faces | None:
        if not (lines.kind_L == lines_of.F).any():
            return None
        faces = lines_of.read_faces(lines, before_KL, self.limits.corners_per_face)
        self._faces += len(faces.sizes)
        self._corners += len(faces.vertices)
        if self._faces > self.limits.faces:
            raise self._too_many("faces", self.limits.faces)
        if self._corners > self.limits.corners:
            raise self._too_many("corners", self.limits.corners)
        if not self._seen_area:
            self._points = [np.concatenate(self._points)]
            self._seen_area = lines_of.has_area(faces, self._points[0])
            if self._seen_area:
                self._points.clear()
        return faces

    def _other_lines(self, lines: Lines, before_KL: lines_of.Ints) -> list[tuple[int, bytes]]:
        """What replaces every line that is no vector and no face."""
        replaced = []
        for i in np.flatnonzero(lines.kind_L == lines_of.OTHER).tolist():
            start = int(lines.starts_L[i])
            line = lines.buffer[start : start + int(lines.lengths_L[i])].tobytes()
            keyword, _, rest = line.rstrip().partition(b" ")
            new = self._other_line(keyword, rest.strip(), i, before_KL[:, i].tolist())
            if new:
                replaced.append((i, new))
        return replaced

    def _other_line(self, keyword: bytes, rest: bytes, i: int, defined: list[int]) -> bytes:
        match keyword:
            case b"usemtl":
                return self._use_material(rest)
            case b"mtllib":
                self._add_library(rest)
            case b"s":
                return self._set_smooth(_is_smooth(rest))
            case b"o":
                return self._set_smooth(False)  # Blender forgets smoothing at a new object
            case b"l":
                return _line_element(rest, i, defined[0], self.limits.corners_per_face)
            case b"v" | b"vt" | b"vn" | b"f":
                raise BadLine(i, "expected numbers after the keyword")
            case _ if keyword in _FREE_FORM:
                self._dropped["lines of free-form curves and surfaces"] += 1
            case _ if keyword not in _IGNORED and keyword != b"p":
                self._dropped["lines with unknown keywords"] += 1
        return b""

    def _use_material(self, name: bytes) -> bytes:
        if not name:
            return b""  # as Blender does: the last material stays
        number = self.materials.setdefault(name, len(self.materials))
        if number >= self.limits.materials:
            raise self._too_many("materials", self.limits.materials)
        return b"usemtl m%d\n" % number

    def _add_library(self, name: bytes) -> None:
        if name and name not in self.libraries:
            self.libraries.append(name)
        if len(self.libraries) > self.limits.mtl_files:
            raise self._too_many("material libraries", self.limits.mtl_files)

    def _set_smooth(self, smooth: bool) -> bytes:
        changed, self._smooth = smooth != self._smooth, smooth
        return b"s %d\n" % smooth if changed else b""

    def _check_whole(self) -> None:
        v, faces = int(self._defined[0]), self._faces
        if not v or not faces:
            raise AssetError(
                f"{self.label} holds {v} vertices and {faces} faces; expected a mesh with faces. "
                "Check that it is a Wavefront OBJ and not cut short."
            )
        if not self._seen_area:
            raise AssetError(
                f"{self.label}: none of its {faces} faces has an area, so nothing could be seen; "
                "expected at least one. Repair the mesh or leave the object out."
            )

    def _too_many(self, what: str, limit: int) -> AssetError:
        return AssetError(
            f"{self.label} holds more than {limit} {what}; expected at most that. "
            "Simplify the mesh or leave the object out."
        )

    def _error(self, chunk: Chunk, err: BadLine) -> AssetError:
        line = chunk.text.split(b"\n", err.line + 1)[err.line]
        return AssetError(
            f"{self.label}, line {chunk.first_line + err.line}: {show(line)!r}: {err.why}. "
            "Repair the file or leave the object out."
        )


def _interleave(
    lines: Lines, is_face_L: lines_of.Bools, rest: list[tuple[int, bytes]], faces: Faces | None
) -> bytes:
    """Faces and the other lines in their order, with absolute indices."""
    text = lines.bytes_of(is_face_L)
    if rest:
        ends = np.cumsum(np.where(is_face_L, lines.lengths_L, 0))
        pieces, done = [], 0
        for i, line in rest:
            pieces += [text[done : int(ends[i])], line]
            done = int(ends[i])
        text = b"".join([*pieces, text[done:]])
    if faces is not None and faces.negative:
        text = lines_of.with_absolute(text, faces.negative)
    return text


def _is_smooth(value: bytes) -> bool:
    """As Blender reads it: a number that is not 0."""
    number = value.split(b" ")[0]
    return number.removeprefix(b"-").isdigit() and number.strip(b"-0") != b""


def _line_element(rest: bytes, i: int, defined: int, most: int) -> bytes:
    """An `l` line with absolute positions only: its points count for the size of the object."""
    try:
        points = [int(corner.split(b"/")[0]) for corner in rest.split()]
    except ValueError:
        raise BadLine(i, "expected indices") from None
    points = [p + defined + 1 if p < 0 else p for p in points]
    if not 2 <= len(points) <= most or not all(0 < p <= defined for p in points):
        raise BadLine(i, f"expected 2 to {most} indices from 1 to {defined}")
    return b"l " + b" ".join(b"%d" % p for p in points) + b"\n"


__all__ = ["gate_obj"]
