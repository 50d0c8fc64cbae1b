"""The page: everything put into one HTML file that loads nothing.

Equal input gives equal bytes: no clock, no path. Everything foreign passes through `privacy.shown`
or an escaping writer, and Jinja escapes once more whatever is text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, Literal

import jinja2
from markupsafe import Markup

from threedie import __version__
from threedie.benchmark.report.analysis import analyzed, sweep_figures
from threedie.benchmark.report.canvas import Drawing
from threedie.benchmark.report.command import evaluation_command, training_command
from threedie.benchmark.report.facts import (
    Fact,
    data_facts,
    protocol_facts,
    run_facts,
    summary,
)
from threedie.benchmark.report.figures import group_figures
from threedie.benchmark.report.palette import DARK, HEATS, LIGHT, SERIES, tokens
from threedie.benchmark.report.privacy import as_json, shown
from threedie.benchmark.report.runs import GroupReport, MethodReport, Run
from threedie.benchmark.report.scatter import is_published_data, quoted_beside
from threedie.benchmark.report.svg import inline_svg
from threedie.benchmark.report.tables import (
    class_tables,
    label,
    metric_table,
    run_table,
    test_table,
)
from threedie.benchmark.report.training_curves import training
from threedie.benchmark.report.verdict import Level, judge
from threedie.manifests.literature import literature

if TYPE_CHECKING:
    from threedie.benchmark.report.gallery import Look

Detail = Literal["whole", "without curves", "none"]
_WORDS: dict[Level, tuple[str, str]] = {
    "good": ("✓", "sound"),
    "note": ("·", "sound"),
    "warn": ("▲", "read with care"),
    "bad": ("✗", "not usable"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """What a page has besides the runs."""

    looks: Mapping[str, Look] = field(default_factory=dict)
    """Retrieval by a run's anchor."""
    no_looks: Mapping[str, str] = field(default_factory=dict)
    """Why there is none, likewise."""
    data: Sequence[Fact] = ()
    """Of the data set that was given."""
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Fullness:
    """How much of it is in the page."""

    raw: Detail
    curves: bool = True
    """The figures of each run: its training, and what its predictor does."""


FULLNESS = (
    Fullness("whole"),
    Fullness("without curves"),
    Fullness("none"),
    Fullness("none", curves=False),
)
"""From all there is to what fits."""


class Page:
    """A report, ready to be rendered at any fullness.

    Args:
        reports: the groups.
        extras: what was computed or left out.
    """

    def __init__(self, reports: Sequence[GroupReport], extras: Extras) -> None:
        self._reports, self._extras = list(reports), extras
        self._drawn = {
            run.anchor: _figures(training(run, run.anchor), run.anchor)
            for report in reports
            for run in report.runs
        }
        self._swept = {
            run.anchor: _figures(sweep_figures(run, run.anchor), f"{run.anchor}-analysis")
            for report in reports
            for run in report.runs
        }
        self._groups = [self._group(r, i) for i, r in enumerate(reports, start=1)]
        home = resources("threedie.benchmark.report")
        self._template = jinja2.Environment(
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        ).from_string(home.joinpath("page.html").read_text(encoding="utf-8"))
        self._style = colors() + home.joinpath("style.css").read_text(encoding="utf-8")
        self._script = home.joinpath("script.js").read_text(encoding="utf-8")

    def render(self, fullness: Fullness) -> bytes:
        """The file."""
        runs = {
            run.anchor: _raw(run, fullness.raw) for report in self._reports for run in report.runs
        }
        text = self._template.render(
            title="Benchmark report",
            summary=summary(self._reports),
            groups=self._groups,
            raw=runs,
            raw_detail=fullness.raw,
            drawn=self._drawn if fullness.curves else {},
            swept=self._swept if fullness.curves else {},
            thinned=not fullness.curves,
            literature=literature(),
            data=_shown(self._extras.data),
            left_out=[shown(line, longest=400) for line in self._extras.left_out],
            version=__version__,
            style=Markup(self._style),
            script=Markup(self._script),
            style_hash=policy_hash(self._style),
            script_hash=policy_hash(self._script),
        )
        return text.encode("utf-8", "replace")

    def _group(self, report: GroupReport, number: int) -> dict[str, Any]:
        anchor, first = f"group-{number}", report.group.first
        return {
            "anchor": anchor,
            "name": shown(f"{first.protocol.name} on {first.dataset.recipe or 'a data set'}"),
            "says": shown(report.group.says, longest=400),
            "verdicts": [_verdict(method) for method in report.methods],
            "protocol": _shown(protocol_facts(first)),
            "data": _shown(data_facts(first)),
            "table": metric_table(report),
            "runs_table": run_table(report),
            "tests": test_table(report),
            "classes": class_tables(report),
            "figures": _figures(group_figures(report, number), anchor),
            "quoted": bool(quoted_beside(report, "global")),
            "quoted_data": is_published_data(report),
            "chance_notes": _chance_notes(report),
            "runs": [self._run(method, run) for method in report.methods for run in method.runs],
        }

    def _run(self, method: MethodReport, run: Run) -> dict[str, Any]:
        return {
            "anchor": run.anchor,
            "label": label(method, run),
            "facts": _shown(run_facts(run)),
            "train": training_command(run),
            "evaluate": evaluation_command(run),
            "has_log": bool(run.log),
            "notes": [shown(note, longest=300) for note in run.notes],
            "analysis": analyzed(run),
            "look": self._extras.looks.get(run.anchor),
            "no_look": shown(self._extras.no_looks.get(run.anchor, ""), longest=300),
        }


