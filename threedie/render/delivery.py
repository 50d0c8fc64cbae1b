"""Delivery: finished shards go to a store (a bucket, a hub, a shared folder), one after the other.

The store's `.render/` holds the plan's outline and, for each shard, its rows of the index and its
record. A record is written after its shard and rows, so a record means a whole shard; dataset.json
comes last, and `.render/` goes after it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from threedie.data import ledger
from threedie.data.finish import rows_of
from threedie.data.folders import refuse_other
from threedie.data.shard_rows import ShardRows, pack_rows, parse_rows
from threedie.data.stores import Store
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import (
    FILE_NAME,
    MAX_BYTES,
    DatasetManifest,
    Failure,
    Making,
    ShardEntry,
    canonical_json,
    parse_json,
    validated,
)
from threedie.render.outline import Outline
from threedie.render.workspace import PLAN, WORK, ShardRecord

_MAX_ROWS = 512 * 2**20


class Delivery:
    """A data set in a store, on its way.

    Args:
        store: where it goes.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def finished(self) -> DatasetManifest | None:
        """The manifest, if the data set is complete.

        Raises:
            ManifestError: it is damaged.
        """
        content = self.store.read(FILE_NAME, MAX_BYTES)
        if content is None:
            return None
        return DatasetManifest.parse(content, f"{self.store.address}/{FILE_NAME}")

    def failures(self, manifest: DatasetManifest) -> list[Failure]:
        """The ledger of the finished data set.

        Raises:
            ManifestError: it is gone or damaged.
        """
        where = f"{self.store.address}/{ledger.FILE_NAME}"
        content = self.store.read(ledger.FILE_NAME, MAX_BYTES)
        if content is None:
            raise ManifestError(f"{where} is gone; {FILE_NAME} lists it. Publish the set anew.")
        return ledger.parse_ledger(content, manifest, where)

    def outline(self) -> Outline | None:
        """What an earlier run has begun there."""
        content = self.store.read(f"{WORK}/{PLAN}", MAX_BYTES)
        where = f"{self.store.address}/{WORK}/{PLAN}"
        return None if content is None else validated(Outline, parse_json(content, where), where)

    def begin(self, outline: Outline) -> DatasetManifest | None:
        """Refuse another data set's place, and leave the outline; the manifest if all is done.

        Raises:
            ConfigError: the store holds another data set.
            StorageError: it can't be read or written.
        """
        manifest, begun = self.finished(), self.outline()
        there = manifest.making if manifest else begun.making if begun else None
        if there is not None and not isinstance(there, Making):
            raise ConfigError(
                f"{self.store.address} holds a data set that was converted, not rendered. Give "
                "another --out."
            )
        if there is not None:
            refuse_other(self.store.address, there, outline.making)
        if manifest is None and begun is None:
            body = canonical_json(outline.model_dump(mode="json"))
            self.store.put(f"{WORK}/{PLAN}", body)
        return manifest

    def done(self, name: str, objects: int) -> ShardRecord | None:
        """The record of a shard that lies there whole; None: it must be made.

        Args:
            name: of the shard.
            objects: planned in it.
        """
        where = f"{WORK}/{name}.json"
        content = self.store.read(where, MAX_BYTES)
        if content is None:
            return None
        with contextlib.suppress(ManifestError):
            address = f"{self.store.address}/{where}"
            record = validated(ShardRecord, parse_json(content, address), address)
            whole = record.shard.samples + len(record.failures) == objects
            if whole and self.store.size(name) == record.shard.bytes:
                return record
        return None

    def deliver(self, folder: Path, record: ShardRecord, making: Making) -> None:
        """Send a finished shard of a local folder, its rows, and last its record.

        Raises:
            StorageError: it can't be sent.
        """
        name = record.shard.name
        rows = pack_rows(rows_of(folder, record.shard, making))
        self.store.put_file(name, folder / name)
        self.store.put(f"{WORK}/{name}.npz", rows)
        body = canonical_json(record.model_dump(mode="json"))
        self.store.put(f"{WORK}/{name}.json", body)

    def rows(self, entry: ShardEntry) -> ShardRows:
        """The rows of a delivered shard.

        Raises:
            ManifestError: they are gone or damaged.
        """
        where = f"{WORK}/{entry.name}.npz"
        content = self.store.read(where, _MAX_ROWS)
        if content is None:
            raise ManifestError(
                f"{self.store.address}/{where} is gone. Delete {WORK}/{entry.name}.json there and "
                "render again: the shard is made anew."
            )
        return parse_rows(content, f"{self.store.address}/{where}")

    def complete(self, folder: Path, manifest: DatasetManifest) -> None:
        """Send what stands beside the shards, dataset.json last; then take `.render/` away.

        Args:
            folder: where `finish_dataset` has written it.
            manifest: that it has returned.
        """
        for name in (*manifest.files, FILE_NAME):
            self.store.put_file(name, folder / name)
        with contextlib.suppress(StorageError):  # leftovers do no harm
            for name in self.store.list(f"{WORK}/"):
                self.store.delete(name)
