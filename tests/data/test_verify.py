"""Claims proved here, on `verify_dataset`.

- A good data set has no problem, in every format, order and recipe; the counts are right.
- Each kind of damage is found and its file named: manifest, shard, sample, picture, latents, json,
  index, ledger, totals; also where all hashes were made right again.
- All problems are collected: a damaged shard is one, and the others are still checked.
- Strange files are notes, and no problems.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import builders
from tests.data.builders import Plan, build, encode, latents_of, making, picture, seal
from threedie import files
from threedie.data.ledger import read_ledger
from threedie.data.shard import pack_sample, sample_key
from threedie.data.verify import VerifyReport, verify_dataset
from threedie.errors import ManifestError
from threedie.manifests.dataset import DatasetManifest, FileEntry, ShardEntry

PACK: Callable[..., bytes] = pack_sample
FAILURE = {"object": "zebra/x", "stage": "import", "error": "no mesh", "attempts": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished data set: 3 shards, 12 objects, 3 views, and an object that failed."""
    build(tmp_path / "data", Plan(failures=[FAILURE]))
    return tmp_path / "data"


def flip(path: Path, position: int) -> None:
    """Change a bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def only_problem(folder: Path) -> str:
    """The one problem of a data set."""
    report = verify_dataset(folder)
    assert not report.ok
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


PLANS = {
    "png": Plan(),
    "jpg bgr": Plan(image_format="jpg", channel_order="bgr"),
    "translations": Plan(recipe="3diebench-t"),
    "yaw": Plan(recipe="yaw"),
    "so3": Plan(recipe="so3"),
    "ood": Plan(recipe="3diebench-ood"),
    "failures": Plan(failures=[FAILURE]),
    "one view": Plan(views=1, classes=("chair",), objects=("only",)),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_a_good_data_set_has_no_problem(tmp_path: Path, plan: Plan) -> None:
    build(tmp_path, plan)
    report = verify_dataset(tmp_path)
    objects = len(plan.classes) * len(plan.objects)
    assert report.ok
    assert (report.problems, report.notes) == ([], [])
    assert (report.samples, report.pictures) == (objects, objects * plan.views)
    names = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "dataset.json"]
    assert report.bytes == sum(p.stat().st_size for p in names)
    assert report.shards == len(list(tmp_path.glob("*.tar")))


def test_shards_are_told_in_order(folder: Path) -> None:
    told: list[str] = []
    verify_dataset(folder, on_shard=told.append)
    assert told == ["train-000000.tar", "train-000001.tar", "val-000000.tar"]


def test_nothing_to_verify_is_one_problem(tmp_path: Path) -> None:
    assert "dataset.json" in only_problem(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    assert "schema_version" in only_problem(tmp_path)


ALL_FILES = [
    "train-000000.tar",
    "train-000001.tar",
    "val-000000.tar",
    "index/train.npz",
    "index/train.latents.npy",
    "index/val.npz",
    "index/val.latents.npy",
    "failures.jsonl",
]


@pytest.mark.parametrize("name", ALL_FILES)
def test_each_file_missing_cut_or_changed_is_one_problem(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    flip(path, len(content) // 2)
    assert name in only_problem(folder)
    path.write_bytes(content[:-1])
    assert name in only_problem(folder)
    path.write_bytes(b"")
    assert name in only_problem(folder)
    path.unlink()
    assert name in only_problem(folder)
    path.mkdir()
    assert name in only_problem(folder)


def test_a_changed_header_is_named_with_its_place(folder: Path) -> None:
    flip(folder / "train-000001.tar", 5)
    problem = only_problem(folder)
    assert "sha256" in problem
    assert "byte 0" in problem


def test_a_flipped_payload_bit_names_the_picture_it_breaks(folder: Path) -> None:
    flip(folder / "val-000000.tar", 512 + 40)
    problem = only_problem(folder)
    assert "sha256" in problem
    assert "03001627_d.000.png does not decode" in problem


def test_all_problems_are_collected_and_the_rest_goes_on(folder: Path) -> None:
    flip(folder / "train-000000.tar", 5)
    (folder / "index/val.npz").unlink()
    flip(folder / "failures.jsonl", 3)
    told: list[str] = []
    report = verify_dataset(folder, on_shard=told.append)
    assert len(report.problems) == 3
    for name in ("train-000000.tar", "index/val.npz", "failures.jsonl"):
        assert sum(name in problem for problem in report.problems) == 1
    assert len(told) == 3
    assert report.samples == 4 + 3


def test_strange_files_are_notes(folder: Path) -> None:
    for name in (
        "gallery.html",
        "sheet.png",
        "notes.txt",
        "train-000009.tar",
        "index/old.npz",
        ".train-000000.tar.tmp",
    ):
        (folder / name).write_bytes(b"x")
    (folder / ".render").mkdir()
    report = verify_dataset(folder)
    assert report.ok
    told = "\n".join(report.notes)
    assert len(report.notes) == 5
    for name in (".render/", "notes.txt", "train-000009.tar", "index/old.npz"):
        assert f"{name} is no part" in told


# From here on every hash is right: what was made is wrong.


def remade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> VerifyReport:
    """Build and verify with the json of one object changed."""

    def forged(key: str, *args: Any) -> bytes:
        *most, record = args
        return PACK(key, *most, {**record, **changes} if key == "zebra_b" else record)

    with monkeypatch.context() as patch:
        patch.setattr(builders, "pack_sample", forged)
        build(tmp_path)
    return verify_dataset(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": 3}, "label is 3, expected 55"),
        ({"label": "55"}, "label is '55', expected 55"),
        ({"split": "val"}, "split is 'val', expected 'train'"),
        ({"recipe_hash": "0" * 64}, "recipe_hash is '000"),
        ({"object": "c2"}, "of zebra/c2, which has another key"),
        ({"class": "horse"}, "no class 'horse'"),
        ({"more": 1}, "differs from the first sample in the fields ['more']"),
        ({"pixel_sum": [1, 2, 3]}, "pixel_sum is [1, 2, 3]"),
        ({"pixel_sum_squares": [1.5, 2, 3]}, "not three whole numbers"),
        ({"pixel_sum_squares": [1, 2, -3]}, "not three whole numbers"),
    ],
)
def test_a_wrong_json_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    report = remade(tmp_path, monkeypatch, **changes)
    problems = [p for p in report.problems if told in p]
    assert len(problems) == 1
    assert "train-000001.tar: zebra_b" in problems[0]


def test_fields_that_differ_between_shards_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(key: str, *args: Any) -> bytes:
        *most, record = args
        more = {"more": 1} if record["split"] == "val" else {}
        return PACK(key, *most, {**record, **more})

    monkeypatch.setattr(builders, "pack_sample", forged)
    build(tmp_path)
    assert "other fields in one shard" in only_problem(tmp_path)


def with_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> str:
    """The problem of a data set of which one picture is `content`."""
    honest = builders.encode

    def forged(pixels: Any, *args: str) -> bytes:
        mine = picture(4, 1)[0, 0].tolist() == pixels[0, 0].tolist()
        return content if mine else honest(pixels, *args)

    with monkeypatch.context() as patch:
        patch.setattr(builders, "encode", forged)
        build(tmp_path)
    problems = [p for p in verify_dataset(tmp_path).problems if "pixel_sum" not in p]
    assert len(problems) == 1
    assert "03797390_b.001.png" in problems[0]
    return problems[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (encode(picture(4, 1, 16), "png"), "(16, 16)"),
        (encode(picture(4, 1), "jpg"), "JPEG"),
        (encode(picture(4, 1), "png")[:-30], "does not decode"),
        (b"", "does not decode as JPEG or PNG"),
        (b"GIF89a" + b"\0" * 40, "does not decode as JPEG or PNG"),
    ],
    ids=["size", "format", "cut", "empty", "gif"],
)
def test_a_wrong_picture_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, told: str
) -> None:
    assert told in with_picture(tmp_path, monkeypatch, content)


def test_a_grey_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (32, 32)).save(out, "PNG")
    assert "'L'" in with_picture(tmp_path, monkeypatch, out.getvalue())


@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_pictures_in_the_other_channel_order_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_format: str
) -> None:
    plan = Plan(image_format=image_format, channel_order="bgr")
    monkeypatch.setattr(builders, "encode", lambda p, f, _: encode(p, f, "rgb"))
    build(tmp_path, plan)
    report = verify_dataset(tmp_path)
    assert sum("bgr channels" in p for p in report.problems) == 12


def with_latents(tmp_path: Path, change: Callable[[Any], Any], plan: Plan) -> VerifyReport:
    """Verify a data set in which one object's latents were changed before the index was made."""
    build(tmp_path, plan)
    entries = []
    for name, split, samples in builders.shards_of(plan):
        content = builders.shard_bytes(
            [_with_latents(plan, change) if b"zebra_d.json" in s else s for s in samples]
        )
        done = files.put(tmp_path / name, content)
        entries.append(
            ShardEntry(
                name=name, split=split, samples=len(samples), bytes=done.size, sha256=done.sha256
            )
        )
    seal(tmp_path, plan, entries)
    return verify_dataset(tmp_path)


