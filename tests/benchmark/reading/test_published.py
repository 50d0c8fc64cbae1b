"""Claims proved here, on the published layout.

- Pictures (bgr unless told otherwise), latents, labels and names are those of the files; official
  mean and standard deviation follow the channels.
- Which objects: a split's own list, the rest of the other's list, or the rule; the official lists
  and labels agree with ours at full size.
- A scan is remembered, and made anew when an object's folder changed or with verify="always".
- A missing, empty, garbled or hostile file is one error that names the object; pickles are refused.
- The hash changes with the objects, the pictures' sizes, the latents, the split and the order.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.builders import encode, picture
from threedie.benchmark.reading import published_index
from threedie.benchmark.reading.loader import PairLoader
from threedie.benchmark.reading.published import (
    PublishedSplit,
    class_labels,
    find_objects,
    is_published,
)
from threedie.benchmark.reading.split import open_split
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.splits import read_object_list, split_rule

CHAIR, MUG = "03001627", "03797390"
OBJECTS = [f"{c}/{o}" for c in (CHAIR, MUG, "zebra") for o in ("a1", "b2", "c3")]
VIEWS = 3


def latent(number: int, view: int, columns: int = 7) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.arange(columns) / 10 + number + view / 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine objects of three classes, pictures stored as the official generator does."""
    for number, name in enumerate(OBJECTS):
        place = tmp_path / "data" / name
        place.mkdir(parents=True)
        for view in range(VIEWS):
            content = encode(picture(number, view), "jpg", "bgr")
            (place / f"image_{view}.jpg").write_bytes(content)
            np.save(place / f"latent_{view}.npy", latent(number, view))
        (place / "notes.txt").write_text("ignored")
    (tmp_path / "data" / "readme.txt").write_text("ignored")
    return tmp_path / "data"


def write_list(path: Path, objects: list[str]) -> None:
    np.save(path, np.array([f"/{name}/" for name in objects]))


