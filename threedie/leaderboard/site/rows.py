"""The main table: entries as rows, with the ranks that the data bear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from threedie.benchmark.report.chart import clipped
from threedie.data.gallery import printable
from threedie.leaderboard.site.cells import (
    COLUMNS,
    MISSING,
    SHAPES,
    KeyMetric,
    failure,
    interval,
    is_higher,
    number,
)
from threedie.leaderboard.site.collect import Entry
from threedie.leaderboard.site.rank import RankRange, Sample, rank_ranges
from threedie.manifests.verification import Level

Ranks = Mapping[tuple[str, str], RankRange]
"""By slug and `part/metric`."""
RANKED = ("all/rotation_r2_uniform", "all/top1", "equi/rotation_r2_uniform", "all/mrr_val")
"""Of these the verifier keeps replicates."""
MOST_INTERVALS = 150
"""Rows up to which the main table has intervals and names in full: a page has its size."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number."""

    text: str
    note: str = ""
    best: bool = False

    @property
    def missing(self) -> bool:
        """Whether there is none."""
        return self.text == MISSING


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One entry."""

    slug: str
    name: str
    variant: str
    family: str
    track: str
    seeds: int
    level: Level
    shape: str
    failed: str
    """`failed re-run`, or nothing."""
    state: str
    """disputed, retracted, or nothing."""
    unranked: bool
    says: str
    """The maintainers' reason."""
    rank: str
    """By the first column."""
    ranks: str
    """By the other ranked columns, in their order."""
    cells: tuple[Cell, ...]

    @property
    def classes(self) -> str:
        """By which style and script know it."""
        unranked = self.unranked and not self.state and not self.failed
        words = (self.state, "failed" if self.failed else "", "unranked" if unranked else "")
        return " ".join(filter(None, words))


def ranks_of(entries: Iterable[Entry]) -> Ranks:
    """Rank ranges, within each track, of entries that have a rank."""
    ranks: dict[tuple[str, str], RankRange] = {}
    by_track: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.ranked:
            by_track.setdefault(entry.submission.track, []).append(entry)
    for group in by_track.values():
        for key in RANKED:
            samples = {e.slug: found for e in group if (found := sample(e, key))}
            samples = _alike(samples)
            ranges = rank_ranges(list(samples.values()), higher=is_higher(key.split("/")[1]))
            ranks.update(((slug, key), one) for slug, one in zip(samples, ranges, strict=True))
    return ranks


def sample(entry: Entry, key: str) -> Sample | None:
    """What an entry's rank by `part/metric` rests on; None where it has none."""
    found = entry.measured(*key.split("/"))
    replicates = entry.verification.replicates.get(key, ()) if entry.verification else ()
    if found is None or found.value is None or not replicates or not entry.ranked:
        return None
    return Sample(value=found.value, replicates=replicates, std=found.std or 0.0, seeds=entry.seeds)


def _alike(samples: dict[str, Sample]) -> dict[str, Sample]:
    """Those with as many replicates as most have: others have no draws in common with them."""
    lengths = [len(one.replicates) for one in samples.values()]
    usual = max(sorted(set(lengths)), key=lengths.count) if lengths else 0
    return {slug: one for slug, one in samples.items() if len(one.replicates) == usual}


def main_rows(entries: Sequence[Entry], ranks: Ranks, *, ranked: bool = True) -> list[Row]:
    """The rows, best first; those of which a level failed after them, retracted ones last.

    Args:
        entries: in any order.
        ranks: as `ranks_of` has them.
        ranked: False for self-tests, which are no competitors.
    """
    best = {column.key: _best(entries, column) for column in COLUMNS} if ranked else {}
    notes = len(entries) <= MOST_INTERVALS
    return [_row(entry, ranks, best, notes=notes, ranked=ranked) for entry in _sorted(entries)]


def name_of(entry: Entry) -> tuple[str, str]:
    """Method and variant, fit to be shown."""
    method = entry.submission.method
    return printable(method.name), printable(method.variant or "")


def _sorted(entries: Sequence[Entry]) -> list[Entry]:
    def place(entry: Entry) -> tuple[bool, bool, bool, float, str]:
        value, failed = entry.value(COLUMNS[0].key), bool(entry.failed)
        return entry.retracted, failed, value is None, -(value or 0.0), entry.slug

    return sorted(entries, key=place)


def _row(entry: Entry, ranks: Ranks, best: Mapping[str, str], *, notes: bool, ranked: bool) -> Row:
    name, variant = name_of(entry)
    if not notes:
        name, variant = clipped(name, 40), clipped(variant, 28)
    level: Level = entry.verification.level if entry.verification else "reported"
    others = ",".join(str(ranks.get((entry.slug, key), "")) for key in RANKED[1:])
    return Row(
        slug=entry.slug,
        name=name,
        variant=variant,
        family=entry.submission.method.family,
        track=entry.submission.track,
        seeds=entry.seeds,
        level=level,
        shape=SHAPES[level],
        failed=failure(entry.failed),
        state=entry.status.state if entry.status else "",
        unranked=ranked and not entry.ranked,
        says=printable(entry.status.reason, longest=300) if entry.status else "",
        rank=_rank(entry, ranks) if ranked else "",
        ranks=others.replace("–", "-") if others.strip(",") else "",
        cells=tuple(_cell(entry, column, best, notes=notes) for column in COLUMNS),
    )


def _rank(entry: Entry, ranks: Ranks) -> str:
    if entry.retracted:
        return "retracted"
    if not entry.ranked:
        return "not ranked"
    return str(ranks.get((entry.slug, COLUMNS[0].key), MISSING))


def _cell(entry: Entry, column: KeyMetric, best: Mapping[str, str], *, notes: bool) -> Cell:
    found = entry.measured(column.part, column.metric)
    text = number(column.metric, found.value if found else None)
    is_best = entry.ranked and text != MISSING and text == best.get(column.key)
    return Cell(text, interval(column.metric, found) if notes else "", is_best)


def _best(entries: Iterable[Entry], column: KeyMetric) -> str:
    """The best ranked value as it is printed: rows that print the same are equally best."""
    values = [v for e in entries if e.ranked and (v := e.value(column.key)) is not None]
    if not values:
        return ""
    return number(column.metric, max(values) if column.higher else min(values))
