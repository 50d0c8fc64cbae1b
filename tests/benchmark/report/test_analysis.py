"""An analysis.json beside a run's results, on the page.

Claims: the page has the sentences of `3die analyze` and the numbers of its laws, sweeps and
factors; an analysis of other weights, or a damaged one, is left out with the reason and costs
itself only; its texts are text and its numbers break nothing, however extreme; the figure has a
mark for each step that has a direction, hollow where objects do not agree, and its line is broken
where it goes round; a page that has to be leaner drops figures and keeps sentences.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.report.cases import Json, body, changed, number, record, run_folder
from tests.manifests.test_analysis import whole
from tests.pages import Page
from threedie import files
from threedie.benchmark.analysis.verdict import verdicts
from threedie.benchmark.grouping import read_entries
from threedie.benchmark.report import write
from threedie.benchmark.report.analysis import analyzed, sweep_figures
from threedie.benchmark.report.canvas import Drawing, Line, Mark
from threedie.benchmark.report.runs import Run, read_groups
from threedie.benchmark.report.write import write_report
from threedie.manifests.analysis import FILE_NAME, Analysis

CHECKPOINT = body()["encoder"]["checkpoint_sha256"]
HOSTILE = "</bdi></li><script>alert(1)</script>{{7*7}} /home/marie/x token=marie123"


def sweep(*steps: tuple[float, float | None, float], **changes: Any) -> Json:
    """One about z, of (asked, recovered, agreement)."""
    asked, recovered, agreement = zip(*steps, strict=True)
    errors = [number(15.0, 10.0, 20.0)] * len(steps)
    return {
        "name": "rotation_z",
        "among": "object",
        "asked_deg": asked,
        "error_deg": errors,
        "best_deg": errors,
        "recovered_deg": recovered,
        "agreement": agreement,
        **changes,
    }


def analysis(**changes: Any) -> Json:
    """Of the weights of `body`: it uses q, does not compose, and has a law that is undefined."""
    steps = [(-180.0, 170.0, 0.9), (-90.0, -100.0, 0.2), (0.0, None, 0.0), (90.0, 80.0, 0.7)]
    numbers = {
        "view_cosine_error": number(0.5, 0.45, 0.55),
        "prediction_cosine_error": number(0.25, 0.2, 0.3),
        "prediction_cosine_ratio": number(0.5, 0.4, 0.6),
        "prediction_square_ratio": number(0.6, 0.5, 0.7),
        "other_rotation_cosine_error": number(0.5),
        "composition_cosine_error": number(0.45, 0.4, 0.5),
        "composition_cosine_ratio": number(0.9, 0.8, 1.0),
        "composition_square_ratio": number(None),
        "composition_swapped_cosine_error": number(0.475),
        "inverse_cosine_error": number(None),
        "rotation_gain": number(0.5, 0.4, 0.6),
        "rotation_z_object_error_deg": number(33.3, 30.0, 36.0),
        "rotation_z_object_best_deg": number(11.1),
        "rotation_z_object_chance_deg": number(122.2),
        "rotation_z_object_gain": number(0.8, 0.7, 0.9),
    }
    score = whole()["factors"]["all"]["class"]
    parts = {
        "inv": {"class": {**score, "score": number(0.75, 0.7, 0.8), "chance": number(0.125)}},
        "equi": {"class": {**score, "score": number(0.25, 0.2, 0.3), "chance": number(0.125)}},
    }
    made = changed(whole(), encoder__checkpoint_sha256=CHECKPOINT, shown=[], notes=[])
    made |= {"numbers": numbers, "sweeps": [sweep(*steps)], "factors": parts}
    return changed(made, **changes)


def analyzed_run(folder: Path, found: Json | str) -> Path:
    """A run with an analysis beside its results."""
    run = run_folder(folder, body(), config=record())
    text = found if isinstance(found, str) else json.dumps(found)
    files.put(run / FILE_NAME, text.encode())
    return run


def page_of(folder: Path, found: Json | str) -> Page:
    run = analyzed_run(folder / "run", found)
    out, _ = write_report([run], folder / "r.html", figures=folder / "figures")
    return Page(out.read_bytes())


def run_of(folder: Path, found: Json) -> Run:
    (group,) = read_groups(read_entries([analyzed_run(folder / "run", found)])[0])
    return group.runs[0]


def figures_of(folder: Path, *sweeps: Json) -> list[Drawing]:
    return sweep_figures(run_of(folder, analysis(sweeps=list(sweeps))), "a")


def test_sentences_and_numbers_are_those_of_analyze(tmp_path: Path) -> None:
    page = page_of(tmp_path, analysis())
    sentences = verdicts(Analysis.model_validate(analysis()))
    assert len(sentences) > 4
    assert all(sentence in page.text for sentence in sentences)
    assert "Gain of q (0: ignored, 1: the target itself) 0.500 (0.400 to 0.600)" in page.text
    assert "moved to b, from b 0.250 0.200 to 0.300 0.500 0.400 to 0.600 0.600" in page.text
    assert "moved to b, from b, by another q 0.500" in page.text  # whole: rows can be sorted
    assert "twice, from once 0.450 0.400 to 0.500 0.900 0.800 to 1.000 –" in page.text
    assert "there and back" not in page.text  # the law that is undefined
    assert "rotation z views of its object 33.3 30.0 to 36.0 11.1 122.2 0.800" in page.text
    assert "class top1 0.750 0.700 to 0.800 0.250 0.200 to 0.300 0.125" in page.text
    ids = [str(attrs["id"]) for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert {"run-1-laws", "run-1-factors", "run-1-sweeps", "run-1-analysis-figure-1"} <= set(ids)


def test_factors_are_shaded_from_chance_on(tmp_path: Path) -> None:
    found = analyzed(run_of(tmp_path, analysis()))
    assert found is not None
    (line,) = found.factors.lines
    # (.75 − .125) / .875 and (.25 − .125) / .875 of six colours; chance itself has none
    assert [cell.heat for cell in line.cells] == ["h4", "h0", ""]


@pytest.mark.parametrize("theirs", ["9" * 64, None])
def test_of_other_weights_it_is_left_out(tmp_path: Path, theirs: str | None) -> None:
    page = page_of(tmp_path, analysis(encoder__checkpoint_sha256=theirs))
    assert "Analysis" not in page.text
    there = "9" * 12 if theirs else "none"
    said = f"analysis.json was left out: it is of checkpoint {there}, results.json of {'0' * 12}"
    assert page.text.count(said) == 2  # in the verdict, and in the run
    plain = run_folder(tmp_path / "plain", changed(body(), encoder__checkpoint_sha256=None))
    files.put(plain / FILE_NAME, json.dumps(analysis(encoder__checkpoint_sha256=None)).encode())
    out, _ = write_report([plain], tmp_path / "p.html")
    assert "it is of checkpoint none" in Page(out.read_bytes()).text


def test_damaged_it_costs_itself_only(tmp_path: Path) -> None:
    page = page_of(tmp_path, "[[[")
    assert "analysis.json was left out:" in page.text
    assert "sie 1 0.500" in page.text
    assert str(tmp_path) not in page.source


def test_without_one_there_is_no_section(tmp_path: Path) -> None:
    out, _ = write_report([run_folder(tmp_path / "run", body())], tmp_path / "r.html")
    assert "Analysis" not in Page(out.read_bytes()).text


def test_its_text_is_text(tmp_path: Path) -> None:
    nameless = analysis(encoder__name=HOSTILE, predictor=None, notes=[HOSTILE] * 50)
    score = nameless["factors"]["inv"]["class"]
    nameless["numbers"]["view_cosine_error"] = {**number(None), "note": HOSTILE}
    nameless["factors"]["inv"]["class"] = {**score, "score": {**number(None), "note": HOSTILE}}
    page = page_of(tmp_path, nameless)
    assert len(page.all("script")) == 1
    assert "has no predictor: nothing moves its embeddings" in page.text
    assert 5 < page.text.count("alert(1)") < 20  # notes are bounded
    assert "49" not in re.findall(r"\}\s*(\d+)", page.text)
    assert "marie" not in page.source


def test_extreme_numbers_break_nothing(tmp_path: Path) -> None:
    huge = number(1e308, -1e308, 1e308)
    steps = [(float(i % 360), float(i % 180), 1.0) for i in range(5000)]
    made = analysis(sweeps=[sweep(*steps), sweep((0.0, 0.0, 1.0), name="rotation_x")])
    made["numbers"] = dict.fromkeys(made["numbers"], huge)
    score = {**made["factors"]["inv"]["class"], "score": huge, "chance": number(-1e308)}
    made["factors"] = {f"p{i}": {f"f{j}": score for j in range(300)} for i in range(30)}
    page = page_of(tmp_path, made)
    assert len(page.source) < 400_000
    assert "nan" not in " ".join(str(a) for _, a in page.tags).lower()


def test_a_mark_for_each_step_that_has_a_direction(tmp_path: Path) -> None:
    (sheet,) = figures_of(tmp_path, *analysis()["sweeps"])
    marks = [s for s in sheet.shapes if isinstance(s, Mark)][1:]  # the first is the legend's
    assert [mark.hollow for mark in marks] == [False, True, False]
    assert [row[2] for row in sheet.rows] == ["170", "-100", "–", "80"]
    assert sheet.rows[1] == ("rotation z", "-90", "-100", "0.20", "15.0")
    xs, ys = zip(*(mark.at for mark in marks), strict=True)
    assert xs[1] - xs[0] == pytest.approx((xs[2] - xs[1]) / 2)  # −180, −90, 90
    assert ys[0] < ys[2] < ys[1]  # 170, 80, −100 from the top


def test_the_line_is_broken_where_it_goes_round(tmp_path: Path) -> None:
    steps = [(-180.0, 100.0, 1.0), (-90.0, 175.0, 1.0), (0.0, -175.0, 1.0), (90.0, -90.0, 1.0)]
    (sheet,) = figures_of(tmp_path, sweep(*steps))
    lines = [s for s in sheet.shapes if isinstance(s, Line) and s.ink == "s0"]
    assert [len(line.points) for line in lines] == [2, 2]


def test_hues_have_a_figure_of_their_own(tmp_path: Path) -> None:
    steps = [(0.0, 10.0, 1.0), (180.0, 170.0, 1.0)]
    hue, val = sweep(*steps, name="floor_hue"), sweep(*steps, among="val")
    sheets = figures_of(tmp_path, sweep(*steps), hue, val, sweep(*steps, name="surprise"))
    assert [sheet.name for sheet in sheets] == ["a-turns", "a-hues"]
    assert [len(sheet.rows) for sheet in sheets] == [2, 2]  # only among the object's own views


def test_a_leaner_page_keeps_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_page = page_of(tmp_path, analysis())
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"run-1-sie-s0-turns.svg", "run-1-sie-s0-turns.png"} <= names
    monkeypatch.setattr(write, "TARGET_BYTES", 1)
    lean = page_of(tmp_path, analysis())
    drawn = [page.source.count('<figure id="run-1-analysis') for page in (whole_page, lean)]
    assert drawn == [1, 0]
    assert "It uses the q it is given" in lean.text
    assert "Figures are left out to keep the page small" in lean.text
