"""An entry's folder, read without trust."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie.errors import ManifestError
from threedie.manifests import entries, verification

_NOT_HASHED = (verification.FILE_NAME, "status.json")


@dataclass(frozen=True, slots=True)
class EntryFiles:
    """Files of an entry."""

    path: Path
    submission: entries.Submission
    contents: Mapping[str, bytes]
    sha256: str


def read_entry(path: Path) -> EntryFiles:
    """Stand-in: [verify] writes the real one."""
    found = {}
    for file in sorted(path.rglob("*")):
        if file.is_symlink():
            raise ManifestError(f"{file}: a link.")
        if file.is_file():
            found[file.relative_to(path).as_posix()] = file.read_bytes()
    if entries.FILE_NAME not in found:
        raise ManifestError(f"{path}: no {entries.FILE_NAME}.")
    where = str(path / entries.FILE_NAME)
    submission = entries.parse_submission(found[entries.FILE_NAME], where)
    return EntryFiles(path, submission, found, entry_sha256(found))


def entry_sha256(contents: Mapping[str, bytes]) -> str:
    """Over names and contents of all files but those of the verifier and the maintainers."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        if name not in _NOT_HASHED and not name.startswith("objections/"):
            digest.update(f"{name}\0{hashlib.sha256(contents[name]).hexdigest()}\n".encode())
    return digest.hexdigest()
