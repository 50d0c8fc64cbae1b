"""Claims proved here, on results.json.

- What is written is what is read, byte for byte; the file is whole or not there.
- A null says why, an interval has two ends in order, a curve a point for each bin; no NaN anywhere.
- Files that are newer, foreign, damaged or too large are refused in one clear line; so is every
  unknown or missing field.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from threedie.errors import ManifestError
from threedie.manifests import results
from threedie.manifests.results import Curve, Number, Results

TOP1 = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 100}


@pytest.fixture
def body() -> dict[str, Any]:
    """The smallest whole file."""
    curve = {"axis": "relative", "edges_deg": [0, 90, 180], "points": [TOP1, TOP1]}
    return {
        "schema_version": 1,
        "encoder": {
            "name": "sie",
            "config": {"lr": 1e-3, "nested": [1, None]},
            "checkpoint_sha256": "a" * 64,
            "dim": 512,
            "parts": {"all": [0, 512], "inv": [0, 256]},
        },
        "protocol": {"name": "3die-v1", "version": 1, "settings": {"views": "all"}, "changed": []},
        "dataset": {
            "hash": "b" * 64,
            "recipe": None,
            "size": 64,
            "views": 20,
            "splits": {"train": {"objects": 640, "hash": "c" * 64}},
            "classes": 16,
        },
        "seed": 0,
        "versions": {"threedie": "0.1", "torch": "2", "numpy": "1", "python": "3.11"},
        "device": "cpu",
        "finished": "2025-01-01T00:00:00+00:00",
        "seconds": {"total": 1.5},
        "metrics": {"all": {"top1": TOP1, "mrr_val": {"value": None, "n": 0, "note": "none"}}},
        "chance": {"top1": {"value": 0.16, "n": 100}},
        "references": {"oracle": {"mrr_val": {"value": 1.0, "n": 100}}},
        "curves": {"all": {"top1": curve}},
        "per_class": {"all": {"top1": {"chair": TOP1}}},
        "notes": ["é"],
    }


def changed(body: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    *path, last = place.split(".")
    body = copy.deepcopy(body)
    inner = body
    for name in path:
        inner = inner[name]
    inner[last] = value
    return body


def test_what_is_written_is_read(body: dict[str, Any], tmp_path: Path) -> None:
    found = Results.model_validate(body)
    found.write(tmp_path / results.FILE_NAME)
    again = Results.read(tmp_path / results.FILE_NAME)
    assert again == found
    assert again.to_bytes() == (tmp_path / results.FILE_NAME).read_bytes()
    assert again.metrics["all"]["top1"].high == 0.85
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert "é".encode() in again.to_bytes()


def test_it_can_not_be_changed(body: dict[str, Any]) -> None:
    found = Results.model_validate(body)
    with pytest.raises(ValidationError, match="frozen"):
        found.seed = 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"value": None, "n": 3}, "needs a note"),
        ({"value": 1.0, "low": 0.5, "n": 3}, "two ends"),
        ({"value": 1.0, "low": 0.6, "high": 0.5, "n": 3}, "wrong way round"),
        ({"value": float("nan"), "n": 3}, "finite"),
        ({"value": float("-inf"), "n": 3}, "finite"),
        ({"value": 1.0, "n": -1}, "greater than or equal"),
        ({"value": 1.0, "n": 1, "std": 0.1}, "Extra inputs"),
        ({"value": 1.0}, "Field required"),
    ],
)
def test_numbers_that_can_not_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Number.model_validate(wrong)


def test_a_curve_has_a_point_for_each_bin() -> None:
    point = Number(value=1.0, n=1)
    with pytest.raises(ValidationError, match="2 points do not fit 2 edges"):
        Curve(axis="relative", edges_deg=(0.0, 90.0), points=(point, point))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("schema_version", 2, "schema_version is 2, 1 was expected.*newer threedie: update"),
        ("schema_version", "1", "schema_version is '1'.*not results of threedie"),
        ("schema_version", True, "schema_version is True"),
        ("metrics.all.top1.value", "high", r"field 'metrics.all.top1.value'.*found 'high'"),
        ("metrics.all", {"Top-1": TOP1}, "field 'metrics.all.Top-1"),
        ("dataset.hash", "xyz", "field 'dataset.hash'"),
        ("seed", -1, "field 'seed'"),
        ("surprise", 1, "field 'surprise'"),
        ("encoder.dim", 0, "field 'encoder.dim'"),
    ],
)
def test_files_that_are_refused(
    body: dict[str, Any], tmp_path: Path, place: str, value: Any, told: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed(body, place, value)))
    with pytest.raises(ManifestError, match=told) as caught:
        Results.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not valid JSON"),
        (b'{"schema_version": 1', "not valid JSON"),
        (b'{"schema_version": 1, "seed": NaN}', "NaN is not allowed"),
        (b'{"schema_version": 1, "seed": 1, "seed": 2}', "twice"),
        (b"[1]", "a JSON object was expected"),
        (b"\xff\xfe", "not valid JSON"),
        (b"{}", "schema_version is None"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_content_that_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ManifestError, match=told):
        Results.read(tmp_path / "results.json")


def test_what_is_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    with pytest.raises(ManifestError, match="3die bench"):
        Results.read(tmp_path / "results.json")
    Results.model_validate(body).write(tmp_path / "results.json")
    monkeypatch.setattr(results, "_MAX_BYTES", 100)
    with pytest.raises(ManifestError, match="larger than"):
        Results.read(tmp_path / "results.json")


def test_a_config_with_nan_is_not_written(body: dict[str, Any]) -> None:
    body["encoder"]["config"] = {"lr": float("nan")}
    with pytest.raises(ValueError, match=r"finite|JSON compliant"):
        Results.model_validate(body).to_bytes()
