"""An object in the making: solids with a material each, and the mesh they become."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from threedie.render.meshes.mesh import Material, TriangleMesh
from threedie.render.shapes._parts import MIN_AREA, Floats, Part, areas

DECIMALS = 6  # the last digits of sin and cos differ between machines, these do not


class Shape:
    """Collects the parts of one object."""

    def __init__(self) -> None:
        self._parts: list[tuple[Material, Part]] = []

    def add(self, material: Material, *parts: Part) -> None:
        """Add parts made of one material; they may stand in each other."""
        self._parts += [(material, part) for part in parts]

    def parts(self) -> list[tuple[Material, Part]]:
        """What was added so far, for shapes that are turned or mirrored as a whole."""
        return list(self._parts)

    def mesh(self) -> TriangleMesh:
        """All parts as one mesh, its bounding box centred on the origin with diagonal 1."""
        materials = tuple(dict.fromkeys(material for material, _ in self._parts))
        points, faces, index = [], [], []
        start = 0
        for material, part in self._parts:
            points.append(part.vertices_V3)
            faces.append(part.faces_F3 + start)
            index.append(np.full(len(part.faces_F3), materials.index(material)))
            start += len(part.vertices_V3)
        return _normalised(
            np.concatenate(points), np.concatenate(faces), np.concatenate(index), materials
        )


def _normalised(
    points_V3: Floats,
    faces_F3: NDArray[np.int64],
    material_F: NDArray[np.int64],
    materials: tuple[Material, ...],
) -> TriangleMesh:
    used, faces = np.unique(faces_F3, return_inverse=True)
    faces, points = faces.reshape(-1, 3), points_V3[used]
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / np.linalg.norm(high - low)
    points = np.round(points, DECIMALS) + 0.0  # no −0.0: it has other bytes
    visible = areas(points, faces) > MIN_AREA
    return TriangleMesh(
        vertices_V3=points,
        faces_F3=faces[visible].astype(np.int64),
        material_F=material_F[visible].astype(np.int64),
        materials=materials,
    )
