"""Claims proved here, on releases, against a real web server.

- The built-in release has the published places and hashes; one's own folder comes first.
- A licence is shown, accepted once, and asked for again when its text changes.
- A published archive becomes shards while it comes, equal to those of `3die convert`; the split is
  the published list's; cuts, kill -9 and another server later, all bytes come once.
- Another hash than the published one, a changed list, --split of an archive: clear errors.
"""

from __future__ import annotations

import colorsys
import gzip
import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.data import builders
from tests.data.builders import tree
from tests.data.server import Server, serving, wait_for_part
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, Converted, DatasetManifest
from threedie.manifests.recipes import find_recipe
from threedie.manifests.releases import releases
from threedie.render.sampler import sample_object
from threedie.sharing.convert.convert import convert_archive
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConvertProgress
from threedie.sharing.transfer.download import DownloadRequest, download

OBJECTS = [(c, o) for c in ("03001627", "03797390") for o in ("a", "b", "c")]
VAL = [f"/{c}/c" for c in ("03001627", "03797390")]
VIEWS = 3


def published_archive() -> bytes:
    """The published layout: floors have the latent hue."""
    out, rng = io.BytesIO(), np.random.default_rng(0)
    with tarfile.open(fileobj=out, mode="w") as tar:
        for class_id, object_id in OBJECTS:
            latents = sample_object(
                find_recipe("3diebench"),
                seed=1,
                class_id=class_id,
                object_id=object_id,
                views=VIEWS,
            )
            for view, row in enumerate(latents):
                name = f"3DIEBench/{class_id}/{object_id}"
                add(tar, f"{name}/image_{view}.jpg", picture(float(row[3]), rng))
                array = io.BytesIO()
                np.save(array, row)
                add(tar, f"{name}/latent_{view}.npy", array.getvalue())
    return gzip.compress(out.getvalue(), mtime=0)


def picture(hue: float, rng: np.random.Generator) -> bytes:
    pixels = np.empty((32, 32, 3), np.uint8)
    pixels[...] = np.round(255 * np.array(colorsys.hsv_to_rgb(hue, 0.3, 0.7)))
    pixels[8:-8, 8:-8] = rng.integers(0, 255, (16, 16, 3))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


ARCHIVE = published_archive()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    served = tmp_path / "served"
    served.mkdir()
    (served / "pictures.tar.gz").write_bytes(ARCHIVE)
    np.save(served / "val_images.npy", np.array(VAL))
    builders.build(served / "set", builders.Plan(views=2))
    with serving(served) as running:
        running.etag = '"one"'
        monkeypatch.setenv("THREEDIE_RELEASES", str(tmp_path / "releases"))
        (tmp_path / "releases").mkdir()
        release(tmp_path, running)
        yield running


def release(tmp_path: Path, server: Server, **changes: Any) -> None:
    """Write the release `tiny`."""
    val = (tmp_path / "served" / "val_images.npy").read_bytes()
    body = {
        "schema_version": 1,
        "name": "tiny",
        "title": "A tiny set",
        "kind": "archive",
        "url": f"{server.url}/pictures.tar.gz",
        "note": "No hash was published.",
        "licence": {"name": "CC BY-NC 4.0", "url": "https://h/licence", "text": "Not for sale."},
        "citation": "Somebody, 2023",
        "files": [
            {
                "name": "val_images.npy",
                "url": f"{server.url}/val_images.npy",
                "sha256": hashlib.sha256(val).hexdigest(),
            }
        ],
    }
    (tmp_path / "releases" / "tiny.json").write_text(json.dumps(body | changes))


def run(out: Path, what: str = "tiny", **options: Any) -> str:
    told = io.StringIO()
    request = DownloadRequest(what=what, out=out, **({"accept_license": True} | options))
    download(request, console=Console(file=told, width=200))
    return told.getvalue()


def converted(tmp_path: Path) -> Path:
    """What `3die convert` makes of the archive."""
    convert_archive(
        [ARCHIVE],
        name="pictures.tar.gz",
        size=None,
        out=tmp_path / "converted",
        options=ConvertOptions(val_list=tmp_path / "served" / "val_images.npy"),
        progress=ConvertProgress(),
    )
    return tmp_path / "converted"


