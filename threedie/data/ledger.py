"""The ledger failures.jsonl: one line per object that could not be rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from threedie import files
from threedie.errors import ManifestError
from threedie.manifests.dataset import (
    DatasetManifest,
    Failure,
    FileEntry,
    parse_json,
    validated,
)

FILE_NAME = "failures.jsonl"


def write_ledger(folder: Path, failures: Iterable[Failure]) -> FileEntry:
    """Write the whole ledger; returns its manifest entry."""
    lines = "".join(failure.model_dump_json() + "\n" for failure in failures)
    written = files.put(folder / FILE_NAME, lines.encode())
    return FileEntry(bytes=written.size, sha256=written.sha256)


def read_ledger(folder: Path, manifest: DatasetManifest) -> list[Failure]:
    """Read the ledger of a finished data set.

    Raises:
        ManifestError: it is missing, or not what the manifest says.
    """
    path, entry = folder / FILE_NAME, manifest.files.get(FILE_NAME)
    if entry is None:
        return []
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}; the manifest lists it.") from err
    return parse_ledger(content, manifest, str(path))


def parse_ledger(content: bytes, manifest: DatasetManifest, where: str) -> list[Failure]:
    """The failures of a data set from the bytes of its ledger.

    Raises:
        ManifestError: it is not what the manifest says.
    """
    lines, entry = content.splitlines(), manifest.files[FILE_NAME]
    if hashlib.sha256(content).hexdigest() != entry.sha256 or len(lines) != manifest.failures:
        raise ManifestError(
            f"{where}: {len(lines)} lines, {len(content)} bytes; the manifest counts "
            f"{manifest.failures} failures in {entry.bytes} bytes with another hash."
        )
    return [
        validated(Failure, parse_json(line, f"{where}, line {number}"), where)
        for number, line in enumerate(lines, 1)
    ]
