"""What a data set must be in the end, said without the code that writes it."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from threedie.data.dataset import open_dataset
from threedie.errors import ManifestError

_WORK = (".render", ".convert", ".download")
_TEMPORARY = (".tmp", ".partial")


def tree_hash(folder: Path) -> str:
    """SHA-256 over names and bytes of all files, without temporary and working ones."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(_WORK) and not name.endswith(_TEMPORARY):
            digest.update(f"{name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def tars(folder: Path) -> dict[str, str]:
    """SHA-256 of every shard."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.tar")}


def leftovers(folder: Path) -> list[str]:
    """Temporary and working files."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(n for n in names if n.startswith(_WORK) or n.endswith(_TEMPORARY))


def half_files(folder: Path) -> list[str]:
    """Shards under a final name that are not whole, by a reader that is not ours."""
    bad = []
    for path in folder.glob("*.tar"):
        content = path.read_bytes()
        with tarfile.open(path, "r:") as tar:
            whole = tar.getmembers() and content.endswith(b"\0" * 1024)
        if not whole or len(content) % tarfile.RECORDSIZE:
            bad.append(path.name)
    return bad


def content(folder: Path) -> str | None:
    """A hash of all that a reader gets, or None where it refuses to read."""
    digest = hashlib.sha256()
    try:
        dataset = open_dataset(folder, verify="always")
        for sample in dataset:
            digest.update(f"{sample.object} {sample.label} {sample.split}".encode())
            digest.update(sample.latents.tobytes())
            for view in range(len(sample.views)):
                digest.update(sample.views.encoded(view))
    except ManifestError:
        return None
    return digest.hexdigest()
