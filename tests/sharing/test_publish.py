"""Claims proved here, on publishing.

- Shards come first and dataset.json last: whatever request fails, a reader meets a whole data set
  or no manifest, and the same command then sends only what lacks.
- A second run sends nothing; a file that was changed or lost there is sent again.
- Another data set there is refused, or with --replace taken away by its manifest first.
- What is damaged here is not sent at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data import builders
from tests.data.builders import tree
from threedie import files
from threedie.cli import main
from threedie.data.stores import FolderStore, OnBytes
from threedie.data.verify import verify_dataset
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest
from threedie.sharing.transfer import publish as module
from threedie.sharing.transfer.publish import publish, publish_tables

PLAN = builders.Plan(objects=tuple("abcdefg"), views=2, per_shard=6)
OTHER = builders.Plan(objects=tuple("abcde"), views=2, per_shard=2, size=24)
"""More shards, other bytes, and the same names."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    builders.build(tmp_path / "set", PLAN)
    return tmp_path / "set"


class Watched(FolderStore):
    """A store of which the n-th request fails, and of which all writes are known."""

    writes: list[str]
    fail_at = -1
    requests = 0

    def _ask(self) -> None:
        type(self).requests += 1
        if self.requests == self.fail_at:
            raise StorageError("the store has failed")

    def size(self, name: str) -> int | None:
        self._ask()
        return super().size(name)

    def read(self, name: str, limit: int) -> bytes | None:
        self._ask()
        return super().read(name, limit)

    def put(self, name: str, content: bytes) -> None:
        self._ask()
        super().put(name, content)
        self.writes.append(name)

    def put_file(self, name: str, path: Path, *, on_bytes: OnBytes | None = None) -> None:
        self._ask()
        super().put_file(name, path, on_bytes=on_bytes)
        self.writes.append(name)

    def delete(self, name: str) -> None:
        self._ask()
        super().delete(name)
        self.writes.append(f"-{name}")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.writes, Watched.fail_at, Watched.requests = [], -1, 0
    monkeypatch.setattr(module, "open_store", lambda address: Watched(Path(address)))
    return Watched


def accompany(folder: Path, *, address: str) -> dict[str, bytes]:
    return {"README.md": f"{folder.name} at {Path(address).name}".encode()}


def test_the_order(watched: type[Watched], folder: Path, tmp_path: Path) -> None:
    publish(folder, str(tmp_path / "there"), jobs=1, accompany=accompany)
    shards = [name for name in watched.writes if name.endswith(".tar")]
    assert len(shards) == 4
    assert watched.writes[: len(shards)] == shards
    assert watched.writes[-2:] == ["README.md", FILE_NAME]
    there = tree(tmp_path / "there")
    assert there.pop("README.md") == b"set at there"
    assert there == tree(folder)


def test_a_second_run_sends_nothing(watched: type[Watched], folder: Path, tmp_path: Path) -> None:
    publish(folder, str(tmp_path / "there"), accompany=accompany)
    watched.writes.clear()
    publish(folder, str(tmp_path / "there"), accompany=accompany)
    assert watched.writes == []


def test_tables_go_to_a_place_of_their_own(watched: type[Watched], tmp_path: Path) -> None:
    for content in (b"one", b"one", b"two"):
        publish_tables({"views.parquet": content}, str(tmp_path / "tables"))
    assert watched.writes == ["views.parquet"] * 2
    assert tree(tmp_path / "tables") == {"views.parquet": b"two"}


def test_the_command_sends_what_accompanies_a_data_set(folder: Path, tmp_path: Path) -> None:
    there, tables = tmp_path / "there", tmp_path / "tables"
    with pytest.raises(SystemExit) as ended:
        main(["publish", str(folder), str(there), "--tables", str(tables)])
    assert not ended.value.code
    assert {"README.md", "LICENSE.md", "CITATION.cff", "croissant.json"} <= tree(there).keys()
    assert {"README.md", "views.parquet"} <= tree(tables).keys()
    assert tree(folder).items() <= tree(there).items()


def test_what_was_lost_there_is_sent_again(
    watched: type[Watched], folder: Path, tmp_path: Path
) -> None:
    publish(folder, str(tmp_path / "there"))
    watched.writes.clear()
    (tmp_path / "there" / "train-000001.tar").unlink()
    (tmp_path / "there" / "index" / "val.npz").write_bytes(b"short")
    publish(folder, str(tmp_path / "there"))
    assert sorted(watched.writes) == ["index/val.npz", "train-000001.tar"]
    assert tree(tmp_path / "there") == tree(folder)


