"""Claims proved here, on splits of shards.

- Every picture, label, name and latent is the one that was written, at any size, jpg or png, rgb or
  bgr, in true RGB.
- The data hash names split and content: a copy has the same, another byte or split another.
- A changed shard is found when first read (once, always), whatever thread reads it, and is hashed
  once; `never` looks at sizes only. A damaged picture names object and view.
- cache="ram" reads each picture once and no more files after that; it is refused, with both
  numbers, where memory is short (control group, ranks on one machine).
- Descriptors are bounded and closed.
- A missing split, folder or picture size is one clear error.
"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import builders
from threedie import files
from threedie.benchmark.reading import indexed, memory
from threedie.benchmark.reading.split import IndexedSplit, open_split
from threedie.data import dataset
from threedie.data.dataset import open_dataset
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import DatasetManifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three shards of train (9 objects, 4 a shard) and one of val, 3 views each."""
    builders.build(tmp_path / "data", builders.Plan(per_shard=4))
    return tmp_path / "data"


def read(split: Any, size: int = 32) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(N, V, size, size, 3) of a whole split."""
    shape = (len(split), split.n_views)
    out = np.zeros((*shape, size, size, 3), np.uint8)
    rows, views = (grid.ravel() for grid in np.indices(shape))
    split.read(rows, views, size, out.reshape(-1, size, size, 3))
    return out


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_it_is_what_was_written(tmp_path: Path, kind: str, order: str) -> None:
    plan = builders.Plan(image_format=kind, channel_order=order)
    builders.build(tmp_path / "d", plan)
    first = 0
    for name in ("train", "val"):
        split = open_split(tmp_path / "d", name)
        listed = [row for row in plan.listed if row[0] == name]
        assert split.objects_N.tolist() == [f"{c}/{o}" for _, c, o in listed]
        assert split.labels_N.tolist() == [builders.label_of(c, plan.classes) for _, c, _ in listed]
        assert (split.name, split.n_views, split.picture_size, split.n_classes) == (name, 3, 32, 56)
        expected = [
            [builders.picture(first + i, view) for view in range(3)] for i in range(len(listed))
        ]
        assert np.abs(read(split).astype(int) - np.array(expected)).max() <= (2 * (kind == "jpg"))
        latents = [builders.latents_of(plan, c, o) for _, c, o in listed]
        np.testing.assert_array_equal(split.latents_NVL, latents)
        first += len(listed)


def test_mean_and_std_are_the_manifests(folder: Path) -> None:
    split, manifest = open_split(folder, "train"), DatasetManifest.read(folder)
    assert (split.pixel_mean, split.pixel_std) == (manifest.pixel_mean, manifest.pixel_std)
    everything = np.concatenate([read(open_split(folder, s)) for s in ("train", "val")])
    mean = everything.reshape(-1, 3).mean(axis=0) / 255
    np.testing.assert_allclose(split.pixel_mean, mean, atol=1e-6)


def test_smaller_pictures_and_no_larger_ones(folder: Path) -> None:
    split = open_split(folder, "train")
    assert (read(split, 16) == read(split)[:, :, :16, :16]).all()  # each is of one colour
    with pytest.raises(ConfigError, match="33 pixels were asked for; the data set's have 32"):
        read(split, 33)


def test_an_open_dataset_is_taken_as_it_is(folder: Path) -> None:
    split = open_split(open_dataset(folder, verify="never"), "val")
    assert isinstance(split, IndexedSplit)
    assert len(split) == 3


def test_the_hash_names_split_and_content(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    builders.build(tmp_path / "other", builders.Plan(per_shard=4, channel_order="bgr"))
    found = {
        (name, split): open_split(tmp_path / name, split).data_hash
        for name in ("data", "copy", "other")
        for split in ("train", "val")
    }
    assert all(len(value) == 64 for value in found.values())
    assert found["data", "train"] == found["copy", "train"]
    assert found["data", "val"] == found["copy", "val"]
    assert len(set(found.values())) == 4


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    files.put(path, bytes(content))


@pytest.mark.parametrize("verify", ["once", "always"])
def test_a_changed_byte_is_found_when_its_shard_is_read(folder: Path, verify: Any) -> None:
    flip(folder / "train-000001.tar", 700)
    split = open_split(folder, "train", verify=verify)
    out = np.zeros((1, 32, 32, 3), np.uint8)
    split.read([0], [0], 32, out)  # of another shard
    for _ in range(2):
        with pytest.raises(ManifestError, match=r"train-000001\.tar: sha256 is .* was changed"):
            split.read([4], [0], 32, out)


def test_without_verifying_a_damaged_picture_names_object_and_view(folder: Path) -> None:
    split = open_split(folder, "train", verify="never")
    start = int(open_dataset(folder).indices["train"].offsets_NV[5, 2])
    flip(folder / "train-000001.tar", start + 1)
    with pytest.raises(ManifestError, match=rf"{split.objects_N[5]}, view 2: a picture of \d+"):
        read(split)


def test_a_cut_shard_is_found_on_opening_and_while_reading(folder: Path) -> None:
    split = open_split(folder, "train", verify="never")
    read(split)
    os.truncate(folder / "train-000002.tar", 600)
    with pytest.raises(ManifestError, match="cut off while it was being read"):
        read(split)
    with pytest.raises(ManifestError, match=r"600 bytes, dataset\.json says"):
        open_split(folder, "train")


def test_a_shard_is_hashed_once_by_many_threads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counting(where: Path, entry: Any, *, remember: bool) -> None:
        hashed.append(entry.name)
        time.sleep(0.02)  # so that the others arrive meanwhile

    monkeypatch.setattr(dataset, "check_hash", counting)
    split = open_split(folder, "train")
    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(lambda _: read(split), range(16))
    assert all((other == first).all() for other in others)
    assert sorted(hashed) == [f"train-{i:06d}.tar" for i in range(3)]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_bounded_and_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    monkeypatch.setattr(indexed._Shards, "MOST_OPEN", 2)
    split = open_split(folder, "train")
    expected = read(split)
    assert descriptors() == before + 2
    assert (read(split) == expected).all()
    del split
    assert descriptors() == before


def test_ram_reads_each_picture_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    plain = indexed._Shards.read

    def counting(self: Any, row: int, view: int) -> bytes:
        calls.append((row, view))
        return plain(self, row, view)

    monkeypatch.setattr(indexed._Shards, "read", counting)
    split = open_split(folder, "train", cache="ram")
    assert calls == []
    split.read([3], [1], 32, np.zeros((1, 32, 32, 3), np.uint8))
    assert calls == [(3, 1)]
    expected = read(open_split(folder, "train"))
    calls.clear()
    assert (read(split) == expected).all()
    assert len(calls) == 26  # 27 pictures, one was there
    for path in folder.glob("*.tar"):
        path.unlink()
    assert (read(split) == expected).all()
    assert len(calls) == 26


def test_ram_is_refused_where_memory_is_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = int(open_dataset(folder).indices["train"].lengths_NV.sum())
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    open_split(folder, "train", cache="ram")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"needs 0.00 GiB .* in each of 2 processes; 0.00 GiB"):
        open_split(folder, "train", cache="ram")
    with pytest.raises(ConfigError, match="cache is 'disk'; it must be one of none, ram"):
        open_split(folder, "train", cache="disk")  # type: ignore[arg-type]


def test_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < memory.available_bytes() < 2**50
    for name, content in {
        "memory.max": "1000000\n",
        "memory.current": "900000\n",
        "memory.stat": "anon 5\ninactive_file 50000\n",
    }.items():
        files.put(tmp_path / name, content.encode())
    monkeypatch.setattr(memory, "_own_groups", lambda: [tmp_path, tmp_path / "none"])
    assert memory.available_bytes() == 150_000
    files.put(tmp_path / "memory.max", b"max\n")
    assert memory.available_bytes() > 2**20


def test_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'test'; it has train, val"):
        open_split(folder, "test")
    with pytest.raises(ConfigError, match="has no objects in split 'val'; it has train"):
        open_split(open_dataset(folder, split="train"), "val")
    with pytest.raises(ConfigError, match=r"^https://h/d is a URL.*only training streams"):
        open_split("https://h/d?token=1", "train")
    with pytest.raises(ConfigError, match=r"Commands \(pipe:\)"):
        open_split("pipe:true", "train")
    with pytest.raises(ManifestError, match=r"no such folder.*3die render"):
        open_split(tmp_path / "nothing", "train")
