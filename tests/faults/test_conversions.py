"""A fault at every file operation of a conversion.

Claims, as for a render (test_writers.py):
- Killed before any operation, or in the middle of any write, while it reads or while it writes, the
  same call makes the same bytes, and no temporary or working file stays; so after a power cut at
  any moment.
- Any operation may fail: one line that names the path, exit status 1, nothing half-written under a
  final name; then as above.
- Killed at random moments, whole processes of the real verb: the same. Ctrl-C and SIGTERM say how
  to go on.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults import oracle
from tests.faults.conftest import ROOT, Server
from tests.faults.test_writers import (
    Note,
    Right,
    Tally,
    _check_answer,
    _right,
    cut_power_everywhere,
    kill_everywhere,
)
from tests.sharing.published import OBJECTS, published, tar


@pytest.fixture(scope="module")
def right(server: Server) -> Right:
    disk = server.disk()
    answer = server.run(disk, writer="convert")
    assert answer.status == 0, answer
    return _right(disk)


@pytest.mark.parametrize("kind", ["new", "damaged"])
def test_a_kill_at_any_file_operation_costs_nothing(
    server: Server, right: Right, numbers: Note, kind: str
) -> None:
    tally = Tally(server, right, "convert")
    points = kill_everywhere(tally, kind, torn=False)
    kill_everywhere(tally, kind, torn=True)
    numbers(
        f"{kind} conversion: {points} kill points, {tally.tried} kills (plain and torn), "
        f"{len(tally.wrong)} wrong"
    )
    assert points > 50
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_power_cut_at_any_moment_costs_nothing(
    server: Server, right: Right, numbers: Note
) -> None:
    tally = Tally(server, right, "convert")
    worlds, distinct = cut_power_everywhere(tally, "new")
    numbers(
        f"conversion: {worlds} states after a power cut, {distinct} distinct, "
        f"{len(tally.wrong)} wrong"
    )
    assert distinct > 60
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize(("code", "sticky"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_any_file_operation_may_fail(
    server: Server, right: Right, numbers: Note, code: int, sticky: bool
) -> None:
    tally, stopped = Tally(server, right, "convert"), 0
    for n in range(1, 10_000):
        disk = server.disk()
        answer = server.run(disk, writer="convert", fail_at=n, fail_errno=code, sticky=sticky)
        if answer.operations < n:
            break
        stopped += bool(answer.status)
        _check_answer(answer, disk, right, code, tally, f"operation {n} fails")
        tally.check(disk, f"operation {n} fails")
    numbers(
        f"conversion: {n - 1} operations fail with {errno.errorcode[code]}: {stopped} clear "
        f"errors, {n - 1 - stopped} not needed, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_limit_on_file_sizes_is_a_full_disk(server: Server, right: Right) -> None:
    tally = Tally(server, right, "convert")
    largest = max(p.stat().st_size for p in right.folder.rglob("*"))
    for limit in range(256, largest, 1024):
        disk = server.disk()
        answer = server.run(disk, writer="convert", largest_file=limit)
        assert answer.status == 1, answer
        _check_answer(answer, disk, right, errno.EFBIG, tally, f"limit {limit}")
        tally.check(disk, f"limit {limit}")
    assert tally.tried > 5
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few megabytes, so that there is time to kill."""
    path = tmp_path_factory.mktemp("archive") / "set.tar"
    objects = [(c, f"{o}-{n}") for c, o in OBJECTS for n in range(12)]
    path.write_bytes(tar(published(objects, views=8, size=64)))
    return path


def start(archive: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "threedie", "convert", str(archive), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--shard-size", "8"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    said, _ = start(archive, out).communicate()
    assert "96 objects converted" in said, said
    return out


def test_killed_processes_cost_nothing(
    tmp_path: Path, archive: Path, undisturbed: Path, numbers: Note
) -> None:
    chance, kills, longest, out = random.Random(7), 0, 1.0, tmp_path / "out-0"
    while kills < 8:
        begun = time.monotonic()
        run = start(archive, out)
        try:
            run.communicate(timeout=chance.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            kills += 1
            run.kill()
            run.communicate()
            assert oracle.content(out) in (None, oracle.content(undisturbed))
        else:
            longest = 0.9 * (time.monotonic() - begun)
            assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
            shutil.rmtree(out)
        longest = min(longest + 0.2, 8.0)
    said, _ = start(archive, out).communicate()
    assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed), said
    assert oracle.leftovers(out) == []
    numbers(f"conversions: {kills} processes killed, 0 wrong, 0 leftovers")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["reading", "writing"])
def test_an_interrupted_conversion_says_how_to_go_on(
    tmp_path: Path, archive: Path, undisturbed: Path, number: signal.Signals, phase: str
) -> None:
    out = tmp_path / "out"
    source = archive
    if phase == "reading":  # a pipe that nobody fills: it waits in the middle of reading
        source = tmp_path / "set.tar"
        os.mkfifo(source)
    run = start(source, out)
    if phase == "reading":
        with source.open("wb") as pipe:
            pipe.write(archive.read_bytes()[:100_000])
            pipe.flush()
            _wait_for(out / ".convert" / "pictures.spool")
            run.send_signal(number)
            said, _ = run.communicate(timeout=60)
    else:
        _wait_for(out / ".convert" / "plan.json")
        run.send_signal(number)
        said, _ = run.communicate(timeout=60)
    if run.returncode == 0:  # it was quicker
        assert oracle.tree_hash(out) == oracle.tree_hash(undisturbed)
        return
    assert run.returncode == 1, said
    assert "stopped. The same command goes on" in said.replace("\n", " ")
    assert "Traceback" not in said
    if phase == "reading":
        source.unlink()
        shutil.copy(archive, source)
    start(source, out).communicate()
    assert oracle.tars(out) == oracle.tars(undisturbed)
    assert oracle.leftovers(out) == []


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.005)
