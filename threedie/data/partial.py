"""Files that are being fetched: whose they are, and who goes on with what a dead process left.

Beside its target a partial file is `.<name>.<key>.<host>.<pid>.<run>.partial`: no two processes
ever write the same one. What a dead process left is taken over by renaming it, which one of several
can do; its bytes are doubted until the whole has its hash. The key is of the content that is
expected, so that parts of two versions never meet.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from threedie import files

_SUFFIX = ".partial"
_OWNED = re.compile(rf"^\..+\.[0-9a-f]{{12}}\.{files.OWNER}\{_SUFFIX}$")
_LEFT = re.compile(rf"^\..+\.[0-9a-f]{{12}}\{_SUFFIX}$")
_FOREIGN_S = 600.0
"""Another host's file that has not grown for so long is taken over: longer than any time-out."""


@contextlib.contextmanager
def growing(path: Path, key: str) -> Iterator[files.Growing]:
    """The partial file of a target, with what an earlier process has left of it.

    In the end it is left for the next one, unless it has become the target.

    Args:
        path: the target; its folder must exist.
        key: 64 hexadecimal digits that tell what is expected there.

    Raises:
        StorageError: it can't be written.
    """
    stem = f".{path.name}.{key[:12]}"
    own = path.with_name(f"{stem}.{files.owner()}{_SUFFIX}")
    with files.storage_errors(path, "read"):
        there = _orphans(path.parent, f"{stem}.")
        any(files.claim(entry, own) for entry in there)
    file = files.Growing(own)
    try:
        yield file
    finally:
        file.close()
        with contextlib.suppress(OSError):  # it only helps the next one
            if file.size:
                files.claim(own, path.with_name(f"{stem}{_SUFFIX}"))
            else:
                own.unlink()


def sweep_partials(folder: Path) -> None:
    """Remove the partial files in a folder that nobody is writing."""
    for entry in _orphans(folder, "."):
        with contextlib.suppress(OSError):
            entry.unlink()


def _orphans(folder: Path, start: str) -> list[Path]:
    """Partial files whose owner is gone, the longest first."""
    found = [
        entry
        for entry in folder.iterdir()
        if entry.name.startswith(start) and entry.name.endswith(_SUFFIX) and _is_orphan(entry)
    ]
    return sorted(found, key=_size, reverse=True)


def _is_orphan(entry: Path) -> bool:
    owned = _OWNED.match(entry.name)
    if owned:
        return files.is_orphan(entry, owned, foreign_s=_FOREIGN_S)
    return bool(_LEFT.match(entry.name))


def _size(entry: Path) -> int:
    with contextlib.suppress(OSError):
        return entry.stat().st_size
    return 0
