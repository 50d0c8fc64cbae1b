"""Fills real disks of growing size, in a mount namespace of its own (`unshare -rm`).

`python -m tests.faults.full_disk FOLDER`: for every size a line of JSON: the message of the first
run, what a reader gets after it, and the tree after a second run with space.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults import oracle, writer
from tests.faults.orders import Order
from threedie.errors import StorageError

_SIZES_KIB = range(8, 168, 8)  # the tmpfs holds whole pages of 4 KiB


def fill_disks(folder: Path) -> None:
    """Run on a disk that is too small, enlarge it, and run again."""
    disk, scratch = folder / "disk", folder / "scratch"
    disk.mkdir()
    scratch.mkdir()
    order = Order(disk=str(disk), scratch=str(scratch))
    for kib in _SIZES_KIB:
        _mount(disk, f"size={kib}k")
        message = ""
        try:
            writer.run(order)
        except StorageError as err:
            message = str(err)
        half, read = oracle.half_files(disk / "out"), oracle.content(disk / "out")
        _mount(disk, "remount,size=8m")
        writer.run(order)
        answer = {
            "kib": kib,
            "message": message,
            "half": half,
            "read": read,
            "tree": oracle.tree_hash(disk / "out"),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        subprocess.run(["umount", str(disk)], check=True)


def _mount(disk: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "faults", str(disk)]
    if subprocess.run(command, check=False).returncode:
        sys.stdout.write("NO MOUNT\n")
        sys.exit(1)


if __name__ == "__main__":
    fill_disks(Path(sys.argv[1]))
