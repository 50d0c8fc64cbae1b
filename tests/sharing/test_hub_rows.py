"""What `3die check --hub` says against what the real `datasets` library does.

Claims: for every way in which the hub's builder is known to lose data or to fail, the check says
so, and its verdict (rows and columns, or that nothing would load) is what `load_dataset` does with
the same tar; where nothing is wrong it finds nothing.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.builders import encode, picture
from tests.sharing.hub import load, write_tar
from threedie.data.escape import yaml
from threedie.sharing.check.check import check_shards

Members = list[tuple[str, bytes]]
PICTURE = encode(picture(1, 1, 8), "jpg")
RECORD = {"label": 1, "name": "x"}


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def sample(key: str, record: Any = RECORD, views: int = 2) -> Members:
    pictures = [(f"{key}.{view:03d}.jpg", PICTURE) for view in range(views)]
    latents = (f"{key}.latents.npy", npy(np.ones((2, 7))))
    return [*pictures, latents, (f"{key}.json", json.dumps(record).encode())]


def samples(changed: dict[int, Any], count: int = 8, key: str = "k{}") -> Members:
    """Samples 0 to 7, some with another record."""
    return [m for i in range(count) for m in sample(key.format(i), changed.get(i, RECORD))]


def without(members: Members, name: str) -> Members:
    return [m for m in members if m[0] != name]


def replaced(members: Members, name: str, content: bytes) -> Members:
    return [(n, content if n == name else c) for n, c in members]


def renamed(members: Members, name: Callable[[str], str]) -> Members:
    return [(name(n), c) for n, c in members]


WHOLE = samples({})
MORE, LESS = {**RECORD, "seed": 5}, {"label": 1}
NULL, SEED = {**RECORD, "seed": None}, {**RECORD, "seed": 5}
EMPTY, NOTES = {**RECORD, "notes": []}, {**RECORD, "notes": ["x"]}
SILENT: dict[str, tuple[Members, str]] = {
    "a dot in every key": (samples({}, key="a.{}"), "a dot in the key"),
    "a number with a dot": (samples({}, key="0.{}"), "a dot in the key"),
    "a json field only later": (samples({6: MORE}), "'json/seed' is not in the first sample"),
    "a json field missing later": (samples({6: LESS}), "'json/name' is missing"),
    "a json field missing early": (samples({1: LESS}), "'json/name' is missing"),
    "a null later": (samples({6: {**RECORD, "label": None}}), "'json/label' is null"),
    "a float later": (
        samples({6: {**RECORD, "label": 1.5}}),
        "'json/label' is float, first it was",
    ),
    "a member missing later": (without(WHOLE, "k6.001.jpg"), "'001.jpg' is missing"),
    "a member only later": ([*WHOLE, ("k7.txt", b"x")], "'txt' is not in the first sample"),
    "interleaved": (
        [*WHOLE, *(m for pair in zip(sample("a"), sample("b"), strict=True) for m in pair)],
        "members of one key stand apart",
    ),
    "twice": ([*WHOLE, *sample("k0")], "members of one key stand apart"),
    "a name without a dot": ([*WHOLE, ("README", b"x")], "a member with no dot"),
    "a hidden name": ([*WHOLE, (".k9.json", b"{}")], "a hidden name"),
    "upper case": (renamed(WHOLE, lambda n: n.replace(".jpg", ".JPG")), "upper case"),
    "no picture": (replaced(WHOLE, "k3.000.jpg", b"GIF89a"), "is no JPG picture"),
    "NaN": (replaced(WHOLE, "k6.json", b'{"label": 1, "name": NaN}'), "NaN is not allowed"),
    "an npy with more": (replaced(WHOLE, "k6.latents.npy", npy(np.ones((2, 7))) + b"x"), "has 113"),
    "an npy of another shape": (
        replaced(WHOLE, "k6.latents.npy", npy(np.ones((3, 7)))),
        r"shape \(3, 7\), first it was",
    ),
}
FAILING: dict[str, tuple[Members, str]] = {
    "a null first": (
        samples({**dict.fromkeys(range(6), NULL), 6: SEED, 7: SEED}),
        "'json/seed' is int, first it was null: loading fails",
    ),
    "empty lists first": (
        samples({**dict.fromkeys(range(6), EMPTY), 6: NOTES, 7: NOTES}),
        "first it was an empty list: loading fails",
    ),
    "a text later": (samples({6: {**RECORD, "label": "q"}}), "is text, first it was int"),
    "a float early": (samples({1: {**RECORD, "label": 1.5}}), "is float, first it was int"),
    "a member missing early": (without(WHOLE, "k1.001.jpg"), "'001.jpg' is missing: loading fails"),
    "a folder per object": (
        renamed(WHOLE, lambda n: n.replace(".", "/", 1)),
        "loading fails",
    ),
    "a member twice": ([*sample("a"), ("a.json", b"{}")], "a member stands twice"),
    "a pickled npy": (
        replaced(WHOLE, "k6.latents.npy", npy(np.array([{}], dtype=object))),
        "is a pickled array",
    ),
    "an npy cut off": (replaced(WHOLE, "k6.latents.npy", npy(np.ones(9))[:-8]), "has 64 bytes"),
    "an npy that is none": (replaced(WHOLE, "k6.latents.npy", b"\x93NUMPY\x01"), "no plain .npy"),
    "json that is none": (replaced(WHOLE, "k6.json", b"{"), "is not strict JSON"),
    "a number that is none": (
        [*sample("a"), ("a.cls", b"cat")],
        "does not hold what its name says",
    ),
    "nothing at all": ([], "no sample at all"),
}


def outcome(folder: Path, cache: Path) -> str:
    """What the real library makes of it, in the words of the verdict."""
    try:
        loaded = load(folder, cache, split="train")
    except Exception:
        return "hub: would not load"
    rows, columns = loaded.num_rows, len(loaded.column_names)
    return f"hub: would load {rows} row{'s'[: rows != 1]}, {columns} columns"


@pytest.mark.parametrize("case", SILENT)
def test_a_silent_loss_is_told(case: str, tmp_path: Path, hub_cache: Path) -> None:
    members, says = SILENT[case]
    write_tar(tmp_path / "tars" / "train-0.tar", members)
    report = check_shards([tmp_path / "tars"])
    assert any(re.search(says, line) for line in report.problems), report.problems
    assert report.verdict == outcome(tmp_path / "tars", hub_cache)
    assert "would load" in report.verdict


@pytest.mark.parametrize("case", FAILING)
def test_a_failure_is_foretold(case: str, tmp_path: Path, hub_cache: Path) -> None:
    members, says = FAILING[case]
    write_tar(tmp_path / "tars" / "train-0.tar", members)
    report = check_shards([tmp_path / "tars"])
    assert any(re.search(says, line) for line in report.problems), report.problems
    assert report.verdict.startswith("hub: would not load: ")
    assert outcome(tmp_path / "tars", hub_cache) == "hub: would not load"


FINE: dict[str, Members] = {
    "as we write": WHOLE,
    "one sample": sample("a"),
    "bytes and texts": [("a.bin", b"\0"), ("a.txt", b"x"), ("a.cls", b"3")],
    "an empty list among others": samples({i: EMPTY if i == 1 else NOTES for i in range(8)}),
    "nested": samples({i: {"a": {"b": [1, 2]}} for i in range(8)}),
    "json that is a list": samples({i: [1, 2] for i in range(8)}),
}


@pytest.mark.parametrize("case", FINE)
def test_nothing_is_found_where_nothing_is_wrong(
    case: str, tmp_path: Path, hub_cache: Path
) -> None:
    write_tar(tmp_path / "tars" / "train-0.tar", FINE[case])
    report = check_shards([tmp_path / "tars"])
    assert report.problems == []
    assert report.verdict == outcome(tmp_path / "tars", hub_cache)


def test_a_card_with_types_mends_what_hangs_on_the_first_rows(
    tmp_path: Path, hub_cache: Path
) -> None:
    members = samples({**dict.fromkeys(range(6), EMPTY), 6: NOTES, 7: NOTES})
    write_tar(tmp_path / "tars" / "train-0.tar", members)
    struct = [
        {"name": "label", "dtype": "int64"},
        {"name": "name", "dtype": "string"},
        {"name": "notes", "sequence": "string"},
    ]
    features = [
        {"name": "000.jpg", "dtype": "image"},
        {"name": "001.jpg", "dtype": "image"},
        {"name": "latents.npy", "dtype": {"array2_d": {"shape": [2, 7], "dtype": "float64"}}},
        {"name": "json", "struct": struct},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]
    head = {
        "configs": [{"config_name": "default", "data_files": "*.tar"}],
        "dataset_info": {"config_name": "default", "features": features},
    }
    (tmp_path / "tars" / "README.md").write_text(f"---\n{yaml(head)}---\n")
    report = check_shards([tmp_path / "tars"])
    assert report.problems == []
    assert report.verdict == outcome(tmp_path / "tars", hub_cache)
