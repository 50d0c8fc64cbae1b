"""Every writer of a run, and a fault at every one of its file operations.

Claims, for a new data set and for the repair of a damaged one:
- Killed before any operation (or in the middle of any write), the same command makes the same
  bytes, and no temporary or working file stays.
- At no such moment does a reader accept half a data set: it refuses, or gets everything.
- The same after a power cut at any moment, whatever it leaves of what was not yet durable; and
  what a finished run has reported is durable.
- Any operation may fail (full disk, quota, I/O error, read-only, once or for good): one message
  that names the path, exit status 1, nothing half-written under a final name; then as above.
- A file size limit and a really full disk: the same.
- The harness finds faults in writers that have them: without fsync, without fsync of folders, and
  in place.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import oracle, power
from tests.faults.conftest import ROOT, Server
from tests.faults.orders import Answer
from tests.faults.power import Disk
from tests.faults.writer import NAIVE

Note = Callable[[str], None]
STARTS = ("new", "damaged")


@dataclass(frozen=True, slots=True)
class Right:
    """The undisturbed run."""

    tree: str
    content: str
    folder: Path


@pytest.fixture(scope="module")
def right(server: Server) -> Right:
    disk = server.disk()
    assert server.run(disk).status == 0
    return _right(disk)


def _right(disk: Path) -> Right:
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


@pytest.mark.parametrize("kind", STARTS)
def test_a_kill_at_any_file_operation_costs_nothing(
    server: Server, right: Right, numbers: Note, kind: str
) -> None:
    tally = Tally(server, right)
    points = kill_everywhere(tally, kind, torn=False)
    kill_everywhere(tally, kind, torn=True)
    numbers(
        f"{kind} data set: {points} kill points, {tally.tried} kills (plain and torn), "
        f"{len(tally.wrong)} wrong"
    )
    assert points > 30
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize("kind", STARTS)
def test_a_power_cut_at_any_moment_costs_nothing(
    server: Server, right: Right, numbers: Note, kind: str
) -> None:
    tally = Tally(server, right)
    worlds, distinct = cut_power_everywhere(tally, kind)
    numbers(
        f"{kind} data set: {worlds} states after a power cut, {distinct} distinct, "
        f"{len(tally.wrong)} wrong"
    )
    assert distinct > 60
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize("naive", NAIVE)
def test_the_harness_finds_the_faults_of_naive_writers(
    server: Server, right: Right, numbers: Note, naive: str
) -> None:
    kills, cuts = Tally(server, right, naive), Tally(server, right, naive)
    kill_everywhere(kills, "new", torn=True)
    _, distinct = cut_power_everywhere(cuts, "new")
    numbers(
        f"naive writer, {naive}: {len(kills.wrong)} of {kills.tried} kills wrong, "
        f"{len(cuts.wrong)} of {distinct} power cuts wrong"
    )
    assert cuts.wrong
    assert bool(kills.wrong) == (naive == "in place")


ERRORS = [
    (errno.ENOSPC, True),
    (errno.EDQUOT, True),
    (errno.EROFS, True),
    (errno.ENOSPC, False),
    (errno.EIO, False),
]


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize(("code", "sticky"), ERRORS)
def test_any_file_operation_may_fail(
    server: Server, right: Right, numbers: Note, kind: str, code: int, sticky: bool
) -> None:
    tally = Tally(server, right)
    stopped = 0
    for n in range(1, 10_000):
        disk = start(server, right, kind)
        answer = server.run(disk, fail_at=n, fail_errno=code, sticky=sticky)
        if answer.operations < n:
            break
        stopped += bool(answer.status)
        _check_answer(answer, disk, right, code, tally, f"operation {n} fails")
        tally.check(disk, f"operation {n} fails")
    numbers(
        f"{kind} data set: {n - 1} operations fail with {errno.errorcode[code]}"
        f"{' for good' if sticky else ' once'}: {stopped} clear errors, {n - 1 - stopped} not "
        f"needed, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong)


def _check_answer(
    answer: Answer, disk: Path, right: Right, code: int, tally: Tally, what: str
) -> None:
    out = disk / "out"
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


def test_a_limit_on_file_sizes_is_a_full_disk(server: Server, right: Right, numbers: Note) -> None:
    tally = Tally(server, right)
    largest = max(p.stat().st_size for p in right.folder.rglob("*"))
    for limit in range(256, largest, 1024):
        disk = server.disk()
        answer = server.run(disk, largest_file=limit)
        assert answer.status == 1, answer
        _check_answer(answer, disk, right, errno.EFBIG, tally, f"limit {limit}")
        tally.check(disk, f"limit {limit}")
    numbers(f"file size limits: {tally.tried} tried, {len(tally.wrong)} wrong")
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_really_full_disk(server: Server, right: Right, numbers: Note, tmp_path: Path) -> None:
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-m"]
    command += ["tests.faults.full_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "NO MOUNT" in done.stdout or "unshare" in done.stderr:
        pytest.skip("no small disk to fill: mounting one in a namespace is not permitted here")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    full = [line for line in lines if line["message"]]
    numbers(f"disks of {lines[0]['kib']} to {lines[-1]['kib']} KiB: {len(full)} full, 0 wrong")
    assert 5 < len(full) < len(lines)
    for line in full:
        assert "no space left for" in line["message"]
        assert "\n" not in line["message"]
        assert line["half"] == []
        assert line["read"] in (None, right.content)
    assert {line["tree"] for line in lines} == {right.tree}