@pytest.mark.parametrize("replaces", [False, True])
def test_any_request_may_fail(
    watched: type[Watched], folder: Path, tmp_path: Path, replaces: bool
) -> None:
    """F25: for n = 1, 2, … the n-th request fails, until a run passes untouched."""
    builders.build(tmp_path / "other", OTHER)
    for n in range(1, 200):
        there = tmp_path / f"there-{n}"
        watched.fail_at = -1
        if replaces:
            publish(tmp_path / "other", str(there))
        watched.requests, watched.fail_at = 0, n
        if passes(lambda: publish(folder, str(there), jobs=1, replace=True)):  # noqa: B023
            break
        assert reader_finds(there) in ("nothing", "whole")
        watched.writes.clear()
        watched.fail_at = -1
        publish(folder, str(there), jobs=1, replace=True)
        assert tree(there) == tree(folder)
    assert n > 12


def passes(run: Callable[[], Any]) -> bool:
    try:
        run()
    except StorageError:
        return False
    return True


def reader_finds(there: Path) -> str:
    if not (there / FILE_NAME).exists():
        return "nothing"
    return "whole" if verify_dataset(there).ok else "half"


def test_what_was_sent_before_a_failure_is_not_sent_again(
    watched: type[Watched], folder: Path, tmp_path: Path
) -> None:
    watched.fail_at = 6
    with pytest.raises(StorageError):
        publish(folder, str(tmp_path / "there"), jobs=1)
    first = list(watched.writes)
    watched.writes.clear()
    publish(folder, str(tmp_path / "there"), jobs=1)
    assert first
    assert sorted(first + watched.writes) == sorted(tree(folder))


def test_another_data_set_there_is_not_lost(folder: Path, tmp_path: Path) -> None:
    builders.build(tmp_path / "other", OTHER)
    publish(folder, str(tmp_path / "there"))
    with pytest.raises(ConfigError, match=r"another data set is there .*--replace"):
        publish(tmp_path / "other", str(tmp_path / "there"))
    assert tree(tmp_path / "there") == tree(folder)


def test_replacing_takes_the_manifest_first_and_leaves_no_stray(
    watched: type[Watched], folder: Path, tmp_path: Path
) -> None:
    builders.build(tmp_path / "other", OTHER)
    publish(folder, str(tmp_path / "there"))
    watched.writes.clear()
    publish(tmp_path / "other", str(tmp_path / "there"), replace=True)
    assert watched.writes[0] == f"-{FILE_NAME}"
    assert tree(tmp_path / "there") == tree(tmp_path / "other")
    publish(folder, str(tmp_path / "there"), replace=True)  # and back: no old note is believed
    assert tree(tmp_path / "there") == tree(folder)


@pytest.mark.parametrize("name", ["train-000001.tar", "index/val.npz", "failures.jsonl"])
def test_what_is_damaged_is_not_sent(
    watched: type[Watched], folder: Path, tmp_path: Path, name: str
) -> None:
    content = bytearray((folder / name).read_bytes() or b"x")
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ManifestError, match=name):
        publish(folder, str(tmp_path / "there"))
    assert watched.writes == []
    assert not (tmp_path / "there").exists()


def test_a_place_that_can_not_be_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a web server is read only"):
        publish(folder, "https://host/set?token=secret")
    with pytest.raises(ConfigError, match="the data set itself"):
        publish(folder, str(folder))
    with pytest.raises(ConfigError, match="is inside of"):
        publish(folder, str(folder / "sub"))
    with pytest.raises(ConfigError, match="--jobs is 0"):
        publish(folder, str(tmp_path / "there"), jobs=0)
    with pytest.raises(ManifestError, match="no such folder"):
        publish(tmp_path / "nothing", str(tmp_path / "there"))


@pytest.mark.parametrize("problem", ["another", "unreachable"])
def test_a_place_that_can_not_take_it_is_told_before_hashing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """Hashing a large set takes an hour; a slip in the bucket's name must not cost it."""
    builders.build(tmp_path / "there", OTHER)

    def hashed(*_: Any, **__: Any) -> None:
        raise AssertionError("the data set was hashed first")

    def unreachable(*_: Any) -> bytes:
        raise StorageError("no such bucket")

    monkeypatch.setattr(module, "check_hash", hashed)
    if problem == "unreachable":
        monkeypatch.setattr(FolderStore, "read", unreachable)
    with pytest.raises((ConfigError, StorageError), match=r"another data set|no such bucket"):
        publish(folder, str(tmp_path / "there"))


@pytest.mark.parametrize("tables", ["https://host/tables", "there", "there/"])
def test_tables_without_a_place_of_their_own_are_told_first(
    folder: Path,
    tmp_path: Path,
    tables: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["publish", str(folder), "there", "--tables", tables])
    assert ended.value.code == 2
    assert "read only" in (told := capsys.readouterr().err) or "card would be" in told
    assert not (tmp_path / "there").exists()


def test_arriving_short_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "put", lambda path, content: files.Written(1, ""))
    with pytest.raises(StorageError, match=r"1 bytes arrived, .* has \d+"):
        publish(folder, str(tmp_path / "there"))
    assert DatasetManifest.read(folder)
