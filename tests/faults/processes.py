"""Processes of a run: who they are, and whether they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.conftest import ROOT

WAIT_S = 60.0
"""For what takes a second; only a hang reaches it."""


def start(out: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start fake_cli in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.fake_cli", str(out), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """A test run in the background of a shell hands an ignored Ctrl-C on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a run; its exit status and all it said."""
    try:
        said, _ = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # says where all threads are
        time.sleep(1)
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        raise AssertionError(f"the run hangs: {said}") from None
    return process.returncode, said


def in_session(leader: int) -> list[int]:
    """Processes of a session that are alive; a zombie is not."""
    alive = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            alive.append(int(folder.name))
    return alive


def gone(leader: int) -> None:
    """All processes of a session end by themselves, and soon."""
    wait_for(lambda: in_session(leader) == [], "orphans to die", 30)


def workers() -> list[int]:
    """The render workers among the children of this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            command = Path(f"/proc/{child}/cmdline")
            if command.exists() and b"spawn_main" in command.read_bytes():
                found.append(int(child))
    return sorted(found)


def wait_for(condition: Callable[[], object], what: str, limit_s: float = WAIT_S) -> None:
    """Wait until something is true."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"waited {limit_s:.0f} s for {what}"
        time.sleep(0.01)
