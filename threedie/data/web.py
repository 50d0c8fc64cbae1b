"""Reading a file from a web server, however often the connection breaks.

A connection that ends early, hangs or drips is taken up again where it broke, with back-off; the
file must be the same one then. What a server says is checked in `web_request`.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import random
import time
from collections.abc import Generator, Iterator

from threedie.data.urls import shown
from threedie.data.web_request import Answer, Passing, WrongRange, ask
from threedie.errors import StorageError

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 20
_ATTEMPTS = 5
"""In a row without progress."""
_PROGRESS = 1024
"""Bytes; fewer between two breaks are none."""
_LONGEST_PAUSE_S = 8.0
SLOW_S = 30.0
SLOW_BYTES = 30 * 1024
"""A connection is given up that brings fewer bytes in so many seconds of waiting."""


class Changed(StorageError):
    """The file on the server is another one than when it was begun."""


class TooSlow(Passing):
    """So few bytes come that another connection may be better."""


class WebReading:
    """A file on a web server (see `urls.Reading`).

    Args:
        address: http or https.
        first: the first wanted byte.
        end: the byte to stop before; None: the end of the file.
        size: known number of bytes of the file: where a server does not say, a connection that ends
            before is broken.
        validator: what the file's was when bytes before `first` were read.
        token: whether THREEDIE_TOKEN may be sent to this host.
    """

    def __init__(
        self,
        address: str,
        first: int = 0,
        *,
        end: int | None = None,
        size: int | None = None,
        validator: str = "",
        token: bool = True,
    ) -> None:
        self._address, self._token, self._where = address, token, shown(address)
        self._at = self._top = first
        self._end, self._size = end, size
        self.whole: int | None = None
        self.validator = validator
        self._failures, self._slow, self._ranges = 0, 0, True

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(position, bytes); positions start over at 0 where the server can't go on.

        Raises:
            Changed: the file is another one than before.
            StorageError: it can't be read; says why.
        """
        while True:
            try:
                with contextlib.closing(self._connected()) as pieces:
                    yield from pieces
                if self._is_done():
                    return
                ends = self._size if self.whole is None else self.whole
                raise Passing(f"the connection ended after {self._at} of {ends} bytes")
            except Passing as fault:
                self._ranges = self._ranges and not isinstance(fault, WrongRange)
                self._pause(fault)

    def _connected(self) -> Generator[tuple[int, bytes], None, None]:
        """What one connection brings."""
        first = self._at if self._ranges else 0
        end = self._end if self._ranges else None
        answer = ask(self._address, first, end, self.validator, token=self._token)
        try:
            self._check_same(answer)
            self._at = answer.first
            for content in _contents(answer, self._end):
                yield self._at, content
                self._at += len(content)
                if self._at - self._top >= _PROGRESS:
                    self._top, self._failures = self._at, 0
                if self._at - answer.first >= _CHUNK:
                    self._slow = 0
        finally:
            if answer.response is not None:
                answer.response.close()

    def _check_same(self, answer: Answer) -> None:
        tags = {self.validator, answer.validator} - {""}
        sizes = {self.whole, answer.whole} - {None}
        if len(tags) > 1 or (len(sizes) > 1 and answer.response is not None):
            raise Changed(f"cannot read {self._where}: it was changed while it was being read.")
        self.validator = answer.validator or self.validator
        self.whole = answer.whole if answer.whole is not None else self.whole

    def _is_done(self) -> bool:
        """The server's file may be shorter than it should be: that is the caller's to say."""
        if self.whole is None and self._size is None:
            return True
        return self._at in (self._size, self.whole) or (
            self._end is not None and self._at >= self._end
        )

    def _pause(self, fault: Passing) -> None:
        """Wait before the next attempt.

        Raises:
            StorageError: there were enough.
        """
        self._failures += 1
        self._slow += isinstance(fault, TooSlow)  # a drip is progress, for ever
        if max(self._failures, self._slow) >= _ATTEMPTS:
            raise StorageError(
                f"cannot read {self._where} after {_ATTEMPTS} attempts: {fault}."
            ) from None
        _LOG.warning(
            "%s: %s; trying again (%d of %d)", self._where, fault, self._failures, _ATTEMPTS - 1
        )
        pause = min(_LONGEST_PAUSE_S, 0.1 * 2**self._failures) * random.uniform(0.75, 1.25)
        time.sleep(pause if fault.pause_s is None else fault.pause_s)


def _contents(answer: Answer, end: int | None) -> Iterator[bytes]:
    """The bytes of an answer, no more than it has announced, in pieces of up to a mebibyte.

    Raises:
        Passing: the connection is broken, or so slow that another may be better.
    """
    left = min(_distance(answer.first, answer.end), _distance(answer.first, end))
    waited, received = 0.0, 0
    while left > 0 and answer.response is not None:
        begun = time.monotonic()
        try:
            content = answer.response.read1(int(min(_CHUNK, left)))
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise Passing(f"{type(err).__name__}: {str(err)[:200]}") from None
        if not content:
            return
        waited += time.monotonic() - begun
        yield content
        left -= len(content)
        received += len(content)
        if waited > SLOW_S:
            if received < SLOW_BYTES:
                raise TooSlow(f"only {received} bytes came in {waited:.0f} seconds")
            waited, received = 0.0, 0


def _distance(first: int, end: int | None) -> float:
    return float("inf") if end is None else end - first
