"""Claims proved here, on writing files.

- `put` makes the whole file or leaves what was there, at every operation that can fail, and leaves
  no temporary file; a link at the target is replaced and its own target is left alone.
- It flushes before it renames, and renames before it flushes the folder.
- A full disk is told with the path; a rename that was done though the
  answer was ENOENT or ESTALE is done.
- `appended` writes large blocks and flushes them; `put_folder` shows a whole folder or none; what
  stops either leaves nothing.
- `sweep` removes what dead writers left, files and folders, and nothing of living ones.
- A `Growing` file is gone on with, and takes the target's place flushed and at once.
- Nothing else in threedie opens a file for writing, unpickles, runs text or unpacks archives.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import threedie
from threedie import files
from threedie.errors import StorageError

OLD, NEW = b"old content", b"new content that is longer"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that is there already."""
    path = tmp_path / "dataset.json"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    """All entries of a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def test_put_writes_all_of_it_and_says_what(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    written = files.put(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == content
    assert (written.size, written.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert files.sha256_file(tmp_path / "a") == written.sha256
    assert names(tmp_path) == ["a"]


def test_put_streams_pieces(tmp_path: Path) -> None:
    pieces = [b"ab", b"", b"c" * 100_000, b"d"]
    written = files.put(tmp_path / "a", iter(pieces))
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)
    assert written == files.put(tmp_path / "b", b"".join(pieces))


def test_put_replaces(target: Path) -> None:
    files.put(target, NEW)
    assert target.read_bytes() == NEW
    files.put(target, b"")
    assert target.read_bytes() == b""
    assert names(target.parent) == [target.name]


def test_a_reader_of_the_old_file_keeps_it(target: Path) -> None:
    with target.open("rb") as file:
        files.put(target, NEW)
        assert file.read() == OLD


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_bytes(OLD)
    link.symlink_to(victim)
    files.put(link, NEW)
    assert victim.read_bytes() == OLD
    assert not link.is_symlink()
    assert link.read_bytes() == NEW


def test_writes_that_take_less_than_they_are_given_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: honest(fd, bytes(data)[:7]))
    files.put(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


class Disk:
    """Records the operations of `put`, and lets the n-th one fail."""

    OPERATIONS = ("open", "write", "fsync", "close", "replace")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int = -1, code: int = 0) -> None:
        self.done: list[str] = []
        self._fail_at, self._code = fail_at, code
        for name in self.OPERATIONS:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, honest: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(self.done) == self._fail_at and name != "close":
                self.done.append(name)
                raise OSError(self._code, os.strerror(self._code))
            self.done.append(name)
            return honest(*args, **kwargs)

        return call


SEQUENCE = ["open", "write", "write", "fsync", "close", "replace", "open", "fsync", "close"]


def test_the_order_of_operations(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content first, then the name, then the folder: what a power cut asks for."""
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        files.put(target, [NEW[:5], NEW[5:]])
    assert disk.done == SEQUENCE


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "no space left for .*MiB free"),
        (errno.EDQUOT, "no space left for"),
        (errno.EFBIG, r"file too large for this disk or a limit \(ulimit -f\): .*File too large"),
        (errno.EIO, "cannot write"),
        (errno.EROFS, "cannot write"),
        (errno.EACCES, "cannot write"),
    ],
)
@pytest.mark.parametrize("step", [i for i, name in enumerate(SEQUENCE) if name != "close"])
def test_any_failing_operation_leaves_one_whole_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: int, code: int, told: str
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, step, code)
        with pytest.raises(StorageError, match=told) as caught:
            files.put(target, [NEW[:5], NEW[5:]])
    assert disk.done[step] == SEQUENCE[step]
    assert str(target) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert names(target.parent) == [target.name]
    renamed = step > SEQUENCE.index("replace")
    assert target.read_bytes() == (NEW if renamed else OLD)
    files.put(target, NEW)  # and when there is room again
    assert target.read_bytes() == NEW


