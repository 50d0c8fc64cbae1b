"""Fixtures for all tests: where reference data are, and a cache of the test's own."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered between tests, and the user's cache is left alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def shared_dir() -> Path:
    """Meshes and lists that are not in the repository: THREEDIE_SHARED, or ../shared."""
    folder = Path(os.environ.get("THREEDIE_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no folder of shared data: set THREEDIE_SHARED ({folder.name} is not there)")
    return folder


@pytest.fixture
def golden_dir() -> Path:
    """Reference inputs and outputs of the official code: THREEDIE_GOLDEN, or tests/golden."""
    return Path(os.environ.get("THREEDIE_GOLDEN") or ROOT / "tests" / "golden")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs Blender where it is not installed."""
    if importlib.util.find_spec("bpy") is None:
        for item in items:
            if "bpy" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no bpy: pip install 'threedie[render]'"))
