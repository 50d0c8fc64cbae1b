"""`3die render` as functions: probe, plan, render or estimate, and say how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie.data import ledger
from threedie.errors import ConfigError
from threedie.render.engine import Outcome, render_dataset
from threedie.render.estimate import estimate
from threedie.render.machine import (
    DEVICES,
    Hardware,
    choose_device,
    choose_hardware,
    probe_blender,
)
from threedie.render.plan import Maker, Plan, RenderOptions, make_plan
from threedie.render.progress import ConsoleProgress
from threedie.render.workspace import check_same

FINISHED_WITH_FAILURES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """How to use this machine; none of it changes a byte."""

    workers: str = "auto"
    device: str = "auto"
    timeout_s: float | None = None
    log: Path | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigError(f"--timeout is {self.timeout_s}; it must be more than 0 seconds.")
        if self.device not in DEVICES:
            raise ConfigError(f"unknown device '{self.device}'. Known: {', '.join(DEVICES)}.")
        if self.workers != "auto" and not re.fullmatch("[1-9][0-9]{0,3}", self.workers):
            raise ConfigError(f"--workers is '{self.workers}'; it must be auto or a number from 1.")


def default_folder(options: RenderOptions) -> Path:
    """Where a data set goes without --out: data/<source>-<recipe>."""
    source = options.meshes.resolve().name if options.meshes else "builtin"
    return Path("data") / f"{source}-{options.recipe}"


def render(options: RenderOptions, machine: Machine, folder: Path, *, console: Console) -> int:
    """Render a data set and say how it ended.

    Returns:
        The exit status: 0, or 3 if objects failed.
    """
    plan, hardware = _prepare(options, machine)
    progress = ConsoleProgress(console)
    try:
        outcome = render_dataset(
            plan,
            folder,
            hardware=hardware,
            progress=progress,
            timeout_s=machine.timeout_s,
            log=machine.log,
        )
    except KeyboardInterrupt:
        progress.close()
        console.print(
            "stopped. What is rendered is kept; the same command goes on.", highlight=False
        )
        raise
    finally:
        progress.close()
    _conclude(outcome, plan, console)
    return FINISHED_WITH_FAILURES if outcome.failures else 0


def _prepare(options: RenderOptions, machine: Machine) -> tuple[Plan, Hardware]:
    gpus: dict[str, list[str]] = {}

    def maker() -> Maker:
        probe = probe_blender()
        gpus.update(probe.gpus)
        return Maker(versions=probe.versions, device=choose_device(machine.device, gpus))

    plan = make_plan(options, maker=maker)
    return plan, choose_hardware(machine.workers, plan.making.device, gpus)


def _conclude(outcome: Outcome, plan: Plan, console: Console) -> None:
    folder = escape(str(outcome.folder))
    if outcome.rendered:
        rate = outcome.rendered * plan.making.views / outcome.seconds
        console.print(
            f"{outcome.rendered:,} objects rendered in {outcome.seconds:.0f} s "
            f"({rate:.1f} views/s).",
            highlight=False,
        )
    else:
        console.print("nothing left to render: everything is there.", highlight=False)
    if outcome.failures:
        console.print(
            f"[yellow]{len(outcome.failures)} objects failed[/]: see {folder}/{ledger.FILE_NAME}. "
            "All others are in the shards.",
            highlight=False,
        )
    console.print(
        f"{folder}: {outcome.objects:,} objects. Look at them: 3die view {folder} · "
        f"check them: 3die verify {folder}",
        highlight=False,
        soft_wrap=True,
    )


def print_estimate(
    options: RenderOptions, machine: Machine, folder: Path, *, console: Console
) -> None:
    """Say what a run would make and take; writes nothing into the folder.

    Raises:
        ConfigError: the run would be refused.
    """
    plan, hardware = _prepare(options, machine)
    check_same(folder, plan.making)
    console.print(f"would render into {escape(str(folder))}:", highlight=False, soft_wrap=True)
    for line in estimate(plan, hardware, folder, timeout_s=machine.timeout_s):
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
