"""Trying a fault at every file operation of a writer, and counting what comes out wrong."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import oracle, power
from tests.faults.conftest import Server
from tests.faults.orders import Answer
from tests.faults.power import Disk

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Right:
    """The undisturbed run."""

    tree: str
    content: str
    folder: Path


def undisturbed(server: Server, writer: str = "real") -> Right:
    """What a writer makes when nothing happens."""
    disk = server.disk()
    answer = server.run(disk, writer=writer)
    assert answer.status == 0, answer
    content = oracle.content(disk / "out")
    assert content is not None
    assert oracle.leftovers(disk / "out") == []
    return Right(oracle.tree_hash(disk / "out"), content, disk / "out")


def start(server: Server, right: Right, kind: str) -> Path:
    """A disk before the run that is to be disturbed."""
    disk = server.disk()
    if kind == "damaged":
        shutil.copytree(right.folder, disk / "out")
        shard = disk / "out" / "train-000000.tar"
        content = bytearray(shard.read_bytes())
        content[700] ^= 1
        shard.write_bytes(content)
        (disk / "out" / "index" / "val.npz").unlink()
    return disk


class Tally:
    """Counts what came out wrong.

    Args:
        server: of the runs.
        right: what must come out.
        writer: whose runs.
    """

    def __init__(self, server: Server, right: Right, writer: str = "real") -> None:
        self.server, self.right, self.writer = server, right, writer
        self.tried = 0
        self.wrong: list[str] = []

    def check(self, disk: Path, what: str) -> None:
        """A disturbed disk: is it read rightly, and does the same command complete it?"""
        self.tried += 1
        out = disk / "out"
        if oracle.content(out) not in (None, self.right.content):
            self.wrong.append(f"{what}: a reader gets half a data set")
        answer = self.server.run(disk, writer=self.writer)
        if answer.status:
            self.wrong.append(f"{what}: the run does not go on: {answer.message}")
        elif oracle.tree_hash(out) != self.right.tree:
            self.wrong.append(f"{what}: other bytes")
        elif oracle.content(out) != self.right.content or oracle.leftovers(out):
            self.wrong.append(f"{what}: not readable, or leftovers {oracle.leftovers(out)}")
        shutil.rmtree(disk)


def kill_everywhere(tally: Tally, kind: str, *, torn: bool) -> int:
    """Kill before operation 1, 2, … until a run passes untouched; returns how many there are."""
    for n in range(1, 10_000):
        disk = start(tally.server, tally.right, kind)
        answer = tally.server.run(disk, writer=tally.writer, crash_at=n, torn=torn)
        if answer.status == 0:
            shutil.rmtree(disk)
            return n - 1
        assert answer.status == 137, answer
        tally.check(disk, f"killed at operation {n}{' (torn)' if torn else ''}")
    raise AssertionError("the run never ends")


def cut_power_everywhere(tally: Tally, kind: str) -> tuple[int, int]:
    """All worlds after every operation; returns how many there are, and how many are distinct."""
    disk = start(tally.server, tally.right, kind)
    state, log = _seeded(disk), tally.server.base / "log"
    answer = tally.server.run(disk, writer=tally.writer, log=str(log))
    assert answer.status == 0, answer
    operations, seen, worlds = power.read_log(log, disk), set[str](), 0
    for number, operation in enumerate(operations, 1):
        state.apply(operation)
        for name, world in state.worlds(seed=number).items():
            worlds += 1
            what = f"power cut after operation {number} ({operation.name}), {name}"
            found = tally.server.disk()
            power.build(world, found)
            if number == len(operations) and oracle.content(found / "out") != tally.right.content:
                tally.wrong.append(f"{what}: a finished data set is gone")
            if (mark := power.fingerprint(world)) in seen:
                shutil.rmtree(found)
                continue
            seen.add(mark)
            tally.check(found, what)
    log.unlink()
    return worlds, len(seen)


def _seeded(disk: Path) -> Disk:
    """The model of a disk on which everything is durable."""
    state = Disk()
    for path in sorted(disk.rglob("*")):
        name = str(path.relative_to(disk))
        if path.is_dir():
            state.names[name] = power.FOLDER
        else:
            inode = state.names[name] = next(state.inodes)
            state.content[inode] = path.read_bytes()
    state.durable_names, state.durable = dict(state.names), dict(state.content)
    return state


def fail_everywhere(tally: Tally, kind: str, code: int, *, sticky: bool) -> tuple[int, int]:
    """Let operation 1, 2, … fail, once or all from there on.

    Returns:
        How many operations there are, and how many of the runs ended with a clear error.
    """
    stopped = 0
    for n in range(1, 10_000):
        disk = start(tally.server, tally.right, kind)
        answer = tally.server.run(
            disk, writer=tally.writer, fail_at=n, fail_errno=code, sticky=sticky
        )
        if answer.operations < n:
            return n - 1, stopped
        stopped += bool(answer.status)
        _check_answer(answer, disk, code, tally, f"operation {n} fails")
        tally.check(disk, f"operation {n} fails")
    raise AssertionError("the run never ends")


def limit_file_sizes(tally: Tally) -> None:
    """Let no file be larger than 256, 1280, … bytes, until all fit."""
    largest = max(p.stat().st_size for p in tally.right.folder.rglob("*"))
    for limit in range(256, largest, 1024):
        disk = tally.server.disk()
        answer = tally.server.run(disk, writer=tally.writer, largest_file=limit)
        assert answer.status == 1, answer
        _check_answer(answer, disk, errno.EFBIG, tally, f"limit {limit}")
        tally.check(disk, f"limit {limit}")


def _check_answer(answer: Answer, disk: Path, code: int, tally: Tally, what: str) -> None:
    out, right = disk / "out", tally.right
    if answer.status == 0:
        if oracle.content(out) != right.content or oracle.tree_hash(out) != right.tree:
            tally.wrong.append(f"{what}: the run says it is well, and it is not")
        return
    if (answer.status, answer.error) != (1, "StorageError"):
        tally.wrong.append(f"{what}: {answer.error}, {answer.message}")
    if "\n" in answer.message or str(out) not in answer.message:
        tally.wrong.append(f"{what}: the message names no path: {answer.message}")
    if os.strerror(code) not in answer.message:
        tally.wrong.append(f"{what}: the message gives no reason: {answer.message}")
    if broken := oracle.half_files(out):
        tally.wrong.append(f"{what}: {broken} are half")
