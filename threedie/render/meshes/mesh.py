"""Meshes as plain values: what a source hands to the scene. No bpy, no trimesh.

Everything is in ShapeNet's frame: +Y up, −Z front; the scene turns it into Blender's +Z up.
Shape suffixes: V = vertices, F = triangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """A surface, with the meaning of Blender's Principled BSDF."""

    name: str
    base_color: tuple[float, float, float] = (0.8, 0.8, 0.8)
    """Linear RGB in 0..1 (the Kd of an MTL file)."""
    alpha: float = 1.0
    roughness: float = 0.5
    metallic: float = 0.0
    texture: Path | None = None
    """A PNG for the base colour that this project has written itself; needs uv."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriangleMesh:
    """One object as triangles with a material each."""

    vertices_V3: NDArray[np.float64]
    faces_F3: NDArray[np.int64]
    material_F: NDArray[np.int64]
    """Index into materials for every triangle."""
    materials: tuple[Material, ...]
    uv_F32: NDArray[np.float64] | None = None
    """Texture coordinates of every triangle's corners, (F, 3, 2)."""
    color_V3: NDArray[np.float64] | None = None
    """Vertex colours, linear RGB in 0..1; multiplied into nothing, they replace the base colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjFile:
    """A Wavefront OBJ that has passed the gate: filtered lines, own MTL, own textures."""

    path: Path
    notes: tuple[str, ...] = ()
    """What was changed on the way, for the sample's record (for example a missing texture)."""


Mesh = TriangleMesh | ObjFile
__all__ = ["Material", "Mesh", "ObjFile", "TriangleMesh"]
