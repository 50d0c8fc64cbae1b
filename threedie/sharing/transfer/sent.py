"""Notes in the user's cache of what was sent where, so that a second run need not send it again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from threedie import files
from threedie.errors import StorageError


class Sent:
    """What went to one destination: a note per name, with the hash of the content.

    Args:
        address: of the destination.
    """

    def __init__(self, address: str) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        digest = hashlib.sha256(address.encode()).hexdigest()
        self._folder = cache / "threedie" / "published" / digest

    def has(self, name: str, sha256: str) -> bool:
        """Whether this very content was the last that went to this name."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._path(name).read_text("ascii") == sha256
        return False

    def note(self, name: str, sha256: str) -> None:
        """It has arrived."""
        with contextlib.suppress(StorageError):  # a cache that can't be written is no cache
            files.make_directory(self._folder)
            files.put(self._path(name), sha256.encode())

    def withdraw(self, name: str) -> None:
        """Something is being sent to this name."""
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def forget(self) -> None:
        """Another data set was there meanwhile."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()
