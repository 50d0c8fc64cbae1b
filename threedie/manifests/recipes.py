"""Recipes: everything that decides a picture, as frozen values. `RECIPES` is a dict to read.

Constants of `3diebench`: facebookresearch/SIE data/main.py and DLR-RM/BlenderProc's defaults;
Garrido, Najman, LeCun, ICML 2023 (arXiv 2302.10283), appendix. Variants name their source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from threedie.names import find

Range = tuple[float, float]
RotationLaw = Literal["euler-box", "euler-outer", "uniform", "yaw"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """How well a view is sampled: what may differ without the picture meaning something else."""

    samples: int
    """Cycles samples per pixel, at most."""
    adaptive_threshold: float
    """Noise threshold of adaptive sampling; 0 switches it off."""
    denoiser: Literal["compositor", "cycles"]
    """Where OpenImageDenoise runs. Both are given albedo and normals."""
    prefilter: Literal["NONE", "FAST", "ACCURATE"]
    """How the denoiser's albedo and normal are treated first."""
    denoise_quality: Literal["HIGH", "BALANCED", "FAST"]
    dither: float
    """Blender's dither, 1 as published. It is noise: 0 is nearer to the converged picture."""
    sampling_pattern: Literal["AUTOMATIC", "TABULATED_SOBOL", "BLUE_NOISE"] = "AUTOMATIC"


QUALITIES: dict[str, Quality] = {
    "reference": Quality(
        samples=100,
        adaptive_threshold=0.01,
        denoiser="compositor",
        prefilter="ACCURATE",
        denoise_quality="HIGH",
        dither=1.0,
    ),
    "standard": Quality(
        samples=8,
        adaptive_threshold=0.0,
        denoiser="cycles",
        prefilter="FAST",
        denoise_quality="FAST",
        dither=0.0,
        sampling_pattern="BLUE_NOISE",
    ),
}
"""`reference` repeats the published settings; `standard` is over ten times faster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The scene and the law of its latents. Lengths in scene units, angles in radians."""

    name: str
    rotation: RotationLaw = "euler-box"
    """euler-box: each angle uniform in ±rotation_limit. euler-outer: uniform outside it, up to ±π.
    uniform: uniform over SO(3). yaw: uniform over the full turn about the vertical axis."""
    rotation_limit: float = math.pi / 2
    floor_hue: Range = (0.0, 1.0)
    spot_theta: Range = (0.0, math.pi / 4)
    spot_phi: Range = (0.0, 2 * math.pi)
    spot_hue: Range = (0.0, 1.0)
    translation_limit: float = 0.0
    """Each coordinate uniform in ±this, in the object's frame, before the rotation; 0: none."""

    floor_saturation_value: Range = (0.6, 0.6)
    spot_saturation_value: Range = (1.0, 0.8)
    floor_size: float = 10_000.0
    floor_height: float = -1.0
    world_radiance: float = 0.05
    sun_energy: float = 1.5
    sun_angle: float = math.pi / 2
    spot_energy: float = 500.0
    spot_distance: float = 4.0
    spot_size: float = math.pi / 8
    spot_blend: float = 0.15
    spot_radius: float = 0.25
    camera_distance: float = 2.5
    camera_polar: float = math.pi / 4
    """Angle of the camera from the vertical; its azimuth is +y."""
    camera_angle: float = 0.691111
    """Field of view."""
    view_transform: Literal["Filmic", "Standard"] = "Filmic"
    jpeg_quality: int = 95
    """With 4:2:0 chroma, as published."""
    views: int = 50
    """Views per object, unless asked otherwise."""

    @property
    def latent_size(self) -> int:
        """Numbers in a latent: 7, or 10 with a translation."""
        return 10 if self.translation_limit else 7


_PAPER = Recipe(name="3diebench")

RECIPES: dict[str, Recipe] = {
    "3diebench": _PAPER,
    # EquiCaps (Konstantinou et al. 2025, arXiv 2506.09895): the paper's, plus translations.
    "3diebench-t": replace(_PAPER, name="3diebench-t", translation_limit=0.5),
    # seq-JEPA (Ghaemi et al. 2025): every angle in [−π, −π/2] ∪ [π/2, π].
    "3diebench-ood": replace(_PAPER, name="3diebench-ood", rotation="euler-outer"),
    "so3": replace(_PAPER, name="so3", rotation="uniform"),
    # One axis, one floor, one white-ish light: what a laptop can learn.
    "yaw": replace(
        _PAPER,
        name="yaw",
        rotation="yaw",
        floor_hue=(0.6, 0.6),
        spot_theta=(math.pi / 8, math.pi / 8),
        spot_phi=(math.pi / 4, math.pi / 4),
        spot_hue=(0.1, 0.1),
        spot_saturation_value=(0.25, 0.8),
    ),
}

DESCRIPTIONS: dict[str, str] = {
    "3diebench": "the paper's: rotations in ±90° about each axis, any floor and light hue",
    "3diebench-t": "EquiCaps: the paper's, plus translations of ±0.5 in the object's frame",
    "3diebench-ood": "seq-JEPA: every rotation angle between 90° and 180°, both ways",
    "so3": "rotations uniform over SO(3), floor and light as in the paper",
    "yaw": "a full turn about the vertical axis, fixed floor and light: learnable on a laptop",
}


def find_recipe(name: str) -> Recipe:
    """The recipe with this name.

    Raises:
        ConfigError: unknown, with the nearest name.
    """
    return find("recipe", name, RECIPES)


def find_quality(name: str) -> Quality:
    """The quality with this name.

    Raises:
        ConfigError: unknown, with the nearest name.
    """
    return find("quality", name, QUALITIES)


def latents_in_range(recipe: Recipe, latents_VD: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of (V, 7 or 10) latents the recipe can have drawn; (V,) booleans."""
    full, quarter = (-math.pi, math.pi), (-math.pi / 2, math.pi / 2)
    inner = (-recipe.rotation_limit, recipe.rotation_limit)
    angles = {
        "euler-box": (inner, inner, inner),
        "euler-outer": (full, full, full),
        "uniform": (full, quarter, full),
        "yaw": ((0.0, 0.0), (0.0, 0.0), full),
    }[recipe.rotation]
    shift = (-recipe.translation_limit, recipe.translation_limit)
    colors = (recipe.floor_hue, recipe.spot_theta, recipe.spot_phi, recipe.spot_hue)
    bounds = np.array([*angles, *colors, *([shift] * (recipe.latent_size - 7))])
    if latents_VD.ndim != 2 or latents_VD.shape[1] != recipe.latent_size:
        return np.zeros(len(latents_VD), dtype=np.bool_)
    slack = 1e-12
    good = (latents_VD >= bounds[:, 0] - slack) & (latents_VD <= bounds[:, 1] + slack)
    if recipe.rotation == "euler-outer":
        good[:, :3] &= np.abs(latents_VD[:, :3]) >= recipe.rotation_limit - slack
    return np.asarray(good.all(axis=1))
