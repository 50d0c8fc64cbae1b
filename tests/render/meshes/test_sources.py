"""Mesh sources.

Claims:

- a ShapeNet folder, a folder of arbitrary names and zip archives list and fetch alike; an archive
  gives the very bytes and hash of the folder it was made from;
- a source survives pickling; listing opens no mesh;
- nothing outside of an object is read: links, pipes, devices, archive names;
- what is wrong with the source as a whole is a ConfigError, what is wrong with one object an
  AssetError, both in a sentence.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.render.meshes.hostile import OFF, SQUARE, glb, gltf, image, ply, stl
from threedie.data.dealing import ObjectRef
from threedie.errors import AssetError, ConfigError
from threedie.manifests.classes import CLASSES
from threedie.render.meshes.mesh import ObjFile, TriangleMesh
from threedie.render.meshes.sources import BuiltinSource, MeshSource, open_source

OBJ = b"mtllib model_normalized.mtl\n" + SQUARE + b"vt 0 0\nusemtl a\nf 1/1 2/1 3/1\n"
MTL = b"newmtl a\nKd 1 0 0\nmap_Kd ../images/t.png\n"
PLAIN = SQUARE + b"f 1 2 3\n"


def put(root: Path, name: str, data: bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def shapenet(tmp_path: Path) -> Path:
    """Two objects of ShapeNetCore.v2; the second is called by no hexadecimal name."""
    root = tmp_path / "ShapeNetCore.v2"
    for name in ("03001627/1a6f615e8b1b5ae4dbbc9440457e303e", "03001627/u1e22cc04-7c4d"):
        put(root, f"{name}/models/model_normalized.obj", OBJ)
        put(root, f"{name}/models/model_normalized.mtl", MTL)
        put(root, f"{name}/models/model_normalized.json", b"{}")
        put(root, f"{name}/models/model_normalized.surface.binvox", b"#binvox")
        put(root, f"{name}/images/t.png", image())
    return root


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def names(source: MeshSource) -> list[str]:
    return [ref.name for c in source.list_classes() for ref in source.list_objects(c)]


def fetch(source: MeshSource, name: str, scratch: Path) -> tuple[dict[str, bytes], str]:
    """Files that a fetch writes, and the hash of the source."""
    class_id, _, object_id = name.partition("/")
    ref = ObjectRef(class_id=class_id, object_id=object_id)
    folder = scratch / str(len(list(scratch.iterdir())))
    folder.mkdir()
    fetched = source.fetch(ref, folder, missing_texture="fail")
    return {p.name: p.read_bytes() for p in folder.iterdir()}, fetched.source_sha256


def test_shapenet_folder(shapenet: Path, scratch: Path) -> None:
    source = open_source(shapenet)
    assert source.kind == "folder"
    found = names(source)
    assert found == ["03001627/1a6f615e8b1b5ae4dbbc9440457e303e", "03001627/u1e22cc04-7c4d"]
    files, digest = fetch(source, found[0], scratch)
    assert sorted(files) == ["mesh.mtl", "mesh.obj", "t0.png"]
    assert b"map_Kd t0.png" in files["mesh.mtl"]
    assert re.fullmatch("[0-9a-f]{64}", digest)


def test_a_relative_path_means_the_place_where_it_was_given(
    shapenet: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shapenet.parent)
    source = open_source(Path(shapenet.name))
    monkeypatch.chdir(scratch)
    assert len(names(source)) == 2
    fetch(source, names(source)[0], scratch)


def test_any_folder(tmp_path: Path, scratch: Path) -> None:
    for suffix, data in {
        "obj": PLAIN,
        "STL": stl(),
        "ply": ply(),
        "off": OFF,
        "glb": glb(),
    }.items():
        put(tmp_path / "m", f"my chair/a.{suffix.lower()} one.{suffix}", data)
    put(tmp_path / "m", "my chair/in a folder/x.gltf", gltf())
    put(tmp_path / "m", "Möbel/models/models/y.obj", PLAIN)
    for ignored in (".hidden.obj", "notes.txt", "a.mtl", "textures/t.png", ".git/x.obj"):
        put(tmp_path / "m", f"my chair/{ignored}", b"x")
    (tmp_path / "m" / ".cache").mkdir()
    put(tmp_path / "m", "readme.md", b"x")
    source = open_source(tmp_path / "m")
    assert source.list_classes() == ["Möbel", "my chair"]
    assert [ref.object_id for ref in source.list_objects("my chair")] == [
        "a.glb one", "a.obj one", "a.off one", "a.ply one", "a.stl one", "in a folder",
    ]  # fmt: skip
    for ref in source.list_objects("my chair") + source.list_objects("Möbel"):
        fetched = source.fetch(ref, scratch, missing_texture="grey")
        kind = ObjFile if ref.name in ("my chair/a.obj one", "Möbel/models") else TriangleMesh
        assert isinstance(fetched.mesh, kind)


def test_listing_opens_no_mesh(tmp_path: Path) -> None:
    (tmp_path / "m/c").mkdir(parents=True)
    os.mkfifo(tmp_path / "m/c/a.obj")  # opening it would wait for ever
    assert names(open_source(tmp_path / "m")) == ["c/a"]


# --- zip ----------------------------------------------------------------------------------------


def zipped(root: Path, target: Path, *, prefix: str, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, prefix + path.relative_to(root).as_posix())
    return target


@pytest.mark.parametrize("prefix", ["03001627/", "", "ShapeNetCore.v2/03001627/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_give_what_the_folder_gives(
    shapenet: Path, scratch: Path, tmp_path: Path, prefix: str, method: int
) -> None:
    (tmp_path / "zips").mkdir()
    archive = zipped(
        shapenet / "03001627", tmp_path / "zips/03001627.zip", prefix=prefix, method=method
    )
    folder = open_source(shapenet)
    for source in (open_source(archive.parent), open_source(archive)):
        assert source.kind == "zips"
        assert names(source) == names(folder)
        for name in names(source):
            assert fetch(source, name, scratch) == fetch(folder, name, scratch)


def test_flat_archives(tmp_path: Path, scratch: Path) -> None:
    put(tmp_path / "m", "things/a.obj", b"mtllib a.mtl\n" + PLAIN)
    put(tmp_path / "m", "things/a.mtl", b"newmtl x\n")
    put(tmp_path / "m", "things/b.glb", glb())
    archive = zipped(tmp_path / "m/things", tmp_path / "things.zip", prefix="")
    folder, packed = open_source(tmp_path / "m"), open_source(archive)
    assert names(packed) == names(folder) == ["things/a", "things/b"]
    assert fetch(packed, "things/a", scratch) == fetch(folder, "things/a", scratch)


def test_sources_survive_pickling_and_keep_one_handle(
    shapenet: Path, scratch: Path, tmp_path: Path
) -> None:
    archive = zipped(shapenet / "03001627", tmp_path / "03001627.zip", prefix="03001627/")
    before = None
    for source in (open_source(shapenet), open_source(archive), open_source(None)):
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert names(copy) == names(source)
    source = open_source(archive)
    for _ in range(20):
        fetch(pickle.loads(pickle.dumps(source)), names(source)[0], scratch)
        opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        assert before in (None, opened)
        before = opened


def test_an_archive_that_changes_is_read_again(tmp_path: Path, scratch: Path) -> None:
    put(tmp_path / "m", "a.obj", PLAIN)
    archive = zipped(tmp_path / "m", tmp_path / "c.zip", prefix="")
    source = open_source(archive)
    _, first = fetch(source, "c/a", scratch)
    put(tmp_path / "m", "a.obj", PLAIN * 2)
    zipped(tmp_path / "m", archive, prefix="")
    assert fetch(source, "c/a", scratch)[1] != first


def test_names_in_an_archive_that_lead_elsewhere_do_not_exist(
    tmp_path: Path, scratch: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for name in (
            "../a/x.obj",
            "/b/x.obj",
            "d/../../x.obj",
            "e/./x.obj",
            "c/f/x.obj",
            "__MACOSX/g",
        ):
            archive.writestr(name, PLAIN)
    source = open_source(tmp_path / "c.zip")
    assert names(source) == ["c/f"]
    fetch(source, "c/f", scratch)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.zip", "scratch"]


def flip(data: bytes, find: bytes, offset: int, value: bytes) -> bytes:
    at = data.find(find) + offset
    return data[:at] + value + data[at + len(value) :]


CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
BROKEN_MEMBERS = {
    "a wrong checksum": lambda d: flip(d, CENTRAL, 16, b"\1\2\3\4"),
    "encrypted": lambda d: flip(flip(d, CENTRAL, 8, b"\1\0"), LOCAL, 6, b"\1\0"),
    "an unknown method": lambda d: flip(d, CENTRAL, 10, b"\x0c\0"),
    "claims fewer bytes": lambda d: flip(d, CENTRAL, 24, struct.pack("<I", 5)),
    "claims more bytes": lambda d: flip(d, CENTRAL, 24, struct.pack("<I", 10**6)),
    "claims 3 GB": lambda d: flip(d, CENTRAL, 24, struct.pack("<I", 3 * 10**9)),
    "a damaged stream": lambda d: flip(d, LOCAL, 40, b"\xff" * 8),
    "a link": lambda d: flip(d, CENTRAL, 38, struct.pack("<I", 0o120777 << 16)),
    "a member that starts elsewhere": lambda d: flip(d, CENTRAL, 42, struct.pack("<I", 7)),
}


@pytest.mark.parametrize("case", BROKEN_MEMBERS)
def test_broken_members_cost_their_object(case: str, tmp_path: Path, scratch: Path) -> None:
    put(tmp_path / "m", "a.obj", PLAIN * 50)
    path = zipped(tmp_path / "m", tmp_path / "c.zip", prefix="")
    path.write_bytes(BROKEN_MEMBERS[case](path.read_bytes()))
    with pytest.raises(AssetError, match=r"c\.zip:a\.obj"):
        fetch(open_source(path), "c/a", scratch)


def test_a_bomb_is_stopped_by_its_size(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = SQUARE + b"#" * 100 + b"\n"
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/t.png", b"\0" * 135_000_000)
        archive.writestr("a/a.obj", b"mtllib a.mtl\n" + big + b"usemtl a\nf 1 2 3\n")
        archive.writestr("a/a.mtl", b"newmtl a\nmap_Kd t.png\n")
    start = time.monotonic()
    with pytest.raises(AssetError, match="larger than 128 MiB"):
        fetch(open_source(tmp_path / "c.zip"), "c/a", scratch)
    assert time.monotonic() - start < 1


def test_a_member_twice_is_refused(tmp_path: Path, scratch: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("a/a.obj", PLAIN)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/a.obj", PLAIN)
    with pytest.raises(AssetError, match="twice"):
        fetch(open_source(tmp_path / "c.zip"), "c/a", scratch)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "central"])
def test_broken_archives_are_named(damage: str, tmp_path: Path) -> None:
    put(tmp_path / "m", "a.obj", PLAIN)
    path = zipped(tmp_path / "m", tmp_path / "03001627.zip", prefix="")
    data = path.read_bytes()
    damaged = {"cut": data[:-30], "empty": b"", "text": b"<html>404</html>",
               "central": data.replace(CENTRAL, b"PKxx")}  # fmt: skip
    path.write_bytes(damaged[damage])
    with pytest.raises(ConfigError, match=r"03001627\.zip.*download it again"):
        names(open_source(path))


def test_a_broken_archive_stops_its_own_class_only(tmp_path: Path, scratch: Path) -> None:
    put(tmp_path / "in", "a.obj", PLAIN)
    (tmp_path / "m").mkdir()
    zipped(tmp_path / "in", tmp_path / "m" / "chair.zip", prefix="")
    put(tmp_path / "m", "sofa.zip", b"<html>404</html>")
    source = open_source(tmp_path / "m")
    assert source.list_classes() == ["chair", "sofa"]
    assert [ref.name for ref in source.list_objects("chair")] == ["chair/a"]
    fetch(source, "chair/a", scratch)
    with pytest.raises(ConfigError, match=r"sofa\.zip is no usable zip archive.*download it again"):
        source.list_objects("sofa")


@pytest.mark.parametrize("mark", ["dataset.json", ".render/state"])
def test_a_data_set_is_no_class_and_no_object(mark: str, tmp_path: Path) -> None:
    put(tmp_path / "m", "c/a.obj", PLAIN)
    for place in ("data", "c/data"):
        put(tmp_path / "m", f"{place}/{mark}", b"{}")
        put(tmp_path / "m", f"{place}/x.obj", PLAIN)
    assert names(open_source(tmp_path / "m")) == ["c/a"]
    put(tmp_path / "z", f"data/{mark}", b"{}")
    zipped(tmp_path / "m" / "c", tmp_path / "z" / "c.zip", prefix="")
    assert open_source(tmp_path / "z").list_classes() == ["c"]


# --- paths --------------------------------------------------------------------------------------


def linked(tmp_path: Path, target: str, *, name: str = "t.png") -> MeshSource:
    """One object whose texture (or other file) is a link to `target`."""
    mtl = b"newmtl a\nmap_Kd t.png\n"
    put(tmp_path / "m", "c/o/models/a.obj", b"mtllib a.mtl\n" + SQUARE + b"usemtl a\nf 1 2 3\n")
    put(tmp_path / "m", "c/o/models/a.mtl", mtl)
    put(tmp_path / "m", "c/o/models/real.png", image())
    put(tmp_path / "m", "c/o/images/real.png", image())
    put(tmp_path / "m", "c/other/real.png", image())
    put(tmp_path, "outside.png", image())
    place = tmp_path / "m/c/o/models" / name
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    return open_source(tmp_path / "m")


@pytest.mark.parametrize("target", ["real.png", "../images/real.png"])
def test_links_inside_an_object_are_followed(target: str, tmp_path: Path, scratch: Path) -> None:
    files, _ = fetch(linked(tmp_path, target), "c/o", scratch)
    assert "t0.png" in files


@pytest.mark.parametrize(
    "target", ["../../../../outside.png", "../../other/real.png", "/etc/passwd"]
)
def test_links_out_of_an_object_are_refused(target: str, tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(AssetError, match=r"c/o/models/t\.png is a link that leads out"):
        fetch(linked(tmp_path, target), "c/o", scratch)


@pytest.mark.parametrize("name", ["a.mtl", "a.obj"])
def test_linked_libraries_and_meshes_stay_in_the_source(
    name: str, tmp_path: Path, scratch: Path
) -> None:
    put(tmp_path, "outside.obj", PLAIN)
    with pytest.raises(AssetError, match="leads out"):
        fetch(linked(tmp_path, "../../../../outside.obj", name=name), "c/o", scratch)


def test_a_mesh_may_be_a_link_within_the_source(tmp_path: Path, scratch: Path) -> None:
    put(tmp_path / "m", "pool/x.obj", PLAIN)
    (tmp_path / "m" / "c").mkdir()
    (tmp_path / "m" / "c" / "a.obj").symlink_to("../pool/x.obj")
    fetch(open_source(tmp_path / "m"), "c/a", scratch)


def test_a_loop_of_links_is_an_error(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(AssetError, match=r"t\.png"):
        fetch(linked(tmp_path, "t.png"), "c/o", scratch)


@pytest.mark.parametrize("place", ["a.obj", "a.mtl", "t.png"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_refused_and_nothing_hangs(
    place: str, kind: str, tmp_path: Path, scratch: Path
) -> None:
    source = linked(tmp_path, "real.png")
    path = tmp_path / "m/c/o/models" / place
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, 0o140600)
    start = time.monotonic()
    with pytest.raises(AssetError, match=f"c/o/models/{place} is no regular file"):
        fetch(source, "c/o", scratch)
    assert time.monotonic() - start < 1


def test_a_device_is_refused(tmp_path: Path, scratch: Path) -> None:
    source = linked(tmp_path, "/dev/zero")
    with pytest.raises(AssetError, match="leads out"):
        fetch(source, "c/o", scratch)


def test_a_file_that_may_not_be_read(tmp_path: Path, scratch: Path) -> None:
    source = linked(tmp_path, "real.png")
    path = tmp_path / "m/c/o/models/a.mtl"
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(AssetError, match=r"a\.mtl cannot be opened: Permission denied"):
        fetch(source, "c/o", scratch)


# --- wrong objects ------------------------------------------------------------------------------

WRONG_OBJECTS = {
    "two suffixes": ({"c/a.obj": PLAIN, "c/a.stl": stl()}, r"two mesh files.*a\.obj and a\.stl"),
    "file and folder": (
        {"c/a.obj": PLAIN, "c/a/x.ply": ply()},
        r"two mesh files.*a\.obj and a/x\.p",
    ),
    "two in a folder": ({"c/a/x.obj": PLAIN, "c/a/y.obj": PLAIN}, r"two mesh files.*x\.obj"),
    "none in a folder": ({"c/a/x.txt": b""}, "no mesh found"),
    "a ShapeNet model without OBJ": (
        {"c/a/images/t.png": b"", "c/a/models/x.json": b""},
        "no mesh",
    ),
    "a .blend file": ({"c/a.blend": b"BLENDER"}, "can hold programs"),
    "a .blend file in a folder": ({"c/a/a.blend": b"BLENDER"}, "can hold programs"),
    "an empty file": ({"c/a.obj": b""}, "0 vertices"),
    "an empty glb": ({"c/a.glb": b""}, "glTF"),
}


@pytest.mark.parametrize("case", WRONG_OBJECTS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_object_is_listed_and_costs_itself_only(
    case: str, packed: bool, tmp_path: Path, scratch: Path
) -> None:
    files, message = WRONG_OBJECTS[case]
    for name, data in files.items():
        put(tmp_path / "m", name, data)
    put(tmp_path / "m", "c/good.obj", PLAIN)
    zipped(tmp_path / "m/c", tmp_path / "c.zip", prefix="")
    source = open_source(tmp_path / ("c.zip" if packed else "m"))
    assert names(source) == ["c/a", "c/good"]
    with pytest.raises(AssetError, match=message):
        fetch(source, "c/a", scratch)
    fetch(source, "c/good", scratch)


def test_the_shapenet_mesh_wins_over_files_beside_it(shapenet: Path, scratch: Path) -> None:
    name = "03001627/u1e22cc04-7c4d"
    _, before = fetch(open_source(shapenet), name, scratch)
    put(shapenet, f"{name}/models/watertight.off", OFF)
    assert fetch(open_source(shapenet), name, scratch)[1] == before


@pytest.mark.parametrize("object_id", ["..", ".", "", "a/../../x", "nope", "a\0b"])
def test_objects_that_are_not_there(object_id: str, shapenet: Path, scratch: Path) -> None:
    ref = ObjectRef(class_id="03001627", object_id=object_id)
    with pytest.raises(AssetError):
        open_source(shapenet).fetch(ref, scratch, missing_texture="grey")


def test_the_hash_is_of_names_and_contents(shapenet: Path, tmp_path: Path, scratch: Path) -> None:
    one, two = names(open_source(shapenet))
    assert (
        fetch(open_source(shapenet), one, scratch)[1]
        == fetch(open_source(shapenet), two, scratch)[1]
    ), "the same files give the same hash, whatever the object is called"
    digests = {fetch(open_source(shapenet), one, scratch)[1]}
    for name in ("models/model_normalized.obj", "models/model_normalized.mtl", "images/t.png"):
        path = shapenet / one / name
        path.write_bytes(image(size=(5, 5)) if name.endswith("png") else path.read_bytes() + b"\n")
        digests.add(fetch(open_source(shapenet), one, scratch)[1])
    os.utime(path, (0, 0))
    shutil.copy(path, path.with_name("unused.png"))
    digests.add(fetch(open_source(shapenet), one, scratch)[1])
    assert len(digests) == 4


# --- wrong sources ------------------------------------------------------------------------------


def make(tmp_path: Path, *files: str) -> Path:
    root = tmp_path / "m"
    root.mkdir()
    for name in files:
        put(root, name, PLAIN)
    return root


WRONG_SOURCES: dict[str, tuple[list[str], str]] = {
    "empty": ([], "holds no subfolders; expected one subfolder per class"),
    "only files": (["readme.txt"], "holds no subfolders"),
    "only hidden folders": ([".git/a.obj"], "holds no subfolders"),
    "meshes without a class": (["a.obj"], r"mesh files directly \(a\.obj\)"),
    "the folder of one class": (
        ["a/models/x.obj", "b/models/x.obj"], "looks like the folder of one class",
    ),
    "archives and folders": (["a.zip", "a/b.obj"], "both zip archives"),
    "a name with a line end": (["a\nb/c.obj"], "rename it"),
    "a name in no encoding": ([os.fsdecode(b"a\xff/c.obj")], "rename it"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_SOURCES)
def test_a_wrong_source_is_a_config_error(case: str, tmp_path: Path) -> None:
    files, message = WRONG_SOURCES[case]
    with pytest.raises(ConfigError, match=message) as info:
        open_source(make(tmp_path, *files))
    assert info.value.exit_code == 2


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist.*built-in"):
        open_source(tmp_path / "nope")
    with pytest.raises(ConfigError, match="is a file"):
        open_source(put(tmp_path, "a.obj", PLAIN))


@pytest.mark.parametrize("class_id", ["nope", "..", ".", "", "c/../c"])
def test_classes_that_are_not_there(class_id: str, tmp_path: Path) -> None:
    root = make(tmp_path, "c/a.obj")
    for source in (open_source(root), open_source(None)):
        with pytest.raises(ConfigError):
            source.list_objects(class_id)


# --- built-in shapes ----------------------------------------------------------------------------


def test_builtin_shapes(scratch: Path) -> None:
    source = open_source(None, objects_per_class=3)
    assert source.kind == "builtin"
    assert source.list_classes() == sorted(source.list_classes())
    assert set(source.list_classes()) <= {c.synset for c in CLASSES}
    refs = source.list_objects("03001627")
    assert [ref.name for ref in refs] == [f"03001627/chair-000{i}" for i in range(3)]
    one, again, other = (
        source.fetch(ref, scratch, missing_texture="fail") for ref in (refs[0], refs[0], refs[1])
    )
    assert one.source_sha256 == again.source_sha256 != other.source_sha256
    assert isinstance(one.mesh, TriangleMesh)
    assert np.isfinite(one.mesh.vertices_V3).all()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("object_id", ["chair", "chair-x", "table-0000", "chair-²", "-0000"])
def test_builtin_objects_that_are_not_there(object_id: str, scratch: Path) -> None:
    ref = ObjectRef(class_id="03001627", object_id=object_id)
    with pytest.raises(AssetError, match="expected an id like chair-0000"):
        BuiltinSource().fetch(ref, scratch, missing_texture="grey")


def test_builtin_needs_an_object() -> None:
    with pytest.raises(ConfigError, match="objects_per_class"):
        open_source(None, objects_per_class=0)


# --- real meshes --------------------------------------------------------------------------------


@pytest.mark.shared
def test_all_real_meshes_pass(shared_dir: Path, scratch: Path) -> None:
    source = open_source(shared_dir / "meshes")
    found = names(source)
    assert len(found) == 9
    for name in found:
        files, _ = fetch(source, name, scratch)
        original = next((shared_dir / "meshes" / name / "models").glob("*.obj")).read_bytes()
        for keyword in (b"v ", b"vt ", b"vn ", b"f "):
            kept = [line for line in files["mesh.obj"].splitlines() if line.startswith(keyword)]
            assert kept == [x for x in original.splitlines() if x.startswith(keyword)]
