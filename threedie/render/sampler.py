"""Latents from a counter-based generator: any view can be drawn alone, in any order.

The stream is keyed by (seed, recipe, class, object, view), so workers, resumes and added objects
change nothing. Only raw 64-bit words of Philox are used: numpy promises those, not its
distributions, over versions.
"""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np

from threedie.manifests.classes import find_class
from threedie.manifests.latents import Array, Latents, quaternion_to_euler
from threedie.manifests.recipes import Range, Recipe

_DRAWS = 10


def sample_latents(
    recipe: Recipe, *, seed: int, class_id: str, object_id: str, view: int
) -> Latents:
    """The latents of one view.

    Args:
        recipe: the law of the latents.
        seed: of the data set.
        class_id: a synset id, or a name; the two names of a known class give the same stream.
        object_id: as its source names it.
        view: 0, 1, …

    Returns:
        Latents within the recipe's ranges.
    """
    u = _uniforms(seed, recipe.name, class_id, object_id, view)
    rotation = _rotation(recipe, u[:3])
    limit = recipe.translation_limit
    shift = [_scale(x, (-limit, limit)) if limit else 0.0 for x in u[7:10]]
    return Latents(
        rotation_x_rad=rotation[0],
        rotation_y_rad=rotation[1],
        rotation_z_rad=rotation[2],
        floor_hue=_scale(u[3], recipe.floor_hue),
        spot_theta_rad=_scale(u[4], recipe.spot_theta),
        spot_phi_rad=_scale(u[5], recipe.spot_phi),
        spot_hue=_scale(u[6], recipe.spot_hue),
        translation=(shift[0], shift[1], shift[2]),
    )


def sample_object(recipe: Recipe, *, seed: int, class_id: str, object_id: str, views: int) -> Array:
    """(views, 7 or 10) latents of one object, in the published order."""
    rows = [
        sample_latents(
            recipe, seed=seed, class_id=class_id, object_id=object_id, view=view
        ).to_array()
        for view in range(views)
    ]
    return np.stack(rows)


def _uniforms(seed: int, recipe: str, class_id: str, object_id: str, view: int) -> list[float]:
    known = find_class(class_id)
    name = json.dumps([seed, recipe, known.synset if known else class_id, object_id, view])
    digest = hashlib.sha256(name.encode()).digest()
    words = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    raw = np.random.Philox(key=words[:2], counter=[0, 0, int(words[2]), int(words[3])])
    return [float(x) for x in (raw.random_raw(_DRAWS) >> np.uint64(11)) * 2.0**-53]


def _rotation(recipe: Recipe, u: list[float]) -> tuple[float, float, float]:
    limit = recipe.rotation_limit
    if recipe.rotation == "euler-box":
        return _triple([_scale(x, (-limit, limit)) for x in u])
    if recipe.rotation == "euler-outer":
        signed = [2 * x - 1 for x in u]
        return _triple([math.copysign(limit + abs(x) * (math.pi - limit), x) for x in signed])
    if recipe.rotation == "yaw":
        return 0.0, 0.0, _scale(u[2], (-math.pi, math.pi))
    return _triple(quaternion_to_euler(_uniform_quaternion(u)).tolist())


def _uniform_quaternion(u: list[float]) -> Array:
    """Uniform on SO(3): Shoemake, Uniform random rotations, Graphics Gems III, 1992."""
    inner, outer = math.sqrt(1 - u[0]), math.sqrt(u[0])
    a, b = 2 * math.pi * u[1], 2 * math.pi * u[2]
    return np.array(
        [inner * math.sin(a), inner * math.cos(a), outer * math.sin(b), outer * math.cos(b)]
    )


def _scale(u: float, limits: Range) -> float:
    return limits[0] + u * (limits[1] - limits[0])


def _triple(values: list[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]
