"""Claims proved here, on analysis.json.

- What is written is what is read, byte for byte.
- Rows of a sweep, of a shown object and of quantiles fit each other, or are refused.
- Files that are newer, foreign or damaged are refused in one clear line; so is every unknown,
  missing, infinite or out-of-range field.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.manifests.test_results import changed
from threedie.errors import ManifestError
from threedie.manifests.analysis import FILE_NAME, Analysis

NUMBER = {"value": 0.8, "low": 0.75, "high": 0.85, "n": 100}
NULL = {"value": None, "n": 0, "note": "why"}


@pytest.fixture
def body() -> dict[str, Any]:
    return whole()


def whole() -> dict[str, Any]:
    """The smallest whole file."""
    sweep = {
        "name": "rotation_z",
        "among": "object",
        "asked_deg": [-180, 0, 180],
        "error_deg": [NUMBER] * 3,
        "best_deg": [NUMBER] * 3,
        "recovered_deg": [None, 0, 1],
        "agreement": [0, 1, 0.5],
    }
    spectrum = {
        "move": "identity",
        "angle_deg": 0,
        "on": "all",
        "width": 4,
        "quantiles": [0, 1, 1, 2, 2, 2, 3],
        "condition": None,
        "effective_rank": 2.5,
        "orthogonality_error": 0.5,
        "identity_error": None,
    }
    shown = {
        "name": "rotation_z",
        "nearest": [0, 1, 2],
        "true": [0, 1, 2],
        "nearest_in_val": [{"object": "chair/a", "view": 1}] * 3,
    }
    score = {"metric": "top1", "score": NUMBER, "chance": NUMBER, "source": "results.json"}
    return {
        "schema_version": 1,
        "encoder": {
            "name": "sie",
            "config": {},
            "checkpoint_sha256": "a" * 64,
            "dim": 512,
            "parts": {"all": [0, 512]},
        },
        "dataset": {
            "hash": "b" * 64,
            "recipe": None,
            "size": 64,
            "views": 20,
            "splits": {"val": {"objects": 640, "hash": "c" * 64}},
            "classes": 16,
        },
        "predictor": {"latents": "rotation", "width": 4, "affine": True},
        "settings": {
            "objects": 100,
            "of_objects": 640,
            "moves": 8,
            "angles": 2,
            "axes": ["z"],
            "probes": True,
        },
        "seed": 0,
        "versions": {"threedie": "0.1", "torch": "2", "numpy": "1", "python": "3.11"},
        "device": "cpu",
        "numbers": {"identity_cosine_error": NUMBER, "composition_cosine_error": NULL},
        "sweeps": [sweep],
        "spectra": [spectrum],
        "factors": {"all": {"class": score}},
        "shown": [{"object": "chair/a", "source_view": 0, "sweeps": [shown]}],
        "notes": ["é"],
    }


def test_what_is_written_is_read(body: dict[str, Any], tmp_path: Path) -> None:
    found = Analysis.model_validate(body)
    found.write(tmp_path / FILE_NAME)
    again = Analysis.read(tmp_path / FILE_NAME)
    assert again == found
    assert again.to_bytes() == (tmp_path / FILE_NAME).read_bytes()
    assert json.loads(again.to_bytes()) == body | {
        "numbers": {
            name: {"low": None, "high": None, "note": None, **number}
            for name, number in body["numbers"].items()
        },
        **{
            key: json.loads(again.to_bytes())[key]
            for key in ("sweeps", "factors")  # numbers inside have their defaults
        },
    }


@pytest.mark.parametrize(
    ("place", "wrong", "told"),
    [
        ("error_deg", [NUMBER] * 2, r"rows of \[2, 3\] where 3"),
        ("recovered_deg", [None, 0], r"rows of \[2, 3\]"),
        ("asked_deg", [-181, 0, 1], "greater than or equal to -180"),
        ("agreement", [0, 1.5, 0], "less than or equal to 1"),
        ("among", "train", "'object' or 'val'"),
        ("surprise", 1, "Extra inputs"),
    ],
)
def test_sweeps_that_can_not_be(body: dict[str, Any], place: str, wrong: Any, told: str) -> None:
    body["sweeps"][0][place] = wrong
    with pytest.raises(ValidationError, match=told):
        Analysis.model_validate(body)


@pytest.mark.parametrize(
    ("place", "wrong", "told"),
    [
        ("quantiles", [0, 1, 2], r"rows of \[3\] where 7"),
        ("quantiles", [0, 1, 1, 2, 2, 2, 1], "rise"),
        ("quantiles", [-1, 1, 1, 2, 2, 2, 3], "not negative"),
        ("condition", float("inf"), "finite"),
        ("orthogonality_error", 1.5, "less than or equal to 1"),
        ("angle_deg", 200, "less than or equal to 180"),
        ("on", "train", "'all' or 'data'"),
    ],
)
def test_spectra_that_can_not_be(body: dict[str, Any], place: str, wrong: Any, told: str) -> None:
    body["spectra"][0][place] = wrong
    with pytest.raises(ValidationError, match=told):
        Analysis.model_validate(body)


def test_what_does_not_fit_together(body: dict[str, Any]) -> None:
    twice = {**body, "sweeps": body["sweeps"] * 2}
    with pytest.raises(ValidationError, match="twice"):
        Analysis.model_validate(twice)
    row = body["shown"][0]["sweeps"][0]
    for key, value in (("name", "rotation_x"), ("nearest", [0])):
        other = changed(body, "shown", [{**body["shown"][0], "sweeps": [{**row, key: value}]}])
        with pytest.raises(ValidationError, match=r"fits no sweep|rows of"):
            Analysis.model_validate(other)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("schema_version", 2, "schema_version is 2, 1 was expected.*newer threedie: update"),
        ("schema_version", "1", "not an analysis of threedie.*3die analyze"),
        ("schema_version", True, "schema_version is True"),
        ("numbers.identity_cosine_error.value", None, "field 'numbers.identity_cosine_error'"),
        ("numbers", {"<script>": NUMBER}, "field 'numbers.<script>"),
        ("settings.angles", 10**9, "field 'settings.angles'"),
        ("settings.axes", ["w"], "field 'settings.axes.0'"),
        ("predictor.width", 0, "field 'predictor.width'"),
        ("factors", {"all": {"class": {"metric": "top1"}}}, "field 'factors.all.class.score'"),
        (
            "shown",
            [{"object": "x" * 301, "source_view": 0, "sweeps": []}],
            "field 'shown.0.object'",
        ),
        ("seed", -1, "field 'seed'"),
        ("surprise", 1, "field 'surprise'"),
    ],
)
def test_files_that_are_refused(
    body: dict[str, Any], tmp_path: Path, place: str, value: Any, told: str
) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps(changed(body, place, value)))
    with pytest.raises(ManifestError, match=told) as caught:
        Analysis.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not valid JSON"),
        (b'{"schema_version": 1, "seed": NaN}', "NaN is not allowed"),
        (b'{"schema_version": 1, "seed": 1, "seed": 2}', "twice"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_content_that_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ManifestError, match=told):
        Analysis.read(tmp_path / FILE_NAME)


def test_what_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="3die analyze RUN --data"):
        Analysis.read(tmp_path / FILE_NAME)
