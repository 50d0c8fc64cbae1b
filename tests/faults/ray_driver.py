"""A driver on a real Ray cluster of several nodes on this machine, with the stand-in stage.

`python -m tests.faults.ray_driver OUT [--kill-node] [--stop [--connected]]` prints a line of JSON.
A process of its own, since Ray leaves threads and sockets behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster as RayCluster

from tests.faults.fake_stage import RENDERER, fake_plan
from threedie.render.cluster import Cluster, render_on_cluster
from threedie.render.plan import Plan
from threedie.render.progress import Progress


def the_plan() -> Plan:
    """Forty slow objects in ten shards, and one that fails."""
    chairs = tuple(f"slow-{i}" for i in range(30))
    return fake_plan(
        (*chairs, "raise-1"), tuple(f"slow-{i}" for i in range(10)), objects_per_shard=4, views=8
    )


class Watched(Progress):
    """Counts what the driver is told, and calls back at the first shard."""

    def __init__(self) -> None:
        self.objects = self.failures = self.shards = 0
        self.begun = threading.Event()

    def found(self, objects: int, failures: int) -> None:
        self.objects += objects + failures

    def advance(self, objects: int) -> None:
        self.objects += objects

    def gave_up(self, failure: object) -> None:
        self.failures += 1

    def shard(self, entry: object) -> None:
        self.shards += 1
        self.begun.set()


def at_work() -> int:
    """Tasks running now on our nodes: Ray names their processes.

    Only grandchildren are asked (we start the nodes, they the tasks): a task's own child has its
    parent's name until it becomes its own program.
    """
    tasks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if (process / "cmdline").read_bytes().startswith(b"ray::make_shard"):
                tasks += parent(parent(int(process.name))) == os.getpid()
    return tasks


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def main() -> None:
    """Start a cluster, render on it, and do it harm."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--staging", type=Path, required=True)
    parser.add_argument("--kill-node", action="store_true")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--connected", action="store_true", help="the connection is the caller's")
    given = parser.parse_args()
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of `ray start &` in a script
    cluster = RayCluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    if given.connected:
        ray.init(address=cluster.address, log_to_driver=False)
    signal.signal(signal.SIGINT, heard)
    seen, plan = Watched(), the_plan()
    said = {"nodes": 3, "killed": 0, "at_once": 0}

    def harm() -> None:
        seen.begun.wait(120)
        if given.kill_node:
            time.sleep(0.2)
            cluster.remove_node(nodes[0], allow_graceful=False)
            said["killed"] = 1
        if given.stop:
            os.kill(os.getpid(), signal.SIGINT)

    def watch() -> None:
        while True:
            said["at_once"] = max(said["at_once"], at_work())
            time.sleep(0.05)

    threading.Thread(target=harm, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    try:
        outcome = render_on_cluster(
            plan,
            str(given.out),
            Cluster(address=cluster.address, cpus=1),
            progress=seen,
            staging=given.staging,
            renderer=RENDERER,
        )
        said |= {"objects": outcome.objects, "failures": len(outcome.failures)}
        said |= {"rendered": outcome.rendered, "shards": len(outcome.records)}
    except KeyboardInterrupt:
        said["stopped"] = True
        while given.connected and ray.available_resources().get("CPU") != len(nodes) + 1:
            time.sleep(0.1)  # until each task has ended, of its own accord
    said |= {"seen": seen.objects, "told_failures": seen.failures, "told_shards": seen.shards}
    print(json.dumps(said), flush=True)  # noqa: T201
    cluster.shutdown()


if __name__ == "__main__":
    main()
