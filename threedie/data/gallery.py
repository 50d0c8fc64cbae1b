"""A data set to look at: one self-contained HTML page, or one contact sheet for a README.

The page holds everything in its markup (a small script only filters), loads nothing, and shows the
latents of every picture in degrees and colours. No clock, no path: equal data give equal bytes.
"""

from __future__ import annotations

import base64
import colorsys
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from threedie import files
from threedie.data.dataset import Dataset, Picture, Sample, open_dataset
from threedie.data.ledger import read_ledger
from threedie.errors import ConfigError
from threedie.manifests.dataset import AnyMaking, ClassEntry, Converted, DatasetManifest
from threedie.manifests.latents import Array, Latents
from threedie.manifests.recipes import DESCRIPTIONS, Recipe

MAX_BYTES = 20 * 2**20
_THUMBS = ((128, 85), (128, 70), (96, 70), (64, 60))  # side, JPEG quality: the first that fits
_MOST_FAILURES = 200
_MOST_COLUMNS = 6
_LONGEST = 120  # characters of a name
_DIAL = 12.0  # radius


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """One picture and its latents, as text and colours."""

    number: int
    src: str
    side: int
    rotation: list[tuple[str, str]]
    floor: str
    light: str
    theta: str
    phi: str
    dial: tuple[float, float]
    shift: list[str]
    words: str
    """The same for those who can't see it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Card:
    object: str
    split: str
    views: list[_View]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """One class."""

    class_id: str
    name: str
    label: int
    counts: str
    cards: list[_Card]


def write_gallery(
    folder: Path, out: Path, *, per_class: int = 4, views: int = 6, max_bytes: int = MAX_BYTES
) -> Path:
    """Write the page.

    Args:
        folder: a finished data set.
        out: the HTML file.
        per_class: objects shown of each class, some of each split.
        views: pictures shown of each object.
        max_bytes: of the page; thumbnails get smaller to stay below.

    Returns:
        `out`.

    Raises:
        ConfigError: the page can't be that small.
        ManifestError: the data set is damaged.
        StorageError: `out` can't be written.
    """
    if per_class < 1 or views < 1:
        raise ConfigError(f"a gallery of {per_class} objects and {views} views shows nothing.")
    dataset = open_dataset(folder)
    for side, quality in _THUMBS:
        page = _render(dataset, per_class, views, side, quality).encode()
        if len(page) <= max_bytes:
            files.put(out, page)
            return out
    raise ConfigError(
        f"the gallery would have {len(page) / 2**20:.1f} MiB, {max_bytes / 2**20:.1f} MiB are "
        "allowed. Show fewer objects of each class, or fewer views."
    )


def _render(dataset: Dataset, per_class: int, views: int, side: int, quality: int) -> str:
    manifest = dataset.manifest
    recipe, failures = manifest.making.recipe, read_ledger(dataset.folder, manifest)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    source = resources("threedie.data").joinpath("gallery.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=f"Pictures of a {recipe.name} data set",
        description=_sentence(DESCRIPTIONS.get(recipe.name, recipe.name)),
        facts=list(facts(manifest)),
        groups=[
            _Group(
                class_id=printable(entry.class_id),
                name=printable(entry.name),
                label=entry.label,
                counts=_counts(dataset, entry),
                cards=[
                    _card(sample, recipe, views, side, quality)
                    for sample in chosen_samples(dataset, entry, per_class)
                ],
            )
            for entry in sorted(manifest.classes, key=lambda entry: entry.label)
        ],
        splits=list(manifest.splits),
        columns=min(views, manifest.making.views, _MOST_COLUMNS),
        rim=round(math.degrees(_rim(recipe))),
        shifted=bool(recipe.translation_limit),
        failures=[
            {
                "object": printable(failure.object),
                "stage": printable(failure.stage),
                "error": printable(failure.error, longest=500),
                "attempts": failure.attempts,
            }
            for failure in failures[:_MOST_FAILURES]
        ],
        failure_count=manifest.failures,
        version=_version(manifest.making),
        size=manifest.making.size,
        all_views=manifest.making.views,
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def facts(manifest: DatasetManifest) -> Iterator[tuple[str, str]]:
    """Name and value of what made a data set, for the head of a page."""
    making, splits = manifest.making, manifest.splits
    objects = sum(splits.values())
    yield from _provenance(making)
    yield (
        "Pictures",
        f"{objects * making.views:,} of {making.size} × {making.size}, {making.views} views",
    )
    yield "Objects", f"{objects:,} ({', '.join(f'{n:,} {split}' for split, n in splits.items())})"
    yield "Classes", str(len(manifest.classes))
    yield "Failures", f"{manifest.failures:,}"
    yield "Split rule", making.split
    yield "Latents", "drawn" if making.latents_sha256 is None else "given"
    yield "Files", f"{making.image_format}, {making.channel_order} on disk"
    yield "Pixel mean (RGB)", _numbers(manifest.pixel_mean, 4)
    yield "Pixel deviation (RGB)", _numbers(manifest.pixel_std, 4)
    yield "Recipe hash", f"{manifest.recipe_hash[:12]}…"


def _provenance(making: AnyMaking) -> Iterator[tuple[str, str]]:
    """Where the pictures come from: this renderer, or somebody's files."""
    if isinstance(making, Converted):
        origin, seen = making.origin, making.origin.channel_evidence
        yield "Recipe", making.recipe.name
        yield "Converted from", f"{origin.kind} {printable(origin.name)}"
        yield (
            "Floor hue against the latent",
            f"{seen.rgb_error:.3f} as rgb, {seen.bgr_error:.3f} as bgr ({seen.pictures} pictures)",
        )
        yield "Versions", f"threedie {making.threedie}"
        return
    yield "Recipe", f"{making.recipe.name}, seed {making.seed}"
    yield "Quality", f"{making.quality} ({making.quality_settings.samples} samples)"
    yield "Meshes", making.source
    yield "Versions", f"threedie {making.versions.threedie}, bpy {making.versions.bpy}"
    yield "Rendered on", making.device


