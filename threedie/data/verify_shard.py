"""Check one shard of a data set: the half of `verify_dataset` that looks into samples."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from threedie import files
from threedie.data.dataset import check_size
from threedie.data.index import PixelSums, SplitIndex
from threedie.data.shard import Member, SampleMembers, parse_latents, sample_key, scan_shard
from threedie.errors import ManifestError
from threedie.manifests.dataset import FILE_NAME, AnyMaking, DatasetManifest, ShardEntry, parse_json
from threedie.manifests.latents import Array
from threedie.manifests.recipes import latents_in_range

_MOST = 10  # problems told of one shard
_JPEG_SHIFT = 4  # levels of 255 that JPEG may shift the mean of a channel by
_FORMATS = {"jpg": "JPEG", "png": "PNG"}


@dataclass(slots=True)
class ShardFindings:
    """What was found in one shard."""

    problems: list[str] = field(default_factory=list)
    objects: list[tuple[str, str]] = field(default_factory=list)
    """(class, object) of each sample, in order."""
    keys: frozenset[str] = frozenset()
    """Of the samples' json."""
    pictures: int = 0
    sums: PixelSums = field(default_factory=PixelSums)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardCheck:
    """One shard, and what it is compared with."""

    folder: Path
    manifest: DatasetManifest
    entry: ShardEntry
    index: SplitIndex | None
    """Of its split; None where the index itself is damaged."""
    first: int
    """Row of its first sample in the index."""

    @property
    def path(self) -> Path:
        """The tar file."""
        return self.folder / self.entry.name

    def run(self) -> ShardFindings:
        """Hash, scan and decode. Never raises for a damaged shard.

        Returns:
            Findings; bytes that are not the manifest's are one problem, with the first damage seen.
        """
        found = ShardFindings()
        try:
            check_size(self.folder, self.entry)
            digest = files.sha256_file(self.path)
        except (ManifestError, OSError) as err:
            found.problems.append(str(err))
            return found
        try:
            self._scan(found)
        except (ManifestError, OSError) as err:
            found.problems.append(str(err))
        if digest != self.entry.sha256:
            seen = (
                f"First seen: {found.problems[0]}" if found.problems else "All of it can be read."
            )
            found.problems = [
                f"{self.path}: sha256 is {digest[:16]}…, {FILE_NAME} says "
                f"{self.entry.sha256[:16]}…. {seen}"
            ]
        elif len(found.problems) > _MOST:
            more = f"{self.path}: {len(found.problems) - _MOST} more problems of this kind."
            found.problems = [*found.problems[:_MOST], more]
        return found

    def _scan(self, found: ShardFindings) -> None:
        count = 0
        with self.path.open("rb", buffering=0) as file:
            for sample in scan_shard(self.path):
                try:
                    for problem in self._sample(file.fileno(), sample, self.first + count, found):
                        found.problems.append(f"{self.path}: {sample.key}{problem}")
                except ManifestError as err:  # its json or latents can't be read
                    found.problems.append(str(err))
                count += 1
        if count != self.entry.samples:
            found.problems.append(
                f"{self.path}: {count} samples, {FILE_NAME} says {self.entry.samples}."
            )

    def _sample(
        self, file: int, sample: SampleMembers, row: int, found: ShardFindings
    ) -> Iterator[str]:
        making = self.manifest.making
        if len(sample.images) != making.views:
            yield f" has {len(sample.images)} pictures, {making.views} were expected."
        seen = np.zeros(3, np.int64)
        for view, image in enumerate(sample.images):
            fault, sums = _look(_read(file, image), making)
            if view < making.summed_views:
                seen += sums
            if fault:
                yield f".{image.suffix} {fault}"
            found.pictures += 1
        latents = parse_latents(_read(file, sample.latents), f"{self.path}: {sample.key}")
        yield from self._latents(latents)
        record = parse_json(_read(file, sample.record), f"{self.path}: {sample.key}.json")
        yield from self._record(record, sample.key, found)
        yield from self._sums(record, seen, found)
        if self.index is not None:
            yield from _index_problems(self.index, row, sample, latents, record)

    def _latents(self, latents_VD: Array) -> Iterator[str]:
        making = self.manifest.making
        expected = (making.views, len(self.manifest.latent_columns))
        if latents_VD.shape != expected:
            yield f".latents.npy has shape {latents_VD.shape}, expected {expected}."
        elif making.latents_sha256 is None:
            for view in np.flatnonzero(~latents_in_range(making.recipe, latents_VD)):
                row = latents_VD[view].round(4).tolist()
                yield f".latents.npy, view {view}: {row} is outside recipe '{making.recipe.name}'."

    def _record(self, record: dict[str, Any], key: str, found: ShardFindings) -> Iterator[str]:
        labels = {entry.class_id: entry.label for entry in self.manifest.classes}
        class_id, object_id = str(record.get("class")), str(record.get("object"))
        expected = {
            "label": labels.get(class_id, f"no class {class_id!r}"),
            "split": self.entry.split,
            "recipe_hash": self.manifest.recipe_hash,
        }
        for name, value in expected.items():
            if record.get(name) != value:
                yield f".json: {name} is {record.get(name)!r}, expected {value!r}."
        if sample_key(class_id, object_id) != key:
            yield f".json: is of {class_id}/{object_id}, which has another key."
        found.keys = found.keys or frozenset(record)
        if record.keys() != found.keys:
            odd = sorted(record.keys() ^ found.keys)
            yield f".json: differs from the first sample in the fields {odd}."
        found.objects.append((class_id, object_id))

    def _sums(
        self, record: dict[str, Any], seen: NDArray[np.int64], found: ShardFindings
    ) -> Iterator[str]:
        """Sums of a render are of pictures before encoding: equal for PNG, near for JPEG."""
        if not all(_is_sum(record.get(n)) for n in ("pixel_sum", "pixel_sum_squares")):
            yield ".json: pixel_sum or pixel_sum_squares is not three whole numbers."
            return
        making = self.manifest.making
        pixels = making.summed_views * making.size**2
        slack = _JPEG_SHIFT * pixels if making.image_format == "jpg" else 0
        if (np.abs(seen - record["pixel_sum"]) > slack).any():
            yield (
                f".json: pixel_sum is {record['pixel_sum']}, the pictures' {making.channel_order} "
                f"channels give {seen.tolist()} as RGB."
            )
        found.sums.add(record, pixels)


