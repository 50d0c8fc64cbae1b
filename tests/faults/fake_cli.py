"""`3die render` with the stand-in stage: the real verb, its real errors and signals, no Blender.

`python -m tests.faults.fake_cli OUT [--workers N] [--no-locks] [--seed N]`
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import sys
from pathlib import Path

from rich.console import Console

from tests.faults.fake_stage import RENDERER, fake_plan
from threedie.cli.program import _clear_errors
from threedie.render import run
from threedie.render.engine import render_dataset
from threedie.render.machine import Hardware
from threedie.render.plan import Plan, RenderOptions


def the_plan(seed: int = 0) -> Plan:
    """Twenty slow objects in two splits, and one that fails."""
    slow = tuple(f"slow-{i}" for i in range(10))
    return fake_plan((*slow, "raise-1"), slow, objects_per_shard=5, seed=seed)


def main() -> None:
    """Run the verb as the command line does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-locks", action="store_true")
    given = parser.parse_args()
    if given.no_locks:
        fcntl.flock = lambda *_: None
    hardware = Hardware(workers=given.workers, threads=1)
    fake = functools.partial(render_dataset, renderer=RENDERER)
    vars(run).update(_prepare=lambda *_: (the_plan(given.seed), hardware), render_dataset=fake)
    options, machine = RenderOptions(), run.Machine(timeout_s=60)
    with _clear_errors():
        sys.exit(run.render(options, machine, str(given.out), console=Console(width=200)))


if __name__ == "__main__":
    main()
