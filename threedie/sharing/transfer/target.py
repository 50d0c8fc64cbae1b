"""The folder that a data set is downloaded into: whether it may, and what is there already."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

from threedie import files
from threedie.data.dataset import check_hash, check_size
from threedie.data.folders import differences
from threedie.data.partial import sweep_partials
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import (
    FILE_NAME,
    DatasetManifest,
    FileEntry,
    ShardEntry,
    Subset,
    canonical_json,
    read_json,
    validated,
)

WORK = ".download"


class Target:
    """A folder, and what is to come into it.

    Args:
        folder: of the data set.
        wanted: the whole data set, and which part of it.
    """

    def __init__(self, folder: Path, wanted: Subset) -> None:
        self.folder, self.wanted = folder, wanted
        self.work = folder / WORK
        self._plan = self.work / "plan.json"

    def prepare(self) -> None:
        """Make the folder, or go on with it; what dead processes left is swept.

        Raises:
            ConfigError: it holds something else; says what.
            StorageError: it can't be written.
        """
        self._check_same()
        with files.storage_errors(self.folder):
            files.make_directory(self.work)
            for folder in (self.folder, self.folder / "index", self.work):
                files.sweep(folder)
        self.put_working(self._plan, canonical_json(self.wanted.model_dump(mode="json")))

    def put_working(self, path: Path, content: bytes) -> None:
        """Write a file below the working folder, which another download of the same may remove."""
        with contextlib.suppress(FileNotFoundError):
            files.make_directory(path.parent)
            files.put(path, content)
            return
        files.make_directory(path.parent)
        files.put(path, content)

    def entry(self, name: str, record: Path) -> ShardEntry | None:
        """A shard that was made here, by its record or by a manifest; None: not there, or damaged.

        Args:
            name: of the shard.
            record: a file with its entry, of an unfinished run.
        """
        found = [entry for entry in self._finished() if entry.name == name]
        with contextlib.suppress(ManifestError):
            found.append(validated(ShardEntry, read_json(record), record))
        return next((entry for entry in found if self.has(entry)), None)

    def _finished(self) -> tuple[ShardEntry, ...]:
        if not (self.folder / FILE_NAME).exists():
            return ()
        return DatasetManifest.read(self.folder).shards

    def has(self, entry: ShardEntry) -> bool:
        """Whether a shard is there, verified."""
        try:
            check_size(self.folder, entry)
            check_hash(self.folder, entry, remember=True)
        except ManifestError:
            return False
        return True

    def has_file(self, name: str, entry: FileEntry) -> bool:
        """Whether a file beside the shards is there, verified."""
        path = self.folder / name
        there = path.is_file() and path.stat().st_size == entry.bytes
        return there and files.sha256_file(path) == entry.sha256

    def finish(self) -> None:
        """Remove the working files of a data set that has its manifest."""
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self.folder, self.folder / "index"):
            if folder.is_dir():
                sweep_partials(folder)

    def _check_same(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; --out names a folder.")
        there = self._there()
        if there is None:
            strangers = self.folder.iterdir() if self.folder.exists() else ()
            odd = sorted(path.name for path in strangers if path.name != WORK)
            if odd:
                raise ConfigError(
                    f"{self.folder} is not empty and holds no data set of threedie (found "
                    f"{odd[0]}). Give --out a new or empty folder."
                )
        elif self.wanted not in there:
            listed = "\n".join(f"  {line}" for line in differences(there[-1], self.wanted))
            raise ConfigError(
                f"{self.folder} holds another data set, or another part of it:\n{listed}\n"
                "Repeat its source and options to go on with it, or give another --out."
            )

    def _there(self) -> tuple[Subset, ...] | None:
        """What the folder holds, or was to hold: a part may be seen as a whole set, too."""
        if (self.folder / FILE_NAME).exists():
            part = DatasetManifest.read(self.folder).subset_of
            content = (self.folder / FILE_NAME).read_bytes()
            whole = whole_of(content)
            return (whole,) if part is None else (whole, part)
        if self._plan.exists():
            return (validated(Subset, read_json(self._plan), self._plan),)
        return None


def whole_of(manifest: bytes) -> Subset:
    """All of the data set with this dataset.json."""
    digest = hashlib.sha256(manifest).hexdigest()
    return Subset(manifest_sha256=digest, splits=None, classes=None)
