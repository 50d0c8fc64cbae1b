"""A source and a stage without Blender, for a whole run in a second or two.

The pictures are a function of the latents. An object's id says how it misbehaves, so the orders
travel with the data into the worker process: `segfault-0`, `hang-1`, `dies-once-2` …
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from threedie.data.dealing import ObjectRef
from threedie.errors import AssetError, RenderError, StorageError
from threedie.manifests.dataset import Versions
from threedie.manifests.latents import Latents
from threedie.manifests.recipes import Quality, Recipe
from threedie.render import plan as planning
from threedie.render import worker
from threedie.render.meshes.gate import Fetched
from threedie.render.meshes.mesh import Material, Mesh, TriangleMesh
from threedie.render.meshes.textures import MissingTexture
from threedie.render.plan import Maker, Plan, RenderOptions

RENDERER = "tests.faults.fake_stage:FakeStage"
CHAIR, MUG = "03001627", "03797390"
MEMORY_BYTES = 4 << 30
"""Address space to give a worker; `oom` objects want all of it."""
VERSIONS = Versions(threedie="test", bpy="none", blender="none")

if multiprocessing.parent_process() is not None:
    # Blender can hang when its interpreter shuts down; this one always does.
    atexit.register(time.sleep, 3600)


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeSource:
    """Objects by class; what they do is in their names."""

    objects: tuple[tuple[str, tuple[str, ...]], ...]
    marks: Path = Path(os.devnull)
    """Folder where `…-once` objects note that they have done it."""
    port: int = 0
    """Where `net` objects try to connect to."""

    @property
    def kind(self) -> str:
        return "fake"

    def list_classes(self) -> list[str]:
        return sorted(class_id for class_id, _ in self.objects)

    def list_objects(self, class_id: str) -> list[ObjectRef]:
        ids = dict(self.objects)[class_id]
        return [ObjectRef(class_id=class_id, object_id=name) for name in ids]

    def fetch(self, ref: ObjectRef, scratch: Path, *, missing_texture: MissingTexture) -> Fetched:
        (scratch / "fetched.obj").write_text(ref.name)  # what a real source leaves in the scratch
        if ref.object_id.startswith("asseterror"):
            raise AssetError(f"{ref.name}: the mesh is broken; expected a whole one.")
        order = Material(
            name=ref.object_id, roughness=float(self.port), texture=self.marks / ref.object_id
        )
        mesh = TriangleMesh(
            vertices_V3=np.eye(3),
            faces_F3=np.array([[0, 1, 2]]),
            material_F=np.zeros(1, np.int64),
            materials=(order,),
        )
        digest = hashlib.sha256(ref.name.encode()).hexdigest()
        return Fetched(mesh=mesh, source_sha256=digest, notes=())


class FakeStage:
    """Stands in for scene.Stage."""

    def __init__(
        self,
        recipe: Recipe,
        quality: Quality,
        *,
        size: int,
        threads: int,
        scratch: Path,
        device: str = "cpu",
        device_index: int = 0,
    ) -> None:
        assert scratch.is_dir()
        self._size = size
        self._order: Material | None = None

    def load(self, mesh: Mesh) -> None:
        assert isinstance(mesh, TriangleMesh)
        self._order = mesh.materials[0]
        misbehaves("load", self._order)

    def render(self, latents: Latents) -> NDArray[np.uint8]:
        assert self._order is not None
        misbehaves("render", self._order)
        digest = hashlib.sha256(repr(latents).encode()).digest()
        corner, slope = np.frombuffer(digest[:12], np.uint8).reshape(4, 3)[:2]
        steps = np.linspace(0, 1, self._size)[:, None, None] * np.ones((1, self._size, 1))
        picture: NDArray[np.uint8] = (corner * (1 - steps) + slope * steps).astype(np.uint8)
        return picture

    def clear(self) -> None:
        self._order = None


def misbehaves(where: str, order: Material) -> None:
    """Do what the object's name orders, in the place where it does it."""
    place, act = _ACTS.get(order.name.rpartition("-")[0], ("", _nothing))
    if place == where:
        act(order)


def _nothing(order: Material) -> None:
    pass


def _hang(order: Material) -> None:
    time.sleep(3600)


def _fill_the_memory(order: Material) -> None:
    np.empty(MEMORY_BYTES, np.uint8)  # and there is something in the memory already


def _raise(order: Material) -> None:
    raise ValueError("a bug in the renderer")


def _fail_to_draw(order: Material) -> None:
    raise RenderError("Blender drew nothing")


def _fail_to_store(order: Material) -> None:
    raise StorageError("cannot write the scratch: No space left on device.")


def _show_environment(order: Material) -> None:
    raise AssetError(" ".join(sorted(os.environ)))


def _connect(order: Material) -> None:
    try:
        socket.create_connection(("127.0.0.1", int(order.roughness)), timeout=2).close()
    except OSError as err:
        raise AssetError(f"no network: {err.strerror}") from err
    raise AssetError("the network is there")


def _first_time(order: Material) -> bool:
    assert order.texture is not None
    try:
        order.texture.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _segfault(order: Material) -> None:
    ctypes.string_at(0)


def _die_once(order: Material) -> None:
    if _first_time(order):
        os.kill(os.getpid(), signal.SIGKILL)


def _hang_once(order: Material) -> None:
    if _first_time(order):
        time.sleep(3600)


def _count(order: Material) -> None:
    assert order.texture is not None
    order.texture.with_suffix(f".{time.monotonic_ns()}").touch()


def _die_after_commit(order: Material) -> None:
    _count(order)
    mark = worker._mark

    def mark_and_die(stage: worker.StageName) -> None:
        mark(stage)
        if stage == "done":
            os._exit(139)

    worker._mark = mark_and_die


def _slow(order: Material) -> None:
    time.sleep(0.03)


_ACTS: dict[str, tuple[str, Callable[[Material], None]]] = {
    "segfault": ("render", _segfault),
    "abort": ("load", lambda _: os.abort()),
    "exit": ("render", lambda _: os._exit(7)),
    "exits-well": ("render", lambda _: os._exit(0)),
    "kill": ("render", lambda _: os.kill(os.getpid(), signal.SIGKILL)),
    "hang": ("render", _hang),
    "oom": ("load", _fill_the_memory),
    "raise": ("render", _raise),
    "rendererror": ("render", _fail_to_draw),
    "storageerror": ("load", _fail_to_store),
    "env": ("load", _show_environment),
    "net": ("load", _connect),
    "dies-once": ("render", _die_once),
    "hangs-once": ("load", _hang_once),
    "dies-after-commit": ("load", _die_after_commit),
    "slow": ("render", _slow),
}


def fake_plan(
    chairs: tuple[str, ...],
    mugs: tuple[str, ...] = (),
    *,
    marks: Path = Path(os.devnull),
    port: int = 0,
    views: int = 2,
    size: int = 8,
    seed: int = 0,
    objects_per_shard: int = 3,
) -> Plan:
    """The plan that `3die render` would make of these objects, had their source a name."""
    listed = tuple((name, ids) for name, ids in ((CHAIR, chairs), (MUG, mugs)) if ids)
    source = FakeSource(objects=listed, marks=marks, port=port)
    options = RenderOptions(
        views=views, size=size, seed=seed, objects_per_shard=objects_per_shard, limit=None
    )
    with mock.patch.object(planning, "open_source", return_value=source):
        return planning.make_plan(options, maker=lambda: Maker(versions=VERSIONS, device="cpu"))
