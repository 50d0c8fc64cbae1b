"""Claims proved here, on the losses' terms.

- Hand-checkable values; slow float64 references written from the papers' equations agree.
- Numbers of the authors' normalisation: a factor of 2, or a division by E − 1, fails.
- Swapping views, permuting the batch and (where it is true) rotating embeddings change nothing.
- Terms of rows split over ranks and gathered equal those of the whole batch.
- Two shapes, and a variance of one row, are refused.

Shape suffixes: N = objects in the batch, E = embedding.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.baselines import references
from threedie.baselines.losses import (
    covariance_penalty,
    invariance,
    nt_xent,
    squared_error_per_row,
    variance_hinge,
)
from threedie.errors import ConfigError


@pytest.fixture
def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(12, 7, generator=generator, dtype=torch.float64)
    return x, x + 0.3 * torch.randn(12, 7, generator=generator, dtype=torch.float64)


def rotation(size: int) -> Tensor:
    """A random orthogonal matrix."""
    generator = torch.Generator().manual_seed(5)
    square = torch.randn(size, size, generator=generator, dtype=torch.float64)
    turned, _ = torch.linalg.qr(square)
    return torch.as_tensor(turned)


def test_invariance_is_a_mean_over_rows_and_columns() -> None:
    a, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    assert invariance(a, b).item() == 2.0  # (0 + 4 + 0 + 4) / 4


def test_variance_of_a_hand() -> None:
    """Columns 0, 2 (variance 2) and 0, 0: hinges 0 and 1 − 0.01, of which the mean is taken."""
    z = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    assert variance_hinge(z).item() == pytest.approx(0.99 / 2)
    small = torch.tensor([[0.0], [0.5]])  # variance 0.125 with N − 1, 0.0625 with N
    assert variance_hinge(small, eps=0.0).item() == pytest.approx(1 - math.sqrt(0.125))


def test_covariance_of_a_hand() -> None:
    """Two columns that are equal, variance 2: (2² + 2²) / E = 4; with rows = 3, a quarter."""
    z = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
    assert covariance_penalty(z).item() == pytest.approx(4.0)
    assert covariance_penalty(z, rows=3).item() == pytest.approx(1.0)


def test_nt_xent_of_a_hand() -> None:
    """Nothing told apart: ln(2N − 1). Two orthogonal objects at temperature 1: known by hand."""
    same = torch.ones(4, 3)
    assert nt_xent(same, same, temperature=0.1).item() == pytest.approx(math.log(7), rel=1e-5)
    a = torch.eye(2)
    expected = -math.log(math.e / (math.e + 2))
    assert nt_xent(a, 5 * a, temperature=1.0).item() == pytest.approx(expected, rel=1e-6)


def test_references_from_the_equations(views: tuple[Tensor, Tensor]) -> None:
    x, y = views
    a, b = x.numpy(), y.numpy()
    assert invariance(x, y).item() == pytest.approx(references.squared(a, b), rel=1e-12)
    assert variance_hinge(x, target_std=1.5).item() == pytest.approx(references.hinge(a, 1.5))
    for rows in (None, 16):
        expected = references.covariance(a, rows)
        assert covariance_penalty(x, rows=rows).item() == pytest.approx(expected, rel=1e-10)
    for temperature in (0.1, 0.5):
        expected = references.contrast(a, b, temperature)
        assert nt_xent(x, y, temperature=temperature).item() == pytest.approx(expected, rel=1e-10)


def test_swapping_views_and_permuting_the_batch(views: tuple[Tensor, Tensor]) -> None:
    x, y = views
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    contrast = nt_xent(x, y, temperature=0.2)
    torch.testing.assert_close(nt_xent(y, x, temperature=0.2), contrast)
    torch.testing.assert_close(nt_xent(x[shuffled], y[shuffled], temperature=0.2), contrast)
    torch.testing.assert_close(invariance(y[shuffled], x[shuffled]), invariance(x, y))
    torch.testing.assert_close(covariance_penalty(x[shuffled]), covariance_penalty(x))
    torch.testing.assert_close(variance_hinge(x[shuffled]), variance_hinge(x))


def test_pairing_matters(views: tuple[Tensor, Tensor]) -> None:
    x, y = views
    assert nt_xent(x, y.roll(1, 0), temperature=0.2) > nt_xent(x, y, temperature=0.2) + 0.1
    assert invariance(x, y.roll(1, 0)) > invariance(x, y) + 0.1


def test_rotations_scales_and_shifts_of_the_embedding(views: tuple[Tensor, Tensor]) -> None:
    x, y = views
    turned = rotation(7)
    torch.testing.assert_close(invariance(x @ turned, y @ turned), invariance(x, y))
    contrast = nt_xent(x, y, temperature=0.2)
    torch.testing.assert_close(nt_xent(3 * x @ turned, y @ turned, temperature=0.2), contrast)
    torch.testing.assert_close(covariance_penalty(2 * x), 16 * covariance_penalty(x))
    torch.testing.assert_close(covariance_penalty(x + 5), covariance_penalty(x))
    torch.testing.assert_close(variance_hinge(x - 3), variance_hinge(x))
    all_of_it = covariance_penalty(x) * 7 + x.var(dim=0).square().sum()
    turned_all = covariance_penalty(x @ turned) * 7 + (x @ turned).var(dim=0).square().sum()
    torch.testing.assert_close(turned_all, all_of_it)  # off-diagonal alone is not invariant


def test_rows_of_losses_average_over_ranks(views: tuple[Tensor, Tensor]) -> None:
    x, y = views
    rows = torch.cat([squared_error_per_row(x[:5], y[:5]), squared_error_per_row(x[5:], y[5:])])
    torch.testing.assert_close(rows.mean(), invariance(x, y))


def test_gradients_are_those_of_finite_differences(views: tuple[Tensor, Tensor]) -> None:
    x, y = (view[:5, :3].clone().requires_grad_() for view in views)
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5), (x, y))
    assert torch.autograd.gradcheck(covariance_penalty, (x,))
    assert torch.autograd.gradcheck(lambda a: variance_hinge(a, target_std=3.0), (x,))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"one shape, found \(2, 3\) and \(2, 4\)"):
        nt_xent(torch.ones(2, 3), torch.ones(2, 4), temperature=0.1)
    with pytest.raises(ConfigError, match=r"found \(1, 3\): use a larger batch"):
        variance_hinge(torch.ones(1, 3))
    with pytest.raises(ConfigError, match="larger batch"):
        covariance_penalty(torch.ones(1, 3))
