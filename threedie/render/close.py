"""Closing a data set whose shards are all made: in their folder, or where they were delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from threedie.data.finish import finish_dataset
from threedie.data.shard_rows import ShardRows
from threedie.manifests.dataset import DatasetManifest, ShardEntry
from threedie.render.delivery import Delivery
from threedie.render.outline import Outline
from threedie.render.workspace import ShardRecord


def close_folder(outline: Outline, records: Sequence[ShardRecord], folder: Path) -> DatasetManifest:
    """Write what stands beside the shards of a folder, dataset.json last.

    Args:
        outline: of the plan.
        records: of all its shards, in its order.
        folder: holds the shards.

    Raises:
        ManifestError: a shard is damaged.
        StorageError: the folder can't be written.
    """
    return _finish(outline, records, folder, None)


def close_store(
    outline: Outline, records: Sequence[ShardRecord], delivery: Delivery, scratch: Path
) -> DatasetManifest:
    """The same where shards were delivered; arguments as of `close_folder`.

    Args:
        outline: of the plan.
        records: of all its shards, in its order.
        delivery: that brought them there.
        scratch: local folder, where the files are made before they are sent.
    """
    manifest = _finish(outline, records, scratch, delivery.rows)
    delivery.complete(scratch, manifest)
    return manifest


def _finish(
    outline: Outline,
    records: Sequence[ShardRecord],
    folder: Path,
    rows: Callable[[ShardEntry], ShardRows] | None,
) -> DatasetManifest:
    return finish_dataset(
        folder,
        making=outline.making,
        classes=outline.classes,
        shards=[record.shard for record in records],
        failures=[failure for record in records for failure in record.failures],
        rows=rows,
    )