def _with_latents(plan: Plan, change: Callable[[Any], Any]) -> bytes:
    number = plan.listed.index(("val", "zebra", "d"))
    pixels = [picture(number, view, plan.size) for view in range(plan.views)]
    values = np.stack(pixels).astype(np.int64)
    record = {
        "class": "zebra",
        "object": "d",
        "label": 55,
        "split": "val",
        "source_sha256": "ef" * 32,
        "recipe_hash": making(plan).recipe_hash,
        "pixel_sum": values.sum(axis=(0, 1, 2)).tolist(),
        "pixel_sum_squares": (values**2).sum(axis=(0, 1, 2)).tolist(),
    }
    latents = change(latents_of(plan, "zebra", "d").copy())
    return pack_sample(
        sample_key("zebra", "d"), [encode(p, "png") for p in pixels], "png", latents, record
    )


def test_latents_as_they_were_are_no_problem(tmp_path: Path) -> None:
    assert with_latents(tmp_path, lambda x: x, Plan()).ok


@pytest.mark.parametrize("column", range(7))
def test_a_latent_outside_its_recipe_is_found(tmp_path: Path, column: int) -> None:
    def outside(latents: Any) -> Any:
        latents[1, column] = 7.0
        return latents

    report = with_latents(tmp_path, outside, Plan())
    assert len(report.problems) == 1
    assert "zebra_d.latents.npy, view 1" in report.problems[0]
    assert "outside recipe '3diebench'" in report.problems[0]


