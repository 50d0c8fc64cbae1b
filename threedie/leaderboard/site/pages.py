"""All files of a site, by name, as bytes. Equal boards give equal bytes: no clock, no path.

Every page is whole by itself: style and script stand in it, allowed by their hash, because `'self'`
means nothing to some browsers where a page is opened as a file. Jinja escapes all that is text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files as resources
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from threedie import __version__
from threedie.benchmark.report.page import colors, policy_hash
from threedie.benchmark.report.svg import inline_svg
from threedie.leaderboard.board import named
from threedie.leaderboard.site.cells import COLUMNS, MEANINGS, SHAPES, UNPROVED, KeyMetric
from threedie.leaderboard.site.collect import SELFTEST, Entry, Stock
from threedie.leaderboard.site.compared import compared, embedded
from threedie.leaderboard.site.exports import as_csv, as_json, badge
from threedie.leaderboard.site.plot import FAMILIES, plot
from threedie.leaderboard.site.rows import (
    MOST_INTERVALS,
    RANKED,
    Row,
    main_rows,
    name_of,
    ranks_of,
)
from threedie.leaderboard.site.views import (
    Event,
    entry_view,
    events,
    methods,
    protocol_view,
    rules_view,
)
from threedie.manifests.entries import RANKED_RUNS
from threedie.manifests.literature import literature
from threedie.manifests.verification import LEVELS
from threedie.words import plural

_HOME = "threedie.leaderboard.site"
_MOST_EVENTS = 50
"""In the feed."""
_PUBLISHED_VAL = 10_000
"""Val objects; the published data set has more, and papers' numbers are of it."""


class Site:
    """The pages of one board.

    Args:
        stock: what the board holds.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock, self._ranks = stock, ranks_of(stock.entries)
        home = resources(_HOME)
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader(_HOME, "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = colors() + home.joinpath("style.css").read_text(encoding="utf-8")
        self._scripts = {
            name: home.joinpath(name).read_text(encoding="utf-8")
            for name in ("table.js", "compare.js")
        }
        self._environment.globals.update(
            board=stock.board,
            protocol=named(stock.board.protocol),
            version=__version__,
            style=Markup(style),  # ours
            style_hash=policy_hash(style),
            counts=counts(stock),
            columns=[_column(column) for column in COLUMNS],
            ranked_runs=RANKED_RUNS,
            unproved=UNPROVED,
        )
        self._methods = methods(stock.entries)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file; index.html comes last."""
        stock = self._stock
        slugs = {e.slug: slug for slug, (_, group) in self._methods.items() for e in group}
        for entry in stock.entries:
            yield f"entry/{entry.slug}.html", self._entry(entry, slugs[entry.slug])
            yield f"badge/{entry.slug}.json", badge(entry, named(stock.board.protocol))
        for entry in stock.selftests:
            if entry.slug not in slugs:
                yield f"entry/{entry.slug}.html", self._entry(entry, "")
        for slug, (name, group) in self._methods.items():
            yield f"method/{slug}.html", self._method(name, group)
        yield "leaderboard.json", as_json(stock, self._ranks)
        yield "leaderboard.csv", as_csv(stock)
        yield "feed.xml", self._feed()
        yield "rules.html", self._render("rules.html", rules=rules_view(stock))
        yield "protocol.html", self._protocol()
        yield "history.html", self._history()
        yield "compare.html", self._compare()
        yield "index.html", self._index()

    def _render(self, template: str, *, up: str = "", script: str = "", **values: Any) -> bytes:
        text = self._environment.get_template(template).render(
            here=template,
            up=up,
            script=Markup(self._scripts[script]) if script else "",  # ours
            script_hash=policy_hash(self._scripts[script]) if script else "",
            **values,
        )
        return text.encode("utf-8", "replace")

    def _index(self) -> bytes:
        stock = self._stock
        rows = main_rows(stock.entries, self._ranks)
        drawing = plot(stock.entries, stock.selftests)
        figure = drawing and {
            "svg": Markup(inline_svg(drawing, "pareto")),
            "title": drawing.title,
            "says": drawing.says,
        }
        return self._render(
            "index.html",
            script="table.js",
            figure=figure,
            rows=rows,
            tests=main_rows(stock.selftests, {}, ranked=False),
            caption=_caption(rows),
            filters=_filters(rows),
            waiting=[(entry, *name_of(entry)) for entry in stock.waiting],
            levels=[(level, SHAPES[level]) for level in LEVELS[1:]],
            quoted=literature(),
            other_data=stock.board.data.val_objects < _PUBLISHED_VAL,
        )

    def _compare(self) -> bytes:
        stock = self._stock
        rows = main_rows(stock.entries, self._ranks)
        tests = main_rows(stock.selftests, {}, ranked=False)
        data = embedded(compared(stock.entries))
        return self._render(
            "compare.html",
            script="compare.js",
            rows=rows,
            tests=tests,
            caption=_caption(rows),
            data=data,
        )

    def _entry(self, entry: Entry, method_slug: str) -> bytes:
        view = entry_view(entry, self._stock, self._ranks)
        return self._render("entry.html", up="../", view=view, method_slug=method_slug)

    def _method(self, name: str, group: list[Entry]) -> bytes:
        rows = main_rows(group, self._ranks)
        says = f"{plural(len(rows), 'entry')[:-1]}y" if len(rows) == 1 else f"{len(rows)} entries"
        return self._render(
            "method.html",
            up="../",
            script="table.js",
            name=name,
            says=f"{says} of this method; ranks are those among all entries.",
            rows=rows,
            caption=_caption(rows),
        )

    def _protocol(self) -> bytes:
        board, listed = self._stock.board, self._stock.listed
        data = board.data
        facts = {
            "data set": data.name,
            "recipe": data.recipe or "not said",
            "train objects": f"{data.train_objects:,}",
            "val objects": f"{data.val_objects:,}",
            "views of each": f"{data.views}",
            "classes": f"{data.classes}",
            "views in the list": f"{listed:,}",
            "list, SHA-256": board.list_sha256,
            "train split": data.train_hash,
            "val split": data.val_hash,
        }
        return self._render(
            "protocol.html",
            data_facts=list(facts.items()),
            view=protocol_view(self._stock),
            levels=[(level, SHAPES[level], MEANINGS[level]) for level in LEVELS],
        )

    def _history(self) -> bytes:
        days = groupby(events(self._stock), key=lambda event: event.on)
        return self._render(
            "history.html",
            days=[(on, [_named(event) for event in group]) for on, group in days],
            left_out=self._stock.left_out,
        )

    def _feed(self) -> bytes:
        found = events(self._stock)
        updated = max([event.on for event in found], default=self._stock.board.created)
        news = [_named(event) for event in found[:_MOST_EVENTS]]
        return self._render("feed.xml", events=news, updated=updated)


