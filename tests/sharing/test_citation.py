"""CITATION.cff.

Claims: it has the keys that CFF 1.2's schema requires, of the types that it requires, in the set's
own entry and in the preferred citation; a licence stands in it only by its SPDX identifier.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.data.builders import build
from tests.sharing.hub import with_making
from tests.sharing.test_escape import read
from threedie.sharing.card.accompany import accompanying_files

KEYS = {
    "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi",
    "identifiers", "keywords", "license", "license-url", "message", "preferred-citation",
    "references", "repository", "repository-artifact", "repository-code", "title", "type", "url",
    "version",
}  # fmt: skip
"""All that CFF 1.2.0 knows at its root (citation-file-format schema.json)."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build(tmp_path / "set")
    return tmp_path / "set"


def citation(folder: Path, address: str | None = None) -> Any:
    return read(accompanying_files(folder, address=address)["CITATION.cff"].decode())


def test_it_has_what_the_schema_requires(folder: Path) -> None:
    cff = citation(folder, "hf://datasets/somebody/set")
    assert cff.keys() <= KEYS
    assert {"cff-version", "message", "title", "authors"} <= cff.keys()
    assert cff["cff-version"] == "1.2.0"
    assert cff["type"] == "dataset"
    assert cff["authors"] == [{"name": "somebody"}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", cff["date-released"])
    assert isinstance(cff["version"], str)
    assert cff["url"] == "https://huggingface.co/datasets/somebody/set"
    assert all(
        i["type"] in ("doi", "url", "swh", "other") and i["value"] for i in cff["identifiers"]
    )


def test_the_paper_is_what_is_cited(folder: Path) -> None:
    paper = citation(folder)["preferred-citation"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["type"] == "conference-paper"
    assert [a["family-names"] for a in paper["authors"]] == ["Garrido", "Najman", "LeCun"]
    assert paper["year"] == 2023
    assert paper["conference"]["name"]


def test_a_licence_only_where_it_has_an_identifier(folder: Path) -> None:
    assert citation(folder)["license"] == "CC0-1.0"
    with_making(folder, {"source": "zips"})
    assert "license" not in citation(folder)
