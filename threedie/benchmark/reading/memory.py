"""Compressed pictures in memory (`cache="ram"`), and how much memory there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from threedie.errors import ConfigError

Cache = Literal["none", "ram"]
Fetch = Callable[[int, int], bytes]
"""(row, view) -> the encoded picture. Safe to call from many threads."""
_MEMINFO, _CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def with_cache(fetch: Fetch, lengths_NV: NDArray[np.int64], cache: Cache) -> Fetch:
    """`fetch`, or one that remembers every picture from its first reading on.

    Args:
        fetch: reads a picture.
        lengths_NV: bytes of every picture.
        cache: "none" or "ram".

    Raises:
        ConfigError: no such cache, or it would not fit into the memory that is free.
    """
    if cache not in get_args(Cache):
        raise ConfigError(f"cache is '{cache}'; it must be one of {', '.join(get_args(Cache))}.")
    return fetch if cache == "none" else _RamCache(fetch, lengths_NV).fetch


class _RamCache:
    """One block of memory for all pictures of a split; the system gives pages as they are filled.

    Each process has its own, so `LOCAL_WORLD_SIZE` (torchrun's number of ranks on this machine)
    counts against the free memory.
    """

    def __init__(self, fetch: Fetch, lengths_NV: NDArray[np.int64]) -> None:
        needed, ranks = int(lengths_NV.sum()), int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
        free = available_bytes()
        if needed * ranks > free:
            raise ConfigError(
                f"--cache ram needs {gib(needed)} for the compressed pictures of this split"
                f"{f' in each of {ranks} processes' if ranks > 1 else ''}; {gib(free)} are free. "
                "Leave it out: the system keeps what it can of the files in memory by itself."
            )
        self._fetch, self._shape = fetch, lengths_NV.shape
        self._ends = np.cumsum(lengths_NV.reshape(-1), dtype=np.int64)
        self._block = np.empty(needed, np.uint8)
        self._filled = bytearray(lengths_NV.size)

    def fetch(self, row: int, view: int) -> bytes:
        number = row * self._shape[1] + view
        stop = int(self._ends[number])
        start = int(self._ends[number - 1]) if number else 0
        if self._filled[number]:
            return self._block[start:stop].tobytes()
        content = self._fetch(row, view)
        # Two threads may both fill it, with the same bytes; the mark comes after them.
        self._block[start:stop] = np.frombuffer(content, np.uint8)
        self._filled[number] = 1
        return content


def gib(count: int) -> str:
    """`1.5 GiB`."""
    return f"{count / 2**30:.2f} GiB"


def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or less by a control group."""
    found = [_machine_bytes(), *map(_group_bytes, _own_groups())]
    return max(0, min(found))


def _machine_bytes() -> int:
    for line in _MEMINFO.read_text().splitlines() if _MEMINFO.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))


def _own_groups() -> list[Path]:
    """Folders of the control groups (version 2) that hold this process, and their parents."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    names = [line.partition("::")[2].strip("/") for line in lines if line.startswith("0::")]
    own = [_CGROUPS / name for name in names]
    return [g for o in own for g in (o, *o.parents) if g == _CGROUPS or _CGROUPS in g.parents]


def _group_bytes(group: Path) -> int:
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        rows = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        idle = {name: int(count) for name, count in rows}.get("inactive_file", 0)
    except (OSError, ValueError):
        return 2**63
    return 2**63 if limit == "max" else int(limit) - used + idle
