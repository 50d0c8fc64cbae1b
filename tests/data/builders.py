"""Small whole data sets without Blender: pictures that say which object and view they are of."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie import files
from threedie.data.index import PixelSums, build_index, write_index
from threedie.data.shard import end_of_shard, pack_sample, sample_key
from threedie.manifests.classes import find_class
from threedie.manifests.dataset import (
    ClassEntry,
    DatasetManifest,
    FileEntry,
    Making,
    ShardEntry,
    Versions,
)
from threedie.manifests.latents import COLUMNS, TRANSLATION_COLUMNS, Array
from threedie.manifests.recipes import find_quality, find_recipe
from threedie.render.sampler import sample_object

CLASSES = ("03001627", "03797390", "zebra")  # chair, mug, and a class of somebody else


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to build. The defaults: three classes, five + four objects train and three val."""

    classes: Sequence[str] = CLASSES
    objects: Sequence[str] = ("a", "b", "c", "d")
    """Of every class; the last one is val."""
    views: int = 3
    size: int = 32
    image_format: str = "png"
    channel_order: str = "rgb"
    recipe: str = "3diebench"
    given_latents: bool = False
    failures: Sequence[dict[str, object]] = ()
    per_shard: int = 5

    @property
    def listed(self) -> list[tuple[str, str, str]]:
        """(split, class, object) in the order of shards."""
        rows = [
            ("val" if o == self.objects[-1] else "train", c, o)
            for c in self.classes
            for o in self.objects
        ]
        return sorted(rows, key=lambda row: row[0])


def label_of(class_id: str, classes: Sequence[str]) -> int:
    """The label that the manifest gives a class."""
    known = find_class(class_id)
    others = sorted(c for c in classes if not find_class(c))
    return known.label if known else 55 + others.index(class_id)


def picture(number: int, view: int, size: int = 32) -> NDArray[np.uint8]:
    """True RGB: red says the object's number, green the view; blue is always high."""
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[...] = (16 + 12 * number % 200, 20 + 40 * view % 200, 230)
    return pixels


def encode(pixels: NDArray[np.uint8], image_format: str, channel_order: str = "rgb") -> bytes:
    """A picture's file."""
    out = io.BytesIO()
    stored = pixels[:, :, ::-1] if channel_order == "bgr" else pixels
    kind = {"jpg": "JPEG", "png": "PNG"}[image_format]
    Image.fromarray(np.ascontiguousarray(stored)).save(out, kind, quality=95)
    return out.getvalue()


def making(plan: Plan) -> Making:
    """The decisions of a plan."""
    return Making.model_validate(
        {
            "recipe": find_recipe(plan.recipe),
            "quality": "standard",
            "quality_settings": find_quality("standard"),
            "seed": 7,
            "size": plan.size,
            "views": plan.views,
            "image_format": plan.image_format,
            "channel_order": plan.channel_order,
            "device": "cpu",
            "split": "hash",
            "objects_per_shard": plan.per_shard,
            "missing_texture": "fail",
            "source": "builtin",
            "objects_sha256": "ab" * 32,
            "latents_sha256": "cd" * 32 if plan.given_latents else None,
            "versions": Versions(threedie="0.1.0", bpy="4.5.0", blender="4.5.0 abcdef"),
        }
    )


def latents_of(plan: Plan, class_id: str, object_id: str) -> Array:
    """The latents that `build` gives an object."""
    return sample_object(
        find_recipe(plan.recipe),
        seed=7,
        class_id=class_id,
        object_id=object_id,
        views=plan.views,
    )


def sample_bytes(plan: Plan, number: int, split: str, class_id: str, object_id: str) -> bytes:
    """One sample, as it stands in a shard; `number` is the object's place in `Plan.listed`."""
    pictures = [picture(number, view, plan.size) for view in range(plan.views)]
    values = np.stack(pictures).astype(np.int64)
    record = {
        "class": class_id,
        "object": object_id,
        "label": label_of(class_id, plan.classes),
        "split": split,
        "source_sha256": "ef" * 32,
        "recipe_hash": making(plan).recipe_hash,
        "pixel_sum": values.sum(axis=(0, 1, 2)).tolist(),
        "pixel_sum_squares": (values**2).sum(axis=(0, 1, 2)).tolist(),
    }
    encoded = [encode(p, plan.image_format, plan.channel_order) for p in pictures]
    latents = latents_of(plan, class_id, object_id)
    return pack_sample(sample_key(class_id, object_id), encoded, plan.image_format, latents, record)


def shards_of(plan: Plan) -> Iterator[tuple[str, str, list[bytes]]]:
    """(file name, split, samples) of every shard."""
    numbered = list(enumerate(plan.listed))
    for split, rows in groupby(numbered, key=lambda item: item[1][0]):
        samples = [sample_bytes(plan, number, *row) for number, row in rows]
        for first in range(0, len(samples), plan.per_shard):
            name = f"{split}-{first // plan.per_shard:06d}.tar"
            yield name, split, samples[first : first + plan.per_shard]


def shard_bytes(samples: Sequence[bytes]) -> bytes:
    """A whole tar."""
    body = b"".join(samples)
    return body + end_of_shard(len(body))


def build(folder: Path, plan: Plan | None = None) -> DatasetManifest:
    """Write a whole data set; returns its manifest."""
    plan = plan or Plan()
    files.make_directory(folder)
    entries = []
    for name, split, samples in shards_of(plan):
        done = files.put(folder / name, shard_bytes(samples))
        entries.append(
            ShardEntry(
                name=name, split=split, samples=len(samples), bytes=done.size, sha256=done.sha256
            )
        )
    return seal(folder, plan, entries)


def seal(folder: Path, plan: Plan, entries: list[ShardEntry]) -> DatasetManifest:
    """Index finished shards and write the manifest over them."""
    sums = PixelSums()
    beside: dict[str, FileEntry] = {}
    for split in dict.fromkeys(entry.split for entry in entries):
        paths = [folder / entry.name for entry in entries if entry.split == split]
        index = build_index(
            paths,
            views=plan.views,
            latent_size=find_recipe(plan.recipe).latent_size,
            pixels_per_view=plan.size**2,
            sums=sums,
        )
        beside |= write_index(folder, split, index)
    lines = "".join(json.dumps(line) + "\n" for line in plan.failures).encode()
    done = files.put(folder / "failures.jsonl", lines)
    beside["failures.jsonl"] = FileEntry(bytes=done.size, sha256=done.sha256)
    return write_manifest(folder, plan, entries, beside, sums)


def write_manifest(
    folder: Path,
    plan: Plan,
    entries: list[ShardEntry],
    beside: dict[str, FileEntry],
    sums: PixelSums,
) -> DatasetManifest:
    """Only dataset.json."""
    made = making(plan)
    mean, std = sums.mean_std()
    manifest = DatasetManifest(
        schema_version=1,
        making=made,
        recipe_hash=made.recipe_hash,
        latent_columns=(*COLUMNS, *TRANSLATION_COLUMNS)[: made.recipe.latent_size],
        classes=tuple(
            ClassEntry(
                class_id=class_id,
                name=known.name if (known := find_class(class_id)) else class_id,
                label=label_of(class_id, plan.classes),
                objects=len(plan.objects)
                + sum(str(f["object"]).startswith(f"{class_id}/") for f in plan.failures),
            )
            for class_id in plan.classes
        ),
        shards=tuple(entries),
        files=beside,
        failures=len(plan.failures),
        pixel_mean=mean,
        pixel_std=std,
    )
    manifest.write(folder)
    return manifest


def tree(folder: Path) -> dict[str, bytes]:
    """The content of every file of a folder, by its name in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
