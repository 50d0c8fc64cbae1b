"""Claims proved here, on stores, against a real S3-compatible server and a folder.

- Both stores do the same: sizes, small reads with a limit, lists, whole files, deletion; names that
  lead elsewhere are refused.
- publish → download → verify gives the same bytes, whole and in parts; the training reader reads
  s3:// as it reads the folder.
- What is not there, not allowed or not reachable is one clear line, and nothing is tried for ever.
"""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.data import builders
from tests.data.builders import tree
from threedie.data import remote, urls
from threedie.data.fetch import fetch
from threedie.data.stores import FolderStore, Store, is_remote, open_store
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import DatasetManifest
from threedie.sharing.transfer.download import DownloadRequest, download
from threedie.sharing.transfer.publish import publish

PLAN = builders.Plan(objects=tuple("abcdefg"), views=4, per_shard=4, image_format="jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    builders.build(tmp_path / "set", PLAN)
    return tmp_path / "set"


def get(what: str, out: Path, **options: str) -> Path:
    request = DownloadRequest(what=what, out=out, **options)  # type: ignore[arg-type]
    download(request, console=Console(file=io.StringIO()))
    assert verify_dataset(out).problems == []
    return out


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path / "store")
    return open_store(f"{request.getfixturevalue('bucket')}/below/")


def test_a_store(store: Store, tmp_path: Path) -> None:
    assert (store.size("a"), store.read("a", 9), store.list(""), store.list("b/")) == (
        None,
        None,
        [],
        [],
    )
    store.delete("a")
    store.put("a", b"first")
    store.put("a", b"12345")
    store.put("b/c/d.json", b"{}")
    store.put("empty", b"")
    assert (store.size("a"), store.read("a", 5)) == (5, b"12345")
    assert store.read("empty", 5) == b""
    assert store.list("") == ["a", "b/c/d.json", "empty"]
    assert store.list("b/") == store.list("b/c/") == ["b/c/d.json"]
    assert store.size("b") is None
    with pytest.raises(ManifestError, match="5 bytes, at most 4 were expected"):
        store.read("a", 4)
    (tmp_path / "x.tar").write_bytes(os.urandom(3_000_000))
    told: list[int] = []
    store.put_file("x.tar", tmp_path / "x.tar", on_bytes=told.append)
    assert store.size("x.tar") == sum(told) == 3_000_000
    store.delete("a")
    assert store.list("") == ["b/c/d.json", "empty", "x.tar"]


def test_a_large_file_goes_in_parts(bucket: str, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 110  # two parts of fifty and one of ten
    (tmp_path / "x.tar").write_bytes(content)
    store = open_store(bucket)
    store.put_file("x.tar", tmp_path / "x.tar")
    assert b"".join(urls.chunks(f"{bucket}/x.tar", len(content), len(content))) == content


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "", ".", "a//b", "a\\b", "a b"])
def test_a_name_that_leads_elsewhere_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ManifestError, match="is no name"):
        store.put(name, b"")


def test_a_folder_lists_no_file_that_is_being_written(tmp_path: Path) -> None:
    from threedie import files

    (tmp_path / f".x.tar.{files.owner()}.tmp").write_bytes(b"half")
    assert open_store(tmp_path).list("") == []


def test_what_is_a_store(tmp_path: Path) -> None:
    assert is_remote("s3://bucket/x")
    assert not is_remote("data/x")
    assert not is_remote(f"file://{tmp_path}")
    assert isinstance(open_store(f"file://{tmp_path}/x"), FolderStore)
    with pytest.raises(ConfigError, match="cannot write to https://h/x: a web server is read only"):
        open_store("https://user:password@h/x?token=secret")
    with pytest.raises(ConfigError, match="needs gcsfs: pip install gcsfs"):
        open_store("gs://bucket/x")
    with pytest.raises(ConfigError, match="Commands"):
        open_store("pipe:true")