def test_the_published_one() -> None:
    known = releases()["3diebench"]
    assert known.url == "https://dl.fbaipublicfiles.com/SIE/3DIEBench.tar.gz"
    assert (known.kind, known.sha256, known.bytes) == ("archive", None, None)
    assert {f.name: f.sha256[:8] for f in known.files} == {
        "val_images.npy": "9a945e83",
        "val_labels.npy": "2f0022b5",
        "train_labels.npy": "784aeab9",
    }
    assert "hash" in known.note
    assert known.licence.name == "CC BY-NC 4.0"


def test_the_published_list_is_the_one_with_that_hash(shared_dir: Path) -> None:
    for entry in releases()["3diebench"].files:
        found = sorted((shared_dir / "official").rglob(entry.name))
        if not found:
            pytest.skip(f"no {entry.name} in the shared data")
        assert hashlib.sha256(found[0].read_bytes()).hexdigest() == entry.sha256


def test_an_archive_becomes_shards(server: Server, tmp_path: Path) -> None:
    said = run(tmp_path / "out")
    assert tree(tmp_path / "out") == tree(converted(tmp_path))
    assert f"sha256 of pictures.tar.gz as it came: {SHA256} (none was published)" in said
    assert "Cite: Somebody, 2023" in said
    assert verify_dataset(tmp_path / "out").problems == []
    manifest = DatasetManifest.read(tmp_path / "out")
    assert manifest.splits == {"train": 4, "val": 2}
    assert isinstance(manifest.making, Converted)
    assert manifest.making.origin.sha256 == SHA256


def test_again_everything_is_there(server: Server, tmp_path: Path) -> None:
    run(tmp_path / "out")
    server.requests.clear()
    assert "everything is there" in run(tmp_path / "out")
    assert ("/pictures.tar.gz", None) not in server.requests
    run(tmp_path / "out", offline=True)


def test_cuts(server: Server, tmp_path: Path) -> None:
    server.cut = (4000, 3)
    run(tmp_path / "out")
    assert tree(tmp_path / "out") == tree(converted(tmp_path))
    spans = [span for path, span in server.requests if path.endswith(".gz")]
    assert spans == [None, "bytes=4000-", "bytes=8000-"]


@pytest.mark.parametrize("known", [True, False])
def test_a_killed_command_goes_on(server: Server, tmp_path: Path, known: bool) -> None:
    release(tmp_path, server, **({"sha256": SHA256, "bytes": len(ARCHIVE)} if known else {}))
    out, half = tmp_path / "out", 8000
    server.hold = ("/pictures.tar.gz", half, threading.Event())
    arguments = ["download", "tiny", "--out", str(out), "--accept-license"]
    with subprocess.Popen([sys.executable, "-m", "threedie", *arguments]) as process:
        wait_for_part(out, ".download/.pictures*", half)
        process.send_signal(signal.SIGKILL)
    server.hold = None
    server.requests.clear()
    run(out)
    assert tree(out) == tree(converted(tmp_path))
    assert server.requests[-1] == ("/pictures.tar.gz", f"bytes={half}-")
    assert not (out / ".download").exists()


def test_another_archive_by_then(server: Server, tmp_path: Path) -> None:
    """What is left is of another file on the server: all of it comes anew."""
    leave_a_part(server, tmp_path)
    server.etag = '"two"'
    server.requests.clear()
    run(tmp_path / "out")
    spans = [span for path, span in server.requests if path.endswith(".gz")]
    assert spans == [None]
    assert tree(tmp_path / "out") == tree(converted(tmp_path))


def leave_a_part(server: Server, tmp_path: Path) -> None:
    """A run gets 5000 bytes; then the server is gone."""

    def gone(name: str, content: bytes) -> bytes:
        if name.endswith(".gz"):
            server.statuses = [(503, {})] * 9
        return content

    server.cut, server.rewrite = (5000, 1), gone
    with pytest.raises(StorageError, match="5 attempts: HTTP 503"):
        run(tmp_path / "out")
    server.statuses, server.rewrite = [], lambda name, content: content


