"""`3die render` as functions: probe, plan, render or estimate, and say how it ended."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie.data import ledger
from threedie.data.stores import is_remote, open_store
from threedie.data.urls import shown
from threedie.errors import ConfigError
from threedie.render.cluster import Cluster, render_on_cluster
from threedie.render.delivery import Delivery
from threedie.render.engine import Outcome, already_whole, render_dataset
from threedie.render.estimate import estimate
from threedie.render.machine import (
    DEVICES,
    Hardware,
    choose_device,
    choose_hardware,
    probe_blender,
)
from threedie.render.outline import Outline
from threedie.render.plan import Maker, Part, Plan, RenderOptions, Share, make_plan
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
    part: Part | None = None
    """Make only this part of the plan."""
    staging: Path | None = None
    """Where shards are made that go elsewhere; None: in the user's cache."""
    cluster: Cluster | None = None
    """A Ray cluster to render on; None: this machine."""

    def __post_init__(self) -> None:
        if self.part and self.cluster:
            raise ConfigError(
                "--shard-range and --engine ray were given: one divides the plan by hand, the "
                "other by itself. Give one of them."
            )
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


def render(options: RenderOptions, machine: Machine, out: str, *, console: Console) -> int:
    """Render a data set and say how it ended.

    Args:
        options: what to render.
        machine: how.
        out: folder, or address of a store.
        console: to write on.

    Returns:
        The exit status: 0, or 3 if objects failed.
    """
    _check_destination(out, options.meshes)
    plan, hardware = _prepare(options, machine)
    progress = ConsoleProgress(console)
    try:
        if machine.cluster:
            outcome = _on_cluster(plan, machine, machine.cluster, out, progress)
        else:
            outcome = _on_this_machine(plan, machine, hardware, out, progress)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("What is rendered is kept; the same command goes on.") from stop
    finally:
        progress.close()
    _conclude(outcome, plan, machine.part, out, console)
    return FINISHED_WITH_FAILURES if outcome.failures else 0


def _on_this_machine(
    plan: Plan, machine: Machine, hardware: Hardware, out: str, progress: ConsoleProgress
) -> Outcome:
    share = plan.share(machine.part) if machine.part else None
    folder, delivery = Path(out), None
    if is_remote(out):
        delivery = Delivery(open_store(out))
        if manifest := delivery.begin(Outline.of(plan)):
            return already_whole(delivery, manifest, retry_failed=machine.retry_failed)
        folder = staging_folder(machine.staging, out, share)
    return render_dataset(
        plan,
        folder,
        hardware=hardware,
        progress=progress,
        timeout_s=machine.timeout_s,
        retry_failed=machine.retry_failed,
        log=machine.log,
        share=share,
        delivery=delivery,
    )


def _on_cluster(
    plan: Plan, machine: Machine, cluster: Cluster, out: str, progress: ConsoleProgress
) -> Outcome:
    return render_on_cluster(
        plan,
        out if is_remote(out) else str(Path(out).resolve()),
        cluster,
        progress=progress,
        timeout_s=machine.timeout_s,
        retry_failed=machine.retry_failed,
        staging=staging_folder(machine.staging, out, None),
    )


def staging_folder(root: Path | None, out: str, share: Share | None) -> Path:
    """Where shards of `out` are made before they go there: the same for the same command."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(out.encode()).hexdigest()[:16] + (f"-{share.name}" if share else "")
    return (root or cache / "threedie" / "staging") / name


def _check_destination(out: str, meshes: Path | None) -> None:
    if not out.strip():
        raise ConfigError("--out is empty; give a folder, or the address of a store.")
    if not is_remote(out):
        _check_apart(Path(out), meshes)


def _prepare(options: RenderOptions, machine: Machine) -> tuple[Plan, Hardware]:
    gpus: dict[str, list[str]] = {}

    def maker() -> Maker:
        probe = probe_blender()
        gpus.update(probe.gpus)
        return Maker(versions=probe.versions, device=choose_device(machine.device, gpus))

    plan = make_plan(options, maker=maker)
    return plan, choose_hardware(machine.workers, plan.making.device, gpus)


def _conclude(outcome: Outcome, plan: Plan, part: Part | None, out: str, console: Console) -> None:
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
        where = ledger.FILE_NAME if part is None else "their records, and the ledger when merged"
        lines.append(
            f"{outcome.objects:,} of {plural(total, 'object')} are there, {failed:,} failed (see "
            f"{where}); `--retry-failed` tries them again."
        )
    lines.append(f"{shown(out)}: {plural(outcome.objects, 'object')}. {_next(out, part)}")
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)


def _next(out: str, part: Part | None) -> str:
    quoted = shlex.quote(shown(out))
    if part:
        return (
            f"Part {part.number} of {part.of} is done. When all parts are, close the data set: "
            f"3die merge {quoted}"
        )
    if is_remote(out):
        return f"Train on it: 3die bench --data {quoted} · fetch it: 3die download {quoted}"
    return f"Look at them: 3die view {quoted} · check them: 3die verify {quoted}"


def print_estimate(options: RenderOptions, machine: Machine, out: str, *, console: Console) -> None:
    """Say what a run would make and take; writes nothing.

    Raises:
        ConfigError: the run would be refused.
    """
    _check_destination(out, options.meshes)
    plan, hardware = _prepare(options, machine)
    folder = Path.cwd() if is_remote(out) else Path(out)
    if not is_remote(out):
        check_same(folder, plan.making)
    console.print(f"would render into {escape(shown(out))}:", highlight=False, soft_wrap=True)
    for line in estimate(plan, hardware, folder, timeout_s=machine.timeout_s):
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
