"""What other programs read: leaderboard.json, leaderboard.csv, badges, the feed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from threedie.leaderboard.board import named
from threedie.leaderboard.site.cells import COLUMNS, failure, number
from threedie.leaderboard.site.collect import Entry, Stock
from threedie.leaderboard.site.rows import RANKED, Ranks, name_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BADGE_COLORS = {
    "recomputed": "blue",
    "re-probed": "blue",
    "re-run": "brightgreen",
    "fresh-render": "brightgreen",
    "retrained": "brightgreen",
}


def as_json(stock: Stock, ranks: Ranks) -> bytes:
    """All rows with all their numbers, and what has none."""
    board = stock.board
    body = {
        "schema_version": 1,
        "title": board.title,
        "protocol": named(board.protocol),
        "list_sha256": board.list_sha256,
        "entries": [_entry(entry, ranks) for entry in stock.entries],
        "selftests": [_entry(entry, {}) for entry in stock.selftests],
        "left_out": [
            {"folder": left.folder, "kind": left.kind, "says": left.says} for left in stock.left_out
        ],
    }
    return json.dumps(body, indent=1, allow_nan=False).encode() + b"\n"


def _entry(entry: Entry, ranks: Ranks) -> dict[str, Any]:
    said, verified = entry.submission, entry.verification
    assert verified is not None
    return {
        "id": entry.slug,
        "folder": entry.folder,
        "submitted": said.submitted,
        "track": said.track,
        "method": said.method.model_dump(mode="json"),
        "level": verified.level,
        "failed": list(entry.failed),
        "verified": verified.verified,
        "evaluator": verified.evaluator.model_dump(mode="json"),
        "entry_sha256": verified.entry_sha256,
        "seeds": list(verified.seeds),
        "runs_started": said.selection.runs_started,
        "status": entry.status.model_dump(mode="json") if entry.status else None,
        "ranked": entry.ranked,
        "rank_ranges": {
            key: [found.best, found.worst]
            for key in RANKED
            if (found := ranks.get((entry.slug, key)))
        },
        "metrics": {
            part: {name: found.model_dump(mode="json") for name, found in sorted(metrics.items())}
            for part, metrics in sorted(verified.metrics.items())
        },
    }


def as_csv(stock: Stock) -> bytes:
    """A row for each entry; for each metric its value and the two ends of its interval."""
    keys = sorted(
        {
            (part, name)
            for entry in stock.entries
            if entry.verification
            for part, metrics in entry.verification.metrics.items()
            for name in metrics
        }
    )
    head = ["id", "method", "variant", "family", "track", "level", "failed", "seeds", "state"]
    head.append("verified")
    for part, name in keys:
        head += [f"{part}/{name}", f"{part}/{name} low", f"{part}/{name} high"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for entry in stock.entries:
        writer.writerow([*_about(entry), *_numbers(entry, keys)])
    return out.getvalue().encode()


def _about(entry: Entry) -> list[str]:
    assert entry.verification is not None
    name, variant = name_of(entry)
    texts = (
        entry.slug,
        name,
        variant,
        entry.submission.method.family,
        entry.submission.track,
        entry.verification.level,
        " ".join(entry.failed),
        str(entry.seeds),
        entry.status.state if entry.status else "",
        entry.verification.verified,
    )
    return [defused(text) for text in texts]


def _numbers(entry: Entry, keys: Sequence[tuple[str, str]]) -> list[str]:
    cells = []
    for part, name in keys:
        found = entry.measured(part, name)
        ends = (found.value, found.low, found.high) if found else (None, None, None)
        cells += ["" if end is None else f"{end:.6g}" for end in ends]
    return cells


def defused(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def badge(entry: Entry, protocol: str) -> bytes:
    """The JSON that shields.io draws a badge from."""
    assert entry.verification is not None
    level = entry.verification.level
    first = COLUMNS[0]
    message = f"{first.short} {number(first.metric, entry.value(first.key))} · {level}"
    color = _BADGE_COLORS.get(level, "lightgrey")
    if entry.status:
        message, color = entry.status.state, "red" if entry.retracted else "orange"
    if entry.failed and not entry.retracted:
        message, color = failure(entry.failed), "red"
    body = {"schemaVersion": 1, "label": protocol, "message": message, "color": color}
    return json.dumps(body).encode() + b"\n"
