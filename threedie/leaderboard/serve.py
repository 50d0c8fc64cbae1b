"""Looking at a site on this machine: a small server on loopback, of one folder and nothing else."""

from __future__ import annotations

import errno
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from threedie.errors import ConfigError
from threedie.leaderboard.site.build import MANIFEST

HOST, PORT = "127.0.0.1", 8000
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".xml": "application/atom+xml; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",  # all else stands in the pages
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a site that was built anew is seen at once
}


class Server(ThreadingHTTPServer):
    """Serves one folder on loopback.

    Args:
        folder: what is served.
        port: 0 takes a free one; `server_port` says which.

    Raises:
        ConfigError: the port is taken, or not allowed.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path, port: int = PORT) -> None:
        handler = functools.partial(_Handler, directory=str(folder.resolve()))
        try:
            super().__init__((HOST, port), handler)
        except (OSError, OverflowError) as err:
            taken = isinstance(err, OSError) and err.errno == errno.EADDRINUSE
            why = "another program has it" if taken else getattr(err, "strerror", None) or err
            raise ConfigError(
                f"--port {port} can't be used ({why}). Give another one, or 0 for any that is free."
            ) from err

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"


def open_site(folder: Path, port: int = PORT) -> Server:
    """A server of a site that was built.

    Raises:
        ConfigError: no site is there, or the port is taken.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(
            f"'{folder}' is no site: it holds no {MANIFEST}. "
            f"`3die leaderboard build BOARD --out {folder}` makes one."
        )
    return Server(folder, port)


class _Handler(SimpleHTTPRequestHandler):
    """Files below the folder, with their types; no listings, no links that lead out, no chatter."""

    server_version, sys_version = "3die", ""

    def send_head(self) -> Any:
        if self._is_served():
            return super().send_head()
        self.send_error(404)
        return None

    def _is_served(self) -> bool:
        root = Path(self.directory)
        try:
            path = Path(self.translate_path(self.path))
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            return not hidden and path.resolve().is_relative_to(root)
        except (OSError, ValueError):  # a name that no file can have
            return False

    def list_directory(self, path: Any) -> Any:
        self.send_error(404)

    def guess_type(self, path: Any) -> str:
        return _TYPES.get(Path(path).suffix, "application/octet-stream")

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
