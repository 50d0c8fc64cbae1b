"""The dataset card, README.md: a head for the hub (header) and a text for people (card.md).

Whatever the template prints is escaped as Markdown, unless it is `_Raw`: code that is made of
checked parts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jinja2

from threedie.data.escape import markdown, plain
from threedie.manifests.dataset import Converted, DatasetManifest
from threedie.manifests.recipes import DESCRIPTIONS
from threedie.sharing.card.caveats import caveats
from threedie.sharing.card.citation import BIBTEX
from threedie.sharing.card.header import shards_header, tables_header
from threedie.sharing.card.overview import SPLIT_NAMES, Overview

MEANINGS = {
    "rx": ("rotation about x, the first of three", "rad"),
    "ry": ("rotation about y, the second", "rad"),
    "rz": ("rotation about z, the third", "rad"),
    "floor_hue": ("HSV hue of the floor", "0..1"),
    "spot_theta": ("angle of the light from the vertical", "rad"),
    "spot_phi": ("azimuth of the light, from +x towards +y", "rad"),
    "spot_hue": ("HSV hue of the light", "0..1"),
    "tx": ("shift along x in the object's frame, before its rotation", "scene units"),
    "ty": ("shift along y", "scene units"),
    "tz": ("shift along z", "scene units"),
}
_SOURCES = {
    "builtin": "the built-in shapes of threedie",
    "folder": "a folder of meshes",
    "zips": "ShapeNet's zip archives, one per class",
}


class _Raw(str):
    """Text that is printed as it is."""


def shards_card(overview: Overview) -> str:
    """README.md beside the shards.

    Raises:
        ManifestError: a shard or an index is damaged.
    """
    manifest = overview.manifest
    text = _template().render(
        overview=overview,
        making=manifest.making,
        code=_code(overview),
        splits=list(_splits(overview)),
        columns=manifest.latent_columns,
        meanings=MEANINGS,
        classes=manifest.classes,
        mean=_numbers(manifest.pixel_mean),
        deviation=_numbers(manifest.pixel_std),
        facts=dict(_facts(manifest)),
        caveats=caveats(overview),
    )
    return f"{shards_header(overview)}\n{text}"


def tables_card(overview: Overview, configs: dict[str, str]) -> str:
    """README.md of a repository that holds the tables alone.

    Args:
        overview: of the data set.
        configs: file by name of its configuration, the default first.
    """
    where = f" Its shards: {markdown(overview.address)}." if overview.address else ""
    return (
        f"{tables_header(overview, configs)}\n# {markdown(overview.title)}: tables\n\n"
        f"{markdown(overview.summary)}{where} Here are the tables of all views and of all objects, "
        "without pictures: names, latents, rotations as quaternions (xyzw), and the shard, offset "
        "and length of each picture's file.\n\n"
        f"{markdown(overview.terms.text)}\n\n```\n{BIBTEX}```\n"
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=False,  # HTML's rules; `finalize` keeps Markdown's
        finalize=lambda value: value if isinstance(value, _Raw) else markdown(str(value)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["raw"] = _Raw
    text = files("threedie.sharing.card").joinpath("card.md").read_text(encoding="utf-8")
    return environment.from_string(text)


def _code(overview: Overview) -> dict[str, _Raw]:
    """What stands in code blocks, where Markdown's escapes would be read as they are."""
    splits = list(overview.splits)
    address = re.sub(r"[^A-Za-z0-9:/._@+-]", "_", overview.address or "FOLDER")
    return {
        "address": _Raw(address),
        "repository": _Raw(json.dumps(overview.repository or "FOLDER")),
        "hint": _Raw(
            "streams with streaming=True" if overview.repository else "FOLDER holds this README.md"
        ),
        "split": _Raw(SPLIT_NAMES.get(splits[-1], splits[-1])),
        "shard": _Raw(overview.manifest.shards[0].name),
        "format": _Raw(overview.manifest.making.image_format),
        "bibtex": _Raw(BIBTEX),
    }


def _splits(overview: Overview) -> Iterator[dict[str, Any]]:
    for split, objects in overview.splits.items():
        shards = overview.shards(split)
        yield {
            "split": split,
            "hub": SPLIT_NAMES.get(split, split),
            "objects": objects,
            "pictures": objects * overview.manifest.making.views,
            "shards": len(shards),
            "size": _Raw(f"{sum(entry.bytes for entry in shards) / 1e9:.3f}"),
        }


def _numbers(values: tuple[float, ...]) -> _Raw:
    return _Raw(", ".join(f"{value:.4f}" for value in values))


def _facts(manifest: DatasetManifest) -> Iterator[tuple[str, str]]:
    """What decided the bytes."""
    making = manifest.making
    yield "recipe", f"{making.recipe.name} ({DESCRIPTIONS.get(making.recipe.name, 'its own')})"
    yield from _conversion(making) if isinstance(making, Converted) else _rendering(manifest)
    yield "split", f"{making.split}, by object"
    yield "channel order of the files", making.channel_order
    yield "recipe hash", manifest.recipe_hash


def _conversion(making: Converted) -> Iterator[tuple[str, str]]:
    origin = making.origin
    size = f", {origin.bytes:,} bytes" if origin.bytes is not None else ""
    digest = f", SHA-256 {origin.sha256}" if origin.sha256 else ""
    yield "pictures and latents", f"passed on unchanged from {origin.kind} {plain(origin.name)}"
    if size or digest:
        yield "origin", f"{plain(origin.name)}{size}{digest} (as it was read)"
    yield "converted by", f"threedie {making.threedie}"


def _rendering(manifest: DatasetManifest) -> Iterator[tuple[str, str]]:
    making = manifest.making
    assert not isinstance(making, Converted)
    quality, versions, recipe = making.quality_settings, making.versions, making.recipe
    yield "meshes", _SOURCES.get(making.source, making.source)
    yield "rotations", f"law {recipe.rotation}, limit {math.degrees(recipe.rotation_limit):.0f}°"
    yield "quality", f"{making.quality}: {quality.samples} samples a pixel, {quality.denoiser}"
    yield "seed", str(making.seed)
    yield "device", making.device
    yield "versions", f"threedie {versions.threedie}, bpy {versions.bpy}, {versions.blender}"
