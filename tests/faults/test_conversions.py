"""Conversions by the real verb, killed and interrupted.

Claims: killed at random moments, the same command makes the same bytes, and no temporary or working
file stays. Ctrl-C and SIGTERM say how to go on. (test_transfers.py tries every file operation.)
"""

from __future__ import annotations

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
from tests.faults.conftest import ROOT
from tests.faults.harness import Note
from tests.sharing.published import OBJECTS, published, tar


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