def test_a_source_that_fails_leaves_the_old_file(target: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield NEW
        raise KeyError("part")

    with pytest.raises(KeyError):
        files.put(target, pieces())
    assert target.read_bytes() == OLD
    assert names(target.parent) == [target.name]


def test_an_interrupt_leaves_the_old_file(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.put(target, NEW)
    assert target.read_bytes() == OLD
    assert names(target.parent) == [target.name]


def test_a_missing_folder_or_a_folder_as_target_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        files.put(tmp_path / "gone" / "a", NEW)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        files.put(tmp_path / "folder", NEW)
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_a_rename_that_was_done_is_done(
    target: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    honest = os.replace

    def doubtful(source: Path, goal: Path) -> None:
        honest(source, goal)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", doubtful)
    assert files.put(target, NEW).size == len(NEW)
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_a_rename_that_was_not_done_is_an_error(
    target: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(source: Path, goal: Path) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        with pytest.raises(StorageError, match=target.name):
            files.put(target, NEW)
    assert target.read_bytes() == OLD
    assert names(target.parent) == [target.name]


def test_a_file_system_that_can_not_flush_folders_is_no_failure(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.fsync

    def no_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.EINVAL, "Invalid argument")
        honest(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    files.put(target, NEW)
    assert target.read_bytes() == NEW


def test_folders_are_made_and_made_again(tmp_path: Path) -> None:
    made = files.make_directory(tmp_path / "a" / "b")
    assert made == files.make_directory(made)
    assert made.is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        files.make_directory(tmp_path / "file")
    with pytest.raises(StorageError, match="sub"):
        files.make_directory(tmp_path / "file" / "sub")


def test_a_growing_file_goes_on_and_becomes_whole(target: Path) -> None:
    path = target.with_name("growing")
    for piece in (b"first ", b"second "):  # as two processes would
        file = files.Growing(path)
        file.append(piece)
        file.close()
    file = files.Growing(path)
    assert (b"".join(file.pieces()), b"".join(file.pieces(4))) == (b"first second ",) * 2
    file.append(b"third")
    file.become(target)
    file.close()
    assert target.read_bytes() == b"first second third"
    assert names(target.parent) == [target.name]


def test_a_growing_file_starts_anew(tmp_path: Path) -> None:
    file = files.Growing(tmp_path / "growing")
    file.append(b"a mistake")
    file.truncate()
    file.append(b"right")
    file.close()
    assert (file.size, (tmp_path / "growing").read_bytes()) == (5, b"right")


@pytest.mark.parametrize("step", ["pwrite", "fsync", "replace"])
def test_a_growing_file_that_can_not_be_written_leaves_the_old_one(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = files.Growing(target.with_name("growing"))
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(StorageError, match=r"no space left for .* Make room and run the same"):
            _append_and_become(file, target)
    assert target.read_bytes() == OLD
    file.truncate()
    file.append(NEW)  # and when there is room again
    file.become(target)
    file.close()
    assert target.read_bytes() == NEW


def _append_and_become(file: files.Growing, target: Path) -> None:
    file.append(NEW)
    file.become(target)


def test_the_order_of_becoming_whole(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.Growing(target.with_name("growing"))
    file.append(NEW)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        file.become(target)
    assert disk.done == SEQUENCE[SEQUENCE.index("fsync") : 4] + SEQUENCE[5:]
    file.close()


def test_a_growing_file_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "growing").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="growing"):
        files.Growing(tmp_path / "growing")
    assert not (tmp_path / "elsewhere").exists()


def test_one_of_two_gets_a_working_file(tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(NEW)
    taken = [files.claim(tmp_path / "left", tmp_path / name) for name in ("a", "b")]
    assert taken == [True, False]
    assert names(tmp_path) == ["a"]


def dead_process() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def left_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the temporary file of a writer that dies before its rename."""

    def refused(path: Path) -> None:
        raise OSError(errno.EIO, "cannot remove")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        Disk(patch, SEQUENCE.index("replace"), errno.EIO)
        with pytest.raises(StorageError):
            files.put(folder / "x.tar", [NEW[:5], NEW[5:]])
    (name,) = names(folder)
    return name


def test_sweep_removes_what_the_dead_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = left_behind(tmp_path, monkeypatch)
    assert files.sweep(tmp_path) == 0  # this very run's: another thread may be writing it
    parts = ours.split(".")
    assert parts[-3] == str(os.getpid())
    dead = ".".join([*parts[:-3], str(dead_process()), *parts[-2:]])
    earlier = ".".join([*parts[:-2], "0" * 16, parts[-1]])  # our number, in an earlier life
    init = ".".join([*parts[:-3], "1", *parts[-2:]])  # a living process
    for name in (dead, earlier, init):
        (tmp_path / name).write_bytes(b"half")
    assert files.sweep(tmp_path) == 2
    assert names(tmp_path) == sorted([ours, init])


def test_sweep_waits_a_day_for_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = left_behind(tmp_path, monkeypatch).split(".")
    assert parts[-4] == socket.gethostname()[:40].replace(".", "-").replace("_", "-")
    fresh, stale = (".".join([*parts[:-4], host, *parts[-3:]]) for host in ("other", "gone"))
    for name in (fresh, stale):
        (tmp_path / name).write_bytes(b"half")
    day = time.time() - 25 * 3600
    os.utime(tmp_path / stale, (day, day))
    assert files.sweep(tmp_path) == 1
    assert fresh in names(tmp_path)
    assert stale not in names(tmp_path)


def test_sweep_touches_nothing_else(tmp_path: Path) -> None:
    others = ["a.tar", ".hidden", ".x.tmp", "x.tar.tmp", ".x.tar.host.12.abc.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    assert files.sweep(tmp_path) == 0
    assert names(tmp_path) == sorted(others)
    assert files.sweep(tmp_path / "gone") == 0


def test_appended_gathers_pieces_and_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, piece = tmp_path / "spool", bytes(range(256)) * 4096
    path.write_bytes(OLD * 10_000_000)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        with files.appended(path) as append:
            for _ in range(10):
                append(piece)
    assert disk.done == ["open", *["write"] * 3, "fsync", "open", "fsync", "close", "close"]
    assert path.read_bytes() == piece * 10


def _append(path: Path, piece: bytes, stop: type[BaseException] | None = None) -> None:
    with files.appended(path) as append:
        append(piece)
        append(b"rest")
        if stop:
            raise stop


def test_appended_leaves_nothing_of_a_stopped_writer(tmp_path: Path) -> None:
    for stop in (KeyboardInterrupt, ValueError):
        with pytest.raises(stop):
            _append(tmp_path / "spool", b"x" * 10_000_000, stop)
        assert names(tmp_path) == []


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_appended_tells_any_failing_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as patch:
        Disk(patch, step, errno.ENOSPC)
        with pytest.raises(StorageError, match=r"no space left for .*spool"):
            _append(tmp_path / "spool", bytes(5 * 2**20))
    assert names(tmp_path) == []


def test_appended_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(OLD)
    (tmp_path / "spool").symlink_to(tmp_path / "theirs")
    with pytest.raises(StorageError, match="spool"), files.appended(tmp_path / "spool"):
        raise AssertionError("it was opened")
    assert (tmp_path / "theirs").read_bytes() == OLD


def test_put_folder_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.put_folder(tmp_path / "a", {"x": OLD, "y": b""})
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {"x": OLD, "y": b""}
    for step in (0, 1, 3, 4, 6):  # open, write, (close), open, write, (close), replace
        with monkeypatch.context() as patch:
            Disk(patch, step, errno.ENOSPC)
            with pytest.raises(StorageError, match="no space left"):
                files.put_folder(tmp_path / "b", {"x": NEW, "z": NEW})
        assert names(tmp_path) == ["a"]
    files.put_folder(tmp_path / "a", {"x": NEW})
    assert {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()} == {"x": NEW}
    assert names(tmp_path) == ["a"]


def test_sweep_removes_folders_of_the_dead_and_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = left_behind(tmp_path, monkeypatch).split(".")
    dead = [".".join([*parts[:-3], str(dead_process()), parts[-2], "tmp"]), ""]
    dead[1] = dead[0].replace(".x.tar.", ".y.tar.")
    (tmp_path / dead[0]).mkdir()
    (tmp_path / dead[0] / "half").write_bytes(b"x")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a").write_bytes(b"x")
    (tmp_path / dead[1]).symlink_to(tmp_path / "theirs")
    assert files.sweep(tmp_path) == 2
    assert names(tmp_path) == sorted([".".join(parts), "theirs"])
    assert names(tmp_path / "theirs") == ["a"]


# The house rule: one way to write a file, and no way to run what was read.

PACKAGE = Path(threedie.__file__).parent
WRITER = PACKAGE / "files.py"
ALLOWED = {
    ("program.py", "os.open"): "standard output goes nowhere when its reader has left",
    ("scene.py", "os.open"): "Blender's chatter goes nowhere",
    ("train.py", "checkpoint.save to a file"): "ours, through files.put",
    ("worker.py", "os.open"): "a worker's own output goes to the log",
    ("folders.py", "os.open"): "the lock: held and not written for its content",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.rename",
    "os.replace",
    "os.link",
    "os.symlink",
    "shutil.copy",
    "shutil.copy2",
    "shutil.copyfile",
    "shutil.copyfileobj",
    "shutil.copytree",
    "shutil.move",
    "shutil.unpack_archive",
    "tempfile.NamedTemporaryFile",
    "tempfile.TemporaryFile",
}
FORBIDDEN_METHODS = {
    "write_text",
    "write_bytes",
    "extract",
    "extractall",
    "symlink_to",
    "hardlink_to",
    "rename",
    "tofile",
    "savetxt",
}
SAVERS = {"save", "savez", "savez_compressed"}
FORBIDDEN_MODULES = {"pickle", "dill", "marshal", "shelve", "yaml", "joblib"}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's function, or the last name where it is called on a value."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def in_memory(tree: ast.AST) -> set[str]:
    """Names that hold an io.BytesIO."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(value, ast.Call) and dotted(value.func) == "io.BytesIO":
                    found.add(dotted(name))
    return found


def faults(source: str) -> list[str]:
    """What in a module breaks the rule."""
    tree = ast.parse(source)
    memory, found = in_memory(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [module] if module.split(".")[0] in FORBIDDEN_MODULES else []
            bare = {f"{module}.{alias.name}" for alias in node.names}
            found += sorted(bare & (FORBIDDEN_CALLS | {"os.open"}))
        elif isinstance(node, ast.Call):
            found += _of_call(node, memory)
    return found


def _of_call(call: ast.Call, memory: set[str]) -> list[str]:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    words = {k.arg: k.value for k in call.keywords}
    if name in FORBIDDEN_CALLS or (
        last in FORBIDDEN_METHODS and isinstance(call.func, ast.Attribute)
    ):
        return [name]
    if any(isinstance(words.get(k), ast.Constant) for k in ("shell", "allow_pickle")):
        value = words.get("shell", words.get("allow_pickle"))
        if isinstance(value, ast.Constant) and value.value:
            return [f"{name}({'shell' if 'shell' in words else 'allow_pickle'}=True)"]
    if name == "torch.load":
        safe = words.get("weights_only")
        return [] if isinstance(safe, ast.Constant) and safe.value is True else [name]
    if last in SAVERS and not ({dotted(a) for a in call.args[:2]} & memory):
        return [f"{name} to a file"]
    if name == "os.open" and {"O_WRONLY", "O_RDWR"} & {
        n.attr for a in call.args for n in ast.walk(a) if isinstance(n, ast.Attribute)
    }:
        return ["os.open"]
    modes = [*call.args[name == "open" :], *([words["mode"]] if "mode" in words else [])]
    if last in ("open", "ZipFile", "fdopen") and any(map(_writes, modes)):
        return [f"{name} for writing"]
    return []


def _writes(mode: ast.expr) -> bool:
    value = mode.value if isinstance(mode, ast.Constant) else None
    return isinstance(value, str) and bool(re.fullmatch(r"r?[bt]*[wax+][bt+]*([:|].*)?", value))


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_only_files_py_writes_and_nothing_runs_what_it_reads(path: Path) -> None:
    if path != WRITER:
        found = faults(path.read_text(encoding="utf-8"))
        assert [f for f in found if (path.name, f) not in ALLOWED] == []


def test_every_exception_is_still_needed() -> None:
    used = {
        (path.name, fault)
        for path in PACKAGE.rglob("*.py")
        for fault in faults(path.read_text(encoding="utf-8"))
    }
    assert set(ALLOWED) <= used


@pytest.mark.parametrize(
    "line",
    [
        "open('x', 'w')",
        "tarfile.open(path, 'w:gz')",
        "zipfile.ZipFile(path, 'w')",
        "os.fdopen(1, 'w')",
        "open('x', mode='ab')",
        "path.open('xb')",
        "path.open('r+b', buffering=0)",
        "io.open(name, 'wt')",
        "path.write_text('x')",
        "path.write_bytes(b'x')",
        "np.save('x.npy', a)",
        "np.savez(path, a=a)",
        "image.save(path, 'PNG')",
        "Image.new('L', (1, 1)).save('x.png')",
        "shutil.copyfile(a, b)",
        "shutil.move(a, b)",
        "os.replace(a, b)",
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "tar.extractall(folder)",
        "tarfile.open(p).extract(m)",
        "import pickle",
        "from yaml import safe_load",
        "from os import system",
        "from shutil import copyfile",
        "eval(text)",
        "exec(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=trusted)",
        "torch.save(state, 'x.pt')",
    ],
)
def test_the_rule_sees_what_breaks_it(line: str) -> None:
    assert faults(line)


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "tarfile.open(fileobj=f, mode='r:')",
        "archive.open(info)",
        "path.open('rb', buffering=0)",
        "os.open(path, os.O_RDONLY | os.O_DIRECTORY)",
        "out = io.BytesIO()\nnp.save(out, a)",
        "a, out = 1, io.BytesIO()\nimage.save(out, 'PNG')",
        "text.replace('a', 'b')",
        "np.load(path, allow_pickle=False)",
        "torch.load(path, weights_only=True)",
        "out = io.BytesIO()\ntorch.save(state, out)",
        "re.compile('x')",
        "tar.extractfile(member)",
        "files.put(path, content)",
    ],
)
def test_the_rule_leaves_the_rest_alone(line: str) -> None:
    assert faults(line) == []
