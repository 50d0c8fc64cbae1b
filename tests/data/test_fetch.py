"""Claims proved here, on `fetch`, against a real web server that misbehaves.

- Whatever a server does, the target is the right file or not there, and the error names the
  address and both values: cuts at any byte, wrong lengths, ranges ignored or answered wrongly,
  another file meanwhile, drips, silence, compression, web pages, error statuses, redirects.
- What a killed process has left is gone on with, from where it stopped; spoiled bytes of it cost
  one more fetch and no error; two processes at once are two files on the way and one result.
- A wrong hash is asked for once, set aside and named with both hashes; a file size limit is told
  at once.
- Credentials reach their own host, and no other one and no message.
"""

from __future__ import annotations

import hashlib
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.server import Server, serving, wait_for_part
from threedie import files
from threedie.data import partial, web, web_request
from threedie.data.fetch import check_space, fetch
from threedie.errors import ConfigError, ManifestError, StorageError

CONTENT = bytes(range(256)) * 2000  # 512 kB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[::-1]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.tar").write_bytes(CONTENT)
    with serving(tmp_path / "served") as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def get(server: Server, out: Path, **options: Any) -> Path:
    """The fetched file; it is checked."""
    fixed: dict[str, Any] = {"size": len(CONTENT), "sha256": SHA256}
    fetch(f"{server.url}/x.tar?key=secret", out / "x.tar", **(fixed | options))
    assert (out / "x.tar").read_bytes() == CONTENT
    assert names(out) == ["x.tar"]
    return out / "x.tar"


def fails(server: Server, out: Path, error: type[Exception], match: str, **options: Any) -> str:
    """The message; nothing has the target's name."""
    with pytest.raises(error, match=match) as caught:
        get(server, out, **options)
    assert not (out / "x.tar").exists()
    assert "secret" not in str(caught.value)
    assert "/x.tar" in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_cut_at_any_byte(server: Server, out: Path, known: bool, ranges: bool, etag: str) -> None:
    server.ranges, server.etag = ranges, etag
    for after in (0, 1, 1023, 1024, 70_000, len(CONTENT) - 1):
        server.cut = (after, 2)
        get(server, out, size=len(CONTENT) if known else None)


def test_going_on_asks_for_the_same_file(server: Server, out: Path) -> None:
    server.etag, server.cut = '"one"', (100_000, 1)
    get(server, out)
    assert server.requests[1] == ("/x.tar", "bytes=100000-")
    assert server.received[1]["If-Range"] == '"one"'
    assert {headers["Accept-Encoding"] for headers in server.received} == {"identity"}


@pytest.mark.parametrize("ranges", [True, False])
def test_another_file_meanwhile(server: Server, out: Path, ranges: bool) -> None:
    """The first connection brings bytes of the old version: all of them go."""
    versions = [(b'"old"', OTHER), (b'"new"', CONTENT)]

    def rewrite(name: str, content: bytes) -> bytes:
        tag, body = versions.pop(0) if len(versions) > 1 else versions[0]
        server.etag = tag.decode()
        return body

    server.rewrite, server.cut, server.ranges = rewrite, (100_000, 1), ranges
    told: list[int] = []
    get(server, out, on_bytes=told.append)
    assert sum(told) == len(CONTENT)
    assert min(told) == -100_000


def test_a_server_that_says_the_wrong_start_is_asked_for_all(server: Server, out: Path) -> None:
    server.cut, server.shift = (100_000, 1), 7
    get(server, out)
    assert [span for _, span in server.requests] == [None, "bytes=100000-", None]


@pytest.mark.parametrize("lie", [1, -1, 4096])
def test_a_wrong_length(server: Server, out: Path, lie: int) -> None:
    server.lie = lie
    fails(server, out, ManifestError, f"{len(CONTENT) + lie} bytes, {len(CONTENT)} were expected")


def test_a_longer_and_a_shorter_file(server: Server, out: Path) -> None:
    for length in (True, False):
        server.length = length
        server.rewrite = lambda name, content: content + b"more"
        fails(server, out, ManifestError, f"{len(CONTENT) + 4}|{len(CONTENT)} were expected")
    server.rewrite, server.ranges = lambda name, content: content[:-5], False
    fails(server, out, (ManifestError, StorageError), "bytes")  # type: ignore[arg-type]


