"""A run's analysis.json on the page: what its predictor does, in words, tables and figures.

The sentences are those of `3die analyze`. An analysis is somebody's file, as results.json is: its
texts pass through `privacy.shown`, and there is a bound to how much of it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from threedie.benchmark.analysis.verdict import LAWS, verdicts
from threedie.benchmark.report.canvas import Drawing, Mark, Point, Style, style_of
from threedie.benchmark.report.chart import WIDTH, Axis, Chart, Key, drawable
from threedie.benchmark.report.facts import Fact
from threedie.benchmark.report.palette import heat
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import Run
from threedie.benchmark.report.tables import Cell, Line, Table, number_cell
from threedie.manifests.analysis import AXES, Analysis, FactorScore, Sweep
from threedie.words import plural

_MOST_SENTENCES, _MOST_FACTORS, _MOST_PARTS, _MOST_STEPS = 40, 24, 6, 360
_AGREE = 0.5
"""Objects whose answers have a mean direction shorter than this do not agree on it."""
_TURNS = tuple(f"rotation_{axis}" for axis in AXES)
_HUES = ("floor_hue", "light_hue")
_AMONG = {"object": "views of its object", "val": "all views of val"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyzed:
    """An analysis, ready for the page."""

    sentences: tuple[str, ...]
    facts: tuple[Fact, ...]
    laws: Table
    sweeps: Table
    factors: Table


def analyzed(run: Run) -> Analyzed | None:
    """What is to be said of a run's analysis; None where there is none."""
    found = run.analysis
    if found is None:
        return None
    said = (*verdicts(found)[:_MOST_SENTENCES], *found.notes[:8])
    return Analyzed(
        sentences=tuple(shown(sentence, longest=400) for sentence in said),
        facts=tuple(_facts(found)),
        laws=_laws(found),
        sweeps=_sweeps(found),
        factors=_factors(found),
    )


def _facts(found: Analysis) -> Iterator[Fact]:
    settings, predictor = found.settings, found.predictor
    of_all = f"{settings.objects:,} of {settings.of_objects:,} of val"
    yield "Objects", of_all
    if predictor is not None:
        yield "Moves by", shown(predictor.latents.replace("+", " and "))
        kind = "one matrix for each move" if predictor.affine else "not linear in the embedding"
        yield "Predictor", f"{kind}, {plural(predictor.width, 'number')} wide"
    for kind, latent in (("rotation", "q"), ("hues", "hues")):
        cell = number_cell(found.numbers.get(f"{kind}_gain"))
        if cell.key:
            between = f" ({cell.note})" if cell.note else ""
            yield f"Gain of {latent} (0: ignored, 1: the target itself)", f"{cell.text}{between}"


def _laws(found: Analysis) -> Table:
    """How far what is from what, over the distance between two views of an object."""
    kinds = ("cosine_error", "cosine_ratio", "square_ratio")
    lines, above = [], ""
    for law, words in {"view": "a view from another", **LAWS}.items():
        says = words.replace("…", f"{above},")  # rows can be sorted, so each says all
        above = above if "…" in words else words
        numbers = [found.numbers.get(f"{law}_{kind}") for kind in kinds]
        cells = [number_cell(number) for number in numbers]
        if cells[0].key:
            if law == "view":  # the measure itself
                cells[1:] = [replace(cell, why="it is the measure") for cell in cells[1:]]
            lines.append(Line(says, tuple(cells)))
    return Table(("1 − cos", "/ views'", "squares / views'"), tuple(lines))


def _sweeps(found: Analysis) -> Table:
    """What was recovered, beside the best candidate and a candidate drawn at random."""
    lines = []
    for sweep in _known(found):
        name = f"{sweep.name}_{sweep.among}"
        degrees = [
            number_cell(found.numbers.get(f"{name}_{kind}_deg"), 1)
            for kind in ("error", "best", "chance")
        ]
        gain = number_cell(found.numbers.get(f"{name}_gain"))
        lines.append(Line(_title(sweep.name), (*degrees, gain), _AMONG[sweep.among]))
    return Table(("error °", "best °", "chance °", "gain"), tuple(lines))


