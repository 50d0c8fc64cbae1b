"""A fault at every file operation of a conversion, of a download, and of some classes' download.

Claims, as for a render (test_writers.py):
- Killed before any operation, or in the middle of any write, while it reads or while it writes, the
  same call makes the same bytes, and no partial, temporary or working file stays; so after a power
  cut at any moment.
- Any operation may fail: one line that names the path, exit status 1, nothing half-written under a
  final name; then as above. A limit on file sizes is told likewise.
"""

from __future__ import annotations

import errno

import pytest

from tests.faults import oracle
from tests.faults.conftest import Server
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

LEAST = {"convert": (50, 60), "download": (25, 40), "download classes": (25, 40)}
"""Kill points, and distinct states after power cuts, that have to be there to be tried."""


@pytest.fixture(scope="module", params=LEAST)
def writer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def right(server: Server, writer: str) -> Right:
    return undisturbed(server, writer)


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
    assert points > LEAST[writer][0]
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
    assert distinct > LEAST[writer][1]
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize(("code", "sticky"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_any_file_operation_may_fail(
    server: Server, right: Right, numbers: Note, writer: str, code: int, sticky: bool
) -> None:
    tally = Tally(server, right, writer)
    tried, stopped = fail_everywhere(tally, "new", code, sticky=sticky)
    numbers(
        f"{writer}: {tried} operations fail with {errno.errorcode[code]}"
        f"{' for good' if sticky else ' once'}: {stopped} clear errors, {len(tally.wrong)} wrong"
    )
    assert not tally.wrong, "\n".join(tally.wrong)


@pytest.mark.parametrize("writer", ["convert"], scope="module")
def test_a_limit_on_file_sizes_is_told(server: Server, right: Right, writer: str) -> None:
    tally = Tally(server, right, writer)
    limit_file_sizes(tally)
    assert tally.tried > 5
    assert not tally.wrong, "\n".join(tally.wrong)


def test_nothing_else_is_left(right: Right) -> None:
    assert oracle.leftovers(right.folder) == []