def test_a_wrong_byte_is_set_aside_and_not_asked_for_again(server: Server, out: Path) -> None:
    wrong = b"\1" + CONTENT[1:]
    server.rewrite = lambda name, content: wrong
    told = fails(server, out, ManifestError, r"x\.tar\.bad")
    assert SHA256 in told
    assert hashlib.sha256(wrong).hexdigest() in told
    assert len(server.requests) == 1
    assert names(out) == ["x.tar.bad"]
    assert (out / "x.tar.bad").read_bytes() == wrong


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"Retry-After": "2"}), (503, {}), (500, {}), (502, {}), (408, {}), (416, {})],
)
def test_what_may_pass_is_tried_again(
    server: Server, out: Path, status: int, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.statuses = [(status, headers)] * 3
    get(server, out)
    assert len(server.requests) == 4
    if "Retry-After" in headers:
        assert pauses == [2.0] * 3
    else:
        assert 0 < pauses[0] < pauses[2] < 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_what_will_not_pass_is_told_at_once(server: Server, out: Path, status: int) -> None:
    server.statuses = [(status, {})]
    fails(server, out, StorageError, f"HTTP {status}")
    assert len(server.requests) == 1


def test_a_server_that_is_away_for_long(server: Server, out: Path) -> None:
    server.statuses = [(503, {"Retry-After": "3600"})]
    fails(server, out, StorageError, "come back in 3600 s")
    assert len(server.requests) == 1


def test_what_is_no_file(server: Server, out: Path) -> None:
    server.headers = {"Content-Encoding": "gzip"}
    fails(server, out, StorageError, r"something compressed \(gzip\)")
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    fails(server, out, StorageError, r"a web page \(text/html\)")
    assert len(server.requests) == 2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SLOW_S", 0.1)
    monkeypatch.setattr(web_request, "TIMEOUT_S", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_drip(server: Server, out: Path) -> None:
    stop = threading.Event()
    server.drip = (stop, 0.01)
    fails(server, out, StorageError, r"5 attempts: only \d+ bytes came in")
    stop.set()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers(server: Server, out: Path) -> None:
    server.silent = threading.Event()
    fails(server, out, StorageError, r"5 attempts: \w+: .*timed out")
    server.silent.set()


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://x/",
        "http://169.254.169.254/latest/meta-data?key=secret",
    ],
)
def test_a_redirect_to_what_is_refused(
    server: Server, out: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_request, "_depth", lambda parts: int(parts.hostname != "127.0.0.1"))
    server.redirect = target
    fails(server, out, StorageError, "it redirects to .*not further inside|HTTP")
    assert len(server.requests) == 1


def test_how_far_inside_a_host_is() -> None:
    from urllib.parse import urlsplit

    places = {
        0: ("example.org", "8.8.8.8", "[2606:4700::1111]"),
        1: ("10.0.0.1", "192.168.1.1", "[fd00::1]"),
        2: ("127.0.0.1", "127.1", "0x7f000001", "localhost", "[::1]", "169.254.169.254", "0.0.0.0"),
    }
    for depth, hosts in places.items():
        for host in hosts:
            assert (host, web_request._depth(urlsplit(f"http://{host}:80/x"))) == (host, depth)


def test_redirects_for_ever(server: Server, out: Path) -> None:
    server.redirect = f"{server.url}/x.tar"
    fails(server, out, StorageError, "At most five redirects")
    assert 2 <= len(server.requests) <= 6


def test_odd_addresses(out: Path) -> None:
    for address in ("http://127.0.0.1:port/x", f"http://h/{'x' * 5000}", "http://h/a\nb"):
        with pytest.raises(ConfigError, match="is no address"):
            fetch(address, out / "x", size=1, sha256=SHA256)


def test_a_path_with_odd_characters(server: Server, out: Path, tmp_path: Path) -> None:
    odd = "a b ü 50% +.tar"
    (tmp_path / "served" / "a%20b%20%C3%BC%2050%%20+.tar").write_bytes(CONTENT)
    fetch(f"{server.url}/{odd}", out / "x", size=None, sha256=SHA256)


