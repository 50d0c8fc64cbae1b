"""What the templates of an entry, a method, the protocol and the history are given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from threedie.benchmark.report.facts import Fact
from threedie.benchmark.report.privacy import shown
from threedie.data.gallery import printable
from threedie.leaderboard.folder import CARD, CITATION, CONFIG
from threedie.leaderboard.metrics import METRICS
from threedie.leaderboard.site.cells import (
    COLUMNS,
    SHAPES,
    UNPROVED,
    failure,
    interval,
    is_higher,
    number,
    title,
)
from threedie.leaderboard.site.collect import Entry, Stock
from threedie.leaderboard.site.ladder import checks, ladder
from threedie.leaderboard.site.markdown import plain_lines, rendered
from threedie.leaderboard.site.rows import Ranks, name_of
from threedie.manifests.verification import Measured
from threedie.words import plural, room

_PARTS = {"all": "the whole representation", "inv": "invariant part", "equi": "equivariant part"}
_LONGEST = 40_000


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history."""

    on: str
    entry: Entry
    kind: str
    says: str


def entry_view(entry: Entry, stock: Stock, ranks: Ranks) -> dict[str, Any]:
    """All of one entry's page."""
    name, variant = name_of(entry)
    verified = entry.verification
    assert verified is not None
    return {
        "entry": entry,
        "name": name,
        "variant": variant,
        "level": verified.level,
        "shape": SHAPES[verified.level],
        "status_says": printable(entry.status.reason, longest=1000) if entry.status else "",
        "failed": failure(entry.failed),
        "unproved": UNPROVED if verified.level in ("recomputed", "re-probed") else "",
        "tiles": _tiles(entry, ranks),
        "parts": [
            (part, printable(_PARTS.get(part, "")), _metric_lines(metrics))
            for part, metrics in sorted(verified.metrics.items(), key=lambda p: _order(p[0]))
        ],
        "ladder": ladder(entry),
        "checks": checks(verified.checks),
        "warnings": checks(verified.warnings),
        "card": rendered(entry.texts.get(CARD, "")),
        "config": _plain(entry.texts.get(CONFIG, "")),
        "bibtex": _plain(entry.texts.get(CITATION, "")),
        "facts": _facts(entry),
        "links": _links(entry),
        "reported": _reported(entry),
        "files": [(n, room(size), sha256) for n, size, sha256 in entry.files],
        "evaluator": printable(
            f"threedie {verified.evaluator.threedie}, NumPy {verified.evaluator.numpy}, "
            f"Python {verified.evaluator.python}"
        ),
        "by": printable(verified.by),
        "address": stock.board.address,
    }


def _order(part: str) -> tuple[int, str]:
    return (list(_PARTS).index(part) if part in _PARTS else len(_PARTS)), part


def _tiles(entry: Entry, ranks: Ranks) -> list[dict[str, str]]:
    tiles = []
    for column in COLUMNS:
        found = entry.measured(column.part, column.metric)
        if found and found.value is not None:
            rank = ranks.get((entry.slug, column.key))
            tiles.append(
                {
                    "said": column.said,
                    "value": number(column.metric, found.value),
                    "interval": interval(column.metric, found),
                    "rank": f"rank {rank}" if rank else "",
                }
            )
    return tiles


def _metric_lines(metrics: dict[str, Measured]) -> list[dict[str, Any]]:
    known = list(METRICS)
    order = sorted(metrics, key=lambda n: (known.index(n) if n in METRICS else len(known), n))
    return [
        {
            "title": title(name),
            "name": name,
            "higher": is_higher(name),
            "value": number(name, metrics[name].value),
            "interval": interval(name, metrics[name]),
            "std": number(name, metrics[name].std),
            "seeds": [number(name, value) for value in metrics[name].per_seed],
            "objects": f"{metrics[name].objects:,}",
            "note": shown(metrics[name].note or "", longest=300),
        }
        for name in order
    ]


def _plain(text: str) -> str:
    """Several lines, without control and direction signs."""
    cut = "\n".join(plain_lines(text[:_LONGEST])).strip("\n")
    return f"{cut}\n… (cut here)" if len(text) > _LONGEST else cut


