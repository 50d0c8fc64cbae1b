"""A published archive comes here: fetched, converted while it comes, and never unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from threedie import files
from threedie.data.fetch import fetch
from threedie.manifests.dataset import Converted
from threedie.manifests.releases import Release
from threedie.sharing.convert.command import conclusion
from threedie.sharing.convert.convert import convert_archive
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConsoleProgress
from threedie.sharing.transfer.archive import ArchiveStream
from threedie.sharing.transfer.target import WORK

VAL_LIST = "val_images.npy"


def download_archive(release: Release, address: str, out: Path, *, console: Console) -> None:
    """Fetch and convert an archive in the published layout. The same call again goes on.

    Args:
        release: what it is.
        address: where it is: the release's own URL, or a mirror.
        out: folder of the data set.
        console: where progress is told.

    Raises:
        ManifestError: the archive or a list is not what was expected.
        StorageError: it can't be read, or the disk is full.
        ConfigError: the folder holds something else.
    """
    work, own = out / WORK, address == release.url
    files.make_directory(work)
    if release.note:
        say(release.note, console)
    for entry in release.files:
        if not _is_there(work / entry.name, entry.sha256):
            fetch(entry.url, work / entry.name, size=None, sha256=entry.sha256, token=False)
    name = Path(urlsplit(address).path).name
    chunks = ArchiveStream(
        address, work / name, size=release.bytes, sha256=release.sha256, token=not own
    )
    val_list, progress = work / VAL_LIST, ConsoleProgress(console)
    try:
        outcome = convert_archive(
            chunks,
            name=name,
            size=release.bytes,
            out=out,
            options=ConvertOptions(val_list=val_list if val_list.exists() else None),
            progress=progress,
        )
    finally:
        progress.close()
    shutil.rmtree(work, ignore_errors=True)
    for line in conclusion(outcome):
        say(line, console)
    if isinstance(outcome.manifest.making, Converted) and release.sha256 is None:
        seen = outcome.manifest.making.origin.sha256
        say(f"sha256 of {name} as it came: {seen} (none was published)", console)
    say(f"Cite: {release.citation}", console)


def say(line: str, console: Console) -> None:
    """Print a line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _is_there(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256_file(path) == sha256
