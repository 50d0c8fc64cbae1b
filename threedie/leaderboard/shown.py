"""What a check or a verification is at a terminal: a line for each thing looked at, and a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.markup import escape
from rich.table import Table

from threedie.leaderboard.metrics import METRICS
from threedie.manifests.verification import Check, Measured, Verification
from threedie.words import fixed

_MOST_SEEDS = 3
_SHORTER = (
    ("Light direction", "Light dir."),
    (" error, median", ", med."),
    (" error, mean", ", mean"),
    ("(uniform)", "unif."),
    ("(global)", "glob."),
)
"""With three seeds and negative numbers everywhere a line has 80 columns then."""


def lines(checks: Iterable[Check], warnings: Iterable[Check] = ()) -> Iterator[str]:
    """A line for each check, then one for each warning, in rich's markup."""
    for check in checks:
        mark = "[green]ok[/]     " if check.ok else "[bold red]refused[/]"
        yield f"{mark} {check.name}: {escape(check.says)}"
    for warning in warnings:
        yield f"[yellow]odd[/]     {warning.name}: {escape(warning.says)}"


def table(found: Verification) -> Table:
    """All metrics that have a value, by part; with a column for each seed where these are few."""
    few = len(found.seeds) <= _MOST_SEEDS
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    seeds = (f"seed {seed}" for seed in found.seeds) if few else ()
    for title in ("value", "95 %", "± SD", *seeds):
        shown.add_column(title, justify="right", no_wrap=True)
    for part, numbers in found.metrics.items():
        for name, metric in METRICS.items():
            measured = numbers.get(name)
            if measured is not None and measured.value is not None:
                digits = 2 if metric.unit == "degrees" else 4
                title = _short(metric.title) + ("" if part == "all" else f", {part}")
                unit = " °" if metric.unit == "degrees" else ""
                shown.add_row(f"{title}{unit}", *_cells(measured, digits, seeds=few))
    return shown


def _short(title: str) -> str:
    for long, short in _SHORTER:
        title = title.replace(long, short)
    return title


def _cells(measured: Measured, digits: int, *, seeds: bool) -> Iterator[str]:
    yield _said(measured.value, digits)
    known = measured.low is not None
    yield f"{_said(measured.low, digits)} – {_said(measured.high, digits)}" if known else "—"
    yield _said(measured.std, digits)
    for value in measured.per_seed if seeds else ():
        yield _said(value, digits)


def _said(value: float | None, digits: int) -> str:
    return "—" if value is None else fixed(value, digits).replace("-", "−")
