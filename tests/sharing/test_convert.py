"""Claims proved here, on converting whole sets.

- Pictures are passed on byte by byte, latents number by number; labels, classes, splits,
  records and sums are what the set says; the finished set is whole for verify and gallery.
- Neither the order of members, nor the leading folder, nor gzip, nor the size of the pieces changes
  a byte of the shards; a folder gives the same.
- The split: hash; the given list; the source's own; with a train list what is in neither is set
  aside, and what is in both is refused. What the lists have and the source has not is counted.
- 50 views or however many most objects have; --views takes fewer; 10 numbers for 3diebench-t.
- The same call again reads nothing and says so; a damaged shard is made again; another set, other
  options, a rendered set, a file and a folder of other things are refused with the difference.
- The official list at its size is dealt as it is published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.data import builders
from tests.faults import oracle
from tests.sharing.conftest import convert
from tests.sharing.published import (
    CHAIR,
    MUG,
    OBJECTS,
    Files,
    latents_of,
    npy,
    published,
    shuffled,
    tar,
    tgz,
)
from threedie import open_dataset
from threedie.data.gallery import write_gallery
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError
from threedie.manifests.dataset import Converted, DatasetManifest
from threedie.manifests.splits import split_rule
from threedie.sharing.convert.convert import convert_archive, convert_folder
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress

SET = published()
NAMES = [f"{c}/{o}" for c, o in OBJECTS]


def made(folder: Path) -> Converted:
    making = DatasetManifest.read(folder).making
    assert isinstance(making, Converted)
    return making


def unpack(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def listed(path: Path, names: list[str]) -> Path:
    path.write_bytes(npy(np.array([f"/{name}/" for name in names])))
    return path


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_everything_comes_through(out: Path, order: str) -> None:
    files = published(order=order)
    outcome = convert(tar(files), out)
    assert (outcome.objects, outcome.failures, outcome.converted) == (8, (), True)
    dataset = open_dataset(out, verify="always")
    assert sorted(s.object for s in dataset) == sorted(NAMES)
    rule = split_rule("hash")
    for sample in dataset:
        class_id, object_id = sample.object.split("/")
        assert np.array_equal(sample.latents, latents_of(class_id, object_id))
        assert sample.label == builders.label_of(class_id, [CHAIR, MUG])
        assert sample.split == rule(class_id, object_id)
        for view in range(3):
            stored = files[f"{sample.object}/image_{view}.jpg"]
            assert sample.views.encoded(view) == stored
    assert made(out).channel_order == order
    assert (made(out).views, made(out).size, made(out).split) == (3, 32, "hash")


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_finished_set_is_whole_for_everybody(out: Path, order: str) -> None:
    convert(tar(published(order=order)), out)
    report = verify_dataset(out)
    assert report.problems == []
    assert (report.samples, report.pictures) == (8, 24)
    assert "Converted from" in write_gallery(out, out / "gallery.html").read_text()
    assert not (out / ".convert").exists()


def test_records_say_where_pictures_come_from(out: Path) -> None:
    files = published(order="bgr")
    convert(tar(files), out)
    dataset = open_dataset(out)
    for sample in dataset:
        content = (out / f"{sample.split}-000000.tar").read_bytes()
        content += b"".join(p.read_bytes() for p in sorted(out.glob(f"{sample.split}-*.tar")))
        start = content.index(b"{", content.index(f"{sample.key}.json".encode()))
        record = json.JSONDecoder().raw_decode(
            content[start : start + 4096].decode("ascii", "ignore")
        )[0]
        names = [f"{sample.object}/image_{view}.jpg" for view in range(3)]
        together = b"".join(files[name] for name in names)
        assert record["source_sha256"] == hashlib.sha256(together).hexdigest()
        first = sample.views[0].astype(np.int64)  # true RGB
        assert record["pixel_sum"] == first.sum((0, 1)).tolist()
        assert record["pixel_sum_squares"] == (first**2).sum((0, 1)).tolist()
        assert (record["recipe_hash"], record["notes"]) == (made(out).recipe_hash, [])


def test_mean_and_deviation_are_those_of_the_first_views(out: Path) -> None:
    convert(tar(SET), out)
    first = [sample.views[0] for sample in open_dataset(out)]
    pixels = np.stack(first).reshape(-1, 3) / 255
    manifest = DatasetManifest.read(out)
    np.testing.assert_allclose(manifest.pixel_mean, pixels.mean(0), atol=2e-6)
    np.testing.assert_allclose(manifest.pixel_std, pixels.std(0), atol=2e-6)


def test_the_origin_is_recorded(out: Path) -> None:
    content = tgz(SET)
    convert(content, out, name="3DIEBench.tar.gz")
    origin = made(out).origin
    assert (origin.kind, origin.name, origin.bytes) == ("archive", "3DIEBench.tar.gz", len(content))
    assert origin.sha256 == hashlib.sha256(content).hexdigest()
    assert origin.channel_evidence.pictures == 24
    assert origin.channel_evidence.rgb_error < 0.02 < 0.1 < origin.channel_evidence.bgr_error


def test_no_byte_depends_on_how_the_members_come(tmp_path: Path) -> None:
    convert(tar(SET), tmp_path / "right")
    right = oracle.tars(tmp_path / "right")
    assert len(right) > 2
    for number, content in enumerate(
        [
            *(tar(shuffled(SET, seed)) for seed in range(3)),
            tar(SET, root=""),
            tar(SET, root="./"),
            tar(SET, root="./some-name/"),
            tgz(shuffled(SET, 9)),
        ]
    ):
        convert(content, tmp_path / str(number))
        assert oracle.tars(tmp_path / str(number)) == right


def test_a_folder_gives_the_same_shards(tmp_path: Path) -> None:
    convert(tar(SET), tmp_path / "right")
    for number, below in enumerate(("set", "set/3DIEBench")):
        unpack(SET, tmp_path / str(number) / below)
        out = tmp_path / f"out-{number}"
        convert_folder(
            tmp_path / str(number) / "set",
            out=out,
            options=ConvertOptions(objects_per_shard=3),
            progress=ConvertProgress(),
        )
        assert oracle.tars(out) == oracle.tars(tmp_path / "right")
        origin = made(out).origin
        assert (origin.kind, origin.name, origin.bytes, origin.sha256) == (
            "folder",
            "set",
            None,
            None,
        )


def test_a_data_set_inside_its_source_is_refused(tmp_path: Path) -> None:
    unpack(SET, tmp_path / "set")
    for out in (tmp_path, tmp_path / "set", tmp_path / "set" / "out"):
        with pytest.raises(ConfigError, match="give --out a folder outside"):
            convert_folder(
                tmp_path / "set", out=out, options=ConvertOptions(), progress=ConvertProgress()
            )


def test_the_given_list_decides(tmp_path: Path, out: Path) -> None:
    val = [NAMES[2], NAMES[7], f"{MUG}/not-there"]
    outcome = convert(tar(SET), out, val_list=listed(tmp_path / "val.npy", val))
    assert made(out).split == "official"
    found = {s.object for s in open_dataset(out, split="val")}
    assert found == {NAMES[2], NAMES[7]}
    assert "1 of the 3 objects in the val list are not there." in outcome.notes


def test_the_sources_own_lists_decide_unless_told_otherwise(tmp_path: Path) -> None:
    lists = {
        "val_images.npy": npy(np.array([f"/{NAMES[0]}/"])),
        "train_images.npy": npy(np.array([f"/{name}/" for name in NAMES[1:]])),
        "val_labels.npy": npy(np.array([18])),
    }
    outcome = convert(tar({**SET, **lists}), tmp_path / "own")
    assert {s.object for s in open_dataset(tmp_path / "own", split="val")} == {NAMES[0]}
    assert not [note for note in outcome.notes if "set aside" in note]
    convert(tar({**SET, **lists}), tmp_path / "hash", split="hash")
    assert made(tmp_path / "hash").split == "hash"
    with pytest.raises(ConfigError, match="the official split needs the published val list"):
        convert(tar(SET), tmp_path / "none", split="official")


def test_with_both_lists_what_is_in_neither_is_set_aside(tmp_path: Path, out: Path) -> None:
    val, train = NAMES[:2], NAMES[2:6]
    outcome = convert(
        tar(SET),
        out,
        val_list=listed(tmp_path / "val.npy", val),
        train_list=listed(tmp_path / "train.npy", train),
    )
    assert {f.object for f in outcome.failures} == set(NAMES[6:])
    assert {(f.stage, f.error) for f in outcome.failures} == {
        ("split", "it stands in none of the split lists.")
    }
    assert verify_dataset(out).ok


def test_lists_that_can_not_be_used_are_refused(tmp_path: Path, out: Path) -> None:
    val = listed(tmp_path / "val.npy", NAMES[:2])
    with pytest.raises(ConfigError, match=f"1 object stand both in val.npy and in t.npy.*{MUG}|"):
        convert(tar(SET), out, val_list=val, train_list=listed(tmp_path / "t.npy", NAMES[1:]))
    strangers = listed(tmp_path / "o.npy", ["02691156/x"])
    with pytest.raises(ConfigError, match="none of 8 objects is in the val list"):
        convert(tar(SET), out, val_list=strangers)
    with pytest.raises(ConfigError, match="--train-list was given without --val-list"):
        ConvertOptions(train_list=val)
    with pytest.raises(ConfigError, match="--split is hash, which uses no list"):
        ConvertOptions(val_list=val, split="hash")
    with pytest.raises(ConfigError, match="unknown split 'random'"):
        ConvertOptions(split="random")


def test_fewer_views_on_request(out: Path) -> None:
    outcome = convert(tar(SET), out, views=2)
    assert made(out).views == 2
    assert "8 pictures beyond 2 views were left out." in outcome.notes
    assert verify_dataset(out).ok


def test_latents_with_translations(out: Path) -> None:
    files = published(recipe="3diebench-t")
    convert(tar(files), out, recipe="3diebench-t")
    assert open_dataset(out)[0].latents.shape == (3, 10)
    with pytest.raises(Exception, match="latents have 10 numbers, the recipe's have 7"):
        convert(tar(files), out.with_name("other"))


def test_latents_outside_the_recipe_are_told(out: Path) -> None:
    outcome = convert(tar(published(recipe="so3")), out)
    assert any("are outside the ranges of recipe '3diebench'" in note for note in outcome.notes)
    assert not any("are outside the" in n for n in convert(tar(SET), out.with_name("o")).notes)


class Untouched:
    """Bytes that nobody may ask for."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("the archive was read again")