def _shown(facts: Iterable[Fact]) -> list[Fact]:
    return [(shown(name), shown(value, longest=600)) for name, value in facts]


def _verdict(method: MethodReport) -> dict[str, Any]:
    found = judge(method)
    sign, word = _WORDS[found.level]
    return {
        "name": shown(method.method.name),
        "level": found.level,
        "sign": sign,
        "word": word,
        "text": shown(found.text, longest=300),
        "findings": [
            {"level": f.level, "sign": _WORDS[f.level][0], "text": shown(f.text, longest=300)}
            for f in found.findings
        ],
    }


def _chance_notes(report: GroupReport) -> list[Fact]:
    """What the chance row stands for, and for which metrics, where results say it."""
    metrics: dict[str, list[str]] = {}
    for name, number in report.group.first.chance.items():
        if number.note:
            metrics.setdefault(shown(number.note), []).append(name)
    return [(note, shown(", ".join(names), longest=600)) for note, names in metrics.items()][:24]


def _figures(drawings: Sequence[Drawing], anchor: str) -> list[dict[str, Any]]:
    return [
        {
            "anchor": f"{anchor}-figure-{i}",
            "svg": Markup(inline_svg(drawing, f"{anchor}-figure-{i}")),
            "title": drawing.title,
            "says": drawing.says,
            "head": drawing.head,
            "rows": drawing.rows,
        }
        for i, drawing in enumerate(drawings, start=1)
    ]


def _raw(run: Run, detail: Detail) -> Markup | None:
    """results.json for a <pre>: quotes need no escape there, and are many."""
    if detail == "none":
        return None
    left_out = {"curves", "per_class"} if detail == "without curves" else set()
    body = run.results.model_dump(mode="json", exclude=left_out)
    return Markup(escape(as_json(body), quote=False))


def colors() -> str:
    """The palette as CSS, and a class for everything a drawing may use."""
    inks = ["text", "dim", "line", "card", *(f"s{i}" for i in range(SERIES))]
    inks += [f"h{i}" for i in range(HEATS)]
    rules = "".join(f".f-{i}{{fill:var(--{i})}}.l-{i}{{stroke:var(--{i})}}" for i in inks)
    heats = "".join(f".h{i}{{background:var(--h{i})}}" for i in range(HEATS))
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {tokens(DARK)} }} }}"
    paper = f"@media print {{ :root {{ {tokens({**LIGHT, 'page': '#ffffff'})} }} }}"
    return f":root {{ {tokens(LIGHT)} }}\n{dark}\n{paper}\n{rules}\n{heats}\n"


def policy_hash(text: str) -> str:
    """For the page's policy: this very text may stand in it, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
