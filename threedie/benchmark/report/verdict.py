"""What is to be said of a method before its numbers are believed: each rule is one function here.

docs/report.md has the rules in words. They judge what is in results.json and log.jsonl, and no rule
hides a number.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from threedie.benchmark.grouping import cell
from threedie.benchmark.report.chart import drawable
from threedie.benchmark.report.runs import MethodReport, Run
from threedie.benchmark.training.log import Row, collapsed
from threedie.manifests.results import Number
from threedie.words import plural

Level = Literal["good", "note", "warn", "bad"]
ENOUGH_SEEDS = 3
_FALLS_STILL = 0.05
"""Share of the whole fall of the loss that the last fifth may add before it counts as falling."""
_ROWS = 10
_JUDGED = (
    ("top-1", "top1"),
    ("rotation R²", "rotation_r2_global"),
    ("MRR", "mrr_val"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one method."""

    level: Level
    text: str
    findings: tuple[Finding, ...]


def judge(report: MethodReport) -> Verdict:
    """All rules on one method."""
    findings = tuple(found for rule in _RULES for found in rule(report))
    levels = {found.level for found in findings}
    level: Level = "bad" if "bad" in levels else "warn" if "warn" in levels else "good"
    return Verdict(level, _summary(report), findings)


def _summary(report: MethodReport) -> str:
    """`top-1 0.826 ± 0.014 (chance 0.062)` and so on."""
    chance = report.runs[0].results.chance
    said = []
    for title, metric in _JUDGED:
        values = report.method.values("all", metric)
        if values:
            known = chance.get(metric)
            base = f" (chance {known.value:.3f})" if known and known.value is not None else ""
            said.append(f"{title} {cell(values, 3)}{base}")
    return ", ".join(said) or "none of the usual metrics is defined"


def _collapse(report: MethodReport) -> Iterator[Finding]:
    hits = [run for run in report.runs if is_collapsed(run)]
    if hits:
        yield Finding("bad", f"the representation is collapsed{_of(hits, report)}")


def is_collapsed(run: Run) -> bool:
    """Whether its features, or the last line of its log, say so."""
    rank = run.results.metrics.get("all", {}).get("effective_rank")
    if rank is not None and (rank.value is None or rank.value < 1.5):
        return True
    last = next((row for row in reversed(run.log) if _indicated(row)), None)
    return last is not None and collapsed(last)


def _indicated(row: Row) -> bool:
    return drawable(row.get("repr_std")) and drawable(row.get("repr_rank"))


def _chance(report: MethodReport) -> Iterator[Finding]:
    for title, metric in _JUDGED:
        hits = [run for run in report.runs if at_chance(run, metric)]
        if hits:
            nothing = metric == "top1" and len(hits) == len(report.runs)
            level: Level = "bad" if nothing else "warn"  # an invariant method knows no rotation
            yield Finding(level, f"{title} is not above chance{_of(hits, report)}")


def at_chance(run: Run, metric: str) -> bool:
    """Whether the lower end of the interval (or the value, without one) reaches chance."""
    number = run.results.metrics.get("all", {}).get(metric)
    chance = run.results.chance.get(metric)
    if number is None or number.value is None or chance is None or chance.value is None:
        return False
    return (number.value if number.low is None else number.low) <= chance.value


def _trivial(report: MethodReport) -> Iterator[Finding]:
    hits = [run for run in report.runs if is_trivial(run)]
    if hits:
        text = f"the predictor is no better than doing nothing{_of(hits, report)}"
        yield Finding("warn", text)


def is_trivial(run: Run) -> bool:
    """Whether `equivariance_gain` is not surely above 0: the identity does as well."""
    gain = run.results.metrics.get("all", {}).get("equivariance_gain")
    return gain is not None and gain.value is not None and _low(gain) <= 0


def _low(number: Number) -> float:
    low = number.value if number.low is None else number.low
    return math.nan if low is None else low


def _seeds(report: MethodReport) -> Iterator[Finding]:
    count = len({run.seed for run in report.runs})
    if count < ENOUGH_SEEDS:
        yield Finding("warn", f"{plural(count, 'seed')}: a ranking needs {ENOUGH_SEEDS}")
    hashes = [run.results.encoder.checkpoint_sha256 for run in report.runs]
    known = [found for found in hashes if found]
    if len(set(known)) < len(known):
        yield Finding("bad", "one checkpoint is counted more than once")


def _protocol(report: MethodReport) -> Iterator[Finding]:
    changed = report.runs[0].results.protocol.changed
    if changed:
        text = f"not {report.runs[0].results.protocol.name}: changed {', '.join(changed)}"
        yield Finding("warn", text)


def _data(report: MethodReport) -> Iterator[Finding]:
    hits = [run for run in report.runs if trained_elsewhere(run)]
    if hits:
        text = f"trained on other pictures than the train split here{_of(hits, report)}"
        yield Finding("warn", text)


def trained_elsewhere(run: Run) -> bool:
    """Whether config.json names another train split than results.json."""
    train = run.results.dataset.splits.get("train")
    return run.record is not None and train is not None and run.record.data_hash != train.hash


def _training(report: MethodReport) -> Iterator[Finding]:
    short = [run for run in report.runs if run.steps and run.steps[0] < run.steps[1]]
    if short:
        yield Finding("warn", f"training is not finished{_of(short, report)}")
    falling = [run for run in report.runs if is_falling(run.log)]
    if falling:
        yield Finding("warn", f"the loss was still falling at the end{_of(falling, report)}")


def is_falling(log: list[Row]) -> bool:
    """Whether the last fifth of the loss lies clearly below the fifth before.

    Clearly: by more than 5 % of the whole fall, and more than two standard errors.
    """
    losses = [row["loss"] for row in log if drawable(row.get("loss"))]
    if len(losses) < _ROWS:
        return False
    fifth = len(losses) // 5
    start, before, last = losses[:fifth], losses[-2 * fifth : -fifth], losses[-fifth:]
    fall = statistics.fmean(before) - statistics.fmean(last)
    whole = statistics.fmean(start) - statistics.fmean(last)
    noise = math.sqrt((statistics.variance(before) + statistics.variance(last)) / fifth)
    return fall > _FALLS_STILL * whole and fall > 2 * noise


def _notes(report: MethodReport) -> Iterator[Finding]:
    said = dict.fromkeys(note for run in report.runs for note in (*run.results.notes, *run.notes))
    yield from (Finding("note", note) for note in list(said)[:8])


def _of(hits: list[Run], report: MethodReport) -> str:
    if len(report.runs) == 1:
        return ""
    return f" in {len(hits)} of {plural(len(report.runs), 'run')}"


_RULES: tuple[Callable[[MethodReport], Iterator[Finding]], ...] = (
    _collapse,
    _chance,
    _trivial,
    _seeds,
    _protocol,
    _data,
    _training,
    _notes,
)
