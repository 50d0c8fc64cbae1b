"""The child process: one object in, one part of a shard out, whatever the mesh does to it.

Runs under limits (memory, open files, no core dumps, no network where that is allowed, an
environment of a few harmless names) and dies with its parent. What it has made is a file, written
atomically; how the process ends says nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import io
import os
import resource
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie import files
from threedie.data.dealing import ObjectRef, PlannedObject
from threedie.data.shard import pack_sample
from threedie.errors import RenderError, StorageError, ThreedieError
from threedie.manifests.classes import class_name
from threedie.manifests.dataset import Making
from threedie.manifests.latents import Array, Latents
from threedie.render.meshes.mesh import Mesh
from threedie.render.meshes.sources import Fetched, MeshSource
from threedie.render.parts import seal
from threedie.render.workspace import put_working_file

BLENDER = "threedie.render.scene:Stage"
STAGES = ("start", "fetch", "import", "render", "encode", "done")
StageName = Literal["start", "fetch", "import", "render", "encode", "done"]
_BLENDERS = ".blender"
"""In the scratch: here Blender makes a folder at its start. It would take it away at its end, which
we leave out."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _CLONE_NEWNET = 1, 38, 0x40000000


class Renderer(Protocol):
    """What draws: `scene.Stage`, or a stand-in in tests of everything around it."""

    def load(self, mesh: Mesh) -> None:
        """Put an object on the stage in place of the last one."""

    def render(self, latents: Latents) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 in true RGB."""

    def clear(self) -> None:
        """Take the object away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerConfig:
    """What every task of a worker shares."""

    making: Making
    source: MeshSource
    parts: Path
    """Folder for the parts."""
    scratch: Path
    """Private folder, emptied for every object but for Blender's own folder in it."""
    threads: int
    memory_bytes: int
    """Address space, on the CPU (GPU drivers map more than there is)."""
    device_index: int = 0
    """Which of the GPUs of the device's type."""
    renderer: str = BLENDER
    """`module:class` of the Renderer."""
    log: Path | None = None
    """Where the worker's own output goes; None: nowhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One object to render."""

    planned: PlannedObject
    latents_VD: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A task that ended with an error the worker survived."""

    stage: str
    error: str
    final: bool
    """A second try can't help: the input is at fault."""
    untouched: bool = False
    """The worker died before it began with the object."""


_config: WorkerConfig | None = None
_renderer: Renderer | None = None
_marker: Any = None


def start(config: WorkerConfig, marker: Any) -> None:
    """Prepare a fresh worker process: limits first, then Blender.

    Args:
        config: of the worker.
        marker: shared byte; holds the index of the stage in STAGES, for whoever buries us.
    """
    global _config, _renderer, _marker
    _config, _marker = config, marker
    _mark("start")
    _redirect_output(config.log)
    _confine(config)
    module, _, name = config.renderer.partition(":")
    make = getattr(importlib.import_module(module), name)
    # Blender can hang or crash when the interpreter shuts down: leave before it does. Registered
    # after its import, so it runs first.
    atexit.register(os._exit, 0)
    _renderer = make(
        config.making.recipe,
        config.making.quality_settings,
        size=config.making.size,
        threads=config.threads,
        scratch=config.scratch,
        device=config.making.device,
        device_index=config.device_index,
    )


def render_object(task: Task) -> Failed | None:
    """Render all views of one object and write its part; None when the part is durable."""
    assert _config is not None
    try:
        _empty(_config.scratch)
        sample = _make_sample(task, _config)
        put_working_file(_config.parts / f"{task.planned.key}.part", seal(sample))
        _mark("done")
    except StorageError:
        raise  # stops the run: no object can do better
    except MemoryError:
        return Failed(stage=_stage(), error="out of memory", final=False)
    except ThreedieError as err:
        return Failed(stage=_stage(), error=str(err), final=True)
    except Exception as err:
        return Failed(stage=_stage(), error=f"{type(err).__name__}: {err}", final=False)
    finally:
        with contextlib.suppress(OSError):
            _empty(_config.scratch)
    return None


def _make_sample(task: Task, config: WorkerConfig) -> bytes:
    assert _renderer is not None
    making, planned = config.making, task.planned
    _mark("fetch")
    fetched = _fetch(planned.ref, config)
    _mark("import")
    _renderer.load(fetched.mesh)
    _mark("render")
    pictures = [_renderer.render(Latents.from_array(row)) for row in task.latents_VD]
    _renderer.clear()
    _mark("encode")
    record = {
        **_names(planned.ref),
        "label": planned.label,
        "split": planned.split,
        "recipe": making.recipe.name,
        "recipe_hash": making.recipe_hash,
        "channel_order": making.channel_order,
        "source_sha256": fetched.source_sha256,
        "notes": list(fetched.notes),
        "pixel_sum": sum(p.sum((0, 1), np.int64) for p in pictures).tolist(),
        "pixel_sum_squares": sum(
            np.square(p, dtype=np.int64).sum((0, 1)) for p in pictures
        ).tolist(),
    }
    encoded = [encode_picture(picture, making) for picture in pictures]
    return pack_sample(planned.key, encoded, making.image_format, task.latents_VD, record)


def _fetch(ref: ObjectRef, config: WorkerConfig) -> Fetched:
    """Pass the gate; a scratch disk of its own that is full costs this object only.

    Raises:
        StorageError: the disk of the data set is full.
        RenderError: the scratch disk is.
    """
    missing_texture = config.making.missing_texture
    try:
        return config.source.fetch(ref, config.scratch, missing_texture=missing_texture)
    except StorageError as err:
        if config.scratch.stat().st_dev == config.parts.stat().st_dev:
            raise
        raise RenderError(f"no room for it in {config.scratch.parent}: {err}") from err


def _names(ref: ObjectRef) -> dict[str, str]:
    return {
        "class": ref.class_id,
        "class_name": class_name(ref.class_id),
        "object": ref.object_id,
    }


def encode_picture(picture: NDArray[np.uint8], making: Making) -> bytes:
    """A picture's file: JPEG with the recipe's quality and 4:2:0 chroma as published, or PNG."""
    pixels = picture[:, :, ::-1] if making.channel_order == "bgr" else picture
    image, out = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    if making.image_format == "png":
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=making.recipe.jpeg_quality, subsampling="4:2:0")
    return out.getvalue()


def _mark(stage: StageName) -> None:
    _marker.value = STAGES.index(stage)


def _stage() -> str:
    return STAGES[_marker.value]


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == _BLENDERS:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _redirect_output(log: Path | None) -> None:
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    os.close(target)


def _confine(config: WorkerConfig) -> None:
    """Take from this process what rendering a stranger's mesh does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if config.making.device == "cpu" and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (config.memory_bytes, config.memory_bytes))
    os.environ["BLENDER_USER_RESOURCES"] = str(config.scratch)  # no start-up files of the user
    own = config.scratch / _BLENDERS
    shutil.rmtree(own, ignore_errors=True)  # of the lane's last process
    os.environ["TMPDIR"] = str(files.make_directory(own))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.unshare(_CLONE_NEWNET)  # works for root only; elsewhere the gate has to do
