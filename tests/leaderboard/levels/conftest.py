"""One world for all tests of levels: it is read, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leaderboard.levels.world import World, make_world, trained


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pytest.importorskip("torch")
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def other_run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same method with another seed."""
    return trained(tmp_path_factory.mktemp("other"), world.data, "sie", seed=1)
