"""`3die verify --rerender N`: render some views of a data set again and compare.

On the CPU with the versions of the manifest the files must be identical, byte for byte; on a GPU
or with another Blender the pictures must be as near as Blender's versions are to one another.
"""

from __future__ import annotations

import contextlib
import io
import math
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from threedie.data.dataset import Dataset, Sample, decode_picture, open_dataset
from threedie.data.dealing import ObjectRef, PlannedObject
from threedie.data.shard import end_of_shard
from threedie.errors import ConfigError, RenderError
from threedie.manifests.dataset import Making
from threedie.manifests.latents import Array
from threedie.render.lanes import Lane, harmless_environment
from threedie.render.machine import choose_hardware, probe_blender, timeout_for
from threedie.render.meshes.sources import MeshSource, open_source
from threedie.render.parts import read_part
from threedie.render.scratch import make_scratch
from threedie.render.worker import BLENDER, Task, WorkerConfig
from threedie.words import plural

NEAR_DB = 40.0
"""Least PSNR where identity can't be asked for: 4.2 and 4.5 are 50 dB apart, JPEGs 45."""

Draw = Callable[[PlannedObject, Array], list[bytes]]
"""The files of an object's views at latents (V, 7 or 10)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One view, rendered again."""

    object: str
    view: int
    identical: bool
    """The file, byte for byte."""
    psnr_db: float
    """Of the decoded pictures; infinite if equal."""


def rerender(
    dataset: Dataset, source: MeshSource, *, views: int, seed: int, device: str
) -> list[Comparison]:
    """Render randomly chosen views again.

    Args:
        dataset: a finished data set.
        source: the meshes that it was made of.
        views: how many (object, view) pairs.
        seed: chooses them.
        device: cpu, or a type of GPU.

    Raises:
        ConfigError: the data set was converted, not rendered.
        RenderError: an object can't be rendered (any more).
    """
    rng, making = np.random.default_rng(seed), making_of(dataset)
    total = len(dataset) * making.views
    picks = sorted(rng.choice(total, size=min(views, total), replace=False).tolist())
    chosen: dict[int, list[int]] = defaultdict(list)
    for pick in picks:
        chosen[pick // making.views].append(pick % making.views)
    with drawing(making.model_copy(update={"device": device}), source) as draw:
        return [
            each for row, at in chosen.items() for each in _compare(dataset[row], at, draw, making)
        ]


@contextlib.contextmanager
def drawing(making: Making, source: MeshSource, *, renderer: str = BLENDER) -> Iterator[Draw]:
    """A worker that renders any latents of any object, apart from every data set.

    Args:
        making: of the data set whose pictures they are to be like.
        source: the meshes.
        renderer: `module:class` that draws (tests give a stand-in).
    """
    aside = make_scratch()
    lane = _lane(making, source, aside, renderer)
    try:
        with harmless_environment():
            yield partial(_drawn, lane, aside, making)
    finally:
        lane.close()
        shutil.rmtree(aside, ignore_errors=True)


def making_of(dataset: Dataset) -> Making:
    """How a data set was rendered.

    Raises:
        ConfigError: it was converted, not rendered.
    """
    making = dataset.manifest.making
    if isinstance(making, Making):
        return making
    raise ConfigError(
        f"{dataset.folder} was converted from {making.origin.name}, not rendered here: there is "
        "nothing to render again."
    )


def _lane(making: Making, source: MeshSource, aside: Path, renderer: str) -> Lane:
    hardware = choose_hardware("1", "cpu", {})
    config = WorkerConfig(
        making=making,
        source=source,
        parts=aside,
        scratch=aside,
        threads=hardware.threads,
        memory_bytes=hardware.memory_bytes,
        renderer=renderer,
    )
    return Lane(config, timeout_s=timeout_for(making), recycle_after=0)


def planned_object(sample: Sample) -> PlannedObject:
    """An object of a data set, as it was planned."""
    class_id, _, object_id = sample.object.partition("/")
    return PlannedObject(
        ref=ObjectRef(class_id=class_id, object_id=object_id),
        key=sample.key,
        label=sample.label,
        split=sample.split,
    )


def _drawn(
    lane: Lane, aside: Path, making: Making, planned: PlannedObject, latents_VD: Array
) -> list[bytes]:
    """The files of an object's views.

    Raises:
        RenderError: it can't be rendered.
    """
    lane.submit(Task(planned=planned, latents_VD=latents_VD), fresh=False)
    assert lane.future is not None
    lane.future.exception()  # waits
    failed = lane.collect().failed
    path = aside / f"{planned.key}.part"
    part = read_part(path)
    if failed or part is None:
        raise RenderError(f"{planned.ref.name}: {failed.error if failed else 'no picture'}")
    path.unlink()
    return _pictures(part, making.image_format)


def _compare(sample: Sample, views: list[int], draw: Draw, making: Making) -> list[Comparison]:
    fresh = draw(planned_object(sample), sample.latents[views])
    return [_compare_one(sample, view, new, making) for view, new in zip(views, fresh, strict=True)]


def _compare_one(sample: Sample, view: int, new: bytes, making: Making) -> Comparison:
    old = sample.views.encoded(view)
    noise = psnr_db(
        decode_picture(old, making.channel_order), decode_picture(new, making.channel_order)
    )
    return Comparison(sample.object, view, old == new, noise)


def _pictures(sample: bytes, image_format: str) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(sample + end_of_shard(len(sample))), mode="r:") as tar:
        members = [m for m in tar.getmembers() if m.name.endswith(f".{image_format}")]
        files = [tar.extractfile(member) for member in members]
        return [file.read() for file in files if file]


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures, over all channels."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def print_comparison(
    folder: Path, *, meshes: Path | None, views: int, seed: int, console: Console
) -> bool:
    """Render views of a data set again, print how they compare; True if all are good.

    Raises:
        ConfigError: the meshes that it was made of are not given, or it was converted.
    """
    dataset = open_dataset(folder)
    made = making_of(dataset)
    source = open_source(meshes)
    if source.kind != made.source:
        raise ConfigError(
            f"{folder} was made of meshes from a '{made.source}' source, this one is "
            f"'{source.kind}': give --meshes as it was given to render."
        )
    probe = probe_blender()
    exact = made.device == "cpu" and made.versions == probe.versions
    device = made.device if made.device in probe.gpus else "cpu"
    compared = rerender(dataset, source, views=views, seed=seed, device=device)
    for each in compared:
        says = "identical" if each.identical else f"{each.psnr_db:.1f} dB"
        line = f"{escape(each.object)} view {each.view}: {says}"
        console.print(line, highlight=False, soft_wrap=True)
    bad = [c for c in compared if not c.identical and (exact or c.psnr_db < NEAR_DB)]
    wanted = (
        "identical, byte for byte"
        if exact
        else f"at least {NEAR_DB:.0f} dB: another device or version"
    )
    console.print(
        f"{plural(len(compared), 'view')} rendered again: {len(compared) - len(bad)} as expected "
        f"({wanted}), {len(bad)} not.",
        highlight=False,
        soft_wrap=True,
    )
    return not bad
