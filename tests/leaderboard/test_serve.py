"""Claims proved here, on the server.

- It serves the pages of one folder on loopback, each with its type and the headers that keep a
  page to itself; a folder's address is its index.
- Nothing else is reachable: no listing, no hidden file, no `..`, no link that leads out.
- A port that is taken, and a folder that is no site, are told in one line (exit 2); Ctrl-C ends it
  quietly.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leaderboard.boards import EXAMPLES, write_board
from threedie.errors import ConfigError
from threedie.leaderboard.serve import HOST, Server, open_site
from threedie.leaderboard.site.build import build_site


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server of a folder, in a thread."""
    with Server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    build_site(write_board(folder / "board", EXAMPLES[:3]), folder / "site")
    return folder / "site"


def get(server: Server, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.putrequest("GET", path, skip_accept_encoding=True)  # as it is: .. is not resolved
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?sort=-mrr", "text/html; charset=utf-8"),
        ("/entry/sie-hypernet.html", "text/html; charset=utf-8"),
        ("/leaderboard.json", "application/json"),
        ("/leaderboard.csv", "text/csv; charset=utf-8"),
        ("/feed.xml", "application/atom+xml; charset=utf-8"),
    ],
)
def test_pages_with_their_types(site: Path, path: str, kind: str) -> None:
    with serving(site) as server:
        answer = get(server, path)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Python" not in answer.headers["Server"]
        assert len(answer.read()) > 100


@pytest.mark.parametrize(
    "path",
    [
        "/entry/",
        "/../board/board.json",
        "/entry/../../board/board.json",
        "/%2e%2e/board/board.json",
        "/..%2fboard/board.json",
        "//etc/passwd",
        "/.hidden/secret.html",
        "/%2ehidden/secret.html",
        "/link.html",
        "/nothing.html",
        "/entry/nothing.html%00.html",
    ],
)
def test_nothing_else(site: Path, path: str) -> None:
    (site / ".hidden").mkdir(exist_ok=True)
    (site / ".hidden/secret.html").write_text("secret")
    link = site / "link.html"
    link.unlink(missing_ok=True)
    link.symlink_to(site.parent / "board/board.json")
    with serving(site) as server:
        answer = get(server, path)
        assert answer.status in (400, 404)
        content = answer.read()
        assert b"list_sha256" not in content
        assert b"secret" not in content.replace(path.encode(), b"")
    link.unlink()


def test_only_loopback(site: Path) -> None:
    with serving(site) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_is_taken_is_told(site: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port} can't be used .another program"):
            open_site(site, port)


def test_a_folder_that_is_no_site_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no site: it holds no site\.json.*leaderboard build"):
        open_site(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_quietly(site: Path, number: int) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "threedie", "leaderboard", "serve", str(site), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert run.stdout is not None
    first = run.stdout.readline()
    assert first.startswith("http://127.0.0.1:")
    run.send_signal(number)
    rest, errors = run.communicate(timeout=60)
    assert (run.returncode, rest, errors) == (0, "", "")


def test_build_says_what_it_did(tmp_path: Path) -> None:
    board = write_board(tmp_path / "board", EXAMPLES)
    command = [sys.executable, "-m", "threedie", "leaderboard", "build", str(board)]
    run = subprocess.run(
        [*command, "--out", str(tmp_path / "site")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "13 entries in the board: 12 shown, 1 waiting for verification" in run.stdout
    assert "waiting: entries/2026/newcomer: not verified yet" in run.stdout
    assert "index.html" in run.stdout
    again = subprocess.run([*command, "--out", str(board)], capture_output=True, check=False)
    assert again.returncode == 2
