"""What a run would take: a few views are rendered aside and timed. Nothing is written to stay."""

from __future__ import annotations

import shutil
import tempfile
import time
from concurrent.futures import wait
from pathlib import Path

from threedie.data.dealing import PlannedObject
from threedie.errors import RenderError
from threedie.manifests.dataset import FILE_NAME
from threedie.render.lanes import Lane, harmless_environment
from threedie.render.machine import Hardware, timeout_for
from threedie.render.plan import Plan
from threedie.render.scratch import make_scratch
from threedie.render.worker import Task, WorkerConfig
from threedie.words import room

_TIMED_VIEWS = 5
_TRIES = 5


def estimate(
    plan: Plan, hardware: Hardware, folder: Path, *, timeout_s: float | None = None
) -> list[str]:
    """Lines that say what a plan makes, and what it costs on this machine.

    Raises:
        RenderError: none of several objects could be rendered.
    """
    making = plan.making
    there = sum((folder / shard.name).is_file() for shard in plan.shards)
    if there == len(plan.shards) and (folder / FILE_NAME).is_file():
        return ["already finished: nothing would be rendered"]
    seconds, sample_bytes = _measure(plan, hardware, timeout_s or timeout_for(making))
    total_bytes = plan.n_objects * sample_bytes
    classes = "class" if len(plan.classes) == 1 else "classes"
    workers = "1 worker" if hardware.workers == 1 else f"{hardware.workers} workers"
    free = shutil.disk_usage(_existing(folder)).free
    by_split = {
        s: sum(len(x.objects) for x in plan.shards if x.split == s) for s in ("train", "val")
    }
    return [
        f"objects  {plan.n_objects:,} ({by_split['train']:,} train, {by_split['val']:,} val) "
        f"in {len(plan.classes)} {classes}, source {making.source}",
        f"views    {plan.n_pictures:,} ({making.views} per object, {making.size} px, "
        f"{making.image_format}, {making.channel_order})",
        f"shards   {len(plan.shards):,} of up to {making.objects_per_shard} objects"
        + (f"; {there:,} {'is' if there == 1 else 'are'} there" if there else ""),
        f"disk     about {room(int(total_bytes))} ({room(free)} free)"
        + ("  NOT ENOUGH" if total_bytes > free else ""),
        f"time     about {_duration(plan.n_objects * seconds)} with {workers} on "
        f"{making.device}: {making.views / seconds:.1f} views/s, timed on a few views",
        f"recipe   {making.recipe.name}, quality {making.quality}, seed {making.seed}, "
        f"bpy {making.versions.bpy}, hash {making.recipe_hash[:12]}",
    ]


def _measure(plan: Plan, hardware: Hardware, timeout_s: float) -> tuple[float, float]:
    """(seconds per object of the whole machine, bytes per object)."""
    views = plan.making.views
    timed = min(views, _TIMED_VIEWS)
    aside = make_scratch()
    config = WorkerConfig(
        making=plan.making,
        source=plan.source,
        parts=aside,
        scratch=aside,
        threads=hardware.threads,
        memory_bytes=hardware.memory_bytes,
    )
    objects = list(plan.objects)
    with harmless_environment():
        lanes = [
            Lane(config, timeout_s=timeout_s, recycle_after=0) for _ in range(hardware.workers)
        ]
        try:
            chosen = _first_good(plan, lanes, objects)
            one = _time(plan, lanes, chosen, 1)
            few = _time(plan, lanes, chosen, timed) if timed > 1 else one
            size = sum((aside / f"{obj.key}.part").stat().st_size for obj in set(chosen))
        finally:
            for lane in lanes:
                lane.close()
            shutil.rmtree(aside, ignore_errors=True)
    per_view = max(few - one, 1e-6) / (timed - 1) if timed > 1 else one
    per_object = max(max(one - per_view, 0.0) + views * per_view, 1e-6) / len(lanes)
    return per_object, size / len(set(chosen)) / timed * views


def _first_good(plan: Plan, lanes: list[Lane], objects: list[PlannedObject]) -> list[PlannedObject]:
    """An object for every lane that renders; this also warms the processes up."""
    step, error = max(1, len(objects) // (_TRIES * len(lanes))), ""
    for start in range(_TRIES):
        tried = [objects[(start + _TRIES * i) * step % len(objects)] for i in range(len(lanes))]
        ended = _run(plan, lanes, tried, 1)
        good = [obj for obj, failed in zip(tried, ended, strict=True) if failed is None]
        if good:
            return [good[i % len(good)] for i in range(len(lanes))]
        error = next(failed for failed in ended if failed)
    raise RenderError(f"none of {_TRIES * len(lanes)} objects could be rendered; the last: {error}")


def _time(plan: Plan, lanes: list[Lane], objects: list[PlannedObject], views: int) -> float:
    begun = time.monotonic()
    _run(plan, lanes, objects, views)
    return time.monotonic() - begun


def _run(
    plan: Plan, lanes: list[Lane], objects: list[PlannedObject], views: int
) -> list[str | None]:
    """Render some views of an object on every lane at once; errors by lane."""
    for lane, obj in zip(lanes, objects, strict=True):
        lane.submit(Task(planned=obj, latents_VD=plan.latents(obj.ref)[:views]), fresh=False)
    wait([lane.future for lane in lanes if lane.future])
    ended = [lane.collect().failed for lane in lanes]
    return [failed.error if failed else None for failed in ended]


def _existing(folder: Path) -> Path:
    return next(
        (p for p in (folder, *folder.resolve().parents) if p.is_dir()), Path(tempfile.gettempdir())
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
