"""The end of making a data set: index, ledger, and last the manifest over finished shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from threedie.data import ledger
from threedie.data.index import PixelSums, write_index
from threedie.data.shard_rows import ShardRows, join_rows, scan_rows
from threedie.manifests.dataset import (
    AnyMaking,
    ClassEntry,
    DatasetManifest,
    Failure,
    FileEntry,
    ShardEntry,
    Subset,
)
from threedie.manifests.latents import COLUMNS, TRANSLATION_COLUMNS


def finish_dataset(
    folder: Path,
    *,
    making: AnyMaking,
    classes: tuple[ClassEntry, ...],
    shards: Sequence[ShardEntry],
    failures: Sequence[Failure],
    rows: Callable[[ShardEntry], ShardRows] | None = None,
    subset_of: Subset | None = None,
) -> DatasetManifest:
    """Write all that stands beside the shards; dataset.json comes last.

    Args:
        folder: holds the finished shards, or only what stands beside them.
        making: all that decided their bytes.
        classes: with the counts of planned objects.
        shards: in the order of the plan.
        failures: the objects that are in no shard, in the order of the plan.
        rows: what the index says of a shard; None: scan the shards in the folder.
        subset_of: the whole set and what of it this is, if it is a part.

    Raises:
        ManifestError: a shard is damaged.
        StorageError: a file can't be written.
    """
    rows = rows or (lambda entry: rows_of(folder, entry, making))
    beside: dict[str, FileEntry] = {}
    sums = PixelSums()
    for split in dict.fromkeys(entry.split for entry in shards):
        index, found = join_rows(
            [rows(entry) for entry in shards if entry.split == split],
            views=making.views,
            latent_size=making.recipe.latent_size,
        )
        sums = sums.plus(found)
        beside.update(write_index(folder, split, index))
    beside[ledger.FILE_NAME] = ledger.write_ledger(folder, failures)
    mean, std = sums.mean_std()
    manifest = DatasetManifest(
        schema_version=1,
        making=making,
        recipe_hash=making.recipe_hash,
        latent_columns=(COLUMNS + TRANSLATION_COLUMNS)[: making.recipe.latent_size],
        classes=classes,
        shards=tuple(shards),
        files=beside,
        failures=len(failures),
        pixel_mean=mean,
        pixel_std=std,
        subset_of=subset_of,
    )
    manifest.write(folder)
    return manifest


def rows_of(folder: Path, entry: ShardEntry, making: AnyMaking) -> ShardRows:
    """The rows of a shard in a folder, by reading it.

    Raises:
        ManifestError: it is damaged.
    """
    return scan_rows(
        folder / entry.name,
        views=making.views,
        latent_size=making.recipe.latent_size,
        pixels_per_view=making.size**2,
        summed_views=making.summed_views,
    )
