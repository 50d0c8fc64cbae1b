"""A folder for as long as a block runs: gone afterwards, whenever it is stopped."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threedie.interrupts import held_back

_TRIES = 40
_PAUSE_S = 0.05


@contextmanager
def aside(prefix: str) -> Iterator[Path]:
    """A new temporary folder, removed at the end of the block.

    Ctrl-C waits while it is made and while it is removed.
    """
    folder = None
    try:
        with held_back():
            folder = Path(tempfile.mkdtemp(prefix=prefix))
        yield folder
    finally:
        if folder is not None:
            with held_back():
                _remove(folder)


def _remove(folder: Path) -> None:
    """All of it; again where a process that was just ended had still written into it."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE_S)
