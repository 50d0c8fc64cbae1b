"""The folder of a run: what is finished, what is not, and whether it is the same run at all.

`.render/` inside the data set holds the plan's outline, the parts and a record per finished shard;
it goes when dataset.json is written. A shard is done when its record's size, hash and count match
the file.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from threedie import files
from threedie.data.dealing import PlannedShard
from threedie.data.folders import locked, refuse_other
from threedie.data.ledger import read_ledger
from threedie.data.shard import scan_shard
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import (
    FILE_NAME,
    DatasetManifest,
    Failure,
    Making,
    Model,
    ShardEntry,
    canonical_json,
    read_json,
    validated,
)
from threedie.render.outline import Outline
from threedie.render.parts import seal

WORK, PLAN = ".render", "plan.json"
"""The folder of a run's working files inside the data set, and the outline in it."""
_RETRIES = 5


class ShardRecord(Model):
    """What is known of a finished shard."""

    shard: ShardEntry
    failures: tuple[Failure, ...]


class Workspace:
    """A data set folder that is being written.

    Args:
        folder: of the data set.
        outline: of the plan.
        share: name of the part of the plan that this run makes; None: it makes all. Shares of one
            plan may be made in one folder at the same time.
    """

    def __init__(self, folder: Path, outline: Outline, *, share: str | None = None) -> None:
        self.folder, self.outline, self._share = folder, outline, share
        self.work = folder / WORK
        self.parts = self.work / "parts"
        self._plan_file = self.work / PLAN
        self._finished_shards: tuple[ShardEntry, ...] = ()
        self._finished_failures: dict[str, Failure] = {}

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Create or re-open the folder, locked; leftovers of killed writers are swept.

        Raises:
            Busy: another run holds it.
            ConfigError: it holds another data set, or something else.
            StorageError: it can't be written.
        """
        check_same(self.folder, self.outline.making)
        files.make_directory(self.parts)
        with self._locked():
            check_same(self.folder, self.outline.making)
            for folder in (self.folder, self.folder / "index", self.work, self.parts):
                files.sweep(folder)
            if not self._plan_file.exists():
                plan = self.outline.model_dump(mode="json")
                put_working_file(self._plan_file, canonical_json(plan))
            if (self.folder / FILE_NAME).exists():
                self._read_finished(DatasetManifest.read(self.folder))
            yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The whole folder, or of the whole a share and of the share all."""
        whole = self.work / "lock"
        if self._share is None:
            with locked(whole):
                yield
        else:
            own = self.work / f"lock-{self._share}"
            with locked(whole, shared=True), locked(own):
                yield

    def _read_finished(self, manifest: DatasetManifest) -> None:
        self._finished_shards = manifest.shards
        with contextlib.suppress(ManifestError):  # then shards with failures are made again
            failures = read_ledger(self.folder, manifest)
            self._finished_failures = {failure.object: failure for failure in failures}

    def part(self, key: str) -> Path:
        """Where an object's part is kept."""
        return self.parts / f"{key}.part"

    def done(self, shard: PlannedShard) -> ShardRecord | None:
        """The record of a shard whose file is what the record says; None: it must be made."""
        record = self._own_record(shard.name) or self._finished_record(shard)
        return self._confirmed(record, len(shard.objects))

    def made(self, name: str, objects: int) -> ShardRecord | None:
        """The same of a shard that this folder has a record of, known by its outline only."""
        return self._confirmed(self._own_record(name), objects)

    def _confirmed(self, record: ShardRecord | None, objects: int) -> ShardRecord | None:
        if record is None or record.shard.samples + len(record.failures) != objects:
            return None
        path = self.folder / record.shard.name
        if not path.is_file() or path.stat().st_size != record.shard.bytes:
            return None
        return record if files.sha256_file(path) == record.shard.sha256 else None

    def _own_record(self, name: str) -> ShardRecord | None:
        path = self._record_file(name)
        with contextlib.suppress(ManifestError):
            return validated(ShardRecord, read_json(path), path)
        return None

    def _finished_record(self, shard: PlannedShard) -> ShardRecord | None:
        """A shard's record out of the manifest and the ledger of a finished data set."""
        entry = next((e for e in self._finished_shards if e.name == shard.name), None)
        if entry is None:
            return None
        failures = [self._finished_failures.get(obj.ref.name) for obj in shard.objects]
        return ShardRecord(shard=entry, failures=tuple(f for f in failures if f))

    def take_apart(self, shard: PlannedShard) -> None:
        """Make parts of a finished shard's samples, so that only what failed is rendered again.

        The shard and its record stay as they are until the new ones replace them.
        """
        path = self.folder / shard.name
        with path.open("rb") as file:
            for sample in scan_shard(path):
                start, stop = sample.extent
                file.seek(start)
                put_working_file(self.part(sample.key), seal(file.read(stop - start)))

    def record(self, record: ShardRecord) -> None:
        """Note a finished shard, durably; its parts may go after this."""
        content = canonical_json(record.model_dump(mode="json"))
        put_working_file(self._record_file(record.shard.name), content)

    def _record_file(self, name: str) -> Path:
        return self.work / f"{name}.json"

    def finish(self) -> None:
        """Remove the working files of a data set that has its manifest."""
        shutil.rmtree(self.work, ignore_errors=True)


def put_working_file(path: Path, content: bytes) -> None:
    """Write a file below .render/.

    Where locks do nothing, another run of the same data set can end at any moment and take .render/
    away: then it is made again, and both end well.

    Raises:
        StorageError: it can't be written.
    """
    for _ in range(_RETRIES):
        try:
            files.put(path, content)
            return
        except StorageError as err:
            if not isinstance(err.__cause__, FileNotFoundError):
                raise
        with contextlib.suppress(StorageError):
            files.make_directory(path.parent)
    files.put(path, content)


def check_same(folder: Path, making: Making) -> None:
    """Refuse to mix two data sets in one folder.

    Raises:
        ConfigError: the folder holds something else; the difference is in the message.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; --out names a folder.")
    there = _making_of(folder)
    if there is None:
        strangers = [p.name for p in folder.iterdir() if p.name != WORK] if folder.exists() else []
        if strangers:
            raise ConfigError(
                f"{folder} is not empty and holds no data set of threedie (found {strangers[0]}). "
                "Give --out a new or empty folder; if its dataset.json was lost, delete the folder "
                "to render it anew."
            )
        return
    refuse_other(str(folder), there, making)


def _making_of(folder: Path) -> Making | None:
    if (folder / FILE_NAME).exists():
        manifest = DatasetManifest.read(folder)
        if manifest.subset_of is not None:
            raise ConfigError(
                f"{folder} holds a part of a data set, downloaded. Give another --out."
            )
        if isinstance(manifest.making, Making):
            return manifest.making
        raise ConfigError(
            f"{folder} holds a data set that was converted, not rendered. Give another --out."
        )
    outline = read_outline(folder)
    return outline.making if outline else None


def read_outline(folder: Path) -> Outline | None:
    """The outline of the plan that a folder was begun with; None: no run has begun there.

    Raises:
        ManifestError: it can't be read.
    """
    path = folder / WORK / PLAN
    return validated(Outline, read_json(path), path) if path.exists() else None