def _factors(found: Analysis) -> Table:
    """Factor by part; a deeper colour is further from chance."""
    parts = list(found.factors)[:_MOST_PARTS]
    named = {name: score for part in parts for name, score in found.factors[part].items()}
    lines = []
    for name, score in list(named.items())[:_MOST_FACTORS]:
        cells = [_factor_cell(found.factors[part].get(name)) for part in parts]
        if any(cell.key for cell in cells):
            kind = score.metric.removeprefix(f"{name}_").replace("_", " ")
            cells.append(number_cell(score.chance))
            lines.append(Line(_title(name), tuple(cells), shown(kind)))
    return Table((*map(shown, parts), "chance"), tuple(lines))


def _factor_cell(found: FactorScore | None) -> Cell:
    cell = number_cell(found.score if found else None)
    if found is None or found.score.value is None:
        return cell
    chance = found.chance.value or 0.0
    good = drawable(found.score.value) and drawable(chance) and chance < 1
    share = (found.score.value - chance) / (1 - chance) if good else 0.0
    return replace(cell, heat=heat(share))


def _title(name: str) -> str:
    return shown(name.replace("_", " "))


def _known(found: Analysis, names: Sequence[str] = (*_TURNS, *_HUES)) -> list[Sweep]:
    return [s for s in found.sweeps if s.name in names and len(s.asked_deg) <= _MOST_STEPS]


def sweep_figures(run: Run, name: str) -> list[Drawing]:
    """The angle recovered against the angle asked: of turns, and of hues where it moves by them."""
    if run.analysis is None:
        return []
    figures = (
        _recovered(run.analysis, _TURNS, "Angle", -180.0, f"{name}-turns"),
        _recovered(run.analysis, _HUES, "Hue", 0.0, f"{name}-hues"),
    )
    return [sheet for sheet in figures if sheet is not None]


def _recovered(
    found: Analysis, names: Sequence[str], what: str, low: float, name: str
) -> Drawing | None:
    """One line for each sweep among the object's own views; None without any."""
    sweeps = [s for s in _known(found, names) if s.among == "object" and _points(s)]
    if not sweeps:
        return None
    sheet = Drawing(
        name,
        f"{what} recovered against {what.lower()} asked",
        f"Asked (right) and what the nearest view of the object has (up), in degrees: the mean "
        f"direction over objects. A predictor that knows the {what.lower()} follows the dashed "
        "line, as far as there are such views. Hollow marks: objects do not agree (the mean "
        f"direction is shorter than {_AGREE}).",
        WIDTH,
        330.0,
        head=("sweep", "asked °", "recovered °", "agreement", "error °"),
    )
    ticks = tuple(low + 90 * i for i in range(5))
    styles = {sweep.name: style_of(i) for i, sweep in enumerate(sweeps)}
    across, up = (
        Axis(f"{arrow}, degrees", low, low + 360, ticks) for arrow in ("asked", "↑ found")
    )
    keys = [Key(_title(s.name), styles[s.name]) for s in sweeps]
    chart = Chart(sheet, across, up, legend=keys)
    sheet.line([chart.at(low, low), chart.at(low + 360, low + 360)], "dim", width=1.2, dashed=True)
    for sweep in sweeps:
        _line_of(sheet, chart, sweep, styles[sweep.name])
    return sheet


def _points(sweep: Sweep) -> list[tuple[float, float, float]]:
    """(asked, recovered, agreement) of each step that has a direction."""
    steps = zip(sweep.asked_deg, sweep.recovered_deg, sweep.agreement, strict=True)
    return [(asked, found, agree) for asked, found, agree in steps if found is not None]


def _line_of(sheet: Drawing, chart: Chart, sweep: Sweep, style: Style) -> None:
    """A line that is broken where it goes round: −179° and 179° are neighbours."""
    points = _points(sweep)
    piece: list[Point] = [chart.at(*points[0][:2])]
    for (_, before, _), (asked, found, _) in pairwise(points):
        if abs(found - before) > 180:
            sheet.line(piece, style.ink, width=1)
            piece = []
        piece.append(chart.at(asked, found))
    sheet.line(piece, style.ink, width=1)
    for asked, found, agree in points:
        at = chart.at(asked, found)
        sheet.add(Mark(at, style.shape, style.ink, hollow=agree < _AGREE))
    for step, asked in enumerate(sweep.asked_deg):
        error, recovered = number_cell(sweep.error_deg[step], 1), sweep.recovered_deg[step]
        seen = "–" if recovered is None else f"{recovered:.0f}"
        row = (f"{asked:.0f}", seen, f"{sweep.agreement[step]:.2f}", error.text)
        sheet.rows.append((_title(sweep.name), *row))
