"""Claims proved here, on downloading data sets, against a real web server.

- What comes is the published folder, byte for byte; again, nothing is asked for but the manifest;
  what is damaged or missing comes anew, and that alone; kill -9 at any time, two at once, cuts.
- A split is its shards and a manifest of them, some classes are their samples and no other bytes;
  both are whole data sets for every reader, and say what they are parts of.
- A wrong shard costs that shard; without all there is no dataset.json. A file size limit ends it at
  once.
- Hostile manifests write nothing; another set in the folder is refused with the difference.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.data import builders
from tests.data.builders import tree
from tests.data.server import Server, serving, wait_for_part
from threedie.data.dataset import open_dataset
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest, canonical_json
from threedie.sharing.transfer import whole_set as download_set
from threedie.sharing.transfer.download import DownloadRequest, download

FAILURES = ({"object": "zebra/x", "stage": "render", "error": "broken", "attempts": 2},)
PLAN = builders.Plan(
    objects=tuple("abcdefg"), views=3, per_shard=4, image_format="jpg", failures=FAILURES
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "set"
    builders.build(place, PLAN)
    return place


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with serving(folder) as running:
        yield running


def get(what: str, out: Path, **options: Any) -> str:
    """What was said; the data set is whole."""
    said = run(what, out, **options)
    assert verify_dataset(out).problems == []
    assert not (out / ".download").exists()
    return said


def run(what: str, out: Path, **options: Any) -> str:
    told = io.StringIO()
    request = DownloadRequest(what=what, out=out, **options)
    download(request, console=Console(file=told, width=200))
    return told.getvalue()


def test_all_of_it(server: Server, folder: Path, tmp_path: Path) -> None:
    for number, address in enumerate(
        (server.url, f"{server.url}/dataset.json?token=1", str(folder), f"file://{folder}")
    ):
        get(address, tmp_path / str(number))
        assert tree(tmp_path / str(number)) == tree(folder)


def test_again_asks_for_what_lacks(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    get(server.url, out)
    server.requests.clear()
    assert "there already" in get(server.url, out)
    assert server.requests == [("/dataset.json", None)]
    (out / "train-000001.tar").unlink()
    spoil(out / "train-000002.tar")
    spoil(out / "index" / "val.npz")
    server.requests.clear()
    get(server.url, out)
    asked = sorted(path for path, _ in server.requests)
    assert asked == ["/dataset.json", "/index/val.npz", "/train-000001.tar", "/train-000002.tar"]
    assert tree(out) == tree(folder)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_wrong_shard_costs_that_shard(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bad = ("train-000001.tar", "train-000003.tar")
    server.rewrite = lambda name, c: c[:-9] + b"x" + c[-8:] if name in bad else c
    with pytest.raises(ManifestError) as caught:
        run(server.url, out)
    for name in bad:
        assert f"{name}: sha256 is" in str(caught.value)
        assert (out / f"{name}.bad").exists()
    assert not (out / FILE_NAME).exists()
    assert (out / "train-000000.tar").read_bytes() == tree(folder)["train-000000.tar"]
    assert len(server.shards()) == 6  # each once
    server.rewrite = lambda name, c: c
    server.requests.clear()
    get(server.url, out)
    assert sorted(server.shards()) == list(bad)


def test_cuts_and_a_busy_server(server: Server, folder: Path, tmp_path: Path) -> None:
    server.cut, server.busy = (9000, 7), 2
    get(server.url, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(folder)


def test_a_split(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    get(server.url, out, split="val")
    assert server.shards() == ["val-000000.tar"]
    whole, part = tree(folder), tree(out)
    for name in ("val-000000.tar", "index/val.npz", "index/val.latents.npy"):
        assert part[name] == whole[name]
    manifest, parent = DatasetManifest.read(out), DatasetManifest.read(folder)
    assert (manifest.making, manifest.splits) == (parent.making, {"val": 3})
    assert [(c.class_id, c.label, c.objects) for c in manifest.classes] == [
        (c.class_id, c.label, 1) for c in parent.classes
    ]
    digest = hashlib.sha256(whole[FILE_NAME]).hexdigest()
    said = json.loads(part[FILE_NAME])["subset_of"]
    assert said == {"manifest_sha256": digest, "splits": ["val"], "classes": None}
    assert "A part (split val)" in " ".join(verify_dataset(out).notes)
    assert get(server.url, out, split="val").count("there already") == 1
    assert server.shards() == ["val-000000.tar"]


def samples(folder: Path, keep: Callable[[str], bool]) -> list[tuple[Any, ...]]:
    return [
        (s.object, s.label, s.split, s.latents.tolist(), [s.views.encoded(v) for v in range(3)])
        for s in open_dataset(folder)
        if keep(s.object)
    ]


def test_some_classes(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = get(server.url, out, classes="zebra,chair")
    assert "no published hash of them can be compared" in said
    found = samples(out, lambda name: True)
    assert found == samples(folder, lambda name: not name.startswith("03797390/"))
    assert len(found) == 14
    manifest = DatasetManifest.read(out)
    assert [(c.name, c.objects) for c in manifest.classes] == [("chair", 7), ("zebra", 7)]
    assert [s.samples for s in manifest.shards] == [4, 4, 4, 2]
    assert manifest.subset_of is not None
    assert manifest.subset_of.classes == ("03001627", "zebra")
    assert "there already" in get(server.url, out, classes="chair,zebra")


def test_only_the_bytes_of_these_classes_are_asked_for(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    get(server.url, tmp_path / "out", classes="chair", split="train")
    spans = [span for path, span in server.requests if path.endswith(".tar")]
    asked = sum(int(b) + 1 - int(a) for a, b in (s[6:].split("-") for s in spans if s))
    assert all(spans)
    # Six samples, of which the last of a shard comes with the end blocks.
    chairs = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tar"))
    assert asked <= chairs + 10240
    assert sorted(server.shards())[0] == "train-000000.tar"
    assert "val-000000.tar" not in server.shards()


def test_a_killed_repack_keeps_its_shards(server: Server, tmp_path: Path) -> None:
    out, asked = tmp_path / "out", 0

    def rewrite(name: str, content: bytes) -> bytes:
        nonlocal asked
        asked += name.endswith(".tar")
        return content[:-1] if asked > 3 else content

    server.rewrite = rewrite
    with pytest.raises((ManifestError, StorageError)):
        run(server.url, out, classes="chair,zebra", jobs=1)
    kept = sorted(path.name for path in out.glob("*.tar"))
    assert kept == ["train-000000.tar", "train-000001.tar"]
    assert not (out / FILE_NAME).exists()
    server.rewrite = lambda name, content: content
    assert "2 files there already" in get(server.url, out, classes="chair,zebra")


@pytest.mark.parametrize("what", ["picture header", "latents", "record", "order"])
def test_a_changed_sample_is_refused(server: Server, tmp_path: Path, what: str) -> None:
    def rewrite(name: str, content: bytes) -> bytes:
        if name != "train-000001.tar":
            return content
        if what == "picture header":
            return content.replace(b".001.jpg", b".011.jpg", 1)
        if what == "record":
            return content.replace(b'"split":"train"', b'"split":"trian"')
        if what == "latents":
            at = content.index(b"\x93NUMPY") + 200
            return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        return content[5 * 512 :] + content[: 5 * 512]

    server.rewrite = rewrite
    with pytest.raises(ManifestError, match=r"train-000001\.tar, (zebra|0)"):
        run(server.url, tmp_path / "out", classes="chair,zebra,mug")
    assert not (tmp_path / "out" / FILE_NAME).exists()


def test_a_server_without_parts(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    with pytest.raises(StorageError, match="the server sends whole files only"):
        run(server.url, tmp_path / "out", classes="zebra")


def test_a_part_of_a_part(server: Server, folder: Path, tmp_path: Path) -> None:
    get(server.url, tmp_path / "val", split="val")
    get(str(tmp_path / "val"), tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(tmp_path / "val")
    get(str(tmp_path / "val"), tmp_path / "chairs", classes="chair")
    assert [s[0] for s in samples(tmp_path / "chairs", lambda name: True)] == ["03001627/g"]


def test_another_data_set_in_the_folder(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    get(server.url, out, split="val")
    before = tree(out)
    for options, says in (
        ({}, r"splits: \['val'\] there, None asked for"),
        ({"split": "train"}, r"\['train'\] asked for"),
        ({"classes": "chair"}, "classes: None there"),
    ):
        with pytest.raises(ConfigError, match=says):
            run(server.url, out, **options)
    builders.build(tmp_path / "other", builders.Plan(objects=("a", "b")))
    with pytest.raises(ConfigError, match="manifest_sha256"):
        run(str(tmp_path / "other"), out, split="val")
    assert tree(out) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"not empty .*notes\.txt"):
        run(server.url, tmp_path / "full")
    with pytest.raises(ConfigError, match="is a file"):
        run(server.url, tmp_path / "full" / "notes.txt")


def test_an_unfinished_download_of_another_set(server: Server, tmp_path: Path) -> None:
    server.rewrite = lambda name, c: c[:-1] if name == "train-000001.tar" else c
    with pytest.raises(ManifestError):
        run(server.url, tmp_path / "out")
    with pytest.raises(ConfigError, match="asked for"):
        run(server.url, tmp_path / "out", split="val")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "vla"}, "unknown split 'vla'. Did you mean 'val'"),
        ({"classes": "chiar"}, "Did you mean 'chair'"),
        ({"classes": "lamp"}, "'lamp' .* is not in this"),
        ({"classes": ","}, "--classes is empty"),
        ({"split": ""}, "unknown split"),
        ({"jobs": 0}, "--jobs is 0"),
        ({"source": "http://h/x"}, "--from is for a release's mirror"),
        ({"offline": True}, "--offline was given, and not everything is here"),
    ],
)
def test_what_can_not_be(
    server: Server, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        run(server.url, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_offline(server: Server, folder: Path, tmp_path: Path) -> None:
    get(server.url, tmp_path / "out")
    server.requests.clear()
    get(server.url, tmp_path / "out", offline=True)
    get(str(folder), tmp_path / "copy", offline=True)
    assert server.requests == []


def test_the_hub(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its web clients do: /datasets/<name>/resolve/<revision>/<file>, with its token."""
    (tmp_path / "served" / "datasets" / "me" / "set" / "resolve").mkdir(parents=True)
    (tmp_path / "served" / "datasets" / "me" / "set" / "resolve" / "main").symlink_to(folder)
    with serving(tmp_path / "served") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "secret")
        monkeypatch.setenv("THREEDIE_TOKEN", "another")
        get("hf://datasets/me/set", tmp_path / "out")
        get("hf://datasets/me/set@main", tmp_path / "out")
        assert tree(tmp_path / "out") == tree(folder)
        assert {h["Authorization"] for h in hub.received} == {"Bearer secret"}
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.delenv("THREEDIE_TOKEN")
        (tmp_path / "token").write_text("of the login\n")
        monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
        get("hf://datasets/me/set", tmp_path / "out")
        assert hub.received[-1]["Authorization"] == "Bearer of the login"
    for address in ("hf://me/set", "hf://spaces/me/set", "hf://datasets/me/../x"):
        with pytest.raises(ConfigError, match=r"hf://datasets/user/name is read|refused"):
            run(address, tmp_path / "other")


