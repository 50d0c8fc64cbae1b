"""Claims proved here, on dataset.json.

- What is written is read back, and equal manifests are equal bytes.
- Every flipped bit, and a cut at every byte, raises.
- Every field that is missing, or wrong in type or range, raises and is named, though the file's
  own hash be right.
- A newer schema, NaN, infinity, a doubled key, depth, no JSON, no UTF-8, no file: all raise a
  ManifestError that names the file.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.builders import Plan, build
from threedie.errors import ManifestError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest, canonical_json, parse_json

SMALL = Plan(classes=("zebra",), objects=("a", "b"), views=1, size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small finished data set."""
    build(tmp_path / "data", SMALL)
    return tmp_path / "data"


def reseal(folder: Path, body: dict[str, Any]) -> None:
    """Write a body with all hashes right, as a careful forger would."""
    if isinstance(body.get("making"), dict) and "recipe_hash" in body:
        body["recipe_hash"] = hashlib.sha256(canonical_json(body["making"])).hexdigest()
    write_sealed(folder, body)


def write_sealed(folder: Path, body: dict[str, Any]) -> None:
    """Write a body with its self hash only."""
    body = {name: value for name, value in body.items() if name != "self_sha256"}
    body["self_sha256"] = hashlib.sha256(canonical_json(body)).hexdigest()
    text = json.dumps(body, indent=1, ensure_ascii=False)
    (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def body_of(folder: Path) -> dict[str, Any]:
    """The JSON of dataset.json."""
    body: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    return body


def test_written_is_read_back_and_written_the_same(folder: Path, tmp_path: Path) -> None:
    manifest = DatasetManifest.read(folder)
    manifest.write(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == (folder / FILE_NAME).read_bytes()
    assert manifest == build(tmp_path / "again", SMALL)
    assert manifest.splits == {"train": 1, "val": 1}


def test_the_forger_of_these_tests_is_believed_when_he_changes_nothing(folder: Path) -> None:
    before = DatasetManifest.read(folder)
    reseal(folder, body_of(folder))
    assert DatasetManifest.read(folder) == before


def test_every_flipped_bit_raises(folder: Path) -> None:
    content = (folder / FILE_NAME).read_bytes()
    silent = []
    with (folder / FILE_NAME).open("r+b", buffering=0) as file:
        for position, bit in itertools.product(range(len(content)), range(8)):
            os.pwrite(file.fileno(), bytes([content[position] ^ 1 << bit]), position)
            try:
                DatasetManifest.read(folder)
                silent.append((position, bit, content[position - 20 : position + 20]))
            except ManifestError:
                pass
            os.pwrite(file.fileno(), content[position : position + 1], position)
    assert not silent
    assert DatasetManifest.read(folder).splits == {"train": 1, "val": 1}


def test_a_cut_at_every_byte_raises(folder: Path) -> None:
    path = folder / FILE_NAME
    for size in reversed(range(path.stat().st_size)):
        os.truncate(path, size)
        with pytest.raises(ManifestError, match=r"dataset\.json"):
            DatasetManifest.read(folder)


def test_another_layout_of_the_same_json_raises(folder: Path) -> None:
    (folder / FILE_NAME).write_text(json.dumps(body_of(folder), indent=1) + "\n\n")
    with pytest.raises(ManifestError, match="changed after it was written"):
        DatasetManifest.read(folder)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value in a JSON tree, but the root's."""
    if at:
        yield at
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        yield from places(inner, (*at, key))


def changed(body: dict[str, Any], at: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at a path."""
    body = copy.deepcopy(body)
    inner: Any = body
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return body


def test_every_field_of_a_wrong_type_raises_and_is_named(folder: Path) -> None:
    body = body_of(folder)
    checked = 0
    for at in list(places(body)):
        if at[0] in ("self_sha256", "schema_version", "recipe_hash"):
            continue
        reseal(folder, changed(body, at, {"no": ["field", "is", "this"]}))
        last = next(str(key) for key in reversed(at))
        with pytest.raises(ManifestError, match=rf"dataset\.json: field '.*{last}"):
            DatasetManifest.read(folder)
        checked += 1
    assert checked > 90


def test_every_missing_field_raises_and_is_named(folder: Path) -> None:
    """But for fields with a default that they had anyway: then it is the same data set."""
    body, whole = body_of(folder), DatasetManifest.read(folder)
    refused = []
    for at in list(places(body)):
        if isinstance(at[-1], int) or at[0] in ("self_sha256", "schema_version"):
            continue
        less = copy.deepcopy(body)
        inner: Any = less
        for key in at[:-1]:
            inner = inner[key]
        del inner[at[-1]]
        write_sealed(folder, less)
        try:
            found = DatasetManifest.read(folder)
        except ManifestError as err:
            refused.append((str(at[-1]), str(err)))
        else:
            assert found == whole or at[:1] == ("files",)  # a file less is another listing
    assert len(refused) > 50
    assert [name for name, told in refused if name not in told and "recipe_hash" not in told] == []


def test_a_missing_self_hash_raises(folder: Path) -> None:
    body = body_of(folder)
    del body["self_sha256"]
    (folder / FILE_NAME).write_text(json.dumps(body, indent=1) + "\n")
    with pytest.raises(ManifestError, match="self_sha256"):
        DatasetManifest.read(folder)


WRONG: list[tuple[tuple[str | int, ...], Any]] = [
    (("making", "seed"), -1),
    (("making", "seed"), 1.5),
    (("making", "size"), 7),
    (("making", "size"), 8193),
    (("making", "views"), 0),
    (("making", "image_format"), "gif"),
    (("making", "channel_order"), "RGB"),
    (("making", "missing_texture"), "ignore"),
    (("making", "objects_per_shard"), 0),
    (("making", "objects_sha256"), "AB" * 32),
    (("making", "objects_sha256"), "ab" * 31),
    (("making", "recipe", "rotation"), "box"),
    (("making", "recipe", "floor_hue"), [0.0]),
    (("making", "recipe", "spot_theta"), [0.0, "x"]),
    (("making", "quality_settings", "denoiser"), "none"),
    (("shards", 0, "name"), "../train-000000.tar"),
    (("shards", 0, "name"), ".hidden.tar"),
    (("shards", 0, "name"), "a/b.tar"),
    (("shards", 0, "name"), "a\n"),
    (("shards", 0, "bytes"), -1),
    (("shards", 0, "samples"), -1),
    (("shards", 0, "sha256"), "x" * 64),
    (("classes", 0, "label"), -1),
    (("failures",), -1),
    (("failures",), "many"),
    (("pixel_mean",), [0.5, 0.5]),
    (("pixel_mean",), [0.5, 0.5, None]),
    (("pixel_std",), "grey"),
    (("latent_columns",), 7),
    (("files", "index/train.npz"), {"bytes": 1}),
]


@pytest.mark.parametrize(("at", "value"), WRONG, ids=[f"{a[-1]}={v}"[:40] for a, v in WRONG])
def test_values_out_of_range_raise_and_are_named(
    folder: Path, at: tuple[str | int, ...], value: Any
) -> None:
    reseal(folder, changed(body_of(folder), at, value))
    with pytest.raises(ManifestError, match=rf"field '{'.'.join(str(k) for k in at)}"):
        DatasetManifest.read(folder)


def test_an_unknown_field_raises_and_is_named(folder: Path) -> None:
    body = body_of(folder)
    for part in ("", "making"):
        more = copy.deepcopy(body)
        (more[part] if part else more)["surprise"] = 1
        reseal(folder, more)
        with pytest.raises(ManifestError, match="surprise"):
            DatasetManifest.read(folder)


def test_a_recipe_hash_of_other_fields_raises(folder: Path) -> None:
    write_sealed(folder, {**body_of(folder), "recipe_hash": "0" * 64})
    with pytest.raises(ManifestError, match="recipe_hash"):
        DatasetManifest.read(folder)


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_schema_says_so(folder: Path, version: int) -> None:
    reseal(folder, {**body_of(folder), "schema_version": version})
    with pytest.raises(ManifestError, match="newer threedie"):
        DatasetManifest.read(folder)


@pytest.mark.parametrize("version", [0, None, "1", [1]])
def test_another_schema_says_so(folder: Path, version: Any) -> None:
    reseal(folder, {**body_of(folder), "schema_version": version})
    with pytest.raises(ManifestError, match="not a manifest of threedie"):
        DatasetManifest.read(folder)


HOSTILE: dict[str, Callable[[str], bytes]] = {
    "NaN": lambda t: t.replace('"seed": 7', '"seed": NaN').encode(),
    "Infinity": lambda t: t.replace('"seed": 7', '"seed": Infinity').encode(),
    "overflow": lambda t: t.replace('"sun_energy": 1.5', '"sun_energy": 1e400').encode(),
    "doubled key": lambda t: t.replace('"seed": 7', '"seed": 7, "seed": 7').encode(),
    "long number": lambda t: t.replace('"seed": 7', '"seed": ' + "7" * 10_000).encode(),
    "deep": lambda t: b'{"a":' * 100_000,
    "array": lambda t: b"[1, 2]",
    "number": lambda t: b"1",
    "empty": lambda t: b"",
    "BOM": lambda t: t.encode("utf-8-sig"),
    "UTF-16": lambda t: t.encode("utf-16"),
    "binary": lambda t: bytes(range(256)),
    "surrogate": lambda t: t.replace('"builtin"', '"\\ud800"').encode(),
    "trailing": lambda t: t.encode() + b"{}",
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_raises(folder: Path, change: Callable[[str], bytes]) -> None:
    path = folder / FILE_NAME
    content = change(path.read_text(encoding="utf-8"))
    assert content != path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"dataset\.json"):
        DatasetManifest.read(folder)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": [-Infinity]}', '{"a": 1, "a": 1}', "[]"])
def test_json_of_any_file_is_read_strictly(text: str) -> None:
    with pytest.raises(ManifestError, match="the ledger"):
        parse_json(text.encode(), "the ledger")


def test_an_oversized_file_is_not_read(folder: Path) -> None:
    with (folder / FILE_NAME).open("r+b") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ManifestError, match="64 MiB"):
        DatasetManifest.read(folder)


def test_a_missing_file_and_a_missing_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="3die render"):
        DatasetManifest.read(tmp_path)
    with pytest.raises(ManifestError, match="no such folder"):
        DatasetManifest.read(tmp_path / "gone")