def test_the_same_call_again_reads_nothing(out: Path) -> None:
    content = tar(SET)
    convert(content, out)
    before = oracle.tree_hash(out)
    again = convert_archive(
        Untouched(),
        name="set.tar",
        size=len(content),
        out=out,
        options=ConvertOptions(objects_per_shard=3),
        progress=ConvertProgress(),
    )
    assert (again.objects, again.converted) == (8, False)
    assert oracle.tree_hash(out) == before


@pytest.mark.parametrize("name", ["train-000000.tar", "index/val.npz", "failures.jsonl"])
def test_what_is_damaged_is_made_again(out: Path, name: str) -> None:
    convert(tar(SET), out)
    right = oracle.tree_hash(out)
    (out / name).write_bytes(b"damaged")
    assert not verify_dataset(out).ok
    assert convert(tar(SET), out).converted
    assert oracle.tree_hash(out) == right


def test_another_set_in_the_folder_is_refused_with_the_difference(
    tmp_path: Path, out: Path
) -> None:
    convert(tar(SET), out)
    before = oracle.tree_hash(out)
    for told, content, options in (
        ("name: set.tar there, other.tar asked for", tar(SET), {"name": "other.tar"}),
        (r"bytes: \d+ there, \d+ asked for", tar(published(views=4)), {}),
        ("objects_per_shard: 3 there, 4 asked for", tar(SET), {"objects_per_shard": 4}),
        ("views: 3 there, 2 asked for", tar(SET), {"views": 2}),
        ("channel_order: rgb there, bgr asked for", tar(SET), {"channel_order": "bgr"}),
        ("recipe: 3diebench there, so3 asked for", tar(SET), {"recipe": "so3"}),
        ("split: hash there, leak-free asked for", tar(SET), {"split": "leak-free"}),
    ):
        with pytest.raises(ConfigError, match=told):
            convert(content, out, **options)
    convert(tar(SET), out.with_name("listed"), val_list=listed(tmp_path / "a.npy", NAMES[:2]))
    with pytest.raises(ConfigError, match="val list: 2 objects are on the other side there"):
        convert(tar(SET), out.with_name("listed"), val_list=listed(tmp_path / "b.npy", NAMES[1:3]))
    assert oracle.tree_hash(out) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path, out: Path) -> None:
    builders.build(tmp_path / "rendered")
    with pytest.raises(ConfigError, match="holds a data set that was rendered"):
        convert(tar(SET), tmp_path / "rendered")
    out.write_bytes(b"")
    with pytest.raises(ConfigError, match="is a file; --out names a folder"):
        convert(tar(SET), out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"not empty .* \(found thesis.tex\)"):
        convert(tar(SET), tmp_path / "full")


