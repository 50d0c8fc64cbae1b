"""The ways in which this project writes: whole, durable, or not at all.

`put` writes under a temporary name in the target's own directory (host, process and a random part
in it, so that two machines with equal process ids never meet), flushes, fsyncs, renames over the
target and fsyncs the directory. After a kill or a power cut the target is the old file or the new
one. `appended` and `Growing` are for working files that are no result, `put_folder` for millions of
small files. Nothing else in the project opens a file for writing (a test looks).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie.errors import StorageError

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "host"
_RUN = secrets.token_hex(
    4
)  # tells our own temporary files from those of a dead process with our pid
OWNER = r"(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.(?P<run>[0-9a-f]{8})[0-9a-f]{8}"
"""What `owner` gives, as a regular expression."""
_TEMP = re.compile(rf"^\..+\.{OWNER}\.tmp$")
_FOREIGN_TEMP_S = 24 * 3600.0  # a temporary file of another host is garbage after a day
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Written:
    """What `put` has made durable."""

    size: int
    """Bytes."""
    sha256: str
    """Lower-case hex of the content."""


def put(path: Path, content: bytes | Iterable[bytes]) -> Written:
    """Write a file atomically and durably.

    Args:
        path: target; its directory must exist. A symbolic link there is replaced, not followed.
        content: all bytes, or pieces of them in order (a shard is streamed from its parts).

    Returns:
        Size and hash of what was written.

    Raises:
        StorageError: disk full, quota, read-only, I/O error. The target is untouched.
    """
    temp = path.with_name(f".{path.name}.{owner()}.tmp")
    pieces = (content,) if isinstance(content, bytes) else content
    try:
        written = _write(temp, pieces)
        _rename(temp, path, written)
        sync_directory(path.parent)
    except BaseException as err:
        with contextlib.suppress(OSError):
            temp.unlink()
        if isinstance(err, OSError):
            raise _storage_error(path, err) from err
        raise
    return written


def owner() -> str:
    """A part of a file name that says who works on it: host, process, run, and a random part."""
    return f"{_HOST}.{os.getpid()}.{_RUN}{secrets.token_hex(4)}"


def _write(temp: Path, pieces: Iterable[bytes], *, durable: bool = True) -> Written:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
            digest.update(piece)
            size += len(piece)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Written(size, digest.hexdigest())


_APPEND_BYTES = 4 * 2**20


@contextlib.contextmanager
def appended(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Write a large working file piece by piece, in large blocks.

    The file stands under its own name from the first byte on, so its presence says nothing: what
    was written is to be told by another file, `put` after this one is done. Then it is durable. It
    starts empty, and an exception removes it.

    Yields:
        A function that appends a piece.

    Raises:
        StorageError: disk full, quota, read-only, I/O error.
    """
    waiting: list[bytes] = []
    gathered = 0

    def write_out() -> None:
        nonlocal gathered
        view = memoryview(b"".join(waiting))
        while view:
            view = view[os.write(descriptor, view) :]
        waiting.clear()
        gathered = 0

    def append(piece: bytes) -> None:
        nonlocal gathered
        waiting.append(piece)
        gathered += len(piece)
        if gathered >= _APPEND_BYTES:
            with storage_errors(path):
                write_out()

    with storage_errors(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
    try:
        yield append
        with storage_errors(path):
            write_out()
            os.fsync(descriptor)
            sync_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def put_folder(path: Path, content: Mapping[str, bytes]) -> None:
    """Write a folder of small files that appears as a whole. A folder that is there is replaced.

    Whole after a kill, but not yet durable: flushing each of millions of files would take a day.
    `sync_all` makes everything durable at once; until then a power cut can leave files without
    their content.

    Args:
        path: the folder; its parent must exist.
        content: by file name; `a/b` is a file in a folder of the folder.

    Raises:
        StorageError: disk full, quota, read-only, I/O error.
    """
    temp = path.with_name(f".{path.name}.{owner()}.tmp")
    try:
        temp.mkdir()
        for name, data in content.items():
            if "/" in name:
                (temp / name).parent.mkdir(parents=True, exist_ok=True)
            _write(temp / name, (data,), durable=False)
        if path.exists():
            shutil.rmtree(path)
        temp.replace(path)
    except BaseException as err:
        shutil.rmtree(temp, ignore_errors=True)
        if isinstance(err, OSError):
            raise _storage_error(path, err) from err
        raise


def sync_all() -> None:
    """Make everything durable that was written before, in all folders."""
    os.sync()


def _rename(temp: Path, path: Path, written: Written) -> None:
    try:
        temp.replace(path)
    except OSError as err:
        # Network file systems can answer ENOENT or ESTALE to a rename that was done: look.
        doubtful = err.errno in (errno.ENOENT, errno.ESTALE)
        if not (doubtful and path.is_file() and sha256_file(path) == written.sha256):
            raise


class Growing:
    """A working file that is appended to, survives a kill, and is renamed when it is whole.

    What is in it after a kill or a power cut is the caller's to doubt: nothing is flushed before
    `become`.

    Args:
        path: opened with what is in it, or made.

    Raises:
        StorageError: here and in every method, as `put`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._errors():
            self._descriptor = os.open(path, flags, 0o666)
            self.size = os.fstat(self._descriptor).st_size

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        view = memoryview(piece)
        with self._errors():
            while view:
                done = os.pwrite(self._descriptor, view, self.size)
                self.size += done
                view = view[done:]

    def truncate(self) -> None:
        """Start anew, with nothing."""
        with self._errors():
            os.ftruncate(self._descriptor, 0)
            self.size = 0

    def pieces(self, longest: int = 1 << 20) -> Iterator[bytes]:
        """What is in it now, from the start."""
        position, end = 0, self.size
        with self._errors():
            while position < end and (
                piece := os.pread(self._descriptor, min(longest, end - position), position)
            ):
                yield piece
                position += len(piece)

    def become(self, target: Path) -> None:
        """Flush it, and give it its name in place of what is there."""
        with self._errors():
            os.fsync(self._descriptor)
            self.path.replace(target)
            sync_directory(target.parent)

    def close(self) -> None:
        """Let go of it; it stays where it is."""
        os.close(self._descriptor)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return storage_errors(self.path, "go on with")


def claim(there: Path, name: Path) -> bool:
    """Rename a working file; of several that try, one gets it. False: it was gone."""
    try:
        there.replace(name)
    except FileNotFoundError:
        return False
    return True


def sync_directory(folder: Path) -> None:
    """Make the names in a folder durable. EINVAL (some network file systems) is no failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as err:
        if err.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Hash of a file's content, as lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def make_directory(path: Path) -> Path:
    """Create a folder and its parents, durably.

    Raises:
        StorageError: it can't be created, or is no folder.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for made in missing:
            sync_directory(made.parent)
    except OSError as err:
        raise _storage_error(path, err) from err
    return path


def sweep(folder: Path, *, of: str = "") -> int:
    """Remove temporary files and folders that dead writers left in a folder; returns how many.

    Args:
        folder: where they lie.
        of: only those of this name, where others' files may lie too.
    """
    removed = 0
    for entry in folder.iterdir() if folder.is_dir() else ():
        match = _TEMP.match(entry.name) if entry.name.startswith(f".{of}") else None
        if match and is_orphan(entry, match):
            with contextlib.suppress(FileNotFoundError):
                folder_left = entry.is_dir() and not entry.is_symlink()
                shutil.rmtree(entry) if folder_left else entry.unlink()
                removed += 1
    return removed


def is_orphan(entry: Path, name: re.Match[str], *, foreign_s: float = _FOREIGN_TEMP_S) -> bool:
    """Whether the owner of a working file is dead.

    Args:
        entry: the file.
        name: its name, matched against `OWNER`.
        foreign_s: seconds after which a file of another host that was not touched is an orphan.
    """
    if name["host"] != _HOST:
        with contextlib.suppress(OSError):
            return time.time() - entry.stat().st_mtime > foreign_s
        return False
    if int(name["pid"]) == os.getpid():
        return name["run"] != _RUN
    try:
        os.kill(int(name["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `put` writes under before it renames."""
    return bool(_TEMP.match(name))


@contextlib.contextmanager
def storage_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn what the system says of a file, or else of `path`, into a StorageError.

    Args:
        path: what is worked on, where the system does not say.
        doing: what can't be done with it, for the message.

    Raises:
        StorageError: for any OSError but a broken pipe, which is no file.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as err:
        where = Path(err.filename) if isinstance(err.filename, str) else path
        raise _storage_error(where, err, doing) from err


def _storage_error(path: Path, err: OSError, doing: str = "write") -> StorageError:
    kept = " Nothing half-written was kept." if doing == "write" else ""
    if err.errno in _FULL:
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        return StorageError(
            f"no space left for {path} ({err.strerror}; {free / 2**20:.0f} MiB free).{kept} Make "
            "room and run the same command again."
        )
    if err.errno == errno.EFBIG:
        return StorageError(
            f"file too large for this disk or a limit (ulimit -f): {path} ({err.strerror}).{kept} "
            "Raise the limit or take another disk, and run the same command again."
        )
    return StorageError(f"cannot {doing} {path}: {err.strerror or err}.{kept}")