def expected(rows: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([[picture(n, v) for v in range(VIEWS)] for n in rows]).astype(int)


def read(split: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    out = np.zeros((len(split), VIEWS, 32, 32, 3), np.uint8)
    rows, views = (grid.ravel() for grid in np.indices(out.shape[:2]))
    split.read(rows, views, 32, out.reshape(-1, 32, 32, 3))
    return out.astype(int)


def test_it_is_what_the_files_say(folder: Path) -> None:
    write_list(folder / "val_images.npy", [OBJECTS[4], OBJECTS[0]])
    split = open_split(folder, "val")
    assert isinstance(split, PublishedSplit)
    assert split.objects_N.tolist() == [OBJECTS[0], OBJECTS[4]]  # sorted, whatever the list's order
    assert np.abs(read(split) - expected([0, 4])).max() <= 2
    latents = [[latent(n, v) for v in range(VIEWS)] for n in (0, 4)]
    np.testing.assert_array_equal(split.latents_NVL, latents)
    assert (len(split), split.n_views, split.picture_size, split.name) == (2, VIEWS, 32, "val")
    batch = next(PairLoader(split, batch_size=2, seed=0, workers=1).batches(0, 1))
    assert sorted(batch.row_N.tolist()) == [0, 1]


def test_files_in_true_rgb(folder: Path) -> None:
    bgr, rgb = (open_split(folder, "train", channel_order=order) for order in ("bgr", "rgb"))
    assert (read(bgr)[..., ::-1] == read(rgb)).all()
    assert rgb.pixel_mean == (0.5016, 0.5037, 0.5060)
    assert rgb.pixel_std == (0.1030, 0.0999, 0.0969)
    assert bgr.pixel_mean == (0.5060, 0.5037, 0.5016)
    assert bgr.pixel_std == (0.0969, 0.0999, 0.1030)
    with pytest.raises(ConfigError, match="must be bgr or rgb"):
        PublishedSplit(folder, "train", channel_order="gbr")  # type: ignore[arg-type]


def test_labels_are_ranks_of_synset_ids(folder: Path) -> None:
    labels, n_classes = class_labels([*OBJECTS, "aardvark/x"])
    ranks = {row.split(",")[1]: int(row.split(",")[0]) for row in CSV.read_text().splitlines()[1:]}
    assert labels == {CHAIR: ranks[CHAIR], MUG: ranks[MUG], "aardvark": 55, "zebra": 56}
    assert n_classes == 57
    split = open_split(folder, "train")
    own = {CHAIR: ranks[CHAIR], MUG: ranks[MUG], "zebra": 55}
    assert split.labels_N.tolist() == [own[str(n).split("/")[0]] for n in split.objects_N]


CSV = Path(published_index.__file__).parents[2] / "manifests" / "shapenet55.csv"


def test_which_objects_are_in_a_split(folder: Path, tmp_path: Path) -> None:
    def names(split: str, **options: Any) -> list[str]:
        return [str(name) for name in open_split(folder, split, **options).objects_N]

    rule = split_rule("hash")
    by_rule = {s: [o for o in OBJECTS if rule(*o.split("/")) == s] for s in ("train", "val")}
    assert names("train") == by_rule["train"]
    lists = tmp_path / "lists"
    lists.mkdir()
    write_list(lists / "val_images.npy", [OBJECTS[1], OBJECTS[8]])
    assert names("val", lists=lists) == [OBJECTS[1], OBJECTS[8]]
    assert names("train", lists=lists) == [o for o in OBJECTS if o not in names("val", lists=lists)]
    write_list(lists / "train_images.npy", OBJECTS[3:6])
    assert names("train", lists=lists) == OBJECTS[3:6]
    with pytest.raises(ConfigError, match="no split 'test'; it has train, val"):
        names("test")


def test_published_labels_must_agree(folder: Path) -> None:
    chosen = [OBJECTS[6], OBJECTS[0]]
    write_list(folder / "val_images.npy", chosen)
    labels, _ = class_labels(OBJECTS)
    good = [labels[name.split("/")[0]] for name in chosen]
    np.save(folder / "val_labels.npy", good)
    assert len(open_split(folder, "val")) == 2
    for wrong in (good[::-1], good[:1]):
        np.save(folder / "val_labels.npy", wrong)
        with pytest.raises(ManifestError, match=r"val_labels\.npy: not the rank"):
            open_split(folder, "val")
    np.save(folder / "val_labels.npy", np.array(good, object), allow_pickle=True)
    with pytest.raises(ConfigError, match="not a plain array of labels: Object arrays"):
        open_split(folder, "val")


def test_a_listed_object_that_is_not_there(folder: Path) -> None:
    write_list(folder / "val_images.npy", [*OBJECTS, f"{CHAIR}/gone"])
    with pytest.raises(ManifestError, match=rf"{CHAIR}/gone has no folder \(1 of 10"):
        open_split(folder, "val")
    write_list(folder / "val_images.npy", [OBJECTS[0], OBJECTS[0]])
    with pytest.raises(ManifestError, match="listed twice"):
        open_split(folder, "val")
    np.save(folder / "val_images.npy", np.array(OBJECTS, object), allow_pickle=True)
    with pytest.raises(ConfigError, match="not a plain array of strings"):
        open_split(folder, "val")


def test_the_official_lists_are_our_labels(shared_dir: Path) -> None:
    official = shared_dir / "official"
    objects = [f"{c}/{o}" for c, o in np.load(official / "all_objects.npy", allow_pickle=False)]
    labels, n_classes = class_labels(objects)
    assert n_classes == 55
    listed = read_object_list(official / "val_images.npy")
    given = np.load(official / "val_labels.npy", allow_pickle=False)
    assert [labels[c] for c, _ in listed] == given.tolist()


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Objects that were scanned."""
    seen: list[str] = []
    plain = published_index._scan

    def counting(folder: Path, name: str) -> Any:
        seen.append(name)
        return plain(folder, name)

    monkeypatch.setattr(published_index, "_scan", counting)
    return seen


def test_a_scan_is_remembered(folder: Path, scans: list[str]) -> None:
    first = open_split(folder, "train")
    count = len(scans)
    again = open_split(folder, "train")
    assert len(scans) == count == len(first)
    assert again.data_hash == first.data_hash
    np.testing.assert_array_equal(again.latents_NVL, first.latents_NVL)
    assert (read(again) == read(first)).all()
    open_split(folder, "train", verify="always")
    assert len(scans) == 2 * count


def test_a_changed_folder_is_scanned_anew(folder: Path, scans: list[str]) -> None:
    before = open_split(folder, "train").data_hash
    place = folder / open_split(folder, "train").objects_N[0]
    np.save(place / "new.npy", latent(5, 0))
    (place / "new.npy").rename(place / "latent_0.npy")
    count = len(scans)
    assert open_split(folder, "train").data_hash != before
    assert len(scans) == 2 * count


def test_a_broken_memory_of_a_scan_is_no_memory(folder: Path, scans: list[str]) -> None:
    expected_hash = open_split(folder, "train").data_hash
    count = len(scans)
    (note,) = (Path(os.environ["XDG_CACHE_HOME"]) / "threedie/published").iterdir()
    table = io.BytesIO()
    np.savez(table, lengths=np.zeros((1, 1)), latents=np.zeros((1, 1, 7)), suffix="jpg")
    for content in (b"", b"PK\3\4garbage", note.read_bytes()[:500], table.getvalue()):
        note.write_bytes(content)
        assert open_split(folder, "train").data_hash == expected_hash
    assert len(scans) == 5 * count


def test_the_hash_names_everything(folder: Path, tmp_path: Path) -> None:
    def hashed(change: Callable[[Path], object], **options: Any) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change(copy)
        return open_split(copy, **{"split": "train", "verify": "always"} | options).data_hash

    first = open_split(folder, "train").objects_N[0]
    original = open_split(folder, "train").data_hash
    assert hashed(lambda copy: None) == original
    larger = encode(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8), "jpg")
    found = {
        original,
        hashed(lambda copy: None, channel_order="rgb"),
        hashed(lambda copy: None, split="val"),
        hashed(lambda copy: shutil.rmtree(copy / first)),
        hashed(lambda copy: (copy / first / "image_1.jpg").write_bytes(larger)),
        hashed(lambda copy: np.save(copy / first / "latent_1.npy", latent(9, 9))),
    }
    assert len(found) == 6


def ten_for_one(place: Path) -> None:
    np.save(place / "latent_1.npy", latent(0, 0, 10))


def ten_for_all(place: Path) -> None:
    for view in range(VIEWS):
        np.save(place / f"latent_{view}.npy", latent(0, 0, 10))


def more_views(place: Path) -> None:
    shutil.copy(place / "image_0.jpg", place / "image_3.jpg")
    shutil.copy(place / "latent_0.npy", place / "latent_3.npy")


def no_pictures(place: Path) -> None:
    for path in place.glob("*.jpg"):
        path.unlink()


def pickled(place: Path) -> None:
    np.save(place / "latent_1.npy", np.array([{}] * 7, object), allow_pickle=True)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no picture": (lambda p: (p / "image_1.jpg").unlink(), "image_1 is missing"),
    "no pictures": (no_pictures, "image_0 is missing"),
    "no latent": (lambda p: (p / "latent_2.npy").unlink(), r"latent_2\.npy: No such file"),
    "cut latent": (lambda p: os.truncate(p / "latent_1.npy", 100), "100 bytes are not 7 or 10"),
    "empty latent": (lambda p: os.truncate(p / "latent_1.npy", 0), "0 bytes are not"),
    "NaN": (lambda p: np.save(p / "latent_1.npy", latent(0, 0) * np.nan), "finite"),
    "float32": (lambda p: np.save(p / "latent_1.npy", np.zeros(14, "f4")), "are not 7 or 10"),
    "2 axes": (lambda p: np.save(p / "latent_1.npy", np.zeros((1, 7))), "are not 7 or 10"),
    "a pickle": (pickled, "are not 7 or 10"),
    "10 and 7": (ten_for_one, "latents of 7 and of 10"),
    "all 10": (ten_for_all, "3 views, 10 latent numbers.* has 3, 7"),
    "more views": (more_views, "4 views, 7 latent numbers.* has 3, 7"),
    "fewer views": (lambda p: (p / "image_2.jpg").unlink(), "2 views, .* has 3"),
    "png too": (lambda p: (p / "image_3.png").write_bytes(b""), "jpg and png are mixed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_object_is_named(folder: Path, case: str) -> None:
    damage, message = BROKEN[case]
    damage(folder / OBJECTS[4])
    write_list(folder / "train_images.npy", OBJECTS)
    with pytest.raises(ManifestError, match=f"{OBJECTS[4]}.*{message}"):
        open_split(folder, "train")


def test_a_broken_picture_is_named(folder: Path) -> None:
    write_list(folder / "train_images.npy", OBJECTS)
    path = folder / OBJECTS[4] / "image_1.jpg"
    split = open_split(folder, "train")
    path.write_bytes(b"x" * path.stat().st_size)  # in place: neither size nor folder's time changes
    with pytest.raises(ManifestError, match=f"{OBJECTS[4]}, view 1: .* neither JPEG nor PNG"):
        read(split)
    path.write_bytes(b"x")
    with pytest.raises(ManifestError, match=r"image_1\.jpg: its size is not the \d+ bytes"):
        read(split)
    path.unlink()
    with pytest.raises(ManifestError, match=r"image_1\.jpg: No such file"):
        read(split)


def test_ram_holds_files_too(folder: Path) -> None:
    split = open_split(folder, "train", cache="ram")
    found = read(split)
    for path in folder.rglob("*.jpg"):
        path.unlink()
    assert (read(split) == found).all()


def test_what_counts_as_the_published_layout(folder: Path, tmp_path: Path) -> None:
    assert is_published(folder)
    (tmp_path / "other" / "a" / "b").mkdir(parents=True)
    assert not is_published(tmp_path / "other")
    assert find_objects(folder) == OBJECTS
    with pytest.raises(ConfigError, match="cannot read"):
        find_objects(tmp_path / "nothing")
    with pytest.raises(ManifestError, match=r"3die render"):
        open_split(tmp_path / "other", "train")
