"""Failures are not for ever.

Claims: `retry_failed` renders only the objects of the ledger again, and the shards are then the
bytes of a run in which nothing failed; without it a finished data set stays as it is; a shard can
be taken apart into exactly the samples that it was made of.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.data.builders import Plan, build
from threedie.data.shard import end_of_shard, scan_shard
from threedie.manifests.dataset import Versions
from threedie.manifests.latents import Latents
from threedie.render.engine import Outcome, render_dataset
from threedie.render.machine import Hardware
from threedie.render.plan import Maker, RenderOptions, make_plan
from threedie.render.progress import Progress

VERSIONS = Versions(threedie="0", bpy="0", blender="0")
BROKEN, WHOLE = "v 0 0 0\n", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


class PlainStage:
    """Draws the latents of any mesh that has passed the gate."""

    def __init__(self, *_: object, size: int, **__: object) -> None:
        self._size = size

    def load(self, mesh: object) -> None: ...
    def clear(self) -> None: ...

    def render(self, latents: Latents) -> NDArray[np.uint8]:
        shade = int(255 * latents.floor_hue)
        return np.full((self._size, self._size, 3), shade, dtype=np.uint8)


def render(meshes: Path, out: Path, *, retry_failed: bool = False) -> Outcome:
    options = RenderOptions(meshes=meshes, size=16, views=2, objects_per_shard=4)
    return render_dataset(
        make_plan(options, maker=lambda: Maker(versions=VERSIONS, device="cpu")),
        out,
        hardware=Hardware(workers=1, threads=1),
        progress=Progress(),
        retry_failed=retry_failed,
        renderer="tests.faults.test_retry:PlainStage",
    )


def tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def test_failed_objects_are_tried_again_on_request_only(tmp_path: Path) -> None:
    meshes = tmp_path / "meshes" / "chair"
    meshes.mkdir(parents=True)
    for number in range(6):
        (meshes / f"c{number}.obj").write_text(BROKEN if number == 2 else WHOLE)
    first = render(tmp_path / "meshes", tmp_path / "out")
    assert [failure.object for failure in first.failures] == ["chair/c2"]
    (meshes / "c2.obj").write_text(WHOLE)
    again = render(tmp_path / "meshes", tmp_path / "out")
    assert (again.rendered, len(again.failures)) == (0, 1)
    healed = render(tmp_path / "meshes", tmp_path / "out", retry_failed=True)
    assert (healed.rendered, len(healed.failures), healed.objects) == (1, 0, 6)
    render(tmp_path / "meshes", tmp_path / "undisturbed")
    assert tars(tmp_path / "out") == tars(tmp_path / "undisturbed")


def test_extents_of_samples_are_the_whole_shard(tmp_path: Path) -> None:
    build(tmp_path, replace(Plan()))
    for path in tmp_path.glob("*.tar"):
        content = path.read_bytes()
        parts = [content[slice(*sample.extent)] for sample in scan_shard(path)]
        joined = b"".join(parts)
        assert joined + end_of_shard(len(joined)) == content
