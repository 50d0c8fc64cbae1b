"""A web server for tests, on this machine: serves a folder, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """Serves a folder at `url`.

    Fields:
        requests: (path, Range header) of every request.
        received: all headers of every request.
        ranges: whether Range is understood.
        cut: bytes after which the connection breaks, for so many requests.
        busy: answer 503 so many times.
        statuses: (status, headers) to answer first, each once.
        rewrite: changes a file's content.
        redirect: where every request is sent instead.
        etag: of all files; If-Range is compared with it.
        headers: more headers of every file.
        length: whether Content-Length is sent.
        lie: added to what Content-Length says.
        shift: added to where Content-Range says that a part starts.
        silent: nothing is answered before this is set.
        hold: (path, bytes, event): of this file only so many bytes are sent before the event; the
            connection stays until then, or until the reader goes away.
        drip: one byte at a time, waiting for this event so many seconds before each.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str | None]] = []
        self.received: list[Mapping[str, str]] = []
        self.ranges, self.cut, self.busy = True, (0, 0), 0
        self.statuses: list[tuple[int, dict[str, str]]] = []
        self.rewrite: Callable[[str, bytes], bytes] = lambda name, content: content
        self.redirect = self.etag = ""
        self.headers: dict[str, str] = {}
        self.length, self.lie, self.shift = True, 0, 0
        self.silent: threading.Event | None = None
        self.hold: tuple[str, int, threading.Event] | None = None
        self.drip: tuple[threading.Event, float] | None = None
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def shards(self) -> list[str]:
        """Names of the shards that were asked for, in order."""
        return [path[1:] for path, _ in self.requests if path.endswith(".tar")]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path, span = self.path.partition("?")[0], self.headers.get("Range")
        server = self.server
        server.requests.append((path, span))
        server.received.append(dict(self.headers))
        if server.silent:
            server.silent.wait()
            return
        if server.redirect:
            self._answer(302, {"Location": server.redirect})
            return
        if server.statuses:
            self._answer(*server.statuses.pop(0))
            return
        if server.busy:
            server.busy -= 1
            self.send_error(503)
            return
        file = server.folder / path[1:]
        if not file.is_file():
            self.send_error(404)
            return
        same = self.headers.get("If-Range", server.etag) == server.etag
        self._send(server.rewrite(file.name, file.read_bytes()), span if same else None)

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes, span: str | None) -> None:
        server, whole = self.server, len(content)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", span or "") if server.ranges else None
        first = int(match[1]) if match else 0
        if match and first >= whole:
            self._answer(416, {"Content-Range": f"bytes */{whole}"})
            return
        end = min(whole, int(match[2]) + 1) if match and match[2] else whole
        headers = dict(server.headers)
        if match:
            headers["Content-Range"] = f"bytes {first + server.shift}-{end - 1}/{whole}"
        if server.length:
            headers["Content-Length"] = str(end - first + server.lie)
        if server.etag:
            headers["ETag"] = server.etag
        self._answer(206 if match else 200, headers)
        after, times = server.cut
        if times and end - first > after:
            server.cut = (after, times - 1)
            end = first + after  # and the connection is closed, too early
        with contextlib.suppress(OSError):  # a reader may go away
            for piece in self._pieces(content[first:end]):
                self.wfile.write(piece)

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        if self.server.hold and self.server.hold[0] == self.path:
            yield content[: self.server.hold[1]]
            self._wait(self.server.hold[2])
            return
        if not self.server.drip:
            yield content
            return
        stop, pause_s = self.server.drip
        for at in range(len(content)):
            if stop.wait(pause_s):
                return
            yield content[at : at + 1]

    def _wait(self, event: threading.Event) -> None:
        self.connection.settimeout(0.05)
        while not event.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A running server."""
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def wait_for_part(folder: Path, pattern: str, size: int, seconds: float = 60) -> None:
    """Return when a partial file has that size."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for entry in folder.glob(f"{pattern}.partial"):
            with contextlib.suppress(FileNotFoundError):  # it has just got its name
                if entry.stat().st_size == size:
                    return
    raise AssertionError(sorted(entry.name for entry in folder.iterdir()))
