"""What a power cut may leave of a sequence of file operations.

The model: fsync of a file makes its content durable, fsync of a folder the names in it; a rename
is atomic. Everything since then may be lost, kept, or kept in part. It is SQLite's and ALICE's way
to test what no kill can show: a killed process leaves the page cache to the kernel.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = -1
World = dict[str, bytes | None]
"""Content by path relative to the disk; None for folders."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the shim's log."""

    name: str
    path: str
    target: str
    where: int
    data: bytes


def read_log(log: Path, disk: Path) -> list[Operation]:
    """The operations of a run, paths relative to the disk."""
    operations = []
    for line in log.read_text().splitlines():
        name, path, target, where, data = line.split("\t")
        source, goal = (str(Path(p).relative_to(disk)) if p else "" for p in (path, target))
        operations.append(Operation(name, source, goal, int(where), bytes.fromhex(data)))
    return operations


@dataclass(slots=True)
class Disk:
    """Names and contents as programs see them, and as the platter has them."""

    names: dict[str, int] = field(default_factory=dict)
    """Inode by path; FOLDER for folders."""
    durable_names: dict[str, int] = field(default_factory=dict)
    content: dict[int, bytes] = field(default_factory=dict)
    durable: dict[int, bytes] = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)
    """Changes of names since the last fsync of their folder."""
    inodes: Iterator[int] = field(default_factory=itertools.count)

    def apply(self, operation: Operation) -> None:
        """Do an operation."""
        match operation.name:
            case "open":
                self._open(operation)
            case "write":
                inode, end = self.names[operation.path], operation.where + len(operation.data)
                old = self.content[inode].ljust(operation.where, b"\0")
                self.content[inode] = old[: operation.where] + operation.data + old[end:]
            case "ftruncate":
                inode = self.names[operation.path]
                self.content[inode] = self.content[inode][: operation.where]
            case "fsync":
                self._sync(operation.path)
            case _:
                _change(self.names, operation, FOLDER)
                self.pending.append(operation)

    def _open(self, operation: Operation) -> None:
        if operation.path not in self.names:
            inode = next(self.inodes)
            self.names[operation.path], self.content[inode] = inode, b""
            made = Operation("open", operation.path, "", inode, b"")
            self.pending.append(made)
        elif operation.where:
            self.content[self.names[operation.path]] = b""

    def _sync(self, path: str) -> None:
        inode = FOLDER if path == "." else self.names[path]
        if inode != FOLDER:
            self.durable[inode] = self.content[inode]
            return
        mine = [op for op in self.pending if _folder(op.path) == path]
        self.pending = [op for op in self.pending if _folder(op.path) != path]
        for operation in mine:
            _change(self.durable_names, operation, operation.where)

    def worlds(self, seed: int) -> dict[str, World]:
        """What may be found after the power is back, by the kind of loss."""
        chance = random.Random(seed)
        mixed = dict(self.durable_names)
        for operation in self.pending:
            if chance.random() < 0.5:
                _change(mixed, operation, operation.where)
        some = {i for i in self.content if chance.random() < 0.5}
        return {
            "lost": self._world(self.durable_names, self._synced),
            "empty": self._world(self.names, self._synced),
            "half": self._world(self.names, self._half),
            "zeros": self._world(self.names, self._zeros),
            "mixed": self._world(
                mixed, lambda i: self.content[i] if i in some else self._synced(i)
            ),
        }

    def _world(self, names: dict[str, int], read: Callable[[int], bytes]) -> World:
        return {
            path: None if inode == FOLDER else read(inode)
            for path, inode in names.items()
            if _reachable(names, path)
        }

    def _synced(self, inode: int) -> bytes:
        return self.durable.get(inode, b"")

    def _half(self, inode: int) -> bytes:
        synced, now = self._synced(inode), self.content[inode]
        kept = len(synced) if now.startswith(synced) else 0
        return now[: kept + (len(now) - kept) // 2]

    def _zeros(self, inode: int) -> bytes:
        synced, now = self._synced(inode), self.content[inode]
        kept = len(synced) if now.startswith(synced) else 0
        return now[:kept] + b"\0" * (len(now) - kept)


def _change(names: dict[str, int], operation: Operation, inode: int) -> None:
    """Change names as an operation does; one whose name is not there does nothing."""
    match operation.name:
        case "open":
            names[operation.path] = inode
        case "mkdir":
            names[operation.path] = FOLDER
        case "rename" if operation.path in names:
            names[operation.target] = names.pop(operation.path)
        case "unlink":
            names.pop(operation.path, None)


def _folder(path: str) -> str:
    return str(Path(path).parent)


def _reachable(names: dict[str, int], path: str) -> bool:
    folder = _folder(path)
    return folder == "." or (names.get(folder) == FOLDER and _reachable(names, folder))


def build(world: World, disk: Path) -> None:
    """Make a world on a real, empty folder."""
    for path in sorted(world, key=lambda p: p.count("/")):
        content = world[path]
        if content is None:
            (disk / path).mkdir()
        else:
            (disk / path).write_bytes(content)


def fingerprint(world: World) -> str:
    """Equal for equal worlds."""
    return hashlib.sha256(repr(sorted(world.items())).encode()).hexdigest()
