"""A published archive comes here: fetched, converted while it comes, and never unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from threedie import files
from threedie.data.fetch import fetch
from threedie.manifests.releases import Release
from threedie.sharing.archive import ArchiveStream
from threedie.sharing.target import WORK
from threedie.sharing.transfer import TransferProgress

VAL_LIST = "val_images.npy"


class Convert(Protocol):
    """Makes shards of an archive that arrives; returns the hash of the archive's bytes."""

    def __call__(
        self,
        chunks: ArchiveStream,
        *,
        name: str,
        size: int | None,
        out: Path,
        val_list: Path | None,
    ) -> str | None:
        """See `convert.convert_archive`."""


def download_archive(
    release: Release, address: str, out: Path, *, convert: Convert, progress: TransferProgress
) -> None:
    """Fetch and convert an archive in the published layout. The same call again goes on.

    Args:
        release: what it is.
        address: where it is: the release's own URL, or a mirror.
        out: folder of the data set.
        convert: makes the shards.
        progress: told what is good to know.

    Raises:
        ManifestError: the archive or a list is not what was expected.
        StorageError: it can't be read, or the disk is full.
        ConfigError: the folder holds something else.
    """
    work, own = out / WORK, address == release.url
    files.make_directory(work)
    if release.note:
        progress.say(release.note)
    for entry in release.files:
        if not _is_there(work / entry.name, entry.sha256):
            fetch(entry.url, work / entry.name, size=None, sha256=entry.sha256, token=False)
    name = Path(urlsplit(address).path).name
    chunks = ArchiveStream(
        address, work / name, size=release.bytes, sha256=release.sha256, token=not own
    )
    val_list = work / VAL_LIST
    seen = convert(
        chunks,
        name=name,
        size=release.bytes,
        out=out,
        val_list=val_list if val_list.exists() else None,
    )
    shutil.rmtree(work, ignore_errors=True)
    if seen is not None and release.sha256 is None:
        progress.say(f"sha256 of {name} as it came: {seen} (none was published)")
    progress.say(f"Cite: {release.citation}")


def _is_there(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256_file(path) == sha256
