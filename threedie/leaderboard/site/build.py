"""Writing a site into a folder of its own, and removing what a former build wrote there.

site.json lists the files that are the site's. It is written first, with the former and the new
names, so that after a kill every file is known. Each folder of pages is replaced as a whole, and
index.html comes last: what it links to is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.site.collect import LeftOut, Progress, collect, silent
from threedie.leaderboard.site.pages import Site, counts
from threedie.manifests.dataset import parse_json

MANIFEST = "site.json"
FOLDERS = ("entry", "badge", "method")
_NAME = re.compile(
    rf"(?:(?:{'|'.join(FOLDERS)})/)?[a-z0-9][a-z0-9-]{{0,60}}\.(?:html|json|csv|xml)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What a build did."""

    counts: str
    """Entries found, shown, waiting, left out."""
    left_out: tuple[LeftOut, ...]
    written: int
    """Pages and files that the site has."""
    removed: int
    """Those of a former build that it has no more."""


def build_site(
    root: Path, out: Path, *, recompute: bool = False, on_progress: Progress = silent
) -> Built:
    """Write the pages of a board.

    Args:
        root: the board.
        out: the site's folder: absent, empty, or of a former build.
        recompute: believe no verification that differs from its predictions.
        on_progress: is told (stage, done, of how many).

    Raises:
        ManifestError: the board is damaged, or site.json is.
        ConfigError: `out` holds files that no build wrote, or is the board.
        StorageError: it can't be written.
    """
    former = _former(root, out)
    stock = collect(root, recompute=recompute, on_progress=on_progress)
    pages = dict(Site(stock).files())
    files.make_directory(out)
    _list(out, {*pages, *former})
    files.sweep(out)
    for folder in FOLDERS:
        _put_folder(out / folder, folder, pages)
    for name, content in pages.items():
        if "/" not in name:
            _put(out / name, content)
    gone = former - pages.keys()
    _remove(out, gone)
    _list(out, pages)
    return Built(
        counts=counts(stock),
        left_out=stock.left_out,
        written=len(pages),
        removed=len(gone),
    )


def _former(root: Path, out: Path) -> set[str]:
    """Names of the files that a former build wrote; hidden files (.git, .nojekyll) are let be."""
    if root.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"--out '{out}' is the board or holds it; give a folder for the pages.")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ConfigError(f"--out '{out}' is no folder.")
    known = _read_list(out / MANIFEST)
    for folder, names, here in os.walk(out):
        names[:] = [n for n in names if folder != str(out) or not n.startswith(".")]
        links = [n for n in names if (Path(folder) / n).is_symlink()]
        for name in [*links, *here]:
            inside = (Path(folder) / name).relative_to(out).as_posix()
            theirs = inside != MANIFEST and inside not in known and not inside.startswith(".")
            if theirs or name in links:
                raise ConfigError(
                    f"--out '{out}' holds {inside!r}, which no build of a leaderboard wrote. "
                    "Give a folder of its own for the site."
                )
    return known


def _read_list(path: Path) -> set[str]:
    if not path.is_file() or path.is_symlink():
        return set()
    listed = parse_json(path.read_bytes(), str(path)).get("files")
    if not isinstance(listed, list) or not all(isinstance(n, str) for n in listed):
        raise ManifestError(f"{path}: 'files' is no list of names. Build into a new folder.")
    strange = [name for name in listed if not _NAME.fullmatch(name)]
    if strange:
        raise ManifestError(f"{path}: no build writes {strange[0]!r}. Build into a new folder.")
    return set(listed)


def _list(out: Path, names: Iterable[str]) -> None:
    body = {"schema_version": 1, "files": sorted(names)}
    _put(out / MANIFEST, json.dumps(body, indent=1).encode() + b"\n")


def _put(path: Path, content: bytes) -> None:
    """Write a file unless it is there already."""
    if not _holds(path, content):
        files.put(path, content)


def _put_folder(path: Path, folder: str, pages: Mapping[str, bytes]) -> None:
    """Replace a folder of pages, unless all of it is there already."""
    wanted = {
        n.removeprefix(f"{folder}/"): c for n, c in pages.items() if n.startswith(f"{folder}/")
    }
    here = {entry.name for entry in path.iterdir()} if path.is_dir() else None
    if here != wanted.keys() or not all(_holds(path / name, c) for name, c in wanted.items()):
        files.put_folder(path, wanted)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has this content."""
    same_size = path.is_file() and path.stat().st_size == len(content)
    return same_size and files.sha256_file(path) == hashlib.sha256(content).hexdigest()


def _remove(out: Path, names: Iterable[str]) -> None:
    with files.storage_errors(out, "remove a page of"):
        for name in sorted(names):
            (out / name).unlink(missing_ok=True)
