"""Folders as a dead writer, a full disk, another program or a stranger may leave them.

Claims:
- A shard without its record, a record without its shard, an empty, cut or changed shard, record,
  part or index: the same command makes the same bytes; what is whole is kept.
- Another data set in the folder (finished or begun) is refused with both values; so is a damaged
  manifest, a file, and a folder of other things. Nothing in it changes.
- A folder under a shard's name, or one that can't be written or entered: one clear error.
- A symbolic link under a final name is replaced and never followed, the lock file's too.
- Only temporary files of dead writers are swept, and those are.
- A rename that was done but is reported as failed, as network file systems do, is believed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import oracle
from tests.faults.conftest import Server
from tests.faults.writer import the_plan
from threedie import files
from threedie.errors import StorageError
from threedie.manifests.dataset import DatasetManifest
from threedie.render.outline import Outline
from threedie.render.workspace import ShardRecord, Workspace

TRAIN, VAL = "train-000000.tar", "val-000000.tar"


@pytest.fixture
def right(plain_server: Server) -> Path:
    """The folder of an undisturbed run."""
    disk = plain_server.disk()
    assert plain_server.run(disk).status == 0
    return disk / "out"


def begun(server: Server, right: Path) -> Path:
    """A disk with a run that has made everything but the index and the manifest."""
    disk = server.disk()
    out = disk / "out"
    workspace = Workspace(out, Outline.of(the_plan()))
    with workspace.opened():
        shutil.copy(right / VAL, out / VAL)
        shutil.copy(right / TRAIN, out / TRAIN)
        manifest = DatasetManifest.read(right)
        failures = _failures(right)
        for entry in manifest.shards:
            mine = failures if entry.name == TRAIN else []
            record = {"shard": entry.model_dump(), "failures": mine}
            workspace.record(ShardRecord.model_validate(record))
    return disk


def _failures(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]


def _flip(path: Path, byte: int = 700) -> None:
    content = bytearray(path.read_bytes())
    content[byte % len(content)] ^= 4
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


STATES: dict[str, Callable[[Path], object]] = {
    "all is there": lambda out: None,
    "a shard without its record": lambda out: (out / ".render" / f"{TRAIN}.json").unlink(),
    "a record without its shard": lambda out: (out / TRAIN).unlink(),
    "an empty shard": lambda out: _empty(out / TRAIN),
    "a cut shard": lambda out: _cut(out / TRAIN),
    "a shard with another bit": lambda out: _flip(out / TRAIN),
    "another shard's content": lambda out: (out / TRAIN).write_bytes((out / VAL).read_bytes()),
    "an empty record": lambda out: _empty(out / ".render" / f"{VAL}.json"),
    "a cut record": lambda out: _cut(out / ".render" / f"{VAL}.json"),
    "a record with another bit": lambda out: _flip(out / ".render" / f"{VAL}.json"),
    "an index of nothing": lambda out: _stale_index(out),
    "files of a network file system": lambda out: (
        out / ".render" / "parts" / ".nfs000000000001"
    ).touch(),
}


def _stale_index(out: Path) -> None:
    (out / "index").mkdir()
    (out / "index" / "train.npz").write_bytes(b"not an index")
    (out / "failures.jsonl").write_bytes(b"{")


@pytest.mark.parametrize("state", STATES)
def test_a_half_made_folder_is_completed(plain_server: Server, right: Path, state: str) -> None:
    disk = begun(plain_server, right)
    STATES[state](disk / "out")
    assert oracle.content(disk / "out") is None
    answer = plain_server.run(disk)
    assert answer.status == 0, answer
    assert oracle.tree_hash(disk / "out") == oracle.tree_hash(right)
    assert oracle.leftovers(disk / "out") == []


@pytest.mark.parametrize("damage", [_flip, _cut, _empty])
def test_a_damaged_part_is_rendered_again(
    plain_server: Server, right: Path, damage: Callable[[Path], None]
) -> None:
    disk = begun(plain_server, right)
    out = disk / "out"
    (out / VAL).unlink()
    workspace, plan = Workspace(out, Outline.of(the_plan())), the_plan()
    (obj,) = next(shard for shard in plan.shards if shard.name == VAL).objects
    workspace.part(obj.key).write_bytes((right / VAL).read_bytes()[:4096])
    damage(workspace.part(obj.key))
    assert plain_server.run(disk).status == 0
    assert oracle.tree_hash(out) == oracle.tree_hash(right)


@pytest.mark.parametrize("name", [TRAIN, "index/train.npz", "index/val.latents.npy"])
def test_a_finished_data_set_is_mended(plain_server: Server, right: Path, name: str) -> None:
    disk = right.parent
    tree = oracle.tree_hash(right)
    _flip(right / name)
    assert oracle.content(right) is None
    assert plain_server.run(disk).status == 0
    assert oracle.tree_hash(right) == tree


@pytest.mark.parametrize("finished", [True, False])
def test_another_data_set_is_refused_with_both_values(
    plain_server: Server, right: Path, finished: bool
) -> None:
    disk = right.parent if finished else begun(plain_server, right)
    tree = oracle.tree_hash(disk / "out")
    answer = plain_server.run(disk, seed=5)
    assert (answer.status, answer.error) == (2, "ConfigError")
    assert "seed: 0 there, 5 asked for" in answer.message
    assert oracle.tree_hash(disk / "out") == tree


@pytest.mark.parametrize("damage", [_flip, _cut, _empty])
def test_a_damaged_manifest_is_refused(
    plain_server: Server, right: Path, damage: Callable[[Path], None]
) -> None:
    damage(right / "dataset.json")
    tree = oracle.tree_hash(right)
    answer = plain_server.run(right.parent)
    assert (answer.status, answer.error) == (1, "ManifestError")
    assert str(right / "dataset.json") in answer.message
    assert oracle.tree_hash(right) == tree


def test_a_file_or_a_folder_of_others_is_refused(plain_server: Server) -> None:
    disk = plain_server.disk()
    (disk / "out").write_text("a file")
    answer = plain_server.run(disk)
    assert (answer.status, answer.error) == (2, "ConfigError")
    assert f"{disk / 'out'} is a file" in answer.message

    disk = plain_server.disk()
    (disk / "out").mkdir()
    (disk / "out" / "thesis.tex").write_text("mine")
    answer = plain_server.run(disk)
    assert (answer.status, answer.error) == (2, "ConfigError")
    assert "found thesis.tex" in answer.message
    assert [p.name for p in (disk / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", [TRAIN, "index/train.npz", "failures.jsonl", "dataset.json"])
def test_a_folder_under_a_final_name_is_a_clear_error(
    plain_server: Server, right: Path, name: str
) -> None:
    disk = begun(plain_server, right)
    where = disk / "out" / name
    if where.exists():
        where.unlink()
    (where / "inside").mkdir(parents=True)
    answer = plain_server.run(disk)
    assert answer.status == 1, answer
    assert str(where) in answer.message
    assert "\n" not in answer.message
    shutil.rmtree(where)
    assert plain_server.run(disk).status == 0
    assert oracle.tree_hash(disk / "out") == oracle.tree_hash(right)


@pytest.mark.parametrize("name", [TRAIN, "index/train.npz", "failures.jsonl"])
def test_a_link_under_a_final_name_is_replaced_not_followed(
    plain_server: Server, right: Path, name: str
) -> None:
    disk = begun(plain_server, right)
    victim, link = disk / "victim", disk / "out" / name
    victim.write_text("precious")
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(victim)
    assert plain_server.run(disk).status == 0
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert oracle.tree_hash(disk / "out") == oracle.tree_hash(right)


def test_a_lock_file_that_is_a_link_is_not_followed(plain_server: Server, right: Path) -> None:
    disk = begun(plain_server, right)
    victim, lock = disk / "victim", disk / "out" / ".render" / "lock"
    victim.write_text("precious")
    lock.unlink()
    lock.symlink_to(victim)
    answer = plain_server.run(disk)
    assert victim.read_text() == "precious"
    assert (answer.status, answer.error) == (1, "StorageError")


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_cannot_be_written_is_a_clear_error(plain_server: Server, mode: int) -> None:
    nobody = 65534 if os.geteuid() == 0 else 0
    disk = plain_server.disk()
    plain_server.base.chmod(0o755)
    disk.chmod(mode)
    try:
        answer = plain_server.run(disk, user=nobody)
    finally:
        disk.chmod(0o755)
    assert (answer.status, answer.error) == (1, "StorageError")
    assert str(disk / "out") in answer.message
    assert "Permission denied" in answer.message
    assert "\n" not in answer.message


def test_only_temporary_files_of_dead_writers_are_swept(tmp_path: Path) -> None:
    here, run = files._HOST, files._RUN
    dead = _dead_process()
    kept = {
        f".a.tar.{here}.{os.getpid()}.{run}0123abcd.tmp": "this process is writing it",
        f".a.tar.{here}.{os.getppid()}.0000000000000000.tmp": "that process is alive",
        ".a.tar.elsewhere.1.0123456789abcdef.tmp": "another host, and fresh",
        "notes.tmp": "not of ours",
    }
    swept = {
        f".a.tar.{here}.{os.getpid()}.fedcba9876543210.tmp": "a dead process had our number",
        f".a.tar.{here}.{dead}.0123456789abcdef.tmp": "dead",
        ".b.tar.elsewhere.1.0123456789abcdef.tmp": "another host, days ago",
    }
    for name in (*kept, *swept):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".b.tar.elsewhere.1.0123456789abcdef.tmp", (0, 0))
    assert files.sweep(tmp_path) == len(swept)
    assert {p.name for p in tmp_path.iterdir()} == set(kept)


def _dead_process() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_a_rename_that_was_done_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    replace = Path.replace

    def done_but_failed(path: Path, target: Path) -> Path:
        replace(path, target)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "replace", done_but_failed)
    written = files.put(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert written.size == 7

    def failed(path: Path, target: Path) -> Path:
        raise OSError(code, os.strerror(code))

    (tmp_path / "b").write_bytes(b"older")
    monkeypatch.setattr(Path, "replace", failed)
    with pytest.raises(StorageError, match=os.strerror(code)):
        files.put(tmp_path / "b", b"content")
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"older"


@pytest.mark.parametrize(("code", "well"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, well: bool
) -> None:
    """EINVAL: some network file systems do not know it. Anything else is an error."""
    fsync = os.fsync

    def of_files_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_files_only)
    if well:
        assert files.put(tmp_path / "a", b"content").size == 7
    else:
        with pytest.raises(StorageError, match=os.strerror(code)):
            files.put(tmp_path / "a", b"content")


def test_two_hosts_with_equal_process_numbers_never_meet(tmp_path: Path) -> None:
    """The temporary name has the host, the process and two random parts in it."""
    seen: list[str] = []

    def watching() -> bytes:
        seen.extend(p.name for p in tmp_path.iterdir())
        return b"piece"

    for _ in range(2):
        files.put(tmp_path / "a", (watching() for _ in range(1)))
    temporary = {name for name in seen if name.endswith(".tmp")}
    assert len(temporary) == 2
    host = socket.gethostname()[:10].replace(".", "-")
    assert all(f".{os.getpid()}." in name and host in name for name in temporary)
