"""Scratch: private folders of a run, its workers and Blender, and what killed runs left of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "threedie-"
"""Of all names in the scratch root; the process follows."""
_ROOM_BYTES = 1 << 30  # a large mesh with its textures; containers often have 64 MiB


def make_scratch() -> Path:
    """A private folder, in memory where there is a RAM disk; its name says whose it is."""
    root = scratch_root()
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))


def scratch_root() -> Path:
    """The RAM disk, where there is one with room; else the folder for temporary files."""
    ram = Path("/dev/shm")
    if ram.is_dir() and os.access(ram, os.W_OK) and shutil.disk_usage(ram).free >= _ROOM_BYTES:
        return ram
    return Path(tempfile.gettempdir())


def sweep_scratch() -> None:
    """Remove what killed runs left in the scratch root."""
    semaphores = Path("/dev/shm").glob(f"sem.{PREFIX}*-*")
    roots = {Path("/dev/shm"), Path(tempfile.gettempdir())}
    for left in (*(f for root in roots for f in root.glob(f"{PREFIX}*-*")), *semaphores):
        pid = left.name.removeprefix("sem.")[len(PREFIX) :].split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
