"""The shards of a conversion, written out of its spool."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from threedie import files
from threedie.data.dealing import PlannedObject, PlannedShard
from threedie.data.shard import end_of_shard, pack_sample
from threedie.errors import ManifestError
from threedie.manifests.classes import class_name
from threedie.manifests.dataset import (
    FILE_NAME,
    DatasetManifest,
    ShardEntry,
    canonical_json,
    read_json,
    validated,
)
from threedie.sharing.convert.plan import ConvertPlan
from threedie.sharing.convert.progress import ConvertProgress
from threedie.sharing.convert.spool import PictureFile, Spool
from threedie.sharing.convert.target import WORK, check_room, is_whole

_ROOM = 1.1  # headers, padding and index, beside the pictures


class ShardWriter:
    """Writes the shards of a plan.

    Args:
        out: folder of the data set.
        spool: sealed.
        plan: of it.
        progress: is told what happens.
    """

    def __init__(
        self, out: Path, spool: Spool, plan: ConvertPlan, progress: ConvertProgress
    ) -> None:
        self._out, self._spool, self._plan, self._progress = out, spool, plan, progress
        self._recipe_hash = plan.making.recipe_hash

    def write(self) -> list[ShardEntry]:
        """Every shard that is not there; returns all, in the order of the plan."""
        entries = {s.name: entry for s in self._plan.shards if (entry := self._done(s))}
        left = [shard for shard in self._plan.shards if shard.name not in entries]
        done = sum(entry.samples for entry in entries.values())
        total = self._plan.n_objects
        if left:
            size = self._spool.sealed.picture_bytes * (total - done) / total
            check_room(self._out, int(size * _ROOM), "the shards that are missing")
        self._progress.writing(total, done)
        with self._spool.open_pictures() as pictures:
            for shard in left:
                entries[shard.name] = self._write_shard(shard, pictures)
        return [entries[shard.name] for shard in self._plan.shards]

    def _record(self, shard: PlannedShard) -> Path:
        return self._out / WORK / f"{shard.name}.json"

    def _done(self, shard: PlannedShard) -> ShardEntry | None:
        """The entry of a shard that an earlier run has written, if its file is whole."""
        entry, path = None, self._record(shard)
        with contextlib.suppress(ManifestError):
            if path.exists():
                entry = validated(ShardEntry, read_json(path), path)
            elif (self._out / FILE_NAME).exists():
                listed = DatasetManifest.read(self._out).shards
                entry = next((e for e in listed if e.name == shard.name), None)
        if entry is None or not is_whole(self._out / shard.name, entry.bytes, entry.sha256):
            return None
        return entry

    def _write_shard(self, shard: PlannedShard, pictures: PictureFile) -> ShardEntry:
        good = [
            o for o in shard.objects if self._plan.numbers[o.ref.name] in self._plan.first_views
        ]
        written = files.put(self._out / shard.name, self._pieces(good, pictures))
        entry = ShardEntry(
            name=shard.name,
            split=shard.split,
            samples=len(good),
            bytes=written.size,
            sha256=written.sha256,
        )
        files.put(self._record(shard), canonical_json(entry.model_dump(mode="json")))
        return entry

    def _pieces(self, objects: list[PlannedObject], pictures: PictureFile) -> Iterator[bytes]:
        size = 0
        for obj in objects:
            sample = self._sample(obj, pictures)
            size += len(sample)
            yield sample
            self._progress.wrote(1)
        yield end_of_shard(size)

    def _sample(self, obj: PlannedObject, pictures: PictureFile) -> bytes:
        making, number = self._plan.making, self._plan.numbers[obj.ref.name]
        image_rows, latent_rows = self._plan.examiner.rows(number)
        images = pictures.read(image_rows)
        digest = hashlib.sha256()
        for image in images:
            digest.update(image)
        first = self._plan.first_views[number]
        step = -1 if making.channel_order == "bgr" else 1
        record = {
            "class": obj.ref.class_id,
            "class_name": class_name(obj.ref.class_id),
            "object": obj.ref.object_id,
            "label": obj.label,
            "split": obj.split,
            "recipe": making.recipe.name,
            "recipe_hash": self._recipe_hash,
            "channel_order": making.channel_order,
            "source_sha256": digest.hexdigest(),
            "notes": [],
            "pixel_sum": first.total[::step],
            "pixel_sum_squares": first.squares[::step],
        }
        latents = self._spool.latents_of(latent_rows)
        return pack_sample(obj.key, images, making.image_format, latents, record)
