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
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import ROOT, Server
from tests.faults.harness import (
    Note,
    Right,
    Tally,
    cut_power_everywhere,
    fail_everywhere,
    kill_everywhere,
    limit_file_sizes,
    undisturbed,
)
from tests.faults.writer import NAIVE

STARTS = ("new", "damaged")


@pytest.fixture(scope="module")
def right(server: Server) -> Right:
    return undisturbed(server)


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
    tried, stopped = fail_everywhere(tally, kind, code, sticky=sticky)
    numbers(
        f"{kind} data set: {tried} operations fail with {errno.errorcode[code]}"
        f"{' for good' if sticky else ' once'}: {stopped} clear errors, {tried - stopped} not "
        f"needed, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_limit_on_file_sizes_is_told(server: Server, right: Right, numbers: Note) -> None:
    tally = Tally(server, right)
    limit_file_sizes(tally)
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
