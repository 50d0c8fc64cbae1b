"""Claims: every method gives the official code's loss and terms (1e-5) and gradients (1e-4).

The cases are whatever THREEDIE_GOLDEN holds in methods/: widths, batch, predictor and coefficients
are read from each case. Official state dicts load under their own names, with nothing left over.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.baselines.cases import STEMS, TERMS, Case, entry_of, find_cases

GOLDEN = Path(os.environ.get("THREEDIE_GOLDEN") or Path(__file__).parents[1] / "golden")
CASES = find_cases(GOLDEN)


def test_there_are_cases(golden_dir: Path) -> None:
    assert golden_dir == GOLDEN
    assert CASES, f"no .npz in {golden_dir / 'methods'}: nothing would be compared"


def test_a_case_of_an_unknown_method_fails() -> None:
    with pytest.raises(LookupError, match=r"Other_deep\.npz: no method of ours is called 'Other'"):
        entry_of(Path("Other_deep.npz"))


@pytest.mark.skipif("THREEDIE_GOLDEN" in os.environ, reason="other cases may cover fewer methods")
def test_our_cases_cover_every_method() -> None:
    assert {path.stem.split("_")[0] for path in CASES} == set(STEMS)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_loss_terms_and_gradients(path: Path) -> None:
    case = Case(path)
    method = case.method()
    x, y = (case.tensor(name).requires_grad_() for name in "xy")
    terms = method.terms(method(x, y, case.tensor("z"), case.tensor("labels")).projections)
    torch.autograd.backward(terms["loss"])
    assert terms["loss"].item() == pytest.approx(case.number("loss"), rel=1e-5)
    for official, ours in TERMS.items():
        expected = case.number(official) if official in case.arrays else 0.0
        if expected:  # a term that a method lacks is written as 0
            assert terms[ours].item() == pytest.approx(expected, rel=1e-5), official
    for name, leaf in (("grad_x", x), ("grad_y", y)):
        assert leaf.grad is not None
        expected_grad = case.tensor(name)
        scale = float(expected_grad.abs().max())
        torch.testing.assert_close(leaf.grad, expected_grad, rtol=1e-4, atol=1e-4 * scale)
