"""Speed and memory of rendering: `python -m benchmarks.render [quality workers overhead …]`.

Every table is one run on one machine; ratios within it are what counts. Nothing is kept.
Quality needs golden pictures (THREEDIE_GOLDEN, default tests/golden); plan needs the published
object list (THREEDIE_SHARED/official).
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from threedie.data.dataset import open_dataset
from threedie.render import worker
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware, choose_hardware, probe_blender
from threedie.render.parts import shard_pieces
from threedie.render.plan import Maker, Plan, RenderOptions, make_plan
from threedie.render.progress import Progress
from threedie.render.rerender import psnr_db
from threedie.render.scratch import make_scratch
from threedie.render.worker import Task, WorkerConfig

ROOT = Path(__file__).parents[1]
GOLDEN = Path(os.environ.get("THREEDIE_GOLDEN") or ROOT / "tests" / "golden") / "render"
SHARED = Path(os.environ.get("THREEDIE_SHARED") or ROOT.parent / "shared")
AUTO = choose_hardware("auto", "cpu", {})


def planned(options: RenderOptions) -> Plan:
    versions = probe_blender().versions
    return make_plan(options, maker=lambda: Maker(versions=versions, device="cpu"))


def timed_run(options: RenderOptions, hardware: Hardware) -> tuple[float, Path]:
    """(views per second without the processes' start, folder)."""
    folder, plan = Path(tempfile.mkdtemp()), planned(options)
    clock = _Clock()
    render_dataset(plan, folder / "data", hardware=hardware, progress=clock)
    return clock.rate(plan.making.views, hardware.workers), folder


class _Clock(Progress):
    """When each object was done; the first of every worker pays for its start."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def rendered(self, obj: Any) -> None:
        self.times.append(time.monotonic())

    def rate(self, views: int, workers: int) -> float:
        skipped = min(workers, len(self.times) - 1)
        elapsed = self.times[-1] - self.times[skipped - 1]
        return (len(self.times) - skipped) * views / elapsed


def quality() -> None:
    """Standard against reference: views/s in turn on the same views, and PSNR to the golden."""
    print("| quality | views/s | PSNR of lossless (mean, min) | PSNR of JPEG (mean, min) |")
    print("|---|---|---|---|")
    rates: dict[str, list[float]] = {}
    for name in ("reference", "standard"):
        rows: dict[str, list[float]] = {"png": [], "jpg": []}
        for image_format in ("png", "jpg"):
            options = RenderOptions(
                meshes=GOLDEN / "meshes",
                latents=GOLDEN / "images" / "latents.npz",
                quality=name,
                image_format=image_format,
            )
            rate, folder = timed_run(options, Hardware(workers=1, threads=AUTO.workers))
            rates.setdefault(name, []).append(rate)
            for sample in open_dataset(folder / "data"):
                for i, picture in enumerate(sample.views):
                    golden = Image.open(GOLDEN / "images" / sample.object / f"view_{i}.png")
                    rows[image_format].append(psnr_db(picture, np.asarray(golden.convert("RGB"))))
            shutil.rmtree(folder)
        cells = [f"{np.mean(rows[f]):.2f}, {min(rows[f]):.2f} dB" for f in ("png", "jpg")]
        print(f"| {name} | {statistics.mean(rates[name]):.3f} | {cells[0]} | {cells[1]} |")
    ratio = statistics.mean(rates["standard"]) / statistics.mean(rates["reference"])
    print(f"\nstandard / reference: {ratio:.1f}x")


def workers() -> None:
    """Processes × threads at standard quality; `auto` against the best by hand."""
    cores, rates = AUTO.workers, {}
    settings = {(1, cores), (cores, 1), (cores, 2), (2 * cores, 1), (max(1, cores // 2), 2)}
    options = RenderOptions(classes="chair,car", limit=6, views=10)
    print("| processes | threads | views/s |\n|---|---|---|")
    for count, threads in sorted(settings):
        rates[count, threads], folder = timed_run(options, Hardware(workers=count, threads=threads))
        shutil.rmtree(folder)
        print(f"| {count} | {threads} | {rates[count, threads]:.2f} |", flush=True)
    auto = rates[AUTO.workers, AUTO.threads]
    print(f"\nauto ({AUTO.workers} × {AUTO.threads}) / best: {auto / max(rates.values()):.2f}")


def overhead() -> None:
    """Time outside Blender's render operator, one worker, built-in and real OBJ meshes."""
    print("| meshes | objects × views | total s | in Cycles s | overhead |\n|---|---|---|---|---|")
    cases = [("built-in", RenderOptions(classes="chair,mug,car", limit=2, views=50))]
    if (SHARED / "meshes").is_dir():
        cases.append(("OBJ files", RenderOptions(meshes=SHARED / "meshes", views=50, limit=1)))
    for name, options in cases:
        plan = planned(options)
        total, cycles = in_fresh_process(_overhead, plan)
        share = (total - cycles) / total
        size = f"{plan.n_objects} × {plan.making.views}"
        print(f"| {name} | {size} | {total:.1f} | {cycles:.1f} | {100 * share:.1f} % |")


def _overhead(plan: Plan) -> tuple[float, float]:
    parts = _start_worker(plan)
    stage: Any = worker._renderer
    begun = time.perf_counter()
    for obj in plan.objects:
        worker.render_object(Task(planned=obj, latents_VD=plan.latents(obj.ref)))
    list(shard_pieces([parts / f"{obj.key}.part" for obj in plan.objects]))
    return time.perf_counter() - begun, stage.cycles_seconds


def memory() -> None:
    """Resident memory of one worker over 300 different objects of 20,000 faces."""
    readings = in_fresh_process(_memory, planned(RenderOptions(views=1, size=64, limit=1)))
    print("| objects | resident MiB |\n|---|---|")
    for count in (1, 10, 30, 100, 200, 300):
        print(f"| {count} | {readings[count - 1]:.0f} |")
    print(f"\n300 / 30 objects: {readings[299] / readings[29]:.3f}")


def _memory(plan: Plan) -> list[float]:
    from threedie.manifests.latents import Latents
    from threedie.render.meshes.mesh import Material, TriangleMesh

    _start_worker(plan)
    stage: Any = worker._renderer
    obj = next(iter(plan.objects))
    latents = Latents.from_array(plan.latents(obj.ref)[0])
    grid = np.stack(np.meshgrid(np.arange(101), np.arange(101)), -1).reshape(-1, 2)
    first = (np.arange(100)[:, None] * 101 + np.arange(100)).reshape(-1, 1)
    faces = np.concatenate([first + np.array(corner) for corner in ([0, 1, 102], [0, 102, 101])])
    readings = []
    for number in range(300):
        height = 0.1 * np.sin(grid[:, 0] / (3 + number % 40)) * np.cos(grid[:, 1] / 7)
        points = np.column_stack([grid[:, 0] / 100, height, grid[:, 1] / 100])
        mesh = TriangleMesh(
            vertices_V3=points.astype(np.float64),
            faces_F3=faces,
            material_F=np.zeros(len(faces), dtype=np.int64),
            materials=(Material(name=f"m{number}"),),
        )
        stage.load(mesh)
        stage.render(latents)
        readings.append(_resident_mib())
    return readings


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _start_worker(plan: Plan) -> Path:
    scratch, parts = make_scratch(), make_scratch()
    config = WorkerConfig(
        making=plan.making,
        source=plan.source,
        parts=parts,
        scratch=scratch,
        threads=1,
        memory_bytes=AUTO.memory_bytes,
    )
    worker.start(config, multiprocessing.get_context("spawn").Value("b", 0, lock=False))
    return parts


def in_fresh_process(function: Callable[[Plan], Any], plan: Plan) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (plan,))


