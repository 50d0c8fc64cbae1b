"""Claims proved here, on splits.

- hash: a pure function of class and object, so that added objects move nobody; about 80/20 in every
  class; of each five numbered objects exactly one is val. The values are pinned.
- leak-free: an id has one side in all classes.
- official: exactly the published 41,920 + 10,552.
- Lists are read from strings only: a pickle, another type or shape, a bad line are refused by name.
"""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threedie.errors import ConfigError
from threedie.manifests.classes import CLASSES
from threedie.manifests.splits import SPLITS, read_object_list, split_rule

PINNED = ("vtttttvttttvttttvttt", "vvttttttvvtttvttvtvvtvtttttttt")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def hexes(n: int) -> list[str]:
    """Object ids as ShapeNet's: no numbers to deal by."""
    rng = np.random.Generator(np.random.PCG64(5))
    return [rng.bytes(16).hex() for _ in range(n)]


def test_the_hash_split_is_pinned() -> None:
    """A change here moves objects between train and val in every data set that grows."""
    rule = split_rule("hash")
    numbered = "".join(rule("chair", f"chair-{i:04d}")[0] for i in range(20))
    plain = "".join(rule("04379243", object_id)[0] for object_id in hexes(30))
    assert (numbered, plain) == PINNED


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=20, unique=True), st.data())
def test_added_objects_move_nobody(objects: list[tuple[str, str]], data: st.DataObject) -> None:
    added = data.draw(st.lists(st.tuples(NAMES, NAMES), max_size=20))
    for name in ("hash", "leak-free"):
        before = {o: split_rule(name)(*o) for o in objects}
        rule = split_rule(name)
        mixed = data.draw(st.permutations([*objects, *added]))
        after = {o: rule(*o) for o in mixed}
        assert before == {o: after[o] for o in objects}
        assert set(after.values()) <= {"train", "val"}


@pytest.mark.parametrize("name", ["hash", "leak-free"])
def test_about_one_in_five_of_every_class_is_val(name: str) -> None:
    rule, ids = split_rule(name), hexes(2000)
    for known in CLASSES[::6]:
        n_val = sum(rule(known.synset, object_id) == "val" for object_id in ids)
        assert abs(n_val - 400) < 5 * np.sqrt(2000 * 0.2 * 0.8)  # five standard deviations


@given(
    st.sampled_from(["chair", "03001627", "zebra"]),
    st.sampled_from(["chair-", "a_", "x-y-", "-"]),
    st.integers(0, 1000),
    st.sampled_from(["d", "03d", "06d"]),
)
def test_one_of_each_five_numbered_objects_is_val(
    class_id: str, stem: str, block: int, form: str
) -> None:
    rule = split_rule("hash")
    sides = [rule(class_id, f"{stem}{5 * block + i:{form}}") for i in range(5)]
    assert Counter(sides) == {"train": 4, "val": 1}


def test_the_place_in_a_block_is_even() -> None:
    rule = split_rule("hash")
    places = Counter(i % 5 for i in range(5000) if rule("chair", f"chair-{i}") == "val")
    assert sum(places.values()) == 1000
    assert all(abs(n - 200) < 5 * np.sqrt(1000 * 0.2 * 0.8) for n in places.values())


@pytest.mark.parametrize("name", ["hash", "leak-free"])
def test_both_names_of_a_class_are_one(name: str) -> None:
    rule = split_rule(name)
    for object_id in (*hexes(50), "mug-0003"):
        assert rule("mug", object_id) == rule("03797390", object_id)


def test_an_id_in_many_classes_has_one_side() -> None:
    leak_free, hashed = split_rule("leak-free"), split_rule("hash")
    ids = hexes(100)
    assert all(len({leak_free(c.synset, i) for c in CLASSES}) == 1 for i in ids)
    assert any(len({hashed(c.synset, i) for c in CLASSES}) == 2 for i in ids)


@pytest.mark.shared
def test_official_is_the_published_split(shared_dir: Path) -> None:
    official = shared_dir / "official"
    rule = split_rule("official", val_list=official / "val_images.npy")
    missing = {
        tuple(line.split("/"))
        for line in (shared_dir / "facts" / "missing_19.txt").read_text().split()
    }
    listed = read_object_list(official / "all_objects.npy")
    assert len(listed) == 52_491
    sides = {o: rule(*o) for o in listed if o not in missing}
    assert Counter(sides.values()) == {"train": 41_920, "val": 10_552}
    label = {c.synset: c.label for c in CLASSES}
    for side in ("train", "val"):
        found = Counter(label[c] for (c, _), s in sides.items() if s == side)
        expected = Counter(np.load(official / f"{side}_labels.npy").tolist())
        assert found == expected