def _facts(entry: Entry) -> list[Fact]:
    """What the submitter declares."""
    said = entry.submission
    model, data, cost, chosen = said.model, said.training_data, said.compute, said.selection
    parts = ", ".join(f"{name} {first}–{last}" for name, (first, last) in model.parts.items())
    trained = {
        "other data": "yes" if data.external else "no",
        "val objects used": "yes" if data.val_objects_used else "no",
        "pretrained weights": data.pretrained_weights or "none",
    }
    facts = {
        "submitted by": said.submitter.name,
        "contact": said.submitter.contact,
        "maintainers' own": "yes" if said.submitter.affiliated_with_maintainers else "no",
        "backbone": model.backbone,
        "parameters at test": f"{model.params:,}" if model.params is not None else "not said",
        "dimensions": f"{model.dim:,} ({parts})",
        "pictures": f"{model.size_px} px",
        **trained,
        "runs": f"{plural(len(said.runs), 'run')} of {chosen.runs_started} started",
        "checkpoint": chosen.rule or chosen.how,
        "tuned on": chosen.tuned_on,
        "device": cost.device or "not said",
        "epochs": f"{cost.epochs:,}" if cost.epochs is not None else "not said",
        "hours per run": f"{cost.hours_per_run:g}"
        if cost.hours_per_run is not None
        else "not said",
    }
    return [(name, printable(value, longest=300)) for name, value in facts.items()]


def _links(entry: Entry) -> list[tuple[str, str]]:
    """Addresses; submission.json holds https ones only."""
    method = entry.submission.method
    found = [("paper", method.paper), ("code", method.code.url if method.code else None)]
    for run in entry.submission.runs:
        for what, artefact in (("weights", run.weights), ("features", run.features)):
            found.append((f"{what} of seed {run.seed}", artefact.url if artefact else None))
    return [(what, url) for what, url in found if url]


def _reported(entry: Entry) -> dict[str, Any] | None:
    reported = entry.submission.reported
    if reported is None:
        return None
    lines = [
        (title(name), number(name, value), number(name, entry.value(f"all/{name}")))
        for name, value in sorted(reported.values.items())
    ]
    return {"source": printable(reported.source), "lines": lines}


def methods(entries: Sequence[Entry]) -> dict[str, tuple[str, list[Entry]]]:
    """Entries by method: the page's name, the method's, its entries."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.submission.method.name, []).append(entry)
    found: dict[str, tuple[str, list[Entry]]] = {}
    for name in sorted(by_name):
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        if not slug or slug in found:
            digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
            slug = f"{slug}-{digest}".strip("-")
        found[slug] = (printable(name), by_name[name])
    return found


def events(stock: Stock) -> list[Event]:
    """All that happened, the latest first."""
    found = []
    for entry in (*stock.entries, *stock.waiting):
        found.append(Event(entry.submission.submitted, entry, "submitted", ""))
        if entry.verification:
            reached = "; ".join(filter(None, (entry.verification.level, failure(entry.failed))))
            found.append(Event(entry.verification.verified, entry, "verified", reached))
            for step in entry.verification.steps:
                if not step.passed:
                    says = shown(step.says, longest=1000)
                    found.append(Event(step.on, entry, f"failed {step.level}", says))
        if entry.status:
            reason = printable(entry.status.reason, longest=1000)
            found.append(Event(entry.status.on, entry, entry.status.state, reason))
    order = ("submitted", "verified", "failed", "disputed", "retracted")

    def place(event: Event) -> tuple[str, int, str, str]:
        return event.on, order.index(event.kind.split()[0]), event.entry.slug, event.kind

    return sorted(found, key=place, reverse=True)


def protocol_view(stock: Stock) -> dict[str, Any]:
    """The metrics with what the self-tests score, and who computed the rows."""
    tests = sorted(stock.selftests, key=lambda entry: entry.slug)
    return {
        "tests": [name_of(entry)[0] for entry in tests],
        "metrics": [
            {
                "metric": metric,
                "better": "higher" if metric.higher else "lower",
                "cells": [
                    number(metric.name, entry.value(f"all/{metric.name}")) for entry in tests
                ],
            }
            for metric in METRICS.values()
        ],
        "evaluators": sorted(
            {
                printable(f"threedie {e.verification.evaluator.threedie}")
                for e in stock.entries
                if e.verification
            }
        ),
    }


def rules_view(stock: Stock) -> Markup | None:
    """RULES.md."""
    return rendered(stock.rules, top=2) if stock.rules is not None else None
