"""Claims proved here, on recipes.

- The constants of `3diebench` are the published ones, and a change of one shows here.
- Variants differ from it in what their papers say and in nothing else; each has a description.
- Every row that a recipe can draw is in its range, and a step outside it is not.
- Unknown names are answered with the nearest one.
"""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from threedie.errors import ConfigError
from threedie.manifests.dataset import canonical_json
from threedie.manifests.recipes import (
    DESCRIPTIONS,
    QUALITIES,
    RECIPES,
    find_quality,
    find_recipe,
    latents_in_range,
)
from threedie.render.sampler import sample_object


def test_the_papers_constants() -> None:
    """facebookresearch/SIE data/main.py, and BlenderProc's defaults."""
    assert asdict(RECIPES["3diebench"]) == {
        "name": "3diebench",
        "rotation": "euler-box",
        "rotation_limit": math.pi / 2,
        "floor_hue": (0.0, 1.0),
        "spot_theta": (0.0, math.pi / 4),
        "spot_phi": (0.0, 2 * math.pi),
        "spot_hue": (0.0, 1.0),
        "translation_limit": 0.0,
        "floor_saturation_value": (0.6, 0.6),
        "spot_saturation_value": (1.0, 0.8),
        "floor_size": 10_000.0,
        "floor_height": -1.0,
        "world_radiance": 0.05,
        "sun_energy": 1.5,
        "sun_angle": math.pi / 2,
        "spot_energy": 500.0,
        "spot_distance": 4.0,
        "spot_size": math.pi / 8,
        "spot_blend": 0.15,
        "spot_radius": 0.25,
        "camera_distance": 2.5,
        "camera_polar": math.pi / 4,
        "camera_angle": 0.691111,
        "view_transform": "Filmic",
        "jpeg_quality": 95,
        "views": 50,
    }


def test_the_published_quality() -> None:
    reference = QUALITIES["reference"]
    assert (reference.samples, reference.adaptive_threshold) == (100, 0.01)
    assert (reference.denoiser, reference.dither) == ("compositor", 1.0)


@pytest.mark.parametrize(
    ("name", "different"),
    [
        ("3diebench-t", {"translation_limit"}),
        ("3diebench-ood", {"rotation"}),
        ("so3", {"rotation"}),
        (
            "yaw",
            {
                "rotation",
                "floor_hue",
                "spot_theta",
                "spot_phi",
                "spot_hue",
                "spot_saturation_value",
            },
        ),
    ],
)
def test_variants_differ_in_nothing_else(name: str, different: set[str]) -> None:
    paper, variant = asdict(RECIPES["3diebench"]), asdict(RECIPES[name])
    assert {key for key in paper if paper[key] != variant[key]} == different | {"name"}


def test_tables_name_each_recipe_once() -> None:
    assert set(RECIPES) == set(DESCRIPTIONS) == {r.name for r in RECIPES.values()}
    assert len({canonical_json(asdict(r)) for r in RECIPES.values()}) == len(RECIPES)


def test_recipes_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        RECIPES["3diebench"].floor_height = 0.0  # type: ignore[misc]


def test_the_size_of_a_latent() -> None:
    assert {n: r.latent_size for n, r in RECIPES.items()} == {
        "3diebench": 7,
        "3diebench-t": 10,
        "3diebench-ood": 7,
        "so3": 7,
        "yaw": 7,
    }


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_drawn_is_in_range_and_a_step_aside_is_not(name: str) -> None:
    recipe = RECIPES[name]
    rows = sample_object(recipe, seed=1, class_id="chair", object_id="a", views=200)
    assert latents_in_range(recipe, rows).all()
    for column in range(recipe.latent_size):
        for far in (-100.0, 100.0):
            moved = rows.copy()
            moved[7, column] = far
            assert latents_in_range(recipe, moved).tolist() == [i != 7 for i in range(200)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_out_of_range(value: float) -> None:
    rows = np.full((1, 7), value)
    assert not latents_in_range(RECIPES["3diebench"], rows).any()


@pytest.mark.parametrize("shape", [(3, 10), (3, 6), (3,), (3, 7, 1)])
def test_another_shape_is_out_of_range(shape: tuple[int, ...]) -> None:
    assert latents_in_range(RECIPES["3diebench"], np.zeros(shape)).tolist() == [False] * 3


def test_the_outer_recipe_refuses_the_inner_box() -> None:
    ood = RECIPES["3diebench-ood"]
    rows = np.array([[2.0, -2.0, 3.0, 0.5, 0.1, 1.0, 0.5], [2.0, 1.0, 3.0, 0.5, 0.1, 1.0, 0.5]])
    assert latents_in_range(ood, rows).tolist() == [True, False]
    assert not latents_in_range(RECIPES["3diebench"], rows).any()


def test_names_are_found_or_answered() -> None:
    assert find_recipe("so3") is RECIPES["so3"]
    assert find_quality("standard") is QUALITIES["standard"]
    with pytest.raises(ConfigError, match=r"unknown recipe '3dibench'. Did you mean '3diebench'"):
        find_recipe("3dibench")
    with pytest.raises(ConfigError, match=r"unknown quality 'x'. Known: reference, standard"):
        find_quality("x")