def counts(stock: Stock) -> str:
    """How many entries the board has, how many are shown, and where the others are."""
    waiting = sum(left.kind == "waiting" for left in stock.left_out)
    refused = sum(left.kind == "refused" for left in stock.left_out)
    tests = sum(left.kind == SELFTEST for left in stock.left_out)
    lost = f" {plural(tests, 'self-test')} could not be shown." if tests else ""
    return (
        f"{stock.found} entries in the board: {len(stock.entries)} shown, {waiting} waiting for "
        f"verification, {refused} left out.{lost}"
    )


def _named(event: Event) -> tuple[Event, str, str]:
    return event, *name_of(event.entry)


def _column(column: KeyMetric) -> Mapping[str, Any]:
    """A heading, and which of a row's ranks is by it."""
    ranked = RANKED.index(column.key) if column.key in RANKED else None
    return {"short": column.short, "higher": column.higher, "ranked": ranked}


def _caption(rows: list[Row]) -> str:
    first = f"Means over seeds{', with 95 % intervals' if len(rows) <= MOST_INTERVALS else ''}."
    full = "" if len(rows) <= MOST_INTERVALS else " Intervals are on the entries' own pages."
    return f"{first}{full} Bold: best ranked value. —: not evaluated. Sorted by {COLUMNS[0].said}."


def _filters(rows: list[Row]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Choices that are there: name of the field, its label, values with their text."""
    families, tracks, levels = ({getattr(r, n) for r in rows} for n in ("family", "track", "level"))
    return [
        ("family", "Family", [(f, f) for f in FAMILIES if f in families]),
        ("track", "Track", [(t, t) for t in ("closed", "open") if t in tracks]),
        ("level", "Level", [(lv, f"{lv} or more") for lv in LEVELS if lv in levels]),
    ]
