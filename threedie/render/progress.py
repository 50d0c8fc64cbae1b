"""Telling people how a render goes: a bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from threedie.data.dealing import PlannedObject, PlannedShard
from threedie.manifests.dataset import Failure, ShardEntry
from threedie.render.plan import Plan
from threedie.teller import Teller
from threedie.words import clock, plural


class Progress:
    """What the engine tells of a run. This one says nothing."""

    def start(self, plan: Plan, shards: Sequence[PlannedShard]) -> None:
        """The plan is made; finished work of these shards of it is looked for now."""

    def found(self, objects: int, failures: int) -> None:
        """Work of an earlier run is there."""

    def rendered(self, obj: PlannedObject) -> None:
        """An object is on disk."""

    def advance(self, objects: int) -> None:
        """Objects have ended on another machine, rendered or given up."""

    def failed(self, failure: Failure) -> None:
        """An object was given up."""

    def gave_up(self, failure: Failure) -> None:
        """Another machine has told of an object that it gave up; `advance` has counted it."""

    def shard(self, entry: ShardEntry) -> None:
        """A shard is finished."""

    def close(self) -> None:
        """The run is over, in whatever way."""


class ConsoleProgress(Progress):
    """A rich bar at a terminal, a line every ten seconds otherwise.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._views = self._total = self._found = self._rendered = self._failures = 0
        self._teller = Teller(
            console,
            TextColumn("[bold]render"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("objects"),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]} · {task.fields[failures]} failed"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        bar = self._teller.bar
        self._task = bar.add_task("", start=False, rate="", failures=0, total=None)

    def start(self, plan: Plan, shards: Sequence[PlannedShard]) -> None:
        """Show what is planned, and the bar."""
        making, self._views = plan.making, plan.making.views
        self._total = sum(len(shard.objects) for shard in shards)
        some = f" of {len(plan.shards)}" if len(shards) < len(plan.shards) else ""
        self._teller.say(
            f"{plural(self._total, 'object')} × {plural(self._views, 'view')} at {making.size} px, "
            f"recipe {making.recipe.name}, {making.quality}, {making.device}, "
            f"{len(shards)}{some} {'shard' if len(plan.shards) == 1 else 'shards'}"
        )
        self._teller.begin()
        self._teller.bar.update(self._task, total=self._total)
        self._teller.bar.start_task(self._task)

    def found(self, objects: int, failures: int) -> None:
        """Count what is there from before; it takes no part in rate and ETA."""
        self._found += objects + failures
        self._failures += failures
        self._update()

    def rendered(self, obj: PlannedObject) -> None:
        """Count an object."""
        self.advance(1)

    def advance(self, objects: int) -> None:
        """Count objects of other machines."""
        self._rendered += objects
        self._update()

    def failed(self, failure: Failure) -> None:
        """Count and name a failure."""
        self._rendered += 1
        self.gave_up(failure)

    def gave_up(self, failure: Failure) -> None:
        """Name a failure."""
        self._failures += 1
        self._teller.say(
            f"[yellow]failed[/] {escape(failure.object)} ({failure.stage}, {failure.attempts} "
            f"attempts): {escape(failure.error)}",
            markup=True,
        )
        self._update()

    def shard(self, entry: ShardEntry) -> None:
        """Name a finished shard."""
        size = f"{entry.bytes / 2**20:.1f} MiB"
        self._teller.say(f"{entry.name}: {plural(entry.samples, 'object')}, {size}")

    def close(self) -> None:
        """Take the bar away."""
        self._teller.close()

    def _update(self) -> None:
        done, elapsed = self._found + self._rendered, self._teller.seconds
        rate = self._rendered * self._views / elapsed
        self._teller.bar.update(
            self._task, completed=done, rate=f"{rate:.1f} views/s", failures=self._failures
        )
        if not self._teller.line_is_due():
            return
        left = (self._total - done) * elapsed / max(self._rendered, 1)
        self._teller.say(
            f"{done:,}/{self._total:,} objects ({100 * done / max(self._total, 1):.0f} %), "
            f"{rate:.1f} views/s, {self._failures} failed, ETA {clock(left)}"
        )