def test_given_latents_may_be_outside_and_a_note_says_so(tmp_path: Path) -> None:
    report = with_latents(tmp_path, lambda x: x + 7, Plan(given_latents=True))
    assert report.ok
    assert any("latents were given" in note for note in report.notes)


def replaced(folder: Path, **changes: Any) -> None:
    """Write the manifest again with other values."""
    DatasetManifest.read(folder).model_copy(update=changes).write(folder)


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Exchange a listed file, and list it as it is now."""
    done = files.put(folder / name, content)
    beside = dict(DatasetManifest.read(folder).files)
    beside[name] = FileEntry(bytes=done.size, sha256=done.sha256)
    replaced(folder, files=beside)


@pytest.mark.parametrize("name", ["objects", "keys", "labels", "shards", "offsets", "lengths"])
def test_a_wrong_index_is_found(folder: Path, name: str) -> None:
    path = folder / "index/train.npz"
    with np.load(path) as table:
        arrays = {key: table[key] for key in table.files}
    arrays[name] = np.roll(arrays[name], 1, axis=0)
    np.savez(path, **arrays)
    rewrite(folder, "index/train.npz", path.read_bytes())
    report = verify_dataset(folder)
    shown = {"objects": "object", "keys": "key", "labels": "label"}.get(name, name)
    if name == "shards":
        assert "samples per shard" in only_problem(folder)
    else:
        assert any(f"its {shown} in the index differ" in p for p in report.problems)
        assert not any("val" in Path(p.split(": ")[0]).name for p in report.problems)


def test_wrong_latents_in_the_index_are_found(folder: Path) -> None:
    path = folder / "index/val.latents.npy"
    latents = np.load(path)
    latents[2, 0, 3] += 1e-9
    np.save(path, latents)
    rewrite(folder, "index/val.latents.npy", path.read_bytes())
    problem = only_problem(folder)
    assert "val-000000.tar: zebra_d: its latents in the index differ" in problem


def test_an_index_of_another_shape_is_found(folder: Path) -> None:
    path = folder / "index/val.latents.npy"
    np.save(path, np.load(path)[:-1])
    rewrite(folder, "index/val.latents.npy", path.read_bytes())
    assert "have shapes" in only_problem(folder)


def test_wrong_totals_are_found(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    first, *rest = manifest.classes
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"pixel_mean": (0.5, 0.5, 0.5)}, "pixel_mean"),
        ({"pixel_std": (0.5, 0.5, 0.5)}, "pixel_std"),
        ({"classes": (first.model_copy(update={"objects": 9}), *rest)}, "has 9 objects"),
        ({"failures": 2}, "counts 2 failures"),
        ({"latent_columns": (*manifest.latent_columns[:-1], "hue")}, "latent_columns"),
    ]
    for changes, told in wrong:
        manifest.model_copy(update=changes).write(folder)
        assert told in only_problem(folder)
    manifest.write(folder)
    assert verify_dataset(folder).ok


def test_a_wrong_sample_count_is_found(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    *rest, last = manifest.shards
    more = last.model_copy(update={"samples": last.samples + 1})
    replaced(folder, shards=(*rest, more))
    problems = verify_dataset(folder).problems
    assert any("val-000000.tar: 3 samples, dataset.json says 4" in p for p in problems)


def test_a_class_or_shard_that_is_listed_twice_is_found(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    replaced(folder, classes=(*manifest.classes, manifest.classes[0]))
    told = "\n".join(verify_dataset(folder).problems)
    assert "class 03001627 is there 2 times" in told
    manifest.model_copy(update={"shards": (*manifest.shards, manifest.shards[0])}).write(folder)
    told = "\n".join(verify_dataset(folder).problems)
    assert "shard train-000000.tar is there 2 times" in told


def test_an_object_that_is_in_two_shards_is_found(tmp_path: Path) -> None:
    plan = Plan(classes=("zebra",), objects=("a", "b"), per_shard=1)
    build(tmp_path, plan)
    sample = builders.sample_bytes(plan, 0, "train", "zebra", "a")
    content = builders.shard_bytes([sample])
    entries = []
    for name in ("train-000000.tar", "train-000001.tar"):
        done = files.put(tmp_path / name, content)
        entries.append(
            ShardEntry(name=name, split="train", samples=1, bytes=done.size, sha256=done.sha256)
        )
    (tmp_path / "val-000000.tar").unlink()
    seal(tmp_path, plan, entries)
    told = verify_dataset(tmp_path).problems
    assert any("object zebra/a is there 2 times" in p for p in told)


def test_files_outside_the_folder_are_not_looked_at(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s")
    entry = FileEntry(bytes=1, sha256=hashlib.sha256(b"s").hexdigest())
    for name in ("../secret", str(secret), "index/../../secret"):
        manifest = DatasetManifest.read(folder)
        replaced(folder, files={**manifest.files, name: entry})
        assert "which is no file of a data set" in only_problem(folder)
        manifest.write(folder)


def test_a_file_that_is_not_listed_any_more_is_found(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    for name in manifest.files:
        less = {k: v for k, v in manifest.files.items() if k != name}
        manifest.model_copy(update={"files": less}).write(folder)
        told = verify_dataset(folder).problems
        assert any(f"lists no {name}" in p for p in told)


def test_the_ledger_is_read_line_by_line(folder: Path) -> None:
    manifest = DatasetManifest.read(folder)
    (found,) = read_ledger(folder, manifest)
    assert found.model_dump() == FAILURE
    for line, told in (
        (b'{"object": 1}', "field 'object'"),
        (b"{", "line 1: not valid JSON"),
        (json.dumps({**FAILURE, "attempts": 0}).encode(), "field 'attempts'"),
    ):
        rewrite(folder, "failures.jsonl", line + b"\n")
        with pytest.raises(ManifestError, match=told):
            read_ledger(folder, DatasetManifest.read(folder))
        assert told in only_problem(folder)


def test_a_missing_index_says_how_to_mend_it(folder: Path) -> None:
    (folder / "index" / "train.npz").unlink()
    assert only_problem(folder).endswith("it is made anew.")
