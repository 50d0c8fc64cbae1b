"""What probes are asked for: labels, relative rotations, hues, the direction of the light.

Shape suffixes: N = objects, V = views, R = rows (pairs or views), L = 7 or 10 latent columns.
Flat view numbers are n·V + v. Quaternions are xyzw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.evaluation.metrics import Array, Ints, geodesic_deg
from threedie.manifests.latents import (
    COLUMNS,
    euler_to_quaternion_xyzw,
    quaternion_conjugate_xyzw,
    quaternion_multiply_xyzw,
)

_FLOOR, _THETA, _PHI, _SPOT = (COLUMNS.index(c) for c in COLUMNS[3:])
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Pairs of views, as rows."""

    object_R: Ints
    first_R: Ints
    """View number."""
    second_R: Ints

    def flat(self, n_views: int) -> tuple[Ints, Ints]:
        """Flat numbers of both views."""
        return self.object_R * n_views + self.first_R, self.object_R * n_views + self.second_R


class Labelled(Protocol):
    """A split, or what is kept of one."""

    @property
    def latents_NVL(self) -> Array:
        """Published column order."""

    @property
    def labels_N(self) -> Ints:
        """By object."""


class Named(Labelled, Protocol):
    """A split, or what is kept of one, with its objects."""

    @property
    def objects_N(self) -> NDArray[np.str_]:
        """`<class>/<object>`."""


class Truth:
    """The targets of a split's views.

    Args:
        split: with its latents and labels.
        classes_K: the labels that stand in the train split; class k is classes_K[k].
    """

    def __init__(self, split: Labelled, classes_K: Ints) -> None:
        latents_NVL = split.latents_NVL
        self.n_objects, self.n_views = latents_NVL.shape[:2]
        self.rotation_NV4 = euler_to_quaternion_xyzw(latents_NVL[..., :3])
        self.hue_NV2 = np.asarray(latents_NVL[..., [_FLOOR, _SPOT]], dtype=np.float64)
        self.scene_NV7 = scene_outputs(latents_NVL)
        self.class_N = class_numbers(split.labels_N, classes_K)

    def relative(self, pairs: Pairs, hemisphere: str) -> Array:
        """(R, 4) inv(R1)·R2, in the protocol's hemisphere."""
        first, second = self._ends(self.rotation_NV4, pairs)
        q_R4 = quaternion_multiply_xyzw(quaternion_conjugate_xyzw(first), second)
        return positive_w(q_R4) if hemisphere == "positive-w" else q_R4

    def hue_change(self, pairs: Pairs) -> Array:
        """(R, 2) floor and light hue of the second view minus the first's: −1..1, not wrapped."""
        first, second = self._ends(self.hue_NV2, pairs)
        return second - first

    def latents(self, pairs: Pairs, group: str) -> NDArray[np.float32]:
        """(R, G): what a predictor of this latent group is told (see LATENT_GROUPS)."""
        q, hues = self.relative(pairs, "scipy"), self.hue_change(pairs)
        return grouped(q, hues, group).astype(np.float32)

    def angle_deg(self, pairs: Pairs) -> Array:
        """(R,) angle of the rotation between both views."""
        return geodesic_deg(*self._ends(self.rotation_NV4, pairs))

    def tilt_deg(self) -> Array:
        """(N·V,) angle of each view's rotation from the object's upright pose."""
        return geodesic_deg(self.rotation_NV4.reshape(-1, 4), IDENTITY)

    @staticmethod
    def _ends(values_NVx: Array, pairs: Pairs) -> tuple[Array, Array]:
        return (
            values_NVx[pairs.object_R, pairs.first_R],
            values_NVx[pairs.object_R, pairs.second_R],
        )


SCENE_OUTPUTS = {
    "floor_hue": slice(0, 2),
    "light_hue": slice(2, 4),
    "light_direction": slice(4, 7),
}
"""Columns of `scene_outputs`."""


def scene_outputs(latents_NVL: Array) -> Array:
    """(N, V, 7): floor hue and light hue as (cos, sin), then the unit vector towards the light.

    Hues close a circle: 0.99 and 0.01 are neighbours, so plain regression would be unfair to both.
    """
    turns = 2 * np.pi * latents_NVL[..., [_FLOOR, _SPOT]]
    theta, phi = latents_NVL[..., _THETA], latents_NVL[..., _PHI]
    flat = np.sin(theta)
    parts = [
        *(f(turns[..., i]) for i in range(2) for f in (np.cos, np.sin)),
        flat * np.cos(phi),
        flat * np.sin(phi),
        np.cos(theta),
    ]
    return np.stack(parts, axis=-1)


def grouped(q_R4: Array, hues_R2: Array, group: str) -> Array:
    """(R, G): the numbers of a latent group, side by side (see LATENT_GROUPS)."""
    parts = {"rotation": [q_R4], "color": [hues_R2], "rotation+color": [q_R4, hues_R2]}[group]
    return np.concatenate(parts, axis=-1)


def class_numbers(labels_N: Ints, classes_K: Ints) -> Ints:
    """(N,) place of each label in classes_K; −1 for a label that is not in it."""
    place = np.clip(np.searchsorted(classes_K, labels_N), 0, len(classes_K) - 1)
    return np.where(classes_K[place] == labels_N, place, -1)


def positive_w(q_R4: Array) -> Array:
    """The one of q and −q with w >= 0."""
    return np.asarray(q_R4 * np.where(q_R4[..., 3:] < 0, -1.0, 1.0), dtype=np.float64)


def pass_pairs(n_objects: int, n_views: int, rng: np.random.Generator) -> Pairs:
    """One pair for each view as the first, in random order: with another view of its object."""
    flat = rng.permutation(n_objects * n_views)
    first = flat % n_views
    second = (first + rng.integers(1, n_views, size=len(flat))) % n_views
    return Pairs(object_R=flat // n_views, first_R=first, second_R=second)


def object_pairs(n_objects: int, n_views: int, rng: np.random.Generator) -> Pairs:
    """One pair for each object, in random order: two different views (SIE, section 4)."""
    first = rng.integers(n_views, size=n_objects)
    second = (first + rng.integers(1, max(n_views, 2), size=n_objects)) % n_views
    return Pairs(object_R=rng.permutation(n_objects), first_R=first, second_R=second)


def judged_pairs(n_objects: int, n_views: int, partners: int, seed: int) -> Pairs:
    """For each view, pairs with `partners` others of its object (all, where there are no more).

    The shifts around the circle of views differ from object to object, so that every pair of view
    numbers is used.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    count = min(partners, n_views - 1)
    shifts_NP = 1 + rng.permuted(np.tile(np.arange(n_views - 1), (n_objects, 1)), axis=1)[:, :count]
    first = np.broadcast_to(np.arange(n_views)[None, :, None], (n_objects, n_views, count))
    second = (first + shifts_NP[:, None, :]) % n_views
    objects = np.broadcast_to(np.arange(n_objects)[:, None, None], first.shape)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in (objects, first, second)]
    return Pairs(object_R=flat[0], first_R=flat[1], second_R=flat[2])
