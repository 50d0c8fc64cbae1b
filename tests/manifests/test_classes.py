"""Claims proved here, on the 55 classes.

- Ids, names, labels and counts are those of the published data set, and the totals fit.
- A class is found by its name or its id; a typo is answered with the nearest name.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from threedie.errors import ConfigError
from threedie.manifests.classes import CLASSES, ShapeClass, choose_classes, class_name, find_class


def test_there_are_55_in_the_order_of_their_ids() -> None:
    assert len(CLASSES) == 55
    assert [c.label for c in CLASSES] == list(range(55))
    assert [c.synset for c in CLASSES] == sorted({c.synset for c in CLASSES})
    assert len({c.name for c in CLASSES}) == 55
    for known in CLASSES:
        assert len(known.synset) == 8
        assert known.synset.isdigit()
        assert known.name == known.name.lower().strip()


def test_counts_add_up() -> None:
    assert sum(c.n_listed for c in CLASSES) == 52_491
    assert sum(c.n_rendered for c in CLASSES) == 52_472
    assert sum(c.n_train for c in CLASSES) == 41_920
    assert sum(c.n_val for c in CLASSES) == 10_552
    for known in CLASSES:
        assert known.n_train + known.n_val == known.n_rendered <= known.n_listed


@pytest.mark.parametrize(
    ("label", "synset", "name"),
    [
        (0, "02691156", "airplane"),
        (18, "03001627", "chair"),
        (54, "04554684", "washer"),
    ],
)
def test_some_of_them(label: int, synset: str, name: str) -> None:
    known = CLASSES[label]
    assert (known.label, known.synset, known.name) == (label, synset, name)


@pytest.mark.shared
def test_counts_are_those_of_the_published_lists(shared_dir: Path) -> None:
    listed = np.load(shared_dir / "official" / "all_objects.npy")
    found = Counter(listed[:, 0].tolist())
    assert found == {c.synset: c.n_listed for c in CLASSES}
    for name, field in (("train", "n_train"), ("val", "n_val")):
        labels = np.load(shared_dir / "official" / f"{name}_labels.npy")
        assert np.bincount(labels, minlength=55).tolist() == [getattr(c, field) for c in CLASSES]


@pytest.mark.shared
def test_the_table_is_the_one_we_were_given(shared_dir: Path) -> None:
    with (shared_dir / "facts" / "shapenet55.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["label"]), r["synset"], r["name"]) for r in rows] == [
        (c.label, c.synset, c.name) for c in CLASSES
    ]


@pytest.mark.parametrize("known", CLASSES, ids=lambda c: c.name)
def test_names_and_ids_are_both_accepted(known: ShapeClass) -> None:
    assert find_class(known.name) is find_class(known.synset) is known
    assert find_class(f" {known.name.upper()} ") is known
    assert class_name(known.synset) == known.name


@pytest.mark.parametrize("name", ["", "zebra", "0300162", "chai", "chairs"])
def test_other_names_are_other_peoples_classes(name: str) -> None:
    assert find_class(name) is None
    assert class_name(name) == name


AVAILABLE = ["03001627", "mug", "zebra", "Table"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("all", AVAILABLE),
        (" ALL ", AVAILABLE),
        ("chair", ["03001627"]),
        ("03001627", ["03001627"]),
        ("mug,chair", ["03001627", "mug"]),
        ("03797390", ["mug"]),
        (" zebra , chair,chair", ["03001627", "zebra"]),
        ("Chair", ["03001627"]),
        ("Table", ["Table"]),
        ("table", ["Table"]),
        ("04379243", ["Table"]),
    ],
)
def test_choosing(wanted: str, chosen: list[str]) -> None:
    assert choose_classes(wanted, AVAILABLE) == chosen


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("chiar", "unknown class 'chiar'. Did you mean 'chair'"),
        ("airplan", "Did you mean 'airplane'"),
        ("zebr", "Did you mean 'zebra'"),
        ("qqqqqq", "`3die list classes`"),
        ("airplane", "'airplane' (02691156) is not in this mesh source"),
        ("", "--classes is empty"),
        (" , ", "--classes is empty"),
        ("chair,nochair", "unknown class 'nochair'"),
    ],
)
def test_what_is_not_there_is_answered(wanted: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_classes(wanted, AVAILABLE)
    assert told in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_class_that_is_far_off_is_proposed() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_classes("qqqqqq", AVAILABLE)
    assert "Did you mean" not in str(caught.value)


def test_a_long_list_of_classes_is_cut() -> None:
    available = [c.synset for c in CLASSES if c.name != "mug"]
    with pytest.raises(ConfigError, match=r"… \(54 in all\)"):
        choose_classes("mug", available)