# Hostile manifests.


def forged(folder: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    body = json.loads((folder / FILE_NAME).read_bytes())
    change(body)
    body.pop("self_sha256")
    body["self_sha256"] = hashlib.sha256(canonical_json(body)).hexdigest()
    return json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"


def shard(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["shards"][0] |= fields

    return change


def beside(name: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["files"][name] = body["files"]["failures.jsonl"]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (shard(name="../../evil.tar"), "shards.0.name"),
        (shard(name="/tmp/evil.tar"), r"shards\.0\.name"),
        (shard(name="..tar"), r"shards\.0\.name"),
        (shard(name="a/b.tar"), r"shards\.0\.name"),
        (shard(name=FILE_NAME), "lists 'dataset.json'"),
        (shard(name="train-000001.tar"), "train-000001"),
        (shard(name="TRAIN-000001.tar"), "train-000001"),
        (shard(split="../x"), r"shards\.0\.split"),
        (shard(bytes=-1), r"shards\.0\.bytes"),
        (beside("../evil"), r"lists '\.\./evil'"),
        (beside("/etc/cron.d/x"), "lists '/etc"),
        (beside("index/../../x"), "lists 'index/"),
        (beside("README.md"), "lists 'README"),
        (lambda body: body["files"].pop("index/val.npz"), r"lists no index/val\.npz"),
        (lambda body: body.update(schema_version=2), "made by a newer threedie"),
        (lambda body: body.update(more=1), "field 'more'"),
    ],
)
def test_a_hostile_manifest_writes_nothing(
    server: Server, folder: Path, tmp_path: Path, change: Any, says: str
) -> None:
    content = forged(folder, change)
    server.rewrite = lambda name, c: content if name == FILE_NAME else c
    before = set(tmp_path.rglob("*"))
    for options in ({}, {"split": "val"}, {"classes": "chair"}):
        with pytest.raises(ManifestError, match=says):
            run(server.url, tmp_path / "out", **options)
    assert set(tmp_path.rglob("*")) == before


def test_an_index_that_leads_elsewhere(server: Server, folder: Path, tmp_path: Path) -> None:
    """Offsets before the start or behind the end: a publisher's lie, with right hashes."""
    for shift in (-(10**6), 10**7):
        table = dict(np.load(folder / "index" / "train.npz"))
        table["offsets"] = table["offsets"] + shift
        out = io.BytesIO()
        np.savez(out, **table)
        index = out.getvalue()

        def change(body: dict[str, Any], index: bytes = index) -> None:
            digest = hashlib.sha256(index).hexdigest()
            body["files"]["index/train.npz"] = {"bytes": len(index), "sha256": digest}

        lies = {FILE_NAME: forged(folder, change), "train.npz": index}
        server.rewrite = lambda name, c, lies=lies: lies.get(name, c)  # type: ignore[misc]
        with pytest.raises(ManifestError, match="out of order"):
            run(server.url, tmp_path / str(shift), classes="chair")


def test_a_redirect_to_a_file(server: Server, tmp_path: Path) -> None:
    server.redirect = "file:///etc/passwd"
    with pytest.raises(StorageError, match="it redirects to"):
        run(server.url, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Another process.


def command(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "threedie", "download", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_goes_on(
    server: Server, folder: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    """The server sends a part of one shard and waits; the rest is there already."""
    out, half = tmp_path / "out", 20_000
    server.hold = ("/train-000003.tar", half, threading.Event())
    with command(server.url, "--out", str(out), "--jobs", "2") as process:
        wait(lambda: len(list(out.glob("*.tar"))) == 5)
        wait_for_part(out, ".train-000003*", half)
        process.send_signal(sent)
        said = process.communicate(timeout=60)
    server.hold = None
    if sent != signal.SIGKILL:
        assert process.returncode == 1
        assert said[1] == "stopped. The same command goes on.\n"
    assert not (out / FILE_NAME).exists()
    server.requests.clear()
    again = command(server.url, "--out", str(out))
    assert again.communicate(timeout=60)[1] == ""
    assert tree(out) == tree(folder)
    assert server.shards() == ["train-000003.tar"]
    assert ("/train-000003.tar", f"bytes={half}-") in server.requests


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end


def test_two_at_once(server: Server, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = [command(server.url, "--out", str(out)) for _ in range(2)]
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    assert tree(out) == tree(folder)


def test_a_limit_on_file_sizes(server: Server, folder: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))

    out = tmp_path / "out"
    full = command(server.url, "--out", str(out), "--jobs", "1", preexec_fn=small_files)
    _, said = full.communicate(timeout=60)
    assert full.returncode == 1
    assert said.startswith("error: file too large for this disk or a limit (ulimit -f): ")
    assert len(server.shards()) == 1  # not tried again, and no other begun
    get(server.url, out)
    assert tree(out) == tree(folder)


def test_room_is_looked_for_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="are needed, 1000 B are free"):
        run(server.url, tmp_path / "out")
    assert server.shards() == []


def test_names_of_index_files() -> None:
    assert download_set.index_names("val") == ("index/val.npz", "index/val.latents.npy")
