"""The data of the compare page: every number of every row, as text, for its script.

Numbers are printed here and nowhere else: a script that rounds anew rounds otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from markupsafe import Markup

from threedie.leaderboard.metrics import METRICS
from threedie.leaderboard.site.cells import (
    COLUMNS,
    MISSING,
    failure,
    interval,
    is_higher,
    number,
    title,
)
from threedie.leaderboard.site.collect import Entry
from threedie.leaderboard.site.rank import p_of_pair
from threedie.leaderboard.site.rows import RANKED, name_of, sample

MOST_TESTED = 60
"""Rows up to which every pair's test is in the page."""


def compared(entries: Sequence[Entry]) -> dict[str, Any]:
    """Metrics, entries and, on a small board, the test of each pair."""
    keys = _keys(entries)
    return {
        "metrics": [
            {
                "key": f"{part}/{name}",
                "part": part,
                "title": title(name),
                "higher": is_higher(name),
            }
            for part, name in keys
        ],
        "entries": {entry.slug: _entry(entry, keys) for entry in entries},
        "tests": _tests(entries) if len(entries) <= MOST_TESTED else None,
    }


def embedded(body: Any) -> Markup:
    """JSON that can stand inside a script element: no `<` and no `&` is left in it."""
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)  # ASCII
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _keys(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Key metrics first, then all others by part."""
    first = [(column.part, column.metric) for column in COLUMNS]
    found = {
        (part, name)
        for entry in entries
        if entry.verification
        for part, metrics in entry.verification.metrics.items()
        for name in metrics
    }
    known = list(METRICS)
    parts = ["all", "equi", "inv"]

    def place(key: tuple[str, str]) -> tuple[int, str, int, str]:
        part, name = key
        at = known.index(name) if name in METRICS else len(known)
        return (parts.index(part) if part in parts else len(parts)), part, at, name

    return [k for k in first if k in found] + sorted(found - set(first), key=place)


def _entry(entry: Entry, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    name, variant = name_of(entry)
    found = [(metric, entry.measured(part, metric)) for part, metric in keys]
    texts = [number(metric, m.value if m else None) for metric, m in found]
    return {
        "name": name,
        "variant": variant,
        "level": entry.verification.level if entry.verification else "",
        "track": entry.submission.track,
        "seeds": entry.seeds,
        "state": entry.status.state if entry.status else "",
        "failed": failure(entry.failed),
        "best": not entry.failed and not entry.retracted,
        "text": ["" if text == MISSING else text for text in texts],
        "note": [interval(metric, m) for metric, m in found],
    }


def _tests(entries: Sequence[Entry]) -> dict[str, dict[str, float]]:
    """P of each pair, by metric and then by both slugs in alphabetical order."""
    tests: dict[str, dict[str, float]] = {}
    for key in RANKED:
        rows = {entry.slug: found for entry in entries if (found := sample(entry, key))}
        tests[key] = {
            f"{a} {b}": float(f"{p_of_pair(rows[a], rows[b]):.2g}")
            for a, b in combinations(sorted(rows), 2)
            if len(rows[a].replicates) == len(rows[b].replicates)
        }
    return tests