def _read(file: int, member: Member) -> bytes:
    return os.pread(file, member.size, member.offset)


def _is_sum(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 3):
        return False
    return all(type(x) is int and 0 <= x < 2**62 for x in value)


def _index_problems(
    index: SplitIndex, row: int, sample: SampleMembers, latents: Array, record: dict[str, Any]
) -> Iterator[str]:
    if row >= len(index.keys_N):
        yield " is not in the index."
        return
    pairs: dict[str, tuple[object, object]] = {
        "key": (str(index.keys_N[row]), sample.key),
        "object": (str(index.objects_N[row]), f"{record.get('class')}/{record.get('object')}"),
        "label": (int(index.labels_N[row]), record.get("label")),
        "offsets": (index.offsets_NV[row].tolist(), [m.offset for m in sample.images]),
        "lengths": (index.lengths_NV[row].tolist(), [m.size for m in sample.images]),
        "latents": (index.latents_NVD[row].tolist(), latents.tolist()),
    }
    for name, (listed, found) in pairs.items():
        if listed != found:
            yield f": its {name} in the index differ from the shard's."


def _look(content: bytes, making: AnyMaking) -> tuple[str | None, NDArray[np.int64]]:
    """What is wrong with a picture's file, and the sums of its true R, G, B.

    It is decoded to its last row, but only if its header says the right size.
    """
    nothing = np.zeros(3, np.int64)
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            found = (image.format, image.mode, image.size)
            expected = (_FORMATS[making.image_format], "RGB", (making.size, making.size))
            if found != expected:
                return f"is {found}, expected {expected}.", nothing
            sums = np.asarray(image).sum((0, 1), np.int64)
    except UnidentifiedImageError:
        return "does not decode as JPEG or PNG.", nothing
    except Exception as err:  # Pillow's decoders raise many kinds, struct.error among them
        return f"does not decode: {err}.", nothing
    return None, sums[::-1] if making.channel_order == "bgr" else sums
