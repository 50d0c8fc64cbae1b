"""A web server for tests, on this machine: serves a folder, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """Serves a folder at `url`.

    Fields:
        requests: (path, Range header) of every request.
        ranges: whether Range is understood.
        cut: bytes after which the connection breaks, for so many requests.
        busy: answer 503 so many times.
        rewrite: changes a file's content.
        redirect: where every request is sent instead.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str | None]] = []
        self.ranges, self.cut, self.busy = True, (0, 0), 0
        self.rewrite: Callable[[str, bytes], bytes] = lambda name, content: content
        self.redirect = ""
        self.length = True
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
        self.server.requests.append((path, span))
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        if self.server.busy:
            self.server.busy -= 1
            self.send_error(503)
            return
        file = self.server.folder / path[1:]
        if not file.is_file():
            self.send_error(404)
            return
        self._send(self.server.rewrite(file.name, file.read_bytes()), span)

    def _send(self, content: bytes, span: str | None) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", span or "") if self.server.ranges else None
        first = int(match[1]) if match else 0
        self.send_response(206 if match else 200)
        if match:
            whole = len(content)
            self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        if self.server.length:
            self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        after, times = self.server.cut
        if times and len(content) - first > after:
            self.server.cut = (after, times - 1)
            self.wfile.write(content[first : first + after])
            return  # and the connection is closed, too early
        with contextlib.suppress(OSError):  # a reader may go away
            self.wfile.write(content[first:])

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
