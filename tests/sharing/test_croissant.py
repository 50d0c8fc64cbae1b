"""croissant.json.

Claims: mlcroissant finds neither an error nor a warning in it; its records give the pictures out
of the local tars and the latents out of the tables, equal to ours; every file has its hash and
size; on the hub, files are told by URL.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.builders import Plan, build
from tests.sharing.hub import as_converted, publish
from threedie import open_dataset
from threedie.sharing.card.accompany import accompanying_files

pytestmark = [
    # mlcroissant's JSON-LD library uses its own old name of a class, and pictures are closed late.
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A published set; mlcroissant, whose cache goes by names of files, gets one of the test's."""
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(extract, "EXTRACT_PATH", type(extract.EXTRACT_PATH)(tmp_path / "croissant"))
    build(tmp_path / "set", Plan(image_format="jpg"))
    yield publish(tmp_path / "set")
    gc.collect()  # here, and not in the next test


def described(folder: Path) -> Any:
    import mlcroissant

    return mlcroissant.Dataset(str(folder / "croissant.json"))


def test_it_is_valid_and_gives_pictures(folder: Path) -> None:
    dataset = described(folder)
    assert dataset.metadata.ctx.issues.report() == ""
    assert dataset.metadata.ctx.is_v1_1()
    found = {
        (row["views/key"].decode(), row["views/view"]): np.asarray(row["views/image"])
        for row in dataset.records("views")
    }
    ours = {(s.key, v): s.views[v] for s in open_dataset(folder) for v in range(3)}
    assert found.keys() == ours.keys()
    assert all(np.array_equal(found[place], ours[place]) for place in ours)


def test_its_tables_give_latents_objects_and_splits(folder: Path) -> None:
    dataset = described(folder)
    samples = {s.key: s for s in open_dataset(folder)}
    columns = open_dataset(folder).manifest.latent_columns
    rows = list(dataset.records("latents"))
    assert len(rows) == 3 * len(samples)
    for row in rows:
        sample = samples[row["latents/key"].decode()]
        latents = [row[f"latents/{name}"] for name in columns]
        assert latents == sample.latents[row["latents/view"]].tolist()
    objects = {row["objects/key"].decode(): row for row in dataset.records("objects")}
    assert {key: row["objects/split"].decode() for key, row in objects.items()} == {
        key: sample.split for key, sample in samples.items()
    }
    assert [row["splits/name"] for row in dataset.records("splits")] == ["train", "val"]


def test_every_file_has_its_hash(folder: Path) -> None:
    listed = json.loads((folder / "croissant.json").read_bytes())["distribution"]
    files = {entry["@id"]: entry for entry in listed if entry["@type"] == "cr:FileObject"}
    assert files.keys() == {
        path.relative_to(folder).as_posix()
        for pattern in ("*.tar", "tables/*.parquet")
        for path in folder.glob(pattern)
    }
    for name, entry in files.items():
        content = (folder / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["contentSize"] == f"{len(content)} B"


@pytest.mark.parametrize(
    ("address", "base"),
    [
        (None, ""),
        ("s3://bucket/set", ""),
        ("https://host/set/?token=x", "https://host/set/"),
        ("hf://datasets/me/set", "https://huggingface.co/datasets/me/set/resolve/main/"),
        ("hf://datasets/me/set@v1/sub/", "https://huggingface.co/datasets/me/set/resolve/v1/sub/"),
    ],
)
def test_files_are_told_by_url_where_there_is_one(
    folder: Path, address: str | None, base: str
) -> None:
    body = json.loads(accompanying_files(folder, address=address)["croissant.json"])
    first = body["distribution"][0]
    assert first["contentUrl"] == f"{base}train-000000.tar"


def test_a_converted_set_says_so(folder: Path) -> None:
    as_converted(folder)
    body = json.loads(accompanying_files(folder)["croissant.json"])
    assert "archive 3DIEBench.tar.gz" in body["rai:dataCollection"]
    assert body["license"] == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert any("red and blue swapped" in line for line in body["rai:dataLimitations"])
