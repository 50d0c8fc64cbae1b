"""Closing a data set: when all shards are there, its index, its ledger, and last dataset.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from threedie.data import ledger
from threedie.data.index import PixelSums, write_index
from threedie.data.shard_rows import ShardRows, join_rows
from threedie.manifests.dataset import DatasetManifest, Failure, FileEntry, ShardEntry
from threedie.manifests.latents import COLUMNS, TRANSLATION_COLUMNS
from threedie.render.outline import Outline
from threedie.render.workspace import ShardRecord


def close_dataset(
    outline: Outline,
    records: Sequence[ShardRecord],
    folder: Path,
    *,
    rows: Callable[[ShardEntry], ShardRows],
) -> DatasetManifest:
    """Write what stands beside the shards.

    Args:
        outline: of the plan.
        records: of all its shards, in its order.
        folder: where the files are written; the shards may be elsewhere.
        rows: what the index says of a shard.

    Returns:
        The manifest, which is written last.

    Raises:
        ManifestError: a shard is damaged.
        StorageError: the folder can't be written.
    """
    making, entries = outline.making, [record.shard for record in records]
    beside: dict[str, FileEntry] = {}
    sums = PixelSums()
    for split in dict.fromkeys(entry.split for entry in entries):
        index, found = join_rows(
            [rows(entry) for entry in entries if entry.split == split],
            views=making.views,
            latent_size=making.recipe.latent_size,
        )
        sums = sums.plus(found)
        beside.update(write_index(folder, split, index))
    failures = list(failures_of(records))
    beside[ledger.FILE_NAME] = ledger.write_ledger(folder, failures)
    mean, std = sums.mean_std()
    manifest = DatasetManifest(
        schema_version=1,
        making=making,
        recipe_hash=making.recipe_hash,
        latent_columns=(COLUMNS + TRANSLATION_COLUMNS)[: making.recipe.latent_size],
        classes=outline.classes,
        shards=tuple(entries),
        files=beside,
        failures=len(failures),
        pixel_mean=mean,
        pixel_std=std,
    )
    manifest.write(folder)
    return manifest


def failures_of(records: Iterable[ShardRecord]) -> Iterable[Failure]:
    """All objects that were given up, in the order of the plan."""
    return (failure for record in records for failure in record.failures)
