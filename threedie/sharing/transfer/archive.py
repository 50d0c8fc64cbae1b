"""An archive that is converted while it comes: its bytes pass through, and are kept as they come.

They are kept in a partial file, so that a conversion that was killed reads them from this disk and
asks the server for the rest; the file goes when the data set is finished. Nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from threedie import files
from threedie.data.fetch import check_space
from threedie.data.partial import growing
from threedie.data.urls import Reading, open_reading, shown
from threedie.errors import ManifestError, StorageError

_ROOM = 3.2  # times the archive: itself, and what its conversion needs


class ArchiveStream:
    """The bytes of an archive, from its first to its last, whatever was here before.

    Args:
        address: path or URL.
        kept: where its bytes are kept; the folder must exist.
        size: expected bytes; None if unknown.
        sha256: expected hash; None if none was published.
        token: whether THREEDIE_TOKEN may be sent to the host of the address.
    """

    def __init__(
        self, address: str, kept: Path, *, size: int | None, sha256: str | None, token: bool
    ) -> None:
        self._address, self._kept, self._token = address, kept, token
        self._size, self._sha256 = size, sha256
        self._where = shown(address)

    def __iter__(self) -> Iterator[bytes]:
        """All bytes, in order; nothing is asked for before the first is taken.

        Raises:
            ManifestError: another size or hash than expected.
            StorageError: it can't be read, or the disk is full. What has come is kept.
        """
        reading = self._reading(0, "")
        opening = iter(reading)
        first = next(opening, (0, b""))
        self._check_size(reading.whole)
        digest = hashlib.sha256()
        with growing(self._kept, self._key(reading)) as file:
            resumed = file.size > 0
            check_space(self._kept.parent, int(_ROOM * (reading.whole or 0)) - file.size)
            for piece in file.pieces():
                digest.update(piece)
                yield piece
            if resumed:
                del opening  # and its connection
                coming: Iterator[tuple[int, bytes]] = self._rest(file, reading)
            else:
                coming = chain([first], opening)
            for position, piece in coming:
                new = piece[file.size - position :] if position <= file.size else b""
                if position > file.size:
                    raise StorageError(f"cannot read {self._where}: a part of it did not come.")
                file.append(new)
                digest.update(new)
                yield new
            self._check_end(file, digest.hexdigest(), resumed=resumed)

    def _reading(self, first: int, validator: str) -> Reading:
        return open_reading(
            self._address, first, size=self._size, validator=validator, token=self._token
        )

    def _rest(self, file: files.Growing, reading: Reading) -> Iterator[tuple[int, bytes]]:
        if file.size != reading.whole:
            yield from self._reading(file.size, reading.validator)

    def _key(self, reading: Reading) -> str:
        """Of the content: its hash, or what its server says of it; else none that comes again."""
        if self._sha256 is not None:
            return self._sha256
        if not reading.validator or reading.whole is None:
            return secrets.token_hex(32)
        said = f"{self._where}\n{reading.whole}\n{reading.validator}"
        return hashlib.sha256(said.encode()).hexdigest()

    def _check_size(self, found: int | None) -> None:
        if None not in (found, self._size) and found != self._size:
            raise ManifestError(f"{self._where}: {found} bytes, {self._size} were expected.")

    def _check_end(self, file: files.Growing, sha256: str, *, resumed: bool) -> None:
        self._check_size(file.size)
        if self._sha256 in (None, sha256):
            return
        said = f"{self._where}: sha256 is {sha256}, {self._sha256} was expected"
        if resumed:
            file.truncate()
            raise ManifestError(f"{said}: what an earlier run had left was spoiled. Run it again.")
        bad = self._kept.with_name(f"{self._kept.name}.bad")
        file.become(bad)
        raise ManifestError(f"{said}: a byte of it was changed where it lies. It is kept as {bad}.")
