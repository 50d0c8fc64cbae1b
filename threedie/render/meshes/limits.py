"""How much of a foreign file we are willing to read: one place, so that a refusal names its limit.

The defaults are generous: the largest meshes of ShapeNetCore.v2 (about 120 MB, two million faces)
pass with room to spare, and no single file can take a rendering machine's memory.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Caps for one object. Units are in the names or below them."""

    mesh_bytes: int = 1 << 30
    """Size of an OBJ, which is streamed."""
    whole_file_bytes: int = 512 << 20
    """Mesh files that are read whole (all but OBJ), and all buffers of a glTF together."""
    vertices: int = 20_000_000
    """Positions; the same cap holds for texture coordinates and for normals."""
    faces: int = 20_000_000
    """Polygons of an OBJ, triangles of the other formats."""
    corners: int = 100_000_000
    """Corners of all polygons together."""
    corners_per_face: int = 9_000
    """A face of so many corners fits into line_bytes even with indices of eight digits."""
    line_bytes: int = 250_000
    """One line of an OBJ or MTL, continuations included. Blender's OBJ reader stops at a line that
    is longer than 262,144 bytes, and what follows is missing without an error."""
    coordinate: float = 1e6
    """Largest absolute value of a coordinate; a unit mesh is a million times smaller."""
    mtl_bytes: int = 16 << 20
    """All material libraries of an object together."""
    mtl_files: int = 16
    materials: int = 4096
    textures: int = 512
    """Distinct image files of an object."""
    texture_bytes: int = 128 << 20
    """One image file as it lies on disk."""
    texture_pixels: int = 64_000_000
    """One image, read from its header before anything is decoded."""
    total_texture_pixels: int = 256_000_000
    json_bytes: int = 64 << 20
    """The JSON part of a glTF."""
    nodes: int = 100_000
    """Nodes of a glTF scene, instances counted each time."""
    node_depth: int = 64


DEFAULT_LIMITS = Limits()
__all__ = ["DEFAULT_LIMITS", "Limits"]