def _version(making: AnyMaking) -> str:
    return making.threedie if isinstance(making, Converted) else making.versions.threedie


def _numbers(values: Sequence[float], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def printable(text: str, *, longest: int = _LONGEST) -> str:
    """A foreign name fit to be shown: no control or direction characters, and not endless."""
    shown = "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _counts(dataset: Dataset, entry: ClassEntry) -> str:
    found = {
        split: int((index.labels_N == entry.label).sum())
        for split, index in dataset.indices.items()
    }
    total = sum(found.values())
    parts = ", ".join(f"{count:,} {split}" for split, count in found.items())
    return f"{total:,} {'object' if total == 1 else 'objects'} ({parts})"


def chosen_samples(dataset: Dataset, entry: ClassEntry, most: int) -> list[Sample]:
    """Some objects of a class: about one in four of them val, else spread over what there is."""
    start, rows = 0, dict[str, list[int]]()
    for split, index in dataset.indices.items():
        rows[split] = (start + np.flatnonzero(index.labels_N == entry.label)).tolist()
        start += len(index.labels_N)
    held_out = rows.pop("val", [])
    others = [row for part in rows.values() for row in part]
    share = max(1, most // 4) if most > 1 else 0
    n_val = min(len(held_out), max(share, most - len(others)))
    chosen = [*_spread(others, most - n_val), *_spread(held_out, n_val)]
    return [dataset[row] for row in chosen]


def _spread(rows: list[int], most: int) -> list[int]:
    count = min(len(rows), most)
    return [rows[i * len(rows) // count] for i in range(count)]


def _card(sample: Sample, recipe: Recipe, views: int, side: int, quality: int) -> _Card:
    shown = range(min(views, len(sample.views)))
    return _Card(
        object=printable(sample.object.partition("/")[2]),
        split=sample.split,
        views=[
            _view(i, shrink(sample.views[i], side), sample.latents[i], recipe, quality)
            for i in shown
        ],
    )


def _view(number: int, thumb: Image.Image, row: Array, recipe: Recipe, quality: int) -> _View:
    latents = Latents.from_array(row)
    angles = (latents.rotation_x_rad, latents.rotation_y_rad, latents.rotation_z_rad)
    rotation = [(axis, _degrees(angle)) for axis, angle in zip("xyz", angles, strict=True)]
    theta, phi = _degrees(latents.spot_theta_rad), _degrees(latents.spot_phi_rad)
    shift = [_signed(f"{x:.2f}") for x in latents.translation] if len(row) == 10 else []
    words = f"rotation {' '.join(f'{a} {d}°' for a, d in rotation)}, light θ {theta}° φ {phi}°"
    return _View(
        number=number,
        src=data_uri(thumb, quality),
        side=thumb.width,
        rotation=rotation,
        floor=shown_color(latents.floor_hue, recipe.floor_saturation_value),
        light=shown_color(latents.spot_hue, recipe.spot_saturation_value),
        theta=theta,
        phi=phi,
        dial=_on_dial(latents, _rim(recipe)),
        shift=shift,
        words=f"{words}, shift {' '.join(shift)}" if shift else words,
    )


def shrink(pixels: Picture, side: int) -> Image.Image:
    """A picture of this side in pixels, or as it is where it is smaller."""
    image = Image.fromarray(pixels)
    if image.width <= side:
        return image
    return image.resize((side, side), Image.Resampling.LANCZOS)


def data_uri(thumb: Image.Image, quality: int) -> str:
    """A picture as the `src` of an img: a JPEG in the page itself."""
    out = io.BytesIO()
    thumb.save(out, "JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def _degrees(angle: float) -> str:
    return _signed(f"{math.degrees(angle):.0f}")


def _signed(number: str) -> str:
    """With a true minus, and no minus before a zero."""
    bare = number.removeprefix("-")
    return f"−{bare}" if bare != number and float(bare) else bare


def shown_color(hue: float, saturation_value: tuple[float, float]) -> str:
    """`#rrggbb` of a hue: the scene's color is linear, a screen's is sRGB."""
    linear = colorsys.hsv_to_rgb(hue, *saturation_value)
    curve = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in linear)
    return "#" + "".join(f"{round(255 * c):02x}" for c in curve)


def _rim(recipe: Recipe) -> float:
    """The polar angle at the rim of the dial."""
    return recipe.spot_theta[1] or math.pi / 4


def _on_dial(latents: Latents, rim: float) -> tuple[float, float]:
    """The light seen from above with the camera, which stands at +y, at the bottom."""
    radius = _DIAL * min(latents.spot_theta_rad / rim, 1.0)
    phi = latents.spot_phi_rad
    return round(-radius * math.cos(phi), 1), round(radius * math.sin(phi), 1)