def test_another_hash_than_the_published_one(server: Server, tmp_path: Path) -> None:
    """What another run has left is to blame first; a whole file of another hash is kept aside."""
    release(tmp_path, server, sha256="ab" * 32)
    leave_a_part(server, tmp_path)
    says = f"sha256 is {SHA256}, {'ab' * 32} was expected"
    with pytest.raises(ManifestError, match=f"{says}: what an earlier run had left"):
        run(tmp_path / "out")
    with pytest.raises(ManifestError, match=f"{says}: a byte of it was changed"):
        run(tmp_path / "out")
    assert not (tmp_path / "out" / FILE_NAME).exists()
    bad = tmp_path / "out" / ".download" / "pictures.tar.gz.bad"
    assert bad.read_bytes() == ARCHIVE


def test_room_is_looked_for_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * len(ARCHIVE))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match=r"needed, .* are free"):
        run(tmp_path / "out")


def test_a_list_that_was_changed(server: Server, tmp_path: Path) -> None:
    np.save(tmp_path / "served" / "val_images.npy", np.array(VAL[:1]))
    with pytest.raises(ManifestError, match=r"val_images\.npy: sha256 is"):
        run(tmp_path / "out")


def test_a_mirror(server: Server, tmp_path: Path) -> None:
    (tmp_path / "served" / "mirror").mkdir()
    (tmp_path / "served" / "pictures.tar.gz").rename(
        tmp_path / "served" / "mirror" / "pictures.tar.gz"
    )
    with pytest.raises(StorageError, match="HTTP 404"):
        run(tmp_path / "out")
    run(tmp_path / "out", source=f"{server.url}/mirror/pictures.tar.gz?token=1")
    assert verify_dataset(tmp_path / "out").problems == []


def test_a_token_is_for_what_the_user_names(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREEDIE_TOKEN", "secret")
    run(tmp_path / "out")
    assert not any("Authorization" in headers for headers in server.received)
    run(tmp_path / "mirrored", source=f"{server.url}/pictures.tar.gz?mirror")
    assert server.received[-1]["Authorization"] == "Bearer secret"


def test_a_licence_is_accepted_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--accept-license"):
        run(tmp_path / "out", accept_license=False)
    assert server.requests == []
    assert "Licence: CC BY-NC 4.0 (https://h/licence)" in run(tmp_path / "out")
    assert "Licence" not in run(tmp_path / "other", accept_license=False)
    release(tmp_path, server, licence={"name": "N", "url": "https://h/n", "text": "New."})
    with pytest.raises(ConfigError, match="--accept-license"):
        run(tmp_path / "another", accept_license=False)


def test_a_release_of_shards(server: Server, tmp_path: Path) -> None:
    manifest = (tmp_path / "served" / "set" / FILE_NAME).read_bytes()
    fields = {"kind": "shards", "url": f"{server.url}/set", "files": []}
    digest = hashlib.sha256(manifest).hexdigest()
    release(tmp_path, server, **fields, sha256=digest)
    run(tmp_path / "out", split="val")
    assert DatasetManifest.read(tmp_path / "out").splits == {"val": 3}
    release(tmp_path, server, **fields, sha256="ab" * 32)
    with pytest.raises(ManifestError, match="it is another data set"):
        run(tmp_path / "other")


def test_what_can_not_be(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"unknown release 'tny'\. Did you mean 'tiny'"):
        run(tmp_path / "out", "tny")
    for options in ({"split": "val"}, {"classes": "chair"}):
        with pytest.raises(ConfigError, match="is one archive"):
            run(tmp_path / "out", **options)
    release(tmp_path, server, url="file:///etc/passwd")
    with pytest.raises(ManifestError, match=r"tiny\.json: field 'url'"):
        run(tmp_path / "out")
    monkeypatch.setenv("THREEDIE_RELEASES", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="THREEDIE_RELEASES is"):
        run(tmp_path / "out")
