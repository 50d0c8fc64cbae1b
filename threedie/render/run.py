"""`3die render` as functions: probe, plan, render or estimate, and say how it ended."""

from __future__ import annotations

import math
import os
import re
import shlex
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
from threedie.words import plural

FINISHED_WITH_FAILURES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """How to use this machine; none of it changes a byte."""

    workers: str = "auto"
    device: str = "auto"
    timeout_s: float | None = None
    log: Path | None = None
    retry_failed: bool = False
    """Try the objects of the ledger again."""

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not 0 < self.timeout_s < math.inf:
            raise ConfigError(f"--timeout is {self.timeout_s}; it must be more than 0 seconds.")
        if self.log is not None:
            _check_log(self.log)
        if self.device not in DEVICES:
            raise ConfigError(f"unknown device '{self.device}'. Known: {', '.join(DEVICES)}.")
        if self.workers != "auto" and not re.fullmatch("[1-9][0-9]{0,3}", self.workers):
            raise ConfigError(f"--workers is '{self.workers}'; it must be auto or a number from 1.")


def _check_log(log: Path) -> None:
    if log.is_dir():
        raise ConfigError(f"--log {log} is a folder; give it the name of a file.")
    if not log.parent.is_dir():
        raise ConfigError(f"--log {log}: there is no folder {log.parent}.")
    if not os.access(log if log.exists() else log.parent, os.W_OK):
        raise ConfigError(f"--log {log} can't be written.")


def _check_apart(folder: Path, meshes: Path | None) -> None:
    if meshes is None:
        return
    made, given = folder.resolve(), meshes.resolve()
    if made == given or made in given.parents or given in made.parents:
        raise ConfigError(
            f"the data set would go into {folder}, the meshes are in {meshes}: "
            "give --out a folder outside the meshes."
        )


def default_folder(options: RenderOptions) -> Path:
    """Where a data set goes without --out: data/<source>-<recipe>."""
    source = options.meshes.resolve().name if options.meshes else "builtin"
    return Path("data") / f"{source}-{options.recipe}"


def render(options: RenderOptions, machine: Machine, folder: Path, *, console: Console) -> int:
    """Render a data set and say how it ended.

    Returns:
        The exit status: 0, or 3 if objects failed.
    """
    _check_apart(folder, options.meshes)
    plan, hardware = _prepare(options, machine)
    progress = ConsoleProgress(console)
    try:
        outcome = render_dataset(
            plan,
            folder,
            hardware=hardware,
            progress=progress,
            timeout_s=machine.timeout_s,
            retry_failed=machine.retry_failed,
            log=machine.log,
        )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("What is rendered is kept; the same command goes on.") from stop
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
    failed, total = len(outcome.failures), outcome.objects + len(outcome.failures)
    lines = []
    if outcome.rendered:
        rate = outcome.rendered * plan.making.views / outcome.seconds
        lines.append(
            f"{plural(outcome.rendered, 'object')} rendered in {outcome.seconds:.0f} s "
            f"({rate:.1f} views/s)."
        )
    elif not failed:
        lines.append("nothing left to render: everything is there.")
    if failed:
        lines.append(
            f"{outcome.objects:,} of {plural(total, 'object')} are there, {failed:,} failed (see "
            f"{outcome.folder / ledger.FILE_NAME}); `--retry-failed` tries them again."
        )
    quoted = shlex.quote(str(outcome.folder))
    lines.append(
        f"{outcome.folder}: {plural(outcome.objects, 'object')}. "
        f"Look at them: 3die view {quoted} · check them: 3die verify {quoted}"
    )
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)


def print_estimate(
    options: RenderOptions, machine: Machine, folder: Path, *, console: Console
) -> None:
    """Say what a run would make and take; writes nothing into the folder.

    Raises:
        ConfigError: the run would be refused.
    """
    _check_apart(folder, options.meshes)
    plan, hardware = _prepare(options, machine)
    check_same(folder, plan.making)
    console.print(f"would render into {escape(str(folder))}:", highlight=False, soft_wrap=True)
    for line in estimate(plan, hardware, folder, timeout_s=machine.timeout_s):
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
