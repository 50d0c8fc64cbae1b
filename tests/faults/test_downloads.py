"""A fault at every file operation of a download, of a whole set and of some classes.

Claims, as for a render (test_writers.py):
- Killed before any operation, or in the middle of any write, the same call makes the same bytes,
  and no partial, temporary or working file stays; so after a power cut at any moment.
- Any operation may fail: one line that names the path, exit status 1, nothing half-written under a
  final name; then as above.
"""

from __future__ import annotations

import errno

import pytest

from tests.faults import oracle
from tests.faults.conftest import Server
from tests.faults.test_writers import (
    Note,
    Right,
    Tally,
    _check_answer,
    _right,
    cut_power_everywhere,
    kill_everywhere,
)


@pytest.fixture(scope="module", params=["download", "download classes"])
def writer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def right(server: Server, writer: str) -> Right:
    disk = server.disk()
    answer = server.run(disk, writer=writer)
    assert answer.status == 0, answer
    return _right(disk)


@pytest.mark.parametrize("kind", ["new", "damaged"])
def test_a_kill_at_any_file_operation_costs_nothing(
    server: Server, right: Right, numbers: Note, writer: str, kind: str
) -> None:
    tally = Tally(server, right, writer)
    points = kill_everywhere(tally, kind, torn=False)
    kill_everywhere(tally, kind, torn=True)
    numbers(
        f"{writer}, {kind}: {points} kill points, {tally.tried} kills (plain and torn), "
        f"{len(tally.wrong)} wrong"
    )
    assert points > 25
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_power_cut_at_any_moment_costs_nothing(
    server: Server, right: Right, numbers: Note, writer: str
) -> None:
    tally = Tally(server, right, writer)
    worlds, distinct = cut_power_everywhere(tally, "new")
    numbers(
        f"{writer}: {worlds} states after a power cut, {distinct} distinct, "
        f"{len(tally.wrong)} wrong"
    )
    assert distinct > 40
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize(("code", "sticky"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_any_file_operation_may_fail(
    server: Server, right: Right, numbers: Note, writer: str, code: int, sticky: bool
) -> None:
    tally, stopped = Tally(server, right, writer), 0
    for n in range(1, 10_000):
        disk = server.disk()
        answer = server.run(disk, writer=writer, fail_at=n, fail_errno=code, sticky=sticky)
        if answer.operations < n:
            break
        stopped += bool(answer.status)
        _check_answer(answer, disk, right, code, tally, f"operation {n} fails")
        tally.check(disk, f"operation {n} fails")
    numbers(
        f"{writer}: {n - 1} operations fail with {errno.errorcode[code]}"
        f"{' for good' if sticky else ' once'}: {stopped} clear errors, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong)


def test_nothing_else_is_left(server: Server, right: Right) -> None:
    assert oracle.leftovers(right.folder) == []
