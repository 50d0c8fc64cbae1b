"""The dataset card.

Claims: the real `datasets` library loads a published folder by its card alone, tables beside the
tars notwithstanding, with the rows, split names and types that the card declares; webdataset and
our reader give the same latents; licence and caveats follow the set's origin; hostile names are
text wherever they stand; the address is told without its query and password.
"""

from __future__ import annotations

import gc
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import builders
from tests.data.builders import Plan, build
from tests.sharing.hub import as_converted, load, publish, with_making
from threedie import open_dataset
from threedie.data import shard
from threedie.errors import ManifestError
from threedie.manifests.dataset import DatasetManifest
from threedie.sharing.card.accompany import accompanying_files, table_files

OBJECTS = [f"o{i}" for i in range(5)]
PLAN = Plan(objects=OBJECTS, image_format="jpg")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve train and three val objects; only the last has a note, as with real renders."""
    pack = shard.pack_sample

    def with_notes(key: str, images: Any, form: str, latents: Any, record: Any) -> bytes:
        notes = ["missing texture"] if key == "zebra_o4" else []
        return pack(key, images, form, latents, {**record, "notes": notes})

    monkeypatch.setattr(builders, "pack_sample", with_notes)
    build(tmp_path / "set", PLAN)
    return tmp_path / "set"


def card_data(content: bytes) -> Any:
    from huggingface_hub import DatasetCard

    return DatasetCard(content.decode()).data


def test_the_hub_library_loads_it_by_its_card(folder: Path, hub_cache: Path) -> None:
    from datasets import Array2D, ClassLabel, Image, List, Value

    loaded = load(publish(folder), hub_cache)
    assert {name: part.num_rows for name, part in loaded.items()} == {"train": 12, "validation": 3}
    features = loaded["train"].features
    assert features["000.jpg"] == Image()
    assert features["latents.npy"] == Array2D(shape=(3, 7), dtype="float64")
    assert features["json"]["label"] == ClassLabel(names=features["json"]["label"].names)
    assert features["json"]["label"].int2str(18) == "chair"
    assert features["json"]["label"].int2str(55) == "zebra"
    assert features["json"]["notes"] == List(Value("string"))
    assert features["json"]["pixel_sum"] == List(Value("int64"))
    rows = [row for part in loaded.values() for row in part]
    ours = list(open_dataset(folder))
    assert [row["__key__"] for row in rows] == [sample.key for sample in ours]
    for row, sample in zip(rows, ours, strict=True):
        assert np.array_equal(row["latents.npy"], sample.latents)
        assert np.array_equal(np.asarray(row["002.jpg"]), sample.views[2])
        assert row["json"]["label"] == sample.label
    assert rows[-1]["json"]["notes"] == ["missing texture"]


def test_it_streams_the_same_rows(folder: Path, hub_cache: Path) -> None:
    streamed = load(publish(folder), hub_cache, streaming=True, split="validation")
    assert [row["__key__"] for row in streamed] == [
        s.key for s in open_dataset(folder, split="val")
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes late
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_webdataset_reads_the_same_latents(folder: Path) -> None:
    import webdataset

    shards = sorted(str(path) for path in folder.glob("train-*.tar"))
    read = {
        sample["__key__"]: np.load(io.BytesIO(sample["latents.npy"]), allow_pickle=False)
        for sample in webdataset.WebDataset(shards, shardshuffle=False)
    }
    gc.collect()  # here, and not in the next test
    ours = {sample.key: sample.latents for sample in open_dataset(folder, split="train")}
    assert read.keys() == ours.keys()
    assert all(np.array_equal(read[key], ours[key]) for key in ours)


def test_the_head_says_counts_and_bytes(folder: Path) -> None:
    data = card_data(accompanying_files(folder)["README.md"])
    sizes = {p.name: p.stat().st_size for p in folder.glob("*.tar")}
    train = sum(size for name, size in sizes.items() if name.startswith("train"))
    splits = {s["name"]: s for s in data["dataset_info"]["splits"]}
    assert splits["train"] == {"name": "train", "num_bytes": train, "num_examples": 12}
    assert [c["config_name"] for c in data["configs"]] == ["default"]
    globs = data["configs"][0]["data_files"]
    assert globs == [
        {"split": "train", "path": "train-*.tar"},
        {"split": "validation", "path": "val-*.tar"},
    ]
    assert data["size_categories"] == ["n<1K"]


def test_the_tables_alone_load_as_two_configurations(
    folder: Path, tmp_path: Path, hub_cache: Path
) -> None:
    for name, content in table_files(folder, address="hf://datasets/me/set").items():
        target = tmp_path / "tables" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    views = load(tmp_path / "tables", hub_cache, name="views", split="train")
    objects = load(tmp_path / "tables", hub_cache, name="objects", split="train")
    assert (views.num_rows, objects.num_rows) == (45, 15)


@pytest.mark.parametrize(
    ("changes", "licence", "says"),
    [
        ({"source": "builtin"}, "cc0-1.0", "public domain"),
        ({"source": "zips"}, "other", "ShapeNet's terms of use"),
        ({"source": "folder"}, "other", "ShapeNet's terms of use"),  # of 8-digit synset ids
    ],
)
def test_the_licence_follows_the_origin(
    folder: Path, changes: dict[str, Any], licence: str, says: str
) -> None:
    with_making(folder, changes)
    written = accompanying_files(folder)
    assert card_data(written["README.md"])["license"] == licence
    assert says in written["README.md"].decode()
    assert says in written["LICENSE.md"].decode()


def test_other_peoples_meshes_are_not_given_away(tmp_path: Path) -> None:
    build(tmp_path / "set", Plan(classes=["cow"]))
    with_making(tmp_path / "set", {"source": "folder"})
    data = card_data(accompanying_files(tmp_path / "set")["README.md"])
    assert (data["license"], data["license_name"]) == ("other", "terms-of-the-meshes")


def test_a_converted_archive_keeps_its_licence_and_tells_its_origin(folder: Path) -> None:
    as_converted(folder)
    card = accompanying_files(folder)["README.md"].decode()
    assert card_data(card.encode())["license"] == "cc-by-nc-4.0"
    assert "3DIEBench.tar.gz, 17,000 bytes, SHA-256 1212" in card
    assert "0.247" in card
    assert "0.013" in card  # the evidence for its channel order
    assert "52,472 are the data set of the paper" in card
    assert "hold red and blue swapped" in card


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channel_order": "bgr"}, "hold red and blue swapped"),
        ({"device": "optix"}, "Rendered on optix: another run differs"),
        ({"missing_texture": "grey", "source": "zips"}, "whose texture was missing are grey"),
        ({"latents_sha256": "cd" * 32}, "The latents were given"),
        ({"split": "official"}, "19 of its cars have no mesh"),
    ],
)
def test_a_caveat_is_there_where_it_holds(folder: Path, changes: dict[str, Any], says: str) -> None:
    assert says not in accompanying_files(folder)["README.md"].decode()
    with_making(folder, changes)
    assert says in accompanying_files(folder)["README.md"].decode()


def test_failures_and_copies_over_splits_are_counted(tmp_path: Path) -> None:
    failure = {"object": "zebra/x", "stage": "import", "error": "no faces", "attempts": 1}
    build(tmp_path / "set", Plan(objects=["a", "b"], failures=[failure]))
    text = accompanying_files(tmp_path / "set")["README.md"].decode()
    assert "1 of 7 planned objects are not in the shards" in text
    assert "stand in more than one split" not in text


def test_an_id_in_both_splits_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("train", "03001627", "a"), ("train", "zebra", "b"), ("val", "03797390", "a")]
    monkeypatch.setattr(Plan, "listed", property(lambda _: rows))
    build(tmp_path / "set", Plan())
    text = accompanying_files(tmp_path / "set")["README.md"].decode()
    assert "1 object id stand in more than one split" in text


HOSTILE = [
    "<script>alert(1)</script>",
    "](https://evil.example)",
    "a|b`c`*d*_e_",
    'x": 1\n---\n# head',
    "\u202eabc\u2028\x85\x07",
    "!!python/object:os.system {}",
    "@everyone www.evil.example https://evil.example",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_text_everywhere(folder: Path, name: str) -> None:
    manifest = DatasetManifest.read(folder)
    classes = (*manifest.classes[:-1], manifest.classes[-1].model_copy(update={"name": name}))
    manifest.model_copy(update={"classes": classes}).write(folder)
    written = accompanying_files(folder)["README.md"].decode()
    names = card_data(written.encode())["dataset_info"]["features"][4]["struct"]
    label = next(field for field in names if field["name"] == "label")
    assert len(label["dtype"]["class_label"]["names"]) == 56
    row = next(line for line in written.splitlines() if line.startswith("| 55 |"))
    assert row.endswith(" | zebra | 5 |")
    assert not set("<>\u202e\u2028\x85\x07") & set(row)
    shown_as_it_is = re.sub(r"\\.", "", row)
    for markup in ("](", "*", "`", "_", "://", "www.", "@"):
        assert markup not in shown_as_it_is
    assert row.count("|") - row.count("\\|") == 5


def test_the_address_stands_in_it_without_its_secrets(folder: Path) -> None:
    files = accompanying_files(folder, address="https://me:PASSWORD@host/set?token=TOKEN")
    for content in files.values():
        assert b"PASSWORD" not in content
        assert b"TOKEN" not in content
    assert b"3die download https://host/set" in files["README.md"]
    hub = accompanying_files(folder, address="hf://datasets/me/set")["README.md"]
    assert b'load_dataset("me/set", split="validation")' in hub


def test_the_same_set_gives_the_same_files(folder: Path) -> None:
    assert accompanying_files(folder) == accompanying_files(folder)


def test_a_set_without_objects_or_with_a_mad_label_is_refused(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    mad = manifest.classes[-1].model_copy(update={"label": 10**12})
    manifest.model_copy(update={"classes": (*manifest.classes[:-1], mad)}).write(folder)
    with pytest.raises(ManifestError, match="label 1000000000000 was found"):
        accompanying_files(folder)
    manifest.model_copy(update={"shards": ()}).write(folder)
    with pytest.raises(ManifestError, match="--retry-failed"):
        accompanying_files(folder)
