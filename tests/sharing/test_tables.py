"""The Parquet tables.

Claims: a row per view with the latents of the shards to the last bit, the rotation as SciPy's
quaternion, and offset and length under which the picture's file lies; a row group per shard, page
index written; the same data give the same bytes; it is
handed on a shard at a time; without pyarrow it is told what to install.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data.builders import Plan, build
from threedie import open_dataset
from threedie.errors import MissingExtra
from threedie.manifests.dataset import DatasetManifest
from threedie.manifests.latents import COLUMNS, TRANSLATION_COLUMNS
from threedie.sharing.card.tables import QUATERNION, objects_table, views_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build(tmp_path / "set", Plan(recipe="3diebench-t"))
    return tmp_path / "set"


def written(folder: Path, table: Any = views_table) -> bytes:
    return b"".join(table(folder, DatasetManifest.read(folder)))


def parquet(content: bytes) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(io.BytesIO(content))


def test_a_row_per_view_with_all_that_is_known(folder: Path) -> None:
    rows = parquet(written(folder)).read().to_pylist()
    samples = list(open_dataset(folder))
    places = [(sample, view) for sample in samples for view in range(3)]
    assert len(rows) == len(places)
    for row, (sample, view) in zip(rows, places, strict=True):
        class_id, _, object_id = sample.object.partition("/")
        names = (row["key"], row["class"], row["object"], row["label"], row["split"], row["view"])
        assert names == (sample.key, class_id, object_id, sample.label, sample.split, view)
        latents = [row[name] for name in (*COLUMNS, *TRANSLATION_COLUMNS)]
        assert latents == sample.latents[view].tolist()
        rotation = Rotation.from_euler("xyz", sample.latents[view, :3]).as_quat()
        np.testing.assert_allclose([row[q] for q in QUATERNION], rotation, atol=1e-12)
        shard = (folder / row["shard"]).read_bytes()
        assert shard[row["offset"] :][: row["length"]] == sample.views.encoded(view)
    assert {row["class_name"] for row in rows} == {"chair", "mug", "zebra"}


def test_a_row_per_object(folder: Path) -> None:
    rows = parquet(written(folder, objects_table)).read().to_pylist()
    samples = list(open_dataset(folder))
    assert [row["key"] for row in rows] == [sample.key for sample in samples]
    for row, sample in zip(rows, samples, strict=True):
        span = (folder / row["shard"]).read_bytes()[row["offset"] :][: row["length"]]
        assert span.startswith(sample.views.encoded(0))
        assert span.endswith(sample.views.encoded(2))
        assert row["views"] == 3


def test_row_groups_are_shards_and_pages_are_indexed(folder: Path) -> None:
    meta = parquet(written(folder)).metadata
    counts = [entry.samples * 3 for entry in DatasetManifest.read(folder).shards]
    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == counts
    column = meta.row_group(0).column(0)
    assert column.has_column_index
    assert column.has_offset_index


def test_the_same_data_give_the_same_bytes(folder: Path) -> None:
    assert written(folder) == written(folder)


def test_it_is_handed_on_a_shard_at_a_time(tmp_path: Path) -> None:
    plan = Plan(objects=[f"o{i}" for i in range(20)], views=50, size=8, per_shard=8)
    manifest = build(tmp_path / "set", plan)
    pieces = [len(piece) for piece in views_table(tmp_path / "set", manifest)]
    assert len(pieces) == len(manifest.shards) + 1
    row = 8 * (len(COLUMNS) + len(QUATERNION)) + 64  # numbers that don't compress, and the rest
    assert max(pieces[:-1]) < 8 * 50 * row + 8192
    assert max(pieces[:-1]) < sum(pieces) / 4


def test_without_pyarrow_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"threedie\[share\]"):
        written(folder)
