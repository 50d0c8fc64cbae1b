"""The fork server of the writers, folders in memory, and a summary of what was tried."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.orders import Answer, Order

HAS_POOL = importlib.util.find_spec("pebble") is not None
collect_ignore_glob = [] if HAS_POOL else ["test_*.py"]
ROOT = Path(__file__).parents[2]
_numbers = pytest.StashKey[list[str]]()


@pytest.fixture
def numbers(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Note a line of figures: it stands in the terminal's summary and in the report."""
    lines = request.config.stash.setdefault(_numbers, [])

    def note(line: str) -> None:
        lines.append(line)
        record_property("figures", line)

    return note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(_numbers, []):
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
    if not HAS_POOL:
        terminalreporter.write_line("no fault was tried: pip install 'threedie[render]'")


@pytest.fixture(scope="module")
def ram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder, in memory where there is a RAM disk: thousands of fsyncs cost nothing."""
    root = Path("/dev/shm")
    if not (root.is_dir() and os.access(root, os.W_OK)):
        yield tmp_path_factory.mktemp("ram")
        return
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim.c."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("the crash shim needs Linux and a C compiler (cc): no kill point is tried")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


class Server:
    """The fork server of writer.py.

    Args:
        shim: library to preload; None: none.
        base: folder for disks and scratch.
    """

    def __init__(self, shim: Path | None, base: Path) -> None:
        self.base, self._counter = base, 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.writer"],
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(shim or ""), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def disk(self) -> Path:
        """A new empty disk."""
        self._counter += 1
        folder = self.base / f"disk-{self._counter}"
        folder.mkdir()
        return folder

    def run(self, disk: Path, **fault: object) -> Answer:
        """A run on a disk, with a fault of Order's."""
        scratch = self.base / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        scratch.chmod(0o777)
        order = Order(disk=str(disk), scratch=str(scratch), **fault)  # type: ignore[arg-type]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def server(shim: Path, ram: Path) -> Iterator[Server]:
    """A fork server with disks in memory."""
    serving = Server(shim, ram)
    try:
        yield serving
    finally:
        serving.close()


@pytest.fixture(scope="module")
def plain_server(ram: Path) -> Iterator[Server]:
    """A fork server without the shim: runs, but no faults."""
    serving = Server(None, ram)
    try:
        yield serving
    finally:
        serving.close()