def plan() -> None:
    """Planning the published 52,491-object list: time and memory of a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        for row in np.load(SHARED / "official" / "all_objects.npy"):
            (Path(folder) / str(row[0])).mkdir(exist_ok=True)
        code = (
            "import resource, sys, time; from pathlib import Path; t = time.perf_counter()\n"
            "from threedie import __version__\n"
            "from threedie.manifests.dataset import Versions\n"
            "from threedie.render.plan import Maker, RenderOptions, make_plan\n"
            "v = Versions(threedie=__version__, bpy='-', blender='-')\n"
            "o = RenderOptions(meshes=Path(sys.argv[1]), objects=Path(sys.argv[2]),\n"
            "    split='official', val_list=Path(sys.argv[3]))\n"
            "p = make_plan(o, maker=lambda: Maker(versions=v, device='cpu'))\n"
            "m = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
            "print(f'{p.n_objects:,} objects, {p.n_pictures:,} views, {len(p.shards)} shards: '\n"
            "      f'{time.perf_counter() - t:.1f} s, {m:.0f} MiB')\n"
        )
        lists = [str(SHARED / "official" / f"{n}.npy") for n in ("all_objects", "val_images")]
        subprocess.run([sys.executable, "-c", code, folder, *lists], check=True)


TABLES: dict[str, Callable[[], None]] = {
    "quality": quality,
    "workers": workers,
    "overhead": overhead,
    "memory": memory,
    "plan": plan,
}

if __name__ == "__main__":
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in sys.argv[1:] or TABLES:
        print(f"\n## {name}: {(TABLES[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        TABLES[name]()
