"""Closed solids to build objects from. Almost all of them are one loft: rings joined in order.

Axes are ShapeNet's (+Y up, −Z front), sizes are free: Shape.mesh() centres and scales the object.
Shape suffixes: S = rings, N = points of a ring, V = vertices, F = triangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Axis: TypeAlias = Literal["x", "y", "z"]
Point: TypeAlias = tuple[float, float, float]
Floats: TypeAlias = NDArray[np.float64]

# For sections across an axis: where its own coordinate and the two others (in xyz order) go.
_COLUMNS: dict[Axis, tuple[int, int, int]] = {"x": (0, 1, 2), "y": (1, 0, 2), "z": (2, 0, 1)}
MIN_AREA = 1e-10


@dataclass(frozen=True, slots=True)
class Part:
    """A closed solid, wound outwards."""

    vertices_V3: Floats
    faces_F3: NDArray[np.int64]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Part:
        """Shifted."""
        return Part(self.vertices_V3 + np.array((x, y, z)), self.faces_F3)

    def scaled(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Part:
        """Stretched about the origin; a negative factor mirrors."""
        return solid(self.vertices_V3 * np.array((x, y, z)), self.faces_F3)

    def turned(self, axis: Axis, degrees: float, about: Point = (0.0, 0.0, 0.0)) -> Part:
        """Rotated by the right-hand rule about a line parallel to an axis."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        local = self.vertices_V3 - np.array(about)
        turned = local.copy()
        turned[:, a] = cos * local[:, a] - sin * local[:, b]
        turned[:, b] = sin * local[:, a] + cos * local[:, b]
        return Part(turned + np.array(about), self.faces_F3)


def areas(vertices_V3: Floats, faces_F3: NDArray[np.int64]) -> Floats:
    """Area of every triangle, (F,)."""
    a, b, c = (vertices_V3[faces_F3[:, k]] for k in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


def solid(vertices_V3: Floats, faces_F3: NDArray[np.int64]) -> Part:
    """A part without its empty triangles, turned outwards: its signed volume is positive."""
    faces = faces_F3[areas(vertices_V3, faces_F3) > MIN_AREA]
    a, b, c = (vertices_V3[faces[:, k]] - vertices_V3.mean(axis=0) for k in range(3))
    volume = float((a * np.cross(b, c)).sum())
    return Part(vertices_V3, faces if volume > 0 else faces[:, ::-1])


def loft(rings_SN3: ArrayLike, *, closed: bool = False) -> Part:
    """Skin over rings of equally many points; ends get lids, or meet each other if closed."""
    rings = np.asarray(rings_SN3, dtype=np.float64)
    s, n, _ = rings.shape
    ring = np.arange(s if closed else s - 1)[:, None] * n
    upper = (ring + n) % (s * n)
    here, there = np.arange(n), (np.arange(n) + 1) % n
    a, b, c, d = ring + here, upper + here, upper + there, ring + there
    quads = [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]
    vertices = rings.reshape(-1, 3)
    if closed:
        return solid(vertices, np.concatenate(quads))
    lids = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
    first, last = np.full(n, s * n), np.full(n, s * n + 1)
    end = (s - 1) * n
    bottom = np.stack((first, here, there), axis=-1)
    top = np.stack((last, end + there, end + here), axis=-1)
    return solid(np.concatenate((vertices, lids)), np.concatenate((*quads, bottom, top)))


def box(size: Point, at: Point = (0.0, 0.0, 0.0)) -> Part:
    """A box by its size and centre."""
    x, y, z = at
    w, h, d = (length / 2 for length in size)
    return blocks("y", [(y - h, x - w, x + w, z - d, z + d), (y + h, x - w, x + w, z - d, z + d)])


def blocks(axis: Axis, stations: Sequence[tuple[float, float, float, float, float]]) -> Part:
    """Rectangles across an axis: (position, low u, high u, low v, high v) for each.

    u and v are the two other axes in xyz order: a plate with any monotone outline, a wedge, a body.
    """
    rings = [[(t, u0, v0), (t, u1, v0), (t, u1, v1), (t, u0, v1)] for t, u0, u1, v0, v1 in stations]
    return loft(_placed(axis, rings))


def ovals(
    axis: Axis,
    stations: Sequence[tuple[float, float, float, float, float]],
    *,
    power: float = 2.0,
    sides: int = 20,
) -> Part:
    """Ellipses across an axis: (position, centre u, centre v, radius u, radius v) for each.

    With a power above 2 they swell towards rectangles with round corners.
    """
    circle = [2 * math.pi * (k + 0.5) / sides for k in range(sides)]
    unit = [(_bulge(math.cos(a), power), _bulge(math.sin(a), power)) for a in circle]
    rings = [[(t, u + ru * p, v + rv * q) for p, q in unit] for t, u, v, ru, rv in stations]
    return loft(_placed(axis, rings))


def rounded_box(size: Point, at: Point = (0.0, 0.0, 0.0), radius: float = 0.03) -> Part:
    """A cushion: a box whose edges are rounded off."""
    (w, h, d), (x, y, z) = size, at
    r = min(radius, 0.49 * min(size))
    stations = []
    for level, sign in ((y - h / 2 + r, -1), (y + h / 2 - r, 1)):
        for step in (2, 1, 0)[::sign]:
            inset = r * (1 - math.cos(step * math.pi / 4))
            height = level + sign * r * math.sin(step * math.pi / 4)
            stations.append((height, x, z, w / 2 - inset, d / 2 - inset))
    return ovals("y", stations, power=8.0, sides=20)


def rod(
    a: Point, b: Point, radius: float, end_radius: float | None = None, sides: int = 12
) -> Part:
    """A round bar from a to b, tapered if the radius at b is given."""
    return tube([a, b], [radius, radius if end_radius is None else end_radius], sides=sides)


def tube(path: ArrayLike, radius: float | Sequence[float], *, sides: int = 10) -> Part:
    """A round bar along a path, with one radius or one for every point."""
    path_S3 = np.asarray(path, dtype=np.float64)
    radius_S = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(path_S3))
    along_S3 = np.gradient(path_S3, axis=0)
    along_S3 /= np.linalg.norm(along_S3, axis=1, keepdims=True)
    across = np.eye(3)[int(np.argmin(np.abs(along_S3[0])))]
    rings = []
    for centre, along, r in zip(path_S3, along_S3, radius_S, strict=True):
        # Carrying the last ring's direction on keeps the tube from twisting.
        across = across - along * float((along * across).sum())
        across /= np.linalg.norm(across)
        other = np.cross(along, across)
        angles = [2 * math.pi * k / sides for k in range(sides)]
        rings.append([centre + r * (math.cos(t) * across + math.sin(t) * other) for t in angles])
    return loft(rings)


