"""What the machine gives a run: processes, threads, memory, devices, and how long to wait."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from threedie import __version__
from threedie.errors import ConfigError, MissingExtra
from threedie.manifests.dataset import Making, Versions
from threedie.render.scratch import make_scratch

DEVICES = ("auto", "cpu", "cuda", "optix", "hip", "metal", "oneapi")
_PREFERENCE = ("optix", "cuda", "hip", "metal", "oneapi")
_WORKER_BYTES = 1 << 30  # Blender, the scene and a large mesh
_MEMORY_LIMIT = 12 << 30
_PROBE_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """How a run uses the machine. None of it changes a byte of the shards."""

    workers: int
    """Processes; on GPUs one per device."""
    threads: int
    """Of each process."""
    memory_bytes: int = _MEMORY_LIMIT
    """Address space of each process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlenderProbe:
    """What a Blender in a process of its own says of itself."""

    blender: str
    """Version and build hash."""
    gpus: dict[str, list[str]]
    """Names of the devices that Cycles sees, by type."""

    @property
    def versions(self) -> Versions:
        """For the provenance."""
        return Versions(threedie=__version__, bpy=metadata.version("bpy"), blender=self.blender)


def probe_blender() -> BlenderProbe:
    """Start Blender once, aside.

    Raises:
        MissingExtra: bpy is not installed, or a system library that it needs is missing.
    """
    code = (
        "import json, os, sys\n"
        "from threedie.render import scene\n"
        "answer = {'blender': scene.blender_version(), 'gpus': scene.gpu_devices()}\n"
        "sys.stderr.write('\\nPROBE ' + json.dumps(answer) + '\\n'); sys.stderr.flush()\n"
        "os._exit(0)  # Blender can hang when the interpreter shuts down\n"
    )
    scratch = make_scratch()
    try:
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TMPDIR": str(scratch)},  # where Blender leaves a folder
            capture_output=True,
            timeout=_PROBE_S,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise MissingExtra("bpy", "render", why=f"no answer in {_PROBE_S:.0f} s") from err
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    lines = run.stderr.strip().splitlines() or [f"ended with status {run.returncode}"]
    answer = next((line for line in lines if line.startswith("PROBE ")), None)
    if answer is None:
        raise MissingExtra("bpy", "render", why=_reason(lines[-1])[:300])
    return BlenderProbe(**json.loads(answer.removeprefix("PROBE ")))


def _reason(line: str) -> str:
    """What is wrong, out of the last line of a Blender that did not start."""
    nested = re.fullmatch(
        r"\S*MissingExtra: bpy is not usable here \((.*)\)\. It comes with.*", line
    )
    return nested[1] if nested else line


def choose_device(asked: str, gpus: dict[str, list[str]]) -> str:
    """The device to render on.

    Args:
        asked: one of DEVICES; auto takes the best GPU there is, else the CPU.
        gpus: of the probe.

    Raises:
        ConfigError: not on this machine.
    """
    if asked == "auto":
        return next((kind for kind in _PREFERENCE if kind in gpus), "cpu")
    if asked != "cpu" and asked not in gpus:
        found = ", ".join(sorted(gpus)) or "none"
        raise ConfigError(
            f"--device {asked}: Cycles sees no such device here (GPUs: {found}). "
            "`3die doctor` lists them; --device cpu works everywhere."
        )
    return asked


def choose_hardware(workers: str, device: str, gpus: dict[str, list[str]]) -> Hardware:
    """Processes and threads: a process per GPU, or per core as far as memory goes.

    One thread in each of many processes keeps all cores busy also while a mesh is imported or a
    picture encoded (`python -m benchmarks.render workers` measures it).

    Args:
        workers: "auto", or a number from 1.
        device: cpu, or a type of GPU.
        gpus: of the probe.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if device != "cpu":
        count = len(gpus[device])
        return Hardware(workers=count, threads=max(1, cores // count))
    fitting = max(1, min(cores, _memory_bytes() // _WORKER_BYTES))
    count = fitting if workers == "auto" else int(workers)
    return Hardware(workers=count, threads=max(1, cores // count))


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 4 << 30


def timeout_for(making: Making) -> float:
    """Seconds an object may take: some thirty times what it takes on a slow core."""
    scale = max(1.0, (making.size / 256) ** 2)
    per_view = 3.0 + 2.0 * making.quality_settings.samples * scale
    return 300.0 + making.views * per_view