@pytest.mark.shared
def test_leak_free_mends_the_ids_that_are_on_both_sides(shared_dir: Path) -> None:
    official = shared_dir / "official"
    listed = read_object_list(official / "all_objects.npy")

    def torn(name: str) -> int:
        val_list = official / "val_images.npy" if name == "official" else None
        rule = split_rule(name, val_list=val_list)
        sides: dict[str, set[str]] = {}
        for class_id, object_id in listed:
            sides.setdefault(object_id, set()).add(rule(class_id, object_id))
        return sum(len(s) > 1 for s in sides.values())

    assert torn("official") >= 423
    assert torn("leak-free") == 0


def test_official_needs_its_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--val-list"):
        split_rule("official")
    with pytest.raises(ConfigError, match=r"gone\.npy"):
        split_rule("official", val_list=tmp_path / "gone.npy")


@pytest.mark.parametrize("name", ["hash", "leak-free"])
def test_a_val_list_that_would_not_be_used_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--val-list .* --split is {name}.*--split official"):
        split_rule(name, val_list=tmp_path / "val.npy")


def test_an_unknown_split_is_answered() -> None:
    with pytest.raises(ConfigError, match="hash, official, leak-free"):
        split_rule("random")
    assert SPLITS == ("hash", "official", "leak-free")


def test_what_is_not_in_the_list_is_train(tmp_path: Path) -> None:
    path = tmp_path / "val.txt"
    path.write_text("chair/a\n")
    rule = split_rule("official", val_list=path)
    assert (rule("03001627", "a"), rule("chair", "b"), rule("mug", "a")) == (
        "val",
        "train",
        "train",
    )


CHAIR, OTHER = ("03001627", "a"), ("zebra", "b c")


def test_lists_are_read_in_all_their_forms(tmp_path: Path) -> None:
    path = tmp_path / "list"
    np.save(tmp_path / "pairs.npy", np.array([["chair", "a"], ["zebra", "b c"]]))
    np.save(tmp_path / "paths.npy", np.array(["/03001627/a/", "/zebra/b c/"]))
    path.write_text("# comment\n\nchair/a  # the first\n/zebra/b c/\n", encoding="utf-8")
    for name in ("pairs.npy", "paths.npy", "list"):
        assert read_object_list(tmp_path / name) == [CHAIR, OTHER]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfchair/a\nzebra/b c\n")
    assert read_object_list(tmp_path / "x") == [CHAIR, OTHER]


def crafted(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<U9', 'fortran_order': False, 'shape': (1000000000000000, 2), }",
        "{'descr': '<U9', 'fortran_order': False, 'shape': (99999999999999999999, 2), }",
        "{'descr': '<U9', 'fortran_order': False, 'shape': (-1, 2), }",
        "{'descr': '<U9', 'fortran_order': False, 'shape': (1, ",
        "{'descr': ",
        '"""',
        "(" * 5000,
        "{[]: 1}",
        "{'descr': [1], 'fortran_order': False, 'shape': (1, 2), }",
    ],
)
def test_crafted_arrays_are_config_errors(tmp_path: Path, header: str) -> None:
    (tmp_path / "x.npy").write_bytes(crafted(header))
    with pytest.raises(ConfigError, match=r"x\.npy is not a plain array.*save the list again"):
        read_object_list(tmp_path / "x.npy")


class Bomb:
    """Divides by zero when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[int, int]]:
        return divmod, (1, 0)


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path) -> None:
    pickled = tmp_path / "objects.npy"
    np.save(pickled, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match=r"objects\.npy is not a plain array"):
        read_object_list(pickled)
    bare = tmp_path / "bare.npy"
    bare.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ConfigError, match=r"bare\.npy"):
        read_object_list(bare)


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 2)), np.array([["a", "b", "c"]]), np.array(b"x"), np.array([b"/a/b/"])],
    ids=["numbers", "three columns", "scalar", "bytes"],
)
def test_other_arrays_are_refused(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ConfigError, match=r"x\.npy holds .* were expected"):
        read_object_list(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"chair/a\nchair\n", "entry 2: 'chair'"),
        (b"chair/a/b\n", "entry 1"),
        (b"chair/\n", "entry 1"),
        (b"\xff\xfe", "neither a .npy file nor UTF-8"),
        (b"\x93NUMPY\x01\x00", "not a plain array"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / "x").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        read_object_list(tmp_path / "x")
    assert told in str(caught.value)


def test_an_endless_list_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(257 * 2**20)
    with pytest.raises(ConfigError, match="too many for a list"):
        read_object_list(tmp_path / "x")
