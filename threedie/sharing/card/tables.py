"""The Parquet tables of a data set: a row per view, a row per object; without pictures.

Written a shard at a time, so that memory holds one split's index and one shard's rows. Row groups
are shards and pages are indexed, so that a reader of one class or shard reads little. The same
data set gives the same bytes with the same pyarrow.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from threedie.data.index import SplitIndex, read_index
from threedie.errors import MissingExtra
from threedie.manifests.dataset import DatasetManifest
from threedie.manifests.latents import euler_to_quaternion_xyzw

QUATERNION = ("qx", "qy", "qz", "qw")
_NAMES = {
    "key": "string", "object": "string", "class": "string", "class_name": "string",
    "label": "int32", "split": "string",
}  # fmt: skip
_PLACE = {"shard": "string", "offset": "int64", "length": "int64"}


def view_types(manifest: DatasetManifest) -> dict[str, str]:
    """Columns of the table of views, and their Arrow types."""
    numbers = dict.fromkeys((*manifest.latent_columns, *QUATERNION), "float64")
    return {**_NAMES, "view": "int32", **numbers, **_PLACE}


def object_types() -> dict[str, str]:
    """Columns of the table of objects, and their Arrow types."""
    return {**_NAMES, "views": "int32", **_PLACE}


def views_table(folder: Path, manifest: DatasetManifest) -> Iterator[bytes]:
    """A row per view: names, latents, rotation as quaternion xyzw, place of the picture's file.

    Yields:
        The bytes of a Parquet file, in order.

    Raises:
        ManifestError: an index is not what the manifest says.
        MissingExtra: no pyarrow.
    """
    return _parquet(view_types(manifest), _groups(folder, manifest, _views))


def objects_table(folder: Path, manifest: DatasetManifest) -> Iterator[bytes]:
    """A row per object: names, and the span of its pictures in the shard.

    Yields:
        The bytes of a Parquet file, in order.

    Raises:
        ManifestError: an index is not what the manifest says.
        MissingExtra: no pyarrow.
    """
    return _parquet(object_types(), _groups(folder, manifest, _objects))


def _groups(folder: Path, manifest: DatasetManifest, of_rows: Any) -> Iterator[dict[str, Any]]:
    """The columns of each shard, split by split."""
    labels = {entry.class_id: entry.name for entry in manifest.classes}
    for split in manifest.splits:
        index = read_index(folder, split, manifest.files)
        names = [entry.name for entry in manifest.shards if entry.split == split]
        for number, shard in enumerate(names):
            rows = np.flatnonzero(index.shards_N == number)
            pairs = [str(name).partition("/") for name in index.objects_N[rows]]
            named = {
                "key": index.keys_N[rows],
                "object": _texts(object_id for _, _, object_id in pairs),
                "class": _texts(class_id for class_id, _, _ in pairs),
                "class_name": _texts(labels.get(c, c) for c, _, _ in pairs),
                "label": index.labels_N[rows],
                "split": np.full(len(rows), split),
                "shard": np.full(len(rows), shard),
            }
            if len(rows):
                yield of_rows(named, index, rows, manifest.latent_columns)


def _texts(names: Iterable[str]) -> Any:
    """Names of files need not be UTF-8; those of a table have to."""
    return np.array([name.encode("utf-8", "replace").decode() for name in names], np.str_)


def _views(
    named: dict[str, Any], index: SplitIndex, rows: Any, latent_columns: tuple[str, ...]
) -> dict[str, Any]:
    views = index.offsets_NV.shape[1]
    latents_RD = index.latents_NVD[rows].reshape(len(rows) * views, -1)
    rotation_R4 = euler_to_quaternion_xyzw(latents_RD[:, :3])
    return {
        **{name: np.repeat(column, views) for name, column in named.items()},
        "view": np.tile(np.arange(views), len(rows)),
        **dict(zip(latent_columns, latents_RD.T, strict=True)),
        **dict(zip(QUATERNION, rotation_R4.T, strict=True)),
        "offset": index.offsets_NV[rows].ravel(),
        "length": index.lengths_NV[rows].ravel(),
    }


def _objects(
    named: dict[str, Any], index: SplitIndex, rows: Any, latent_columns: tuple[str, ...]
) -> dict[str, Any]:
    first, last = index.offsets_NV[rows, 0], index.offsets_NV[rows, -1]
    return {
        **named,
        "views": np.full(len(rows), index.offsets_NV.shape[1]),
        "offset": first,
        "length": last + index.lengths_NV[rows, -1] - first,
    }


class _Pieces:
    """A file that is handed on in pieces while it is written."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: Any) -> int:
        content = bytes(piece)
        self._pieces.append(content)
        self._size += len(content)
        return len(content)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits."""

    def take(self) -> bytes:
        """What was written since the last call."""
        content, self._pieces = b"".join(self._pieces), []
        return content


def _parquet(types: dict[str, str], groups: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    pa, pq = _arrow("pyarrow"), _arrow("pyarrow.parquet")
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])
    words = [name for name, kind in types.items() if kind == "string"]
    sink = _Pieces()
    with pq.ParquetWriter(
        sink, schema, compression="zstd", use_dictionary=words, write_page_index=True
    ) as writer:
        for columns in groups:
            arrays = [pa.array(columns[name], pa.type_for_alias(types[name])) for name in types]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def _arrow(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise MissingExtra("pyarrow", "share") from err
