"""The one place that calls trimesh: bytes that were checked go in, triangles in place come out."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import Material, TriangleMesh
from threedie.render.meshes.object_files import show
from threedie.render.meshes.triangles import (
    BadMesh,
    Floats,
    Ints,
    Part,
    color_materials,
    join,
    srgb_to_linear,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One geometry of a file, where its scene puts it."""

    vertices_V3: Floats
    faces_F3: Ints
    visual: Any
    """trimesh's colours, or its texture coordinates and material."""


def load(data: bytes, kind: str, served: Mapping[str, bytes] | None = None) -> list[Piece]:
    """Read "stl", "off", "ply" or "gltf" with trimesh; pieces come in the file's order.

    Args:
        data: a file whose counts were compared with its size.
        kind: which format.
        served: content by name, all that trimesh can ask for: it gets no path and no image.

    Raises:
        BadMesh: whatever trimesh raises.
    """
    import trimesh  # takes a moment, and only these formats need it

    logging.getLogger("trimesh").setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # how NumPy reports text among numbers; trimesh would go on with those before it
            warnings.filterwarnings("error", "string or file could not be read")
            scene = trimesh.load(
                io.BytesIO(data), file_type=kind, resolver=served or {}, force="scene",
                process=False,
            )  # fmt: skip
            return _pieces(scene)
    except Exception as err:  # dozens of kinds, and none may stop a run
        reason = show(f"{type(err).__name__}, {err}", 120)
        raise BadMesh(f"trimesh does not read it as {kind.upper()} ({reason})") from err


def _pieces(scene: Any) -> list[Piece]:
    """By geometry, then by node, whose names trimesh ends with random letters."""
    geometries = {name: (i, mesh) for i, (name, mesh) in enumerate(scene.geometry.items())}
    found = []
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        place, mesh = geometries[name]
        if hasattr(mesh, "faces"):  # lines and points have none
            found.append((place, node, _piece(mesh, matrix)))
    return [piece for *_, piece in sorted(found, key=lambda f: f[:2])]


def _piece(mesh: Any, matrix: Floats) -> Piece:
    faces_F3 = np.asarray(mesh.faces, dtype=np.int64)
    mirrors = np.linalg.det(matrix[:3, :3]) < 0  # and so turns triangles inside out
    return Piece(
        vertices_V3=np.asarray(mesh.vertices) @ matrix[:3, :3].T + matrix[:3, 3],
        faces_F3=faces_F3[:, ::-1] if mirrors else faces_F3,
        visual=mesh.visual,
    )


def untextured(
    pieces: list[Piece],
    limits: Limits,
    *,
    vertex_srgb_V3: Floats | None = None,
    face_srgb_F3: Floats | None = None,
) -> tuple[TriangleMesh, tuple[str, ...]]:
    """Join the pieces of an STL, OFF or PLY; only a single piece has colours.

    Args:
        pieces: of `load`.
        limits: caps.
        vertex_srgb_V3: colours in 0..1 that trimesh left out; so face_srgb_F3.
        face_srgb_F3: each distinct one becomes a material, unless vertices have colours.

    Returns:
        The mesh, and a note if face colours had to be merged.
    """
    for piece in pieces:
        if piece.visual.kind == "vertex":
            vertex_srgb_V3 = piece.visual.vertex_colors[:, :3] / 255
        elif piece.visual.kind == "face":
            face_srgb_F3 = piece.visual.face_colors[:, :3] / 255
    materials: tuple[Material, ...] = (Material(name="m0"),)
    material_F, note = None, None
    if vertex_srgb_V3 is None and face_srgb_F3 is not None:
        materials, material_F, note = color_materials(face_srgb_F3)
    parts = [
        Part(
            vertices_V3=piece.vertices_V3,
            faces_F3=piece.faces_F3,
            material_F=np.zeros(len(piece.faces_F3), int) if material_F is None else material_F,
            color_V3=None if vertex_srgb_V3 is None else srgb_to_linear(vertex_srgb_V3),
        )
        for piece in pieces
    ]
    return join(parts, materials, limits), (note,) if note else ()


__all__ = ["Piece", "load", "untextured"]
