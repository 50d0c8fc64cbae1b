"""What Ray costs: the same plan on this machine's engine and on a Ray node of this machine.

`python -m benchmarks.cluster [--rounds 2] [--objects 40] [--views 50] [--size 64]` renders the
built-in shapes in four shards, in turn with both, and prints seconds and their ratio. Shards should
take a minute or more; the first line says what they took. The shards must be the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from threedie.render.cluster import Cluster, render_on_cluster
from threedie.render.engine import render_dataset
from threedie.render.machine import choose_hardware, probe_blender
from threedie.render.plan import Maker, Plan, RenderOptions, make_plan
from threedie.render.progress import Progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--objects", type=int, default=40, help="of each of four classes")
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args()
    plan = the_plan(given)
    workers = choose_hardware("auto", "cpu", {}).workers
    table: dict[str, list[float]] = {"local": [], "ray": [], "ray, starting it": []}
    for _ in range(given.rounds):
        scratch = Path(tempfile.mkdtemp(prefix="threedie-bench-"))
        try:
            table["local"].append(local(plan, scratch / "local", workers))
            whole, within = on_ray(plan, scratch, workers)
            table["ray"].append(within)
            table["ray, starting it"].append(whole - within)
            assert digest(scratch / "local") == digest(scratch / "ray"), "the shards differ"
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    report(plan, workers, table)


def the_plan(given: argparse.Namespace) -> Plan:
    options = RenderOptions(
        classes="chair,mug,guitar,lamp",
        limit=given.objects,
        views=given.views,
        size=given.size,
        objects_per_shard=given.objects,
    )
    probe = probe_blender()
    return make_plan(options, maker=lambda: Maker(versions=probe.versions, device="cpu"))


def local(plan: Plan, folder: Path, workers: int) -> float:
    begun = time.monotonic()
    hardware = choose_hardware(str(workers), "cpu", {})
    render_dataset(plan, folder, hardware=hardware, progress=Progress())
    return time.monotonic() - begun


def on_ray(plan: Plan, scratch: Path, workers: int) -> tuple[float, float]:
    """(seconds of all, seconds without starting and stopping Ray)."""
    import os

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    begun = time.monotonic()
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    address = ray.get_runtime_context().gcs_address
    started = time.monotonic()
    render_on_cluster(
        plan,
        str(scratch / "ray"),
        Cluster(address=address, cpus=1),
        progress=Progress(),
        staging=scratch / "staging",
    )
    ended = time.monotonic()
    ray.shutdown()
    return time.monotonic() - begun, ended - started


def digest(folder: Path) -> list[str]:
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.tar"))]


def report(plan: Plan, workers: int, table: dict[str, list[float]]) -> None:
    a_shard = statistics.median(table["local"]) * workers / len(plan.shards)
    print(
        f"{len(plan.shards)} shards, {plan.n_pictures:,} views, {workers} workers; "
        f"a shard takes {a_shard:.0f} s of one core"
    )
    print("| engine | seconds (median) | / local, round by round |")
    print("|---|---|---|")
    for name, seconds in table.items():
        ratios = [s / base for s, base in zip(seconds, table["local"], strict=True)]
        shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"| {name} | {statistics.median(seconds):.1f} | {shown} |")


if __name__ == "__main__":
    main()
