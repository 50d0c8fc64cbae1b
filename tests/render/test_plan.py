"""Plans: which objects, where, and what decides the bytes.

Claims: a plan is the same whatever the machine, and other for every option that changes a byte;
shards hold at most N objects of one split and mix classes; labels are the published ones for the
55 classes and 55 and up for others; `--objects`, `--latents`, `--limit`, `--classes` choose;
wrong latents files are refused with the reason; the published list plans in full.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from threedie.errors import ConfigError
from threedie.manifests.dataset import Versions
from threedie.render.plan import Maker, Plan, RenderOptions, make_plan

VERSIONS = Versions(threedie="0", bpy="4.5.0", blender="4.5.0 (x)")
SMALL = RenderOptions(classes="chair,mug,airplane", limit=10)


def plan(options: RenderOptions, versions: Versions = VERSIONS, device: str = "cpu") -> Plan:
    return make_plan(options, maker=lambda: Maker(versions=versions, device=device))


def folder_of_meshes(root: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"thing{number}.obj").write_text("v 0 0 0\n")
    return root


def test_equal_options_give_equal_plans() -> None:
    one, two = plan(SMALL), plan(SMALL)
    assert one.making.recipe_hash == two.making.recipe_hash
    assert one.shards == two.shards


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"size": 128},
        {"views": 3},
        {"quality": "reference"},
        {"recipe": "so3"},
        {"image_format": "png"},
        {"channel_order": "bgr"},
        {"split": "leak-free"},
        {"limit": 9},
        {"classes": "chair,mug"},
        {"missing_texture": "fail"},
        {"objects_per_shard": 5},
    ],
)
def test_every_option_that_changes_a_byte_changes_the_recipe_hash(
    change: dict[str, object],
) -> None:
    assert plan(replace(SMALL, **change)).making.recipe_hash != plan(SMALL).making.recipe_hash  # type: ignore[arg-type]


def test_versions_and_device_are_part_of_the_recipe_hash() -> None:
    hashes = {
        plan(SMALL).making.recipe_hash,
        plan(SMALL, VERSIONS.model_copy(update={"blender": "4.5.0 (y)"})).making.recipe_hash,
        plan(SMALL, VERSIONS.model_copy(update={"threedie": "1"})).making.recipe_hash,
        plan(SMALL, device="cuda").making.recipe_hash,
    }
    assert len(hashes) == 4


def test_shards_are_full_of_one_split_and_mix_classes() -> None:
    made = plan(replace(SMALL, objects_per_shard=8))
    assert [len(s.objects) for s in made.shards if s.split == "train"] == [8, 8, 8]
    assert [len(s.objects) for s in made.shards if s.split == "val"] == [6]
    assert made.n_objects == 30
    assert made.n_pictures == 1500
    for shard in made.shards:
        assert {obj.split for obj in shard.objects} == {shard.split}
    assert len({obj.ref.class_id for obj in made.shards[0].objects}) > 1
    assert len({obj.key for obj in made.objects}) == 30


def test_labels_are_published_ones_and_others_follow(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path, chair=1, zebra=1, **{"02691156": 1, "aardvark": 1})
    labels = {entry.class_id: entry.label for entry in plan(RenderOptions(meshes=meshes)).classes}
    assert labels == {"02691156": 0, "chair": 18, "aardvark": 55, "zebra": 56}


def test_a_list_of_objects_chooses_them_also_where_no_mesh_is(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=3)
    listed = tmp_path / "list.txt"
    listed.write_text("chair/thing2  # by name\n03001627/not-there\n")
    made = plan(RenderOptions(meshes=meshes, objects=listed))
    assert {o.ref.name for o in made.objects} == {"chair/thing2", "chair/not-there"}


def test_given_latents_choose_objects_and_views(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=3)
    rows = np.arange(28, dtype=np.float64).reshape(4, 7)
    np.savez(tmp_path / "l.npz", **{"chair/thing1": rows})
    made = plan(RenderOptions(meshes=meshes, latents=tmp_path / "l.npz", views=3))
    (obj,) = made.objects
    assert obj.ref.name == "chair/thing1"
    assert np.array_equal(made.latents(obj.ref), rows[:3])


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "no arrays"),
        ({"chair/thing0": np.zeros((4, 6))}, "shape"),
        ({"chair/thing0": np.zeros(7)}, "shape"),
        ({"chair/thing0": np.zeros((4, 7), dtype=np.int64)}, "int64"),
        ({"chair/thing0": np.full((4, 7), np.nan)}, "finite"),
        ({"chair/thing0": np.array([["x"] * 7])}, "<U1"),
        ({"chair/a": np.zeros((4, 7)), "chair/b": np.zeros((5, 7))}, "--views 4"),
    ],
)
def test_wrong_latents_are_refused_with_the_reason(
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]], says: str, tmp_path: Path
) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=1)
    np.savez(tmp_path / "l.npz", **arrays)
    with pytest.raises(ConfigError, match=says):
        plan(RenderOptions(meshes=meshes, latents=tmp_path / "l.npz"))


def test_a_pickled_latents_file_is_refused(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=1)
    np.savez(tmp_path / "l.npz", **{"chair/thing0": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(ConfigError, match="chair/thing0"):
        plan(RenderOptions(meshes=meshes, latents=tmp_path / "l.npz"))


def test_nothing_to_render_is_said(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("sofa/x\n")
    with pytest.raises(ConfigError, match="nothing to render"):
        plan(replace(SMALL, objects=listed))


def refused(match: str, **options: object) -> None:
    with pytest.raises(ConfigError, match=match):
        plan(RenderOptions(**options))  # type: ignore[arg-type]


def test_two_folders_of_one_class_are_refused(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path, chair=1, mug=1, **{"03001627": 1})
    refused("'03001627' and 'chair'.*Rename or merge one", meshes=meshes)
    assert plan(RenderOptions(meshes=meshes, classes="mug,03001627")).n_objects == 2


def test_listed_classes_that_the_source_has_not_are_refused(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=1, mug=1)
    listed = tmp_path / "list.txt"
    listed.write_text("chair/thing0\nchiar/thing0\nsofa/thing0\nmug/thing0\n")
    refused("2 of 4 entries.*'chiar/thing0'.*chair, mug", meshes=meshes, objects=listed)
    refused("1 of 4 entries.*'chiar/", meshes=meshes, objects=listed, classes="chair")
    listed.write_text("chair/thing0\nsofa/thing0\nmug/thing0\n")
    made = plan(RenderOptions(meshes=meshes, objects=listed, classes="chair"))
    assert [o.ref.name for o in made.objects] == ["chair/thing0"]


def test_a_broken_archive_is_told_also_when_a_list_chooses(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "sofa.zip").write_bytes(b"no zip")
    (tmp_path / "list.txt").write_text("sofa/a\n")
    refused(r"sofa\.zip", meshes=tmp_path / "m", objects=tmp_path / "list.txt")


def test_a_val_list_of_other_objects_is_refused(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=3)
    listed = tmp_path / "val.txt"
    listed.write_text("chair/other\n")
    refused("none of 3 planned", meshes=meshes, split="official", val_list=listed)
    refused("--split official", meshes=meshes, val_list=listed)


def latents_of(path: Path, *names: str) -> Path:
    np.savez(path, **{name: np.zeros((2, 7)) for name in names})
    return path


def test_latents_name_a_class_by_name_or_id(tmp_path: Path) -> None:
    named = latents_of(tmp_path / "l.npz", "mug/mug-0000", "03001627/chair-0050")
    made = plan(RenderOptions(latents=named))
    assert {o.ref.name for o in made.objects} == {"03797390/mug-0000", "03001627/chair-0050"}
    assert all(made.latents(o.ref).shape == (2, 7) for o in made.objects)
    twice = latents_of(tmp_path / "t.npz", "mug/mug-0000", "03797390/mug-0000")
    refused("are the same object", latents=twice)


def test_latents_without_an_object_are_refused(tmp_path: Path) -> None:
    meshes = folder_of_meshes(tmp_path / "m", chair=3, mug=1)
    none = latents_of(tmp_path / "none.npz", "chair/other", "x")
    refused("none of 2 arrays.*'chair/other'.*'chair/thing0'", meshes=meshes, latents=none)
    some = latents_of(tmp_path / "some.npz", "chair/thing0", "chair/other", "chiar/thing1")
    refused("2 of 3 arrays.*'chair/other'", meshes=meshes, latents=some)
    rest = latents_of(tmp_path / "rest.npz", "chair/thing0", "chair/thing1", "mug/thing0")
    made = plan(RenderOptions(meshes=meshes, latents=rest, classes="chair", limit=1))
    assert [o.ref.name for o in made.objects] == ["chair/thing0"]


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000, 7), }\n",
        b"{'descr': ",
        b'"""\n',
    ],
)
def test_crafted_latents_are_config_errors(header: bytes, tmp_path: Path) -> None:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "l.npz", "w") as file:
        file.writestr("mug/mug-0000.npy", data)
    refused("mug/mug-0000 is no plain array.*Save it again", latents=tmp_path / "l.npz")
    (tmp_path / "bare.npz").write_bytes(data)
    refused("not an .npz", latents=tmp_path / "bare.npz")


@pytest.mark.shared
def test_the_published_list_plans_in_full_with_the_published_split(
    shared_dir: Path, tmp_path: Path
) -> None:
    rows = np.load(shared_dir / "official" / "all_objects.npy")
    missing = (shared_dir / "facts" / "missing_19.txt").read_text().split()
    for synset in set(rows[:, 0]):
        (tmp_path / str(synset)).mkdir()
    listed = tmp_path / "objects.txt"
    names = [f"{c}/{o}" for c, o in rows]
    listed.write_text("\n".join(sorted(set(names) - set(missing))))
    made = plan(
        RenderOptions(
            meshes=tmp_path,
            objects=listed,
            split="official",
            val_list=shared_dir / "official" / "val_images.npy",
        )
    )
    counts = Counter(obj.split for obj in made.objects)
    assert (counts["train"], counts["val"]) == (41_920, 10_552)
    assert made.n_pictures == 2_623_600
    assert len(made.classes) == 55
