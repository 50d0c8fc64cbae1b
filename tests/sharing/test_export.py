"""Claims proved here, on exporting.

- The published layout holds the pictures byte for byte, a latent file of seven float64 a view, and
  the lists and labels as published; the benchmark's reader of that layout reads the same set.
- Render -> export -> convert gives the same pictures, latents and splits, by folder and by .tar;
  the archive has the same bytes every time.
- An export that was stopped goes on; what was changed meanwhile is mended; a second one writes
  nothing. Folders and archives of something else are refused, and so are names that are no folders.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.data import builders
from tests.faults import oracle
from tests.sharing.conftest import convert
from tests.sharing.published import published, tar
from threedie import files, open_dataset
from threedie.benchmark.reading.published import PublishedSplit
from threedie.data.dataset import Dataset
from threedie.errors import ConfigError, ManifestError
from threedie.sharing.convert.convert import convert_folder
from threedie.sharing.convert.export import export_dataset
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress

JPEGS = builders.Plan(image_format="jpg")


class Counted(ConvertProgress):
    """Stops an export after some objects."""

    def __init__(self, most: int) -> None:
        self._left = most

    def wrote(self, objects: int) -> None:
        self._left -= objects
        if self._left < 0:
            raise KeyboardInterrupt


@pytest.fixture
def data(tmp_path: Path) -> Path:
    builders.build(tmp_path / "data", JPEGS)
    return tmp_path / "data"


def export(data: Path, target: Path, most: int = 10**6) -> int:
    return export_dataset(data, target, progress=Counted(most)).written


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def same_samples(a: Dataset, b: Dataset) -> bool:
    def said(dataset: Dataset) -> dict[str, object]:
        return {
            s.object: (
                s.split,
                s.label,
                s.latents.tobytes(),
                [s.views.encoded(v) for v in range(len(s.views))],
            )
            for s in dataset
        }

    return said(a) == said(b)


def test_the_layout_is_the_published_one(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "official"
    assert export(data, target) == 12
    dataset = open_dataset(data)
    for sample in dataset:
        for view in range(3):
            folder = target / sample.object
            assert (folder / f"image_{view}.jpg").read_bytes() == sample.views.encoded(view)
            row = np.load(folder / f"latent_{view}.npy", allow_pickle=False)
            assert (row.shape, row.dtype) == ((7,), np.float64)
            assert np.array_equal(row, sample.latents[view])
    for split, count in (("train", 9), ("val", 3)):
        names = np.load(target / f"{split}_images.npy", allow_pickle=False)
        labels = np.load(target / f"{split}_labels.npy", allow_pickle=False)
        expected = {f"/{s.object}/": s.label for s in dataset if s.split == split}
        assert len(names) == count
        assert dict(zip(names.tolist(), labels.tolist(), strict=True)) == expected
        assert labels.dtype == np.int64
    found = {p.name for p in target.rglob("*") if p.name.startswith(".")}
    assert found == {".export.json"}


def test_the_benchmark_reads_it(data: Path, tmp_path: Path) -> None:
    export(data, tmp_path / "official")
    dataset = open_dataset(data, split="val")
    split = PublishedSplit(tmp_path / "official", "val", channel_order="rgb")
    by_name = {sample.object: sample for sample in dataset}
    assert set(split.objects_N.tolist()) == set(by_name)
    for row, name in enumerate(split.objects_N):
        assert np.array_equal(split.latents_NVL[row], by_name[str(name)].latents)


@pytest.mark.parametrize("name", ["official", "official.tar"])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    first, target, back = (tmp_path / n for n in ("first", name, "back"))
    convert(tar(published(order="bgr")), first)
    export(first, target)
    if target.is_dir():
        options = ConvertOptions(objects_per_shard=3)
        convert_folder(target, out=back, options=options, progress=ConvertProgress())
    else:
        convert(target.read_bytes(), back)
    assert same_samples(open_dataset(first), open_dataset(back))
    a, b = open_dataset(first).manifest, open_dataset(back).manifest
    assert (a.making.channel_order, a.pixel_mean, a.classes) == (
        b.making.channel_order,
        b.pixel_mean,
        b.classes,
    )


def test_an_archive_has_the_same_bytes_every_time(data: Path, tmp_path: Path) -> None:
    for number in range(2):
        export(data, tmp_path / f"{number}.tar")
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()
    export(data, tmp_path / "folder")
    with tarfile.open(tmp_path / "0.tar") as archive:
        assert not [m for m in archive if not m.isreg() or m.mtime or m.uid]
        found = {
            m.name.removeprefix("3DIEBench/"): archive.extractfile(m).read()  # type: ignore[union-attr]
            for m in archive
        }
    expected = content(tmp_path / "folder")
    del expected[".export.json"]
    assert found == expected


def test_a_stopped_export_goes_on(data: Path, tmp_path: Path) -> None:
    export(data, tmp_path / "right")
    right = content(tmp_path / "right")
    target = tmp_path / "official"
    with pytest.raises(KeyboardInterrupt):
        export(data, target, most=4)
    assert not (target / "val_images.npy").exists()
    assert export(data, target) == 12 - 5
    assert content(target) == right
    assert export(data, target) == 0


def test_what_was_changed_is_mended(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "official"
    export(data, target)
    right = content(target)
    (target / "03001627/a/image_0.jpg").write_bytes(b"")  # as after a power cut
    (target / "03001627/b/latent_1.npy").unlink()
    assert export(data, target) == 2
    assert content(target) == right


def test_what_a_dead_export_left_is_swept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "official"

    def killed(path: Path, goal: Path) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            files.put_folder(target.parent / "a", {"x": b"1"})
    (left,) = [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
    parts = left.name.split(".")
    target.joinpath("03001627").mkdir(parents=True)
    files.put(target / ".export.json", b"{}")
    (target / ".export.json").unlink()
    target.joinpath("03001627").rmdir()
    export(data, target)
    stale = target / "03001627" / ".".join([*parts[:-2], "0" * 16, parts[-1]])
    left.rename(stale)
    export(data, target)
    assert not stale.exists()


def test_what_a_killed_export_left_of_an_archive_is_swept(data: Path, tmp_path: Path) -> None:
    dead = f"{files.owner().rpartition('.')[0]}.{'0' * 16}.tmp"
    stale, other = (tmp_path / f".{name}.{dead}" for name in ("official.tar", "other.tar"))
    for path in (stale, other):
        path.write_bytes(b"half")
    export(data, tmp_path / "official.tar")
    assert (stale.exists(), other.exists()) == (False, True)


def test_the_same_archive_again_is_nothing_new(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "official.tar"
    assert export(data, target) == 12
    assert export(data, target) == 0
    target.write_bytes(target.read_bytes() + b"x")
    with pytest.raises(ConfigError, match="there already, with other content"):
        export(data, target)


def test_targets_that_are_something_else_are_refused(data: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_bytes(b"x")
    builders.build(tmp_path / "other", builders.Plan(image_format="jpg", objects=("p", "q")))
    export(tmp_path / "other", tmp_path / "theirs")
    before = oracle.tree_hash(tmp_path)
    for target, told in (
        (full, r"not empty .* \(found thesis.tex\)"),
        (full / "thesis.tex", "is a file"),
        (tmp_path / "theirs", "holds the export of another data set"),
        (data / "official", "are in one another"),
        (tmp_path, "are in one another"),
        (tmp_path / "a.tar.gz", "give a .tar"),
        (tmp_path / "no" / "a.tar", "no folder"),
    ):
        with pytest.raises(ConfigError, match=told):
            export(data, target)
    with pytest.raises(ConfigError, match="unknown layout 'imagenet'"):
        export_dataset(data, full, layout="imagenet", progress=ConvertProgress())
    assert oracle.tree_hash(tmp_path) == before


@pytest.mark.parametrize("name", ["../../evil", "..", ".hidden", "a/b", "x\ny"])
def test_names_that_are_no_folders_are_refused(tmp_path: Path, name: str) -> None:
    builders.build(tmp_path / "data", builders.Plan(image_format="jpg", objects=("a", name)))
    for target in (tmp_path / "official", tmp_path / "official.tar"):
        with pytest.raises(ManifestError, match="can't be written as a folder"):
            export(tmp_path / "data", target)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_png_and_translations_come_along(tmp_path: Path) -> None:
    builders.build(tmp_path / "data", builders.Plan(recipe="3diebench-t"))
    export(tmp_path / "data", tmp_path / "official")
    sample = open_dataset(tmp_path / "data")[0]
    folder = tmp_path / "official" / sample.object
    assert (folder / "image_0.png").read_bytes() == sample.views.encoded(0)
    assert np.load(folder / "latent_0.npy").shape == (10,)