def test_publish_download_verify(bucket: str, folder: Path, tmp_path: Path) -> None:
    publish(folder, f"{bucket}/set")
    assert tree(get(f"{bucket}/set", tmp_path / "all")) == tree(folder)
    assert tree(get(f"{bucket}/set/dataset.json", tmp_path / "all")) == tree(folder)
    val = tree(get(f"{bucket}/set", tmp_path / "val", split="val"))
    assert val["val-000000.tar"] == tree(folder)["val-000000.tar"]
    chairs = get(f"{bucket}/set", tmp_path / "chairs", classes="chair")
    assert DatasetManifest.read(chairs).splits == {"train": 6, "val": 1}


def test_the_training_reader_reads_it(bucket: str, folder: Path) -> None:
    torch = pytest.importorskip("torch")
    from threedie.benchmark.reading.source import open_pairs
    from threedie.benchmark.reading.stream import StreamingPairs

    publish(folder, f"{bucket}/set")
    there = open_pairs(f"{bucket}/set", batch_size=6, seed=1)
    here = StreamingPairs(str(folder), batch_size=6, seed=1)
    assert there.data_hash == here.data_hash
    for ours, theirs in zip(there.batches(0, 3), here.batches(0, 3), strict=True):
        assert torch.equal(ours.x_NCHW, theirs.x_NCHW)
        assert torch.equal(ours.row_N, theirs.row_N)


def test_a_part_of_a_file_goes_on(bucket: str, tmp_path: Path) -> None:
    """What was left by a killed process is asked for from there."""
    import hashlib

    from threedie.data.partial import growing

    content = os.urandom(20_000_000)
    open_store(bucket).put("x.bin", content)
    sha256, told = hashlib.sha256(content).hexdigest(), list[int]()
    with growing(tmp_path / "x.bin", sha256) as file:
        file.append(content[:15_000_000])
    fetch(
        f"{bucket}/x.bin",
        tmp_path / "x.bin",
        size=len(content),
        sha256=sha256,
        on_bytes=told.append,
    )
    assert (tmp_path / "x.bin").read_bytes() == content
    assert told[-1] == 5_000_000


def test_what_is_not_there(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"cannot read {bucket}/no/dataset\.json: not there"):
        get(f"{bucket}/no", tmp_path / "out")
    with pytest.raises(StorageError, match=r"bucket does not exist.*Make it first"):
        open_store("s3://no-such-bucket/x").put("a", b"x")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError("Access Denied"), "not allowed .*AWS_PROFILE"),
        (OSError(28, "No space left on device"), "no space left there"),
        (OSError(27, "File too large"), "the file is too large for this store"),
        (ValueError("odd"), "ValueError: odd"),
        (FileNotFoundError("gone"), "not there"),
    ],
)
def test_what_will_not_pass_is_tried_once(
    bucket: str, error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing(bucket, monkeypatch, error)
    with pytest.raises(StorageError, match=rf"cannot write {bucket}/a: {says}"):
        open_store(bucket).put("a", b"x")
    assert len(calls) == 1


def test_what_may_pass_is_tried_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = failing(bucket, monkeypatch, TimeoutError("http://h/x?X-Amz-Signature=secret is slow"))
    with pytest.raises(StorageError, match="TimeoutError: http://h/x is slow") as caught:
        open_store(bucket).put("a", b"x")
    assert "secret" not in str(caught.value)
    assert len(calls) == 3


def failing(bucket: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[str]:
    """Every write of the client fails; the list of calls."""
    import fsspec

    calls: list[str] = []

    def fail(path: str, content: bytes) -> None:
        calls.append(path)
        raise error

    client, _ = fsspec.core.url_to_fs(bucket, use_listings_cache=False)
    monkeypatch.setattr(client, "pipe_file", fail)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return calls


def test_the_status_behind_an_error_decides() -> None:
    class Answer(Exception):
        def __init__(self, status: int) -> None:
            self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}

    passing = {s: remote.may_pass(Answer(s)) for s in (400, 403, 404, 409, 429, 500, 503, 507)}
    assert [status for status, passes in passing.items() if passes] == [409, 429, 500, 503]
    wrapped = OSError(5, "I/O")
    wrapped.__cause__ = Answer(403)
    assert not remote.may_pass(wrapped)
