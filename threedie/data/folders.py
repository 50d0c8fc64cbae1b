"""A folder that is being made: who writes into it, and what another data set would change."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from threedie.errors import Busy, ConfigError, StorageError
from threedie.manifests.dataset import Model


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file; only to say so: correctness comes from unique names and renames.

    Args:
        path: of the lock, in a working folder of the folder that is written.
        shared: with others that share it, and not with one that does not.

    Raises:
        Busy: another process holds it; says which.
        StorageError: it can't be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as err:
        raise StorageError(f"cannot write into {path.parent}: {err.strerror}.") from err
    try:
        _take(descriptor, path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, how: int) -> None:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as err:
        if err.errno not in (errno.EAGAIN, errno.EACCES):
            return  # a file system without locks
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
        raise Busy(f"{path.parent.parent} is being written by another run ({holder}).") from err
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"host {socket.gethostname()}, process {os.getpid()}".encode(), 0)


def refuse_other(where: str, there: Model, asked: Model) -> None:
    """Refuse to mix two data sets in one place.

    Raises:
        ConfigError: `there` was made otherwise; every difference is in the message.
    """
    if found := differences(there, asked):
        listed = "\n".join(f"  {line}" for line in found)
        raise ConfigError(
            f"{where} holds a data set made otherwise:\n{listed}\n"
            "Repeat its options to go on with it, or give another --out."
        )


def differences(there: Model, asked: Model) -> list[str]:
    """A line per field in which two descriptions of a data set differ, with both values."""
    old, new = _flat(there.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    return [
        f"{name}: {old.get(name)} there, {new.get(name)} asked for"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        k: v
        for name in value
        for k, v in _flat(value[name], f"{prefix}.{name}".lstrip(".")).items()
    }