def test_credentials_reach_their_own_host_only(
    server: Server, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREEDIE_TOKEN", "secret")
    get(server, out)
    get(server, out, token=False)
    with serving(tmp_path / "served") as other:
        other.redirect = f"{server.url}/x.tar"
        get(other, out)
        assert other.received[0]["Authorization"] == "Bearer secret"
    fetch(server.url.replace("//", "//me:secret@") + "/x.tar", out / "y", size=None, sha256=SHA256)
    found = [headers.get("Authorization") for headers in server.received]
    assert found == ["Bearer secret", None, None, "Basic bWU6c2VjcmV0"]


def test_the_hubs_token_is_the_hubs(
    server: Server, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    get(server, out)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    get(server, out, token=False)
    found = [headers.get("Authorization") for headers in server.received]
    assert found == [None, "Bearer secret"]


# Another process.

FETCH = (
    "import sys; from pathlib import Path; from threedie.data.fetch import fetch\n"
    "fetch(sys.argv[1], Path(sys.argv[2]), size=int(sys.argv[3]), sha256=sys.argv[4])"
)


def other_process(server: Server, out: Path, **options: Any) -> subprocess.Popen[bytes]:
    arguments = [f"{server.url}/x.tar", str(out / "x.tar"), str(len(CONTENT)), SHA256]
    command = [sys.executable, "-c", FETCH, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


def test_what_a_killed_process_left_is_gone_on_with(server: Server, out: Path) -> None:
    server.hold = ("/x.tar", 300_000, threading.Event())
    with other_process(server, out) as process:
        wait_for_part(out, ".x.tar.*", 300_000)
        process.send_signal(signal.SIGKILL)
    server.hold = None
    server.requests.clear()
    told: list[int] = []
    get(server, out, on_bytes=told.append)
    assert server.requests == [("/x.tar", "bytes=300000-")]
    assert told[0] == 300_000
    assert sum(told) == len(CONTENT)


def left_by_a_dead_process(out: Path, content: bytes, key: str = SHA256) -> Path:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = files.owner().partition(".")[0]
    path = out / f".x.tar.{key[:12]}.{host}.{ended.pid}.{'0' * 16}.partial"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        pytest.param(b"\0" * 1000, ["bytes=1000-", None], id="zeros after a power cut"),
        pytest.param(CONTENT[:999] + b"\1", ["bytes=1000-", None], id="a wrong byte"),
        pytest.param(OTHER, [None], id="another file of the same size"),
        pytest.param(CONTENT + b"more", [None], id="too much"),
        pytest.param(b"", [None], id="nothing"),
        pytest.param(CONTENT[:1000], ["bytes=1000-"], id="a part of it"),
        pytest.param(CONTENT, [], id="all of it"),
    ],
)
def test_bytes_that_were_left_are_doubted(
    server: Server, out: Path, left: bytes, asked: list[str | None]
) -> None:
    left_by_a_dead_process(out, left)
    get(server, out)
    assert [span for _, span in server.requests] == asked


def test_parts_of_another_version_are_not_used(server: Server, out: Path) -> None:
    left = left_by_a_dead_process(out, CONTENT[:1000], key="ab" * 32)
    fetch(f"{server.url}/x.tar", out / "x.tar", size=len(CONTENT), sha256=SHA256)
    assert server.requests == [("/x.tar", None)]
    assert left.exists()
    partial.sweep_partials(out)
    assert names(out) == ["x.tar"]


def test_a_living_process_keeps_its_file(server: Server, out: Path) -> None:
    """Ours, this run's: as another thread of us would have it."""
    with partial.growing(out / "x.tar", SHA256) as file:
        file.append(OTHER[:1000])
        fetch(f"{server.url}/x.tar", out / "x.tar", size=len(CONTENT), sha256=SHA256)
        assert server.requests == [("/x.tar", None)]
        assert len(names(out)) == 2
        partial.sweep_partials(out)
        assert len(names(out)) == 2
    assert (out / "x.tar").read_bytes() == CONTENT


def test_two_processes_at_once(server: Server, out: Path) -> None:
    running = [other_process(server, out) for _ in range(3)]
    for process in running:
        _, told = process.communicate(timeout=100)
        assert process.returncode == 0, told
    assert (out / "x.tar").read_bytes() == CONTENT
    assert names(out) == ["x.tar"]


def test_an_interrupt_leaves_what_has_come(server: Server, out: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, out, on_bytes=stop)
    (left,) = out.iterdir()
    assert CONTENT.startswith(left.read_bytes())
    server.requests.clear()
    get(server, out)
    assert all(span for _, span in server.requests)  # not from the start


def test_a_file_that_may_not_grow_is_told_at_once(server: Server, out: Path) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = other_process(server, out, preexec_fn=small_files)
    _, told = process.communicate(timeout=100)
    assert process.returncode != 0
    assert b"StorageError: file too large for" in told
    assert len(server.requests) == 1
    get(server, out)  # and without the limit it goes on
    assert server.requests[1] == ("/x.tar", "bytes=200000-")


def test_space_is_looked_at_first(tmp_path: Path) -> None:
    check_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(StorageError, match=r"1,048,576.0 TiB are needed, .* are free. Make room"):
        check_space(tmp_path / "not" / "yet", 2**60)


def test_a_path_and_a_missing_one(server: Server, out: Path, tmp_path: Path) -> None:
    for address in (str(tmp_path / "served" / "x.tar"), f"file://{tmp_path}/served/x.tar"):
        fetch(address, out / "y.tar", size=len(CONTENT), sha256=SHA256)
    assert (out / "y.tar").read_bytes() == CONTENT
    with pytest.raises(StorageError, match="No such file"):
        fetch(str(tmp_path / "nothing"), out / "z", size=1, sha256=SHA256)
    assert names(out) == ["y.tar"]
