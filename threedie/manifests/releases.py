"""Releases: published data sets by name, each a file releases/<name>.json.

THREEDIE_RELEASES names a folder of such files that come first: for mirrors, and for sets of one's
own.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from threedie.errors import ConfigError
from threedie.manifests.dataset import (
    Count,
    FileName,
    Model,
    Sha256,
    parse_json,
    read_json,
    validated,
)

Url = Annotated[str, Field(pattern=r"^(https?|s3|gs|gcs|hf|az|abfs)://[!-~]{1,1000}$")]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]


class Licence(Model):
    """What one agrees to by using the data."""

    name: str
    url: Url
    text: str
    """Shown before the first download."""


class ReleaseFile(Model):
    """A small file beside an archive, such as the list of a split."""

    name: FileName
    url: Url
    sha256: Sha256


class Release(Model):
    """A published data set."""

    schema_version: Literal[1]
    name: ReleaseName
    title: str
    kind: Literal["shards", "archive"]
    """shards: `url` is the folder of a dataset.json. archive: a tar in the published layout, which
    is converted while it arrives."""
    url: Url
    bytes: Count | None = None
    """Of the archive; null where it is not known."""
    sha256: Sha256 | None = None
    """Of the archive, or of the bytes of dataset.json; null where none was published."""
    note: str = ""
    licence: Licence
    citation: str
    files: tuple[ReleaseFile, ...] = ()


def releases() -> dict[str, Release]:
    """All releases by name, those of THREEDIE_RELEASES first.

    Raises:
        ManifestError: a file is no release.
        ConfigError: THREEDIE_RELEASES is no folder.
    """
    found = [*_of_the_user(), *_built_in()]
    return {release.name: release for release in reversed(found)}


def _of_the_user() -> list[Release]:
    named = os.environ.get("THREEDIE_RELEASES")
    if not named:
        return []
    folder = Path(named)
    if not folder.is_dir():
        raise ConfigError(f"THREEDIE_RELEASES is '{folder}', which is no folder.")
    paths = sorted(folder.glob("*.json"))
    return [validated(Release, read_json(path), path) for path in paths]


def _built_in() -> list[Release]:
    place = resources.files("threedie.manifests") / "releases"
    entries = sorted((e for e in place.iterdir() if e.name.endswith(".json")), key=str)
    return [
        validated(Release, parse_json(entry.read_bytes(), entry.name), entry.name)
        for entry in entries
    ]
