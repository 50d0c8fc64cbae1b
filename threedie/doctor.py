"""`3die doctor`: what is installed, what is missing and how to get it, which devices there are."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie import __version__
from threedie.errors import MissingExtra

EXTRAS = {
    "render": ("bpy", "trimesh", "pebble"),
    "bench": ("torch", "torchvision", "lightning-fabric", "simplejpeg", "timm", "webdataset"),
    "report": ("matplotlib",),
}
LIBRARIES = {
    "libX11": "libx11-6",
    "libXrender": "libxrender1",
    "libXi": "libxi6",
    "libXxf86vm": "libxxf86vm1",
    "libXfixes": "libxfixes3",
    "libxkbcommon": "libxkbcommon0",
    "libSM": "libsm6",
    "libICE": "libice6",
    "libGL": "libgl1",
    "libEGL": "libegl1",
    "libgomp": "libgomp1",
}
"""Shared libraries that bpy needs, and the Debian and Ubuntu packages that hold them."""


_RAM_BYTES = 1 << 30


def print_diagnosis(console: Console) -> bool:
    """Print the state of this machine; False if Blender is installed and does not start."""
    starts, blender = _blender()
    for line in (*_machine(), "", *_packages(), "", *blender):
        console.print(escape(line), highlight=False, soft_wrap=True)
    return starts


def _machine() -> list[str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ram = Path("/dev/shm")
    lines = [
        f"threedie {__version__} on Python {platform.python_version()}, {platform.platform()}",
        f"{cores} cores, {shutil.disk_usage('.').free / 2**30:.0f} GiB free in this folder",
    ]
    if not (ram.is_dir() and os.access(ram, os.W_OK)):
        lines.append("no writable /dev/shm: pictures pass through the temporary folder, slower")
    elif shutil.disk_usage(ram).free < _RAM_BYTES:
        lines.append("less than 1 GiB free in /dev/shm: scratch goes to the temporary folder")
    return lines


def _packages() -> list[str]:
    lines = []
    for extra, names in EXTRAS.items():
        versions = {name: _version(name) for name in names}
        state = ", ".join(f"{n} {v or 'MISSING'}" for n, v in versions.items())
        cure = "" if all(versions.values()) else f"   -> pip install 'threedie[{extra}]'"
        lines.append(f"{extra:<8} {state}{cure}")
    if not platform.python_version().startswith("3.11."):
        lines.append("render needs Python 3.11: bpy has wheels for no other")
    return lines


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _blender() -> tuple[bool, list[str]]:
    """(it is as it should be, lines)."""
    if _version("bpy") is None:
        return True, ["Blender  not installed: this machine can read data sets, not render them"]
    from threedie.render.machine import probe_blender

    try:
        probe = probe_blender()
    except MissingExtra as err:
        reason = str(err).partition(". It comes with")[0]
        return False, [f"Blender  does not start: {reason}", *_library_cure(reason)]
    gpus = [f"{kind} {name}" for kind, names in probe.gpus.items() for name in names]
    return True, [
        f"Blender  {probe.blender}",
        f"devices  cpu{''.join(f', {gpu}' for gpu in gpus) or ' (Cycles sees no GPU)'}",
    ]


def _library_cure(message: str) -> list[str]:
    match = re.search(r"(lib[\w+-]+)\.so", message)
    if not match:
        return []
    package = LIBRARIES.get(match[1])
    hint = f"apt-get install {package}" if package else "your system's package manager has it"
    return [f"         the system library {match[1]} is missing   -> {hint}"]