def lathe(profile: Sequence[tuple[float, float]], *, sides: int = 28) -> Part:
    """A closed outline of (radius, y) turned about the Y axis; radius 0 lies on the axis."""
    angles = [2 * math.pi * k / sides for k in range(sides)]
    rings = [[(r * math.cos(t), y, r * math.sin(t)) for r, y in profile] for t in angles]
    return loft(rings, closed=True)


def prism(outline: Sequence[tuple[float, float]], low: float, high: float) -> Part:
    """An outline of (x, z) between two heights; it may have bays, but must not cross itself."""
    n = len(outline)
    vertices = [(x, y, z) for y in (low, high) for x, z in outline]
    faces = []
    for a in range(n):
        b = (a + 1) % n
        faces += [(a, b, n + b), (a, n + b, n + a)]
    for a, b, c in _ears(outline):
        faces += [(a, c, b), (n + a, n + b, n + c)]  # against the walls' edges, as neighbours must
    return solid(np.array(vertices, dtype=np.float64), np.array(faces, dtype=np.int64))


def ball(size: Point, at: Point = (0.0, 0.0, 0.0), *, sides: int = 16) -> Part:
    """An ellipsoid by its size and centre."""
    half = [math.pi * k / (sides // 2) for k in range(sides // 2 + 1)]
    unit = lathe([(math.sin(t) / 2, math.cos(t) / 2) for t in half], sides=sides)
    return unit.scaled(*size).moved(*at)


def smooth(points: ArrayLike, steps: int = 5) -> Floats:
    """A soft curve through the points (Catmull-Rom), with `steps` points for every stretch."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate((2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]))
    t = (np.arange(steps) / steps)[:, None]
    curve = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        bend = t**2 * (2 * a - 5 * b + 4 * c - d) + t**3 * (3 * b - a - 3 * c + d)
        curve.append((2 * b + t * (c - a) + bend) / 2)
    return np.concatenate((*curve, p[-2:-1]))


def _placed(axis: Axis, rings_tuv: ArrayLike) -> Floats:
    """Rings given as (along, u, v), with their columns in xyz order."""
    rings = np.asarray(rings_tuv, dtype=np.float64)
    placed = np.empty_like(rings)
    placed[..., _COLUMNS[axis]] = rings
    return placed


def _bulge(value: float, power: float) -> float:
    return math.copysign(abs(value) ** (2 / power), value)


def _ears(outline: Sequence[tuple[float, float]]) -> list[tuple[int, int, int]]:
    """The outline in triangles that turn as it does: corners are cut off until none is left."""

    def turn(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = outline[a], outline[b], outline[c]
        return sign * ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    def is_ear(a: int, b: int, c: int) -> bool:
        return turn(a, b, c) > 0 and not any(
            turn(a, b, p) >= 0 and turn(b, c, p) >= 0 and turn(c, a, p) >= 0
            for p in left
            if p not in (a, b, c)
        )

    pairs = zip(outline, [*outline[1:], outline[0]], strict=True)
    sign = math.copysign(1.0, sum(ax * by - ay * bx for (ax, ay), (bx, by) in pairs))
    left, triangles = list(range(len(outline))), []
    while len(left) > 2:
        corners = [(left[k - 1], left[k], left[(k + 1) % len(left)]) for k in range(len(left))]
        # Points in one line leave no ear; any of them may go, its triangle is empty.
        ear = next((corner for corner in corners if is_ear(*corner)), corners[0])
        triangles.append(ear)
        left.remove(ear[1])
    return triangles
