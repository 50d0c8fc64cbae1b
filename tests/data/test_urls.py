"""Claims proved here, on reading by URL.

- Paths, file: URLs, http and fsspec's stores give the same bytes, up to a limit.
- A connection that breaks is taken up again where it broke, with or without a server's help; a busy
  server is asked again; one that has nothing is not, and after some attempts it is an error.
- Nothing runs a command: `pipe:`, chains and other schemes are refused, and redirects lead to http.
- Tokens in a query reach the server, and no message.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.data.server import Server, serving
from threedie.data import urls
from threedie.errors import ConfigError, ManifestError, MissingExtra, StorageError

CONTENT = bytes(range(256)) * 20_000  # 5 MB: several pieces


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    (tmp_path / "x.bin").write_bytes(CONTENT)
    with serving(tmp_path) as running:
        yield running


def whole(address: str, size: int | None = len(CONTENT), limit: int = 10**9) -> bytes:
    return b"".join(urls.chunks(address, size, limit))


def test_every_kind_of_address_gives_the_same_bytes(server: Server, tmp_path: Path) -> None:
    with fsspec.open("memory://bucket/x.bin", "wb") as file:
        file.write(CONTENT)
    for address in (str(tmp_path / "x.bin"), f"file://{tmp_path}/x.bin", f"{server.url}/x.bin"):
        assert whole(address) == CONTENT
        assert whole(address, limit=1_500_000) == CONTENT[:1_500_000]
        assert urls.read_small(address, len(CONTENT)) == CONTENT
        with pytest.raises(ManifestError, match="larger than 4 MiB"):
            urls.read_small(address, len(CONTENT) - 1)


def test_a_store_is_read_through_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "STORES", (*urls.STORES, "memory"))
    with fsspec.open("memory://bucket/y.bin", "wb") as file:
        file.write(CONTENT)
    assert whole("memory://bucket/y.bin") == CONTENT
    with pytest.raises(StorageError, match=r"cannot read memory://bucket/z: not there \(FileNot"):
        whole("memory://bucket/z")


def test_a_store_without_its_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **kwargs: object) -> None:
        raise ImportError("Install it to access the store")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtra, match=r"s3fs is not usable here .*threedie\[share\]"):
        whole("s3://b/x")
    with pytest.raises(ConfigError, match=r"gs://b/x needs gcsfs: pip install gcsfs"):
        whole("gs://b/x")


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("length", [True, False])
def test_a_broken_connection_is_taken_up_again(server: Server, ranges: bool, length: bool) -> None:
    server.ranges, server.length, server.cut = ranges, length, (1_200_000, 2)
    assert whole(f"{server.url}/x.bin") == CONTENT
    # Without ranges, the second connection brings what was there already: two cuts, one gain.
    positions = [None, "bytes=1200000-", "bytes=2400000-" if ranges else "bytes=1200000-"]
    assert [span for _, span in server.requests] == positions


def test_an_unknown_size_is_the_servers(server: Server) -> None:
    server.cut = (1000, 1)
    assert whole(f"{server.url}/x.bin", size=None) == CONTENT


def test_a_busy_server_is_asked_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.busy = 3
    assert whole(f"{server.url}/x.bin?token=secret") == CONTENT
    assert len(server.requests) == 4
    assert "x.bin: HTTP 503" in caplog.messages[0]
    assert "trying again (3 of 4)" in caplog.messages[-1]
    assert "secret" not in caplog.text


def test_it_gives_up(server: Server) -> None:
    server.busy = 99
    with pytest.raises(StorageError, match=r"x\.bin after 5 attempts: HTTP 503"):
        whole(f"{server.url}/x.bin")
    server.busy, server.cut = 0, (0, 99)
    with pytest.raises(StorageError, match=r"5 attempts: the connection ended after 0 of 512"):
        whole(f"{server.url}/x.bin")


def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing: HTTP 404"):
        whole(f"{server.url}/nothing?token=secret")
    assert len(server.requests) == 1
    with pytest.raises(StorageError, match="No such file"):
        whole(str(tmp_path / "nothing"))


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "*")
    with serving(tmp_path) as server:
        address = server.url
    with pytest.raises(StorageError, match=r"after 5 attempts: .*refused"):
        whole(f"{address}/x?token=secret")


def test_a_shorter_file_is_no_broken_connection(server: Server) -> None:
    assert whole(f"{server.url}/x.bin", size=len(CONTENT) + 7) == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "address",
    [
        "pipe:touch {marker}",
        "pipe:touch {marker}; cat x.tar",
        "PIPE:touch {marker}",
        "ftp://host/x",
        "sftp://host/x",
        "data:text/plain,x",
        "javascript:1",
        "simplecache::s3://b/x",
        "s3://b/x.zip::file:///etc/passwd",
        "ais://b/x",
        "local:/etc/passwd",
    ],
)
def test_what_could_run_or_read_something_else_is_refused(address: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(ConfigError, match=r"Commands \(pipe:\) and chains \(::\) are refused"):
        urls.chunks(address.format(marker=marker), None, 10)
    assert not marker.exists()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "pipe:true"])
def test_a_redirect_leads_to_http_only(server: Server, target: str) -> None:
    server.redirect = target
    with pytest.raises(StorageError, match=r"cannot read http://127\.0\.0\.1"):
        whole(f"{server.url}/x.bin")


def test_a_redirect_to_http_is_followed(server: Server, tmp_path: Path) -> None:
    with serving(tmp_path) as other:
        server.redirect = f"{other.url}/x.bin"
        assert whole(f"{server.url}/x.bin") == CONTENT


def test_addresses_of_files_in_a_folder() -> None:
    cases = {
        ("data/demo/", "a.tar"): "data/demo/a.tar",
        ("http://h/d", "a.tar"): "http://h/d/a.tar",
        ("https://h/d/?token=1", "a.tar"): "https://h/d/a.tar?token=1",
        ("s3://bucket/d", "a.tar"): "s3://bucket/d/a.tar",
        ("hf://datasets/me/set", "a.tar"): "hf://datasets/me/set/a.tar",
    }
    assert {case: urls.join(*case) for case in cases} == cases
    assert urls.shown("http://h/d?token=1") == "http://h/d"


def test_what_is_a_url(tmp_path: Path) -> None:
    assert urls.is_url("http://h/x")
    assert urls.is_url("pipe:cat")  # so that it reaches the refusal
    assert not urls.is_url("data/demo")
    (tmp_path / "a:b").mkdir()
    assert not urls.is_url(str(tmp_path / "a:b"))


def test_an_address_stays_one_whatever_folders_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a folder `s3:` that a slip once made would take what is meant for the bucket."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "bucket").mkdir(parents=True)
    assert urls.is_url("s3://bucket")


@pytest.mark.parametrize("address", ["s3://", "s3:/x", "s3:///x", "gs:", "http://", "https:///x"])
def test_a_place_without_a_name_is_refused(address: str) -> None:
    """For fsspec `s3:/x` is a folder of this machine."""
    with pytest.raises(ConfigError, match=r"names no (bucket|server)"):
        urls.scheme_of(address)
