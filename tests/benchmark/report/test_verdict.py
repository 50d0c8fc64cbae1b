"""Claims proved here, on verdicts: each rule fires on its case, and on nothing that is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.report.cases import (
    FLAT,
    TRAIN,
    Json,
    body,
    changed,
    losses,
    number,
    record,
    run_folder,
)
from threedie.benchmark.grouping import read_entries
from threedie.benchmark.report.runs import read_groups
from threedie.benchmark.report.verdict import Verdict, is_falling, judge


def verdict_of(folder: Path, *wholes: Json, **beside: Any) -> Verdict:
    """Of one method; three seeds where one result is given."""
    if len(wholes) == 1:
        wholes = tuple(
            changed(
                wholes[0],
                encoder__config={"seed": s, "step": 100},
                encoder__checkpoint_sha256=f"{s:064x}",
            )
            for s in range(3)
        )
    beside = {"config": record(), **beside}
    runs = [run_folder(folder / str(i), whole, **beside) for i, whole in enumerate(wholes)]
    (group,) = read_groups(read_entries(runs)[0])
    (method,) = group.methods
    return judge(method)


def said(verdict: Verdict) -> str:
    return "; ".join(f"{f.level}: {f.text}" for f in verdict.findings)


def test_a_sound_method_has_no_findings(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, body())
    assert (verdict.level, verdict.findings) == ("good", ())
    assert "top-1 0.500 ± 0.000 (chance 0.125), rotation R² 0.400" in verdict.text


def low(metric: str, chance: float) -> Json:
    """The metric's interval reaches chance from above."""
    value = number(chance + 0.01, chance - 0.01, chance + 0.03)
    return changed(body(), **{f"metrics__all__{metric}": value})


@pytest.mark.parametrize(
    ("whole", "level", "text"),
    [
        (low("top1", 0.125), "bad", "bad: top-1 is not above chance in 3 of 3 runs"),
        (low("rotation_r2_global", 0.223), "warn", "warn: rotation R² is not above chance"),
        (low("mrr_val", 0.293), "warn", "warn: MRR is not above chance"),
        (low("equivariance_gain", 0.0), "warn", "no better than doing nothing"),
        (
            changed(body(), metrics__all__equivariance_gain=number(-0.3)),
            "warn",
            "no better than doing nothing",
        ),
        (changed(body(), metrics__all__effective_rank=number(1.2)), "bad", "is collapsed"),
        (changed(body(), metrics__all__effective_rank=number(None)), "bad", "is collapsed"),
        (changed(body(), protocol__changed=["rotation"]), "warn", "not 3die-v1: changed rotation"),
        (
            changed(body(), dataset__splits={"train": {"objects": 1, "hash": "77" * 32}}),
            "warn",
            "trained on other pictures",
        ),
        (changed(body(), notes=["a note"]), "good", "note: a note"),
    ],
)
def test_each_rule(tmp_path: Path, whole: Json, level: str, text: str) -> None:
    verdict = verdict_of(tmp_path, whole)
    assert verdict.level == level
    assert text in said(verdict)
    assert len(verdict.findings) == 1


def test_few_seeds_and_one_checkpoint_twice(tmp_path: Path) -> None:
    two = verdict_of(tmp_path / "a", body(seed=0), body(seed=1))
    assert said(two) == "warn: 2 seeds: a ranking needs 3"
    twice = verdict_of(tmp_path / "b", *[body(seed=s) for s in (0, 1, 2, 2)])
    assert said(twice) == "bad: one checkpoint is counted more than once"


def test_a_run_that_is_not_finished(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, body(), config={**record(), "steps": 101})
    assert said(verdict) == "warn: training is not finished in 3 of 3 runs"
    assert record()["data_hash"] == TRAIN


def test_collapse_is_seen_in_the_log(tmp_path: Path) -> None:
    log = [*FLAT[:-1], {**FLAT[-1], "repr_std": 1e-5}]
    assert "is collapsed" in said(verdict_of(tmp_path, body(), log=log))


def test_a_loss_that_still_falls() -> None:
    assert is_falling(losses(*[20.0 - i for i in range(20)]))
    assert not is_falling(FLAT)
    assert not is_falling(losses(*[9.0, 5.0, 3.0], *[2.0] * 20))
    assert not is_falling(losses(*[1.0 + 0.1 * i for i in range(20)]))  # it rises
    assert not is_falling(losses(*[5.0 - i for i in range(5)]))  # too short to tell
    noisy = losses(*[10.0, 8, 6, 5, 4, *[3.0, 2.0] * 8])
    assert not is_falling(noisy)
    assert is_falling(losses(*[-1.0 * i for i in range(20)]))  # below zero too
