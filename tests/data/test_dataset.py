"""Claims proved here, on reading a data set.

- Length, order, slices, labels, splits, latents and pictures are those that were written, in both
  picture formats and both channel orders; pictures come out in true RGB.
- Views are read when they are asked for, and only then.
- A missing, cut, changed or exchanged file raises a ManifestError that names it.
- A hash is taken once per file and remembered; a rewritten file is hashed again.
- The index is byte-identical when made again, and is read only if it is one.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.data.builders import (
    Plan,
    build,
    encode,
    label_of,
    latents_of,
    picture,
    shard_bytes,
    shards_of,
)
from threedie import files
from threedie.data.dataset import Dataset, decode_picture, open_dataset
from threedie.data.index import PixelSums, SplitIndex, build_index, read_index, write_index
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import DatasetManifest, FileEntry

FORMATS = [("png", "rgb"), ("png", "bgr"), ("jpg", "rgb"), ("jpg", "bgr")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished data set: 3 shards, 12 objects, 3 views."""
    build(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(("image_format", "order"), FORMATS)
def test_everything_comes_out_as_it_went_in(tmp_path: Path, image_format: str, order: str) -> None:
    plan = Plan(image_format=image_format, channel_order=order)
    build(tmp_path, plan)
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 12
    for number, (sample, row) in enumerate(zip(dataset, plan.listed, strict=True)):
        split, class_id, object_id = row
        assert sample.object == f"{class_id}/{object_id}"
        assert sample.key == f"{class_id}_{object_id}"
        assert sample.split == split
        assert sample.label == label_of(class_id, plan.classes)
        np.testing.assert_array_equal(sample.latents, latents_of(plan, class_id, object_id))
        assert len(sample.views) == plan.views
        for view in range(plan.views):
            found, made = sample.views[view], picture(number, view)
            assert found.dtype == np.uint8
            assert found.shape == made.shape
            far = np.abs(found.astype(int) - made.astype(int)).max()
            assert far <= (0 if image_format == "png" else 3)


def test_the_file_of_a_picture_is_handed_out_as_it_is_on_disk(tmp_path: Path) -> None:
    build(tmp_path, Plan(channel_order="bgr"))
    stored = open_dataset(tmp_path)[4].views.encoded(2)
    assert stored == encode(picture(4, 2), "png", "bgr")


def test_splits(folder: Path) -> None:
    whole, train, val = (open_dataset(folder, split=s) for s in (None, "train", "val"))
    assert (len(train), len(val)) == (9, 3)
    assert [s.object for s in whole] == [s.object for s in (*train, *val)]
    assert {s.split for s in val} == {"val"}
    np.testing.assert_array_equal(val[0].views[1], whole[9].views[1])
    with pytest.raises(ConfigError, match=r"no split 'test'; it has train, val"):
        open_dataset(folder, split="test")


def test_positions_are_a_sequence_s(folder: Path) -> None:
    dataset = open_dataset(folder)
    objects = [s.object for s in dataset]
    assert dataset[-1].object == objects[-1]
    assert [s.object for s in dataset[2:9:3]] == objects[2:9:3]
    assert [s.object for s in dataset[::-1]] == objects[::-1]
    views = dataset[5].views
    np.testing.assert_array_equal(views[-1], views[2])
    assert [v.tolist() for v in views[::2]] == [views[0].tolist(), views[2].tolist()]
    assert [v.tolist() for v in views] == [views[i].tolist() for i in range(3)]
    for bad in (12, -13):
        with pytest.raises(IndexError):
            dataset[bad]
    for bad in (3, -4):
        with pytest.raises(IndexError):
            views[bad]


def test_a_data_set_can_be_opened_by_its_name(folder: Path) -> None:
    assert len(open_dataset(str(folder))) == 12


def test_views_are_lazy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[tuple[str, int, int]] = []
    honest = Dataset.read_view

    def spy(self: Dataset, split: str, row: int, view: int) -> bytes:
        reads.append((split, row, view))
        return honest(self, split, row, view)

    monkeypatch.setattr(Dataset, "read_view", spy)
    samples = list(open_dataset(folder))
    assert not reads
    _ = samples[10].views[1], samples[2].views[0]
    assert reads == [("val", 1, 1), ("train", 2, 0)]


def test_10_columns_where_there_is_a_translation(tmp_path: Path) -> None:
    build(tmp_path, Plan(recipe="3diebench-t"))
    assert open_dataset(tmp_path)[0].latents.shape == (3, 10)


BESIDE = ["train-000001.tar", "index/train.npz", "index/val.latents.npy"]


@pytest.mark.parametrize("name", BESIDE)
def test_a_missing_or_cut_file_raises_on_opening_and_is_named(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    for changed in (content[:-512], content + b"\0", b""):
        path.write_bytes(changed)
        with pytest.raises(ManifestError, match=Path(name).name):
            open_dataset(folder)
    path.unlink()
    with pytest.raises(ManifestError, match=Path(name).name):
        open_dataset(folder)


@pytest.mark.parametrize("name", BESIDE[1:])
def test_every_changed_byte_of_an_index_raises_on_opening(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    for position in range(0, len(content), 37):
        changed = bytearray(content)
        changed[position] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(ManifestError, match=Path(name).name):
            open_dataset(folder)


@pytest.mark.parametrize("verify", ["once", "always"])
def test_a_changed_shard_raises_when_it_is_read(
    folder: Path, verify: Literal["once", "always"]
) -> None:
    path = folder / "train-000001.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    dataset = open_dataset(folder, verify=verify)
    assert dataset[0].views[0].shape == (32, 32, 3)  # of the other shard
    with pytest.raises(ManifestError, match=r"train-000001\.tar: sha256"):
        dataset[5].views[0]


def test_shards_that_changed_places_raise(folder: Path) -> None:
    first, second = folder / "train-000000.tar", folder / "val-000000.tar"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(ManifestError, match=r"train-000000\.tar"):
        open_dataset(folder)


def test_a_shard_that_is_cut_after_opening_raises(folder: Path) -> None:
    dataset = open_dataset(folder, verify="never")
    path = folder / "val-000000.tar"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ManifestError, match=r"val-000000\.tar: 600 bytes"):
        dataset[10].views[0]


def test_a_count_that_differs_from_the_index_raises(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    first, *rest = manifest.shards
    wrong = first.model_copy(update={"samples": first.samples - 1})
    manifest.model_copy(update={"shards": (wrong, *rest)}).write(folder)
    with pytest.raises(ManifestError, match="counts"):
        open_dataset(folder)


def hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Read a view of each shard in a new reader; returns the names of files that were hashed."""
    seen: list[str] = []
    honest = files.sha256_file

    def spy(path: Path) -> str:
        seen.append(path.name)
        return honest(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "sha256_file", spy)
        dataset = open_dataset(folder, verify="once")
        for sample in dataset:
            _ = sample.views[0], sample.views[1]
    return seen


def test_a_hash_is_taken_once_and_again_after_a_rewrite(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["train-000000.tar", "train-000001.tar", "val-000000.tar"]
    assert hashed(folder, monkeypatch) == names
    assert hashed(folder, monkeypatch) == []
    path = folder / names[1]
    content = path.read_bytes()
    files.put(path, content)  # a new file of the same name, size and content
    assert hashed(folder, monkeypatch) == [names[1]]
    stat = path.stat()
    changed = bytearray(content)
    changed[700] ^= 4
    path.write_bytes(changed)  # the same inode and size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(ManifestError, match=names[1]):
        hashed(folder, monkeypatch)


def test_a_damaged_shard_is_never_remembered_as_good(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "train-000000.tar"
    changed = bytearray(path.read_bytes())
    changed[700] ^= 4
    path.write_bytes(changed)
    for _ in range(2):
        with pytest.raises(ManifestError, match=path.name):
            hashed(folder, monkeypatch)


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_dataset(folder)[0].views[0].shape == (32, 32, 3)


def test_always_remembers_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(folder, verify="always")
    _ = dataset[0].views[0]
    assert "train-000000.tar" in hashed(folder, monkeypatch)


@pytest.mark.parametrize("content", [b"", b"GIF89a", encode(picture(0, 0), "png")[:60]])
def test_what_is_no_picture_raises(content: bytes) -> None:
    with pytest.raises(ManifestError, match="does not decode"):
        decode_picture(content, "rgb")


def test_an_index_made_again_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    shards = [folder / "train-000000.tar", folder / "train-000001.tar"]
    written = []
    for name in ("one", "two"):
        index = build_index(shards, views=3, latent_size=7, pixels_per_view=32**2, sums=PixelSums())
        written.append(write_index(files.make_directory(tmp_path / name), "train", index))
    manifest = DatasetManifest.read(folder)
    assert written[0] == written[1]
    assert written[0] == {k: v for k, v in manifest.files.items() if "train" in k}


def test_pixel_sums_give_the_mean_and_deviation_of_all_pixels(folder: Path) -> None:
    pixels = np.stack([picture(n, v) for n in range(12) for v in range(3)]).reshape(-1, 3) / 255
    manifest = DatasetManifest.read(folder)
    np.testing.assert_allclose(manifest.pixel_mean, pixels.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(manifest.pixel_std, pixels.std(axis=0), atol=1e-6)
    assert PixelSums().mean_std() == ((0, 0, 0), (0, 0, 0))


def test_an_index_of_another_number_of_views_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="4 views were expected"):
        build_index(
            [folder / "train-000000.tar"],
            views=4,
            latent_size=7,
            pixels_per_view=1,
            sums=PixelSums(),
        )


def test_a_split_without_objects_can_be_indexed(tmp_path: Path) -> None:
    path = tmp_path / "train-000000.tar"
    path.write_bytes(shard_bytes([]))
    index = build_index([path], views=3, latent_size=10, pixels_per_view=1, sums=PixelSums())
    assert index.latents_NVD.shape == (0, 3, 10)
    assert index.offsets_NV.shape == (0, 3)


def hostile_npz(kind: str) -> bytes:
    """An .npz with a fault."""
    out = io.BytesIO()
    arrays: dict[str, Any] = {
        name: np.zeros((1, 1), np.int64) for name in ("labels", "shards", "offsets", "lengths")
    }
    arrays |= {name: np.array(["a/b"]) for name in ("objects", "keys")}
    if kind == "compressed":
        np.savez_compressed(out, **arrays)
    elif kind == "missing":
        np.savez(out, objects=arrays["objects"])
    elif kind == "numbers as keys":
        np.savez(out, **{**arrays, "keys": arrays["labels"]})
    elif kind == "good":
        np.savez(out, **arrays)
    elif kind == "pickled":
        np.savez(out, **{**arrays, "keys": np.array([{}], dtype=object)})
    elif kind == "no array":
        with zipfile.ZipFile(out, "w") as archive:
            for name in arrays:
                archive.writestr(f"{name}.npy", b"no array")
    return out.getvalue()


BAD_INDICES = ["compressed", "missing", "numbers as keys", "pickled", "no array", "no zip"]


def read_exchanged(folder: Path, kind: str) -> SplitIndex:
    """Exchange the index of train, list it as it is now, and read it."""
    written = files.put(folder / "index/train.npz", hostile_npz(kind))
    entries = DatasetManifest.read(folder).files
    entries["index/train.npz"] = FileEntry(bytes=written.size, sha256=written.sha256)
    return read_index(folder, "train", entries)


@pytest.mark.parametrize("kind", BAD_INDICES)
def test_an_index_that_is_none_is_refused_though_its_hash_be_right(folder: Path, kind: str) -> None:
    with pytest.raises(ManifestError, match="not an index"):
        read_exchanged(folder, kind)


def test_a_plain_index_is_read(folder: Path) -> None:
    assert read_exchanged(folder, "good").keys_N.tolist() == ["a/b"]


def test_an_index_that_is_not_listed_is_not_read(folder: Path) -> None:
    with pytest.raises(ManifestError, match=r"lists no index/train\.npz"):
        read_index(folder, "train", {})


def test_a_data_set_may_lie_behind_links(folder: Path, tmp_path: Path) -> None:
    """As the caches of download tools have it."""
    for path in folder.glob("*.tar"):
        moved = tmp_path / f"blob-{path.name}"
        path.rename(moved)
        path.symlink_to(moved)
    assert open_dataset(folder)[3].views[0].tolist() == picture(3, 0).tolist()


def test_the_builder_splits_shards_as_the_renderer_does() -> None:
    assert [(name, split, len(s)) for name, split, s in shards_of(Plan())] == [
        ("train-000000.tar", "train", 5),
        ("train-000001.tar", "train", 4),
        ("val-000000.tar", "val", 3),
    ]


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_what_is_read_is_the_readers_own(tmp_path: Path, order: str) -> None:
    build(tmp_path, Plan(channel_order=order))  # type: ignore[arg-type,unused-ignore]
    sample = open_dataset(tmp_path)[0]
    picture = sample.views[0]
    assert picture.flags.writeable
    assert picture.flags.c_contiguous
    sample.latents[:] = 9
    assert not (open_dataset(tmp_path)[0].latents == 9).any()


def test_an_unknown_way_to_verify_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="nonce"):
        open_dataset(folder, verify="nonce")  # type: ignore[arg-type]