def test_an_archive_that_is_still_coming_may_stand_in_the_folder(out: Path) -> None:
    (out / ".download").mkdir(parents=True)
    assert convert(tar(SET), out).objects == 8


def test_a_room_too_small_is_told_before_anything_is_read(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threedie.errors import StorageError

    with pytest.raises(StorageError, match=r"iB are free, about 2,\d+\.\d TiB are needed"):
        convert_archive(
            Untouched(),
            name="huge.tar",
            size=10**15,
            out=out,
            options=ConvertOptions(),
            progress=ConvertProgress(),
        )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"views": 0}, "--views is 0"),
        ({"objects_per_shard": 0}, "--shard-size is 0"),
        ({"channel_order": "grb"}, "--channel-order is 'grb'"),
        ({"recipe": "3dibench"}, "Did you mean '3diebench'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ConvertOptions(**options)  # type: ignore[arg-type]


@pytest.mark.shared
def test_the_official_lists_deal_and_label_as_published(out: Path, shared_dir: Path) -> None:
    """Every 25th object of the published list, with one view of 8 pixels."""
    official = shared_dir / "official"
    every = [(str(c), str(o)) for c, o in np.load(official / "all_objects.npy")][::25]
    val_list = official / "val_images.npy"
    names, labels = np.load(val_list).tolist(), np.load(official / "val_labels.npy").tolist()
    label_of = {name.strip("/"): label for name, label in zip(names, labels, strict=True)}
    one = published([("02691156", "x")], views=1, size=8)
    kinds = {"image_0.jpg": one["02691156/x/image_0.jpg"]}
    kinds["latent_0.npy"] = one["02691156/x/latent_0.npy"]
    files = {f"{c}/{o}/{kind}": content for c, o in every for kind, content in kinds.items()}
    outcome = convert(tar(files), out, val_list=val_list, channel_order="rgb")
    found = {s.object: s.label for s in open_dataset(out, split="val")}
    assert found == {n: label_of[n] for n in (f"{c}/{o}" for c, o in every) if n in label_of}
    assert outcome.manifest.splits["train"] == len(every) - len(found)
    missing = len(label_of) - len(found)
    assert f"{missing:,} of the 10,552 objects in the val list are not there." in outcome.notes
