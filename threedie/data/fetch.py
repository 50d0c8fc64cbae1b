"""`fetch`: the way in which a file comes from outside to this disk.

It goes into a partial file, which a later process goes on with after any kind of end, and gets its
name when its size and SHA-256 are those that were expected. A wrong hash is no network fault: the
file is set aside and named.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from threedie import files
from threedie.data.partial import growing
from threedie.data.urls import open_reading, shown
from threedie.data.web import Changed
from threedie.errors import ManifestError, StorageError
from threedie.words import room

OnBytes = Callable[[int], None]
_RESTARTS = 3


def fetch(
    address: str,
    path: Path,
    *,
    size: int | None,
    sha256: str,
    on_bytes: OnBytes | None = None,
    token: bool = True,
) -> None:
    """Bring a file here, verified.

    Args:
        address: path or URL.
        path: what it becomes; its folder must exist. A file that is there is replaced.
        size: expected bytes; None if unknown.
        sha256: expected hash.
        on_bytes: told how many more bytes are here (fewer, if negative: it had to start over); what
            it raises ends the fetching, and the next one goes on.
        token: whether THREEDIE_TOKEN may be sent to the host of the address.

    Raises:
        ManifestError: another size or hash than expected. A file with the wrong hash is kept beside
            `path` as `<name>.bad`.
        StorageError: it can't be read, or the disk is full. What has arrived is kept.
        ConfigError: an address that is refused.
    """
    with growing(path, sha256) as file:
        fetching = _Fetching(address, path, size, file, on_bytes or _ignore, token)
        resumed = fetching.take_over()
        fetching.receive()
        if fetching.sha256 != sha256 and resumed:
            # Bytes that another process left are to blame first: a power cut can spoil them.
            fetching.restart()
            fetching.receive()
        if fetching.sha256 != sha256:
            raise _set_aside(fetching, sha256)
        file.become(path)


class _Fetching:
    """A file on its way, and the hash of what is here of it."""

    def __init__(
        self,
        address: str,
        path: Path,
        size: int | None,
        file: files.Growing,
        on_bytes: OnBytes,
        token: bool,
    ) -> None:
        self.where, self.path, self.file = shown(address), path, file
        self._address, self._size, self._on_bytes, self._token = address, size, on_bytes, token
        self._digest, self._validator = hashlib.sha256(), ""

    @property
    def sha256(self) -> str:
        """Of what is here."""
        return self._digest.hexdigest()

    def take_over(self) -> bool:
        """Hash what an earlier process has left; False: nothing."""
        if self._size is not None and self.file.size > self._size:
            self.file.truncate()
        for piece in self.file.pieces():
            self._digest.update(piece)
            self._on_bytes(len(piece))
        return self.file.size > 0

    def restart(self) -> None:
        """Forget all that is here."""
        self._on_bytes(-self.file.size)
        self.file.truncate()
        self._digest, self._validator = hashlib.sha256(), ""

    def receive(self) -> None:
        """Get what lacks."""
        for _ in range(_RESTARTS):
            try:
                self._receive()
            except Changed:
                self.restart()
            else:
                return
        raise StorageError(f"cannot read {self.where}: it is being changed all the time.")

    def _receive(self) -> None:
        if self.file.size == self._size:
            return
        reading = open_reading(
            self._address,
            self.file.size,
            size=self._size,
            validator=self._validator,
            token=self._token,
        )
        for position, piece in reading:
            self._validator = reading.validator
            self._check_size(reading.whole)
            if position != self.file.size:  # the server starts anew
                self.restart()
            self._check_size(max(self.file.size + len(piece), self._size or 0))
            self.file.append(piece)
            self._digest.update(piece)
            self._on_bytes(len(piece))
        self._check_size(self.file.size)

    def _check_size(self, found: int | None) -> None:
        if None not in (found, self._size) and found != self._size:
            raise ManifestError(
                f"{self.where}: {found} bytes, {self._size} were expected: it is another file, or "
                "not yet uploaded to its end."
            )


def _set_aside(fetching: _Fetching, sha256: str) -> ManifestError:
    bad = fetching.path.with_name(f"{fetching.path.name}.bad")
    found = fetching.sha256
    fetching.file.become(bad)
    return ManifestError(
        f"{fetching.where}: sha256 is {found}, {sha256} was expected: a byte of it was changed "
        f"where it lies, or its publisher lists another version. It is kept as {bad}; tell the "
        "publisher, or run the same command to fetch it anew."
    )


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what can't end.

    Args:
        folder: where it goes, or its nearest parent that exists.
        needed: bytes.

    Raises:
        StorageError: fewer are free; says both numbers.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise StorageError(
            f"{folder}: {room(needed)} are needed, {room(free)} are free. "
            "Make room, or give another --out."
        )


def _ignore(count: int) -> None:
    pass
