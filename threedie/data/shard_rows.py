"""The rows of one shard: its share of a split's index, so that shards need not be read to join it.

Shards that were made on many machines, or already lie in a store, are not read again to close the
data set.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from threedie.data.index import PixelSums, SplitIndex, build_index
from threedie.errors import ManifestError

_ARRAYS = tuple(field.name for field in fields(SplitIndex))
_BROKEN = (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class ShardRows:
    """What one shard adds to its split."""

    index: SplitIndex
    """Of this shard alone: its shard numbers are 0."""
    sums: PixelSums


def scan_rows(
    path: Path, *, views: int, latent_size: int, pixels_per_view: int, summed_views: int
) -> ShardRows:
    """Read a shard's headers, latents and records; arguments as of `build_index`.

    Raises:
        ManifestError: it is damaged, or a sample has another number of views.
    """
    sums = PixelSums()
    index = build_index(
        [path],
        views=views,
        latent_size=latent_size,
        pixels_per_view=pixels_per_view,
        sums=sums,
        summed_views=summed_views,
    )
    return ShardRows(index, sums)


def join_rows(
    shards: Sequence[ShardRows], *, views: int, latent_size: int
) -> tuple[SplitIndex, PixelSums]:
    """The index of a split from the rows of its shards, in order; and the sums over them.

    Raises:
        ManifestError: shards of other views or latents.
    """
    shapes = {rows.index.latents_NVD.shape[1:] for rows in shards}
    if shapes - {(views, latent_size)}:
        raise ManifestError(
            f"shards of {sorted(shapes)} (views, latents) were found, "
            f"{(views, latent_size)} was expected."
        )
    sums = PixelSums()
    for rows in shards:
        sums = sums.plus(rows.sums)
    numbered = [
        replace(rows.index, shards_N=np.full_like(rows.index.shards_N, number))
        for number, rows in enumerate(shards)
    ]
    joined = {name: np.concatenate([getattr(i, name) for i in numbered]) for name in _ARRAYS}
    return SplitIndex(**joined), sums


def pack_rows(rows: ShardRows) -> bytes:
    """The bytes of a file that `parse_rows` reads."""
    out = io.BytesIO()
    nothing = np.zeros(3, np.int64)
    np.savez(
        out,
        count=np.int64(rows.sums.count),
        total=nothing if rows.sums.total is None else rows.sums.total,
        squares=nothing if rows.sums.squares is None else rows.sums.squares,
        **{name: getattr(rows.index, name) for name in _ARRAYS},
    )
    return out.getvalue()


def parse_rows(content: bytes, where: str) -> ShardRows:
    """The rows of a shard from the bytes of `pack_rows`.

    Raises:
        ManifestError: not that.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as table:
            index = SplitIndex(**{name: table[name] for name in _ARRAYS})
            sums = PixelSums(int(table["count"]), table["total"], table["squares"])
    except _BROKEN as err:
        raise ManifestError(f"{where}: not the rows of a shard: {str(err)[:200]}.") from err
    return ShardRows(index, sums)
