"""Claims proved here, on the whole of an analysis, pictures included.

- An encoder that sees the pose and a predictor that moves it keep every law; the axes are those of
  the data set; the same seed gives the same bytes, another one does not.
- Factors have the very numbers that an evaluation has, whether they are taken from it or probed;
  results of another checkpoint are not taken; without probes they are null, and say why.
- Without a predictor there are factors only; with one or two views, nulls with the reason.
- More objects than are affordable are bounded, and it is said.
- Sentences say what the numbers say, in both directions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.benchmark.evaluation.fakes import (
    QUIET,
    PosePredictor,
    fake_data,
    labels,
    looked_up,
    poses,
)
from threedie.benchmark.analysis import embedded, laws, sweeps
from threedie.benchmark.analysis.analyze import analyze, settled
from threedie.benchmark.analysis.verdict import factor_lines, law_lines, sweep_lines, verdicts
from threedie.benchmark.evaluation.evaluate import evaluate
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.evaluation.record import About
from threedie.manifests.analysis import Analysis
from threedie.manifests.results import Number

ABOUT = About(name="made", checkpoint_sha256="ab" * 32)
FAST: dict[str, Any] = {**QUIET, "angles": 6, "shown": 3, "probes": False}


def seen(data: dict[str, Any], predictor: Any = None, **changes: Any) -> Analysis:
    encoder = looked_up(data, poses)
    return analyze(encoder, data, predictor=predictor, **{**FAST, **changes})


def test_a_perfect_method() -> None:
    found = seen(fake_data(8, 8), PosePredictor())
    assert found.settings.axes == ("x", "y", "z")
    assert found.predictor is not None
    assert (found.predictor.width, found.predictor.affine) == (4, True)
    numbers = found.numbers
    for law in ("prediction", "identity", "inverse", "composition"):
        assert numbers[f"{law}_cosine_error"].value == pytest.approx(0, abs=1e-9)
    assert {(s.name, s.among) for s in found.sweeps} == {
        (f"rotation_{axis}", among) for axis in "xyz" for among in ("object", "val")
    }
    for spectrum in found.spectra:
        assert spectrum.orthogonality_error == pytest.approx(0, abs=1e-6)
    assert len(found.shown) == 3
    assert found.to_bytes() == seen(fake_data(8, 8), PosePredictor()).to_bytes()
    assert found.to_bytes() != seen(fake_data(8, 8), PosePredictor(), seed=1).to_bytes()
    assert Analysis.model_validate_json(found.to_bytes()) == found


def test_last_digits_are_left_out() -> None:
    """What differs from run to run by rounding is the same file; what differs by more is not."""
    found = seen(fake_data(8, 8), PosePredictor())
    number = Number(value=1 / 3, low=1e-17, high=0.5, n=8)
    other = Number(value=1 / 3 + 1e-15, low=-2e-16, high=0.5, n=8)
    more = Number(value=1 / 3 + 1e-8, low=0.0, high=0.5, n=8)
    a, b, c = (
        settled(found.model_copy(update={"numbers": {"x": n}})) for n in (number, other, more)
    )
    assert a == b
    assert a != c
    assert a.numbers["x"].value == pytest.approx(1 / 3, abs=1e-9)


def test_the_size_of_blocks_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seen(fake_data(8, 8), PosePredictor())
    monkeypatch.setattr(embedded, "_ROWS", 5)
    monkeypatch.setattr(laws, "_ROWS", 7)
    monkeypatch.setattr(sweeps, "_QUERIES", 3)
    cut = seen(fake_data(8, 8), PosePredictor())
    assert cut.sweeps == whole.sweeps
    assert cut.shown == whole.shown
    for name, number in whole.numbers.items():
        assert cut.numbers[name].value == pytest.approx(number.value, abs=1e-8), name


def test_the_axes_of_the_data_set_and_others() -> None:
    data = fake_data(8, 8, law="yaw")
    found = seen(data, PosePredictor())
    assert found.settings.axes == ("z",)
    assert not found.notes
    asked = seen(data, PosePredictor(), axes=("x", "z"))
    assert asked.settings.axes == ("x", "z")
    assert any("never turns about x" in note for note in asked.notes)


@pytest.fixture(scope="module")
def quick() -> Any:
    """`3die-v1` with a few steps of each probe, under its own name."""
    own = PROTOCOLS["3die-v1"]
    assert own.scene is not None
    few: dict[str, Any] = {"min_steps": 0, "epochs": 150}
    return replace(
        own, rotation=replace(own.rotation, **few), scene=replace(own.scene, **few), resamples=50
    )


def test_factors_are_those_of_an_evaluation(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "3die-v1", quick)
    data = fake_data(24, 12, views=5, classes=6)
    encoder = looked_up(data, lambda s: np.concatenate([poses(s), labels(s)], axis=2))
    parts = {"all": slice(0, 10), "inv": slice(4, 10), "equi": slice(0, 4)}

    known = evaluate(encoder, data, parts=parts, about=ABOUT, **QUIET)
    asked: dict[str, Any] = {**FAST, "probes": True, "parts": parts, "about": ABOUT}
    taken = analyze(encoder, data, known=known, **asked)
    probed = analyze(encoder, data, **asked)
    assert set(taken.factors) == {"all", "inv", "equi"}
    for part, factors in taken.factors.items():
        for factor, score in factors.items():
            assert probed.factors[part][factor].score == score.score, (part, factor)
            listed = not factor.startswith("rotation_")
            assert score.source == ("results.json" if listed else "probe")
            assert probed.factors[part][factor].source == "probe"
    for factor, metric in {
        "class": "top1",
        "rotation": "rotation_r2_uniform",
        "floor_hue": "floor_hue_r2_uniform",
        "light_hue": "light_hue_r2_uniform",
        "light_direction": "light_direction_r2_uniform",
    }.items():
        assert taken.factors["inv"][factor].score == known.metrics["inv"][metric]
        assert taken.factors["inv"][factor].metric == metric
    assert taken.factors["all"]["class"].chance.value == known.chance["top1"].value
    equi = taken.factors["equi"]
    assert all((equi[f"rotation_{axis}"].score.value or 0) > 0.05 for axis in "xyz")
    assert any("class is read better from the invariant part" in s for s in verdicts(taken))
    other = analyze(
        encoder, data, known=known, **{**asked, "about": About(name="x"), "probes": False}
    )
    assert any("another checkpoint" in note for note in other.notes)
    assert other.factors["all"]["class"].score.value is None
    assert other.factors["all"]["class"].source is None


def test_a_method_without_a_predictor() -> None:
    found = seen(fake_data(8, 8))
    assert found.predictor is None
    assert found.numbers
    assert all(number.value is None for number in found.numbers.values())
    assert {number.note for number in found.numbers.values()} == {"this method has no predictor"}
    assert not found.sweeps
    assert not found.spectra
    assert "has no predictor" in verdicts(found)[0]
    assert len(law_lines(found)) == len(sweep_lines(found)) == 1


def test_few_views() -> None:
    one = seen(fake_data(4, 4, views=1), PosePredictor())
    assert one.numbers["identity_cosine_error"].value is None
    assert "one view" in (one.numbers["identity_cosine_error"].note or "")
    two = seen(fake_data(4, 4, views=2), PosePredictor())
    assert two.numbers["identity_cosine_error"].value == pytest.approx(0, abs=1e-9)
    assert "third view" in (two.numbers["composition_cosine_error"].note or "")
    verdicts(one)
    verdicts(two)


def test_more_objects_than_are_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MOST_OBJECTS", 5)
    found = seen(fake_data(8, 20), PosePredictor())
    assert (found.settings.objects, found.settings.of_objects) == (5, 20)
    assert any("5 of 20 val objects" in note for note in found.notes)
    assert found.numbers["identity_cosine_error"].n == 5


class Lazy(PosePredictor):
    """Does nothing."""

    def predict(self, e_NE: Any, z_NG: Any) -> Any:
        return e_NE


class Constant(PosePredictor):
    """Answers one thing."""

    def predict(self, e_NE: Any, z_NG: Any) -> Any:
        return e_NE * 0 + 1


@pytest.mark.parametrize(
    ("predictor", "says", "not_says"),
    [
        (
            PosePredictor(),
            ["It uses the q", "returns” holds", "once” holds", "is” holds", "opposite points"],
            ["no nearer", "does not"],
        ),
        (
            Lazy(),
            ["not seen to use the q", "no nearer than doing nothing", "is” holds", "same place"],
            ["It uses"],
        ),
        (Constant(), ["is not seen to use the q", "is” does not hold"], ["It uses", "variance"]),
    ],
)
def test_sentences_say_what_numbers_say(
    predictor: Any, says: list[str], not_says: list[str]
) -> None:
    sentences = "\n".join(verdicts(seen(fake_data(8, 8), predictor)))
    assert [s for s in says if s not in sentences] == []
    assert [s for s in not_says if s in sentences] == []


def test_tables_have_a_dash_where_there_is_nothing() -> None:
    found = seen(fake_data(8, 8, views=4), Constant())
    assert any(row[0] == "moved to b, from b" for row in law_lines(found))
    assert {len(row) for row in sweep_lines(found)} == {6}
    gone = Number(value=None, n=0, note="gone")
    hollow = found.model_copy(update={"numbers": dict.fromkeys(found.numbers, gone)})
    assert sweep_lines(hollow)[1][2:] == ["–"] * 4
    assert len(factor_lines(found)) == 1
