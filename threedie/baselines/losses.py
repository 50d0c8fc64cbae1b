"""Terms of the losses: pure functions of projections; no module, no state, no gathering.

Published codes share a name and differ in a factor: against the authors' VICReg, solo-learn's
variance term is 2 times larger, eb_jepa's variance 2 times and its covariance 1/(E − 1). So each
function says its normalisation. Call them in float32, outside autocast: a temperature of 0.1 and a
batch's variance do not survive eight bits of mantissa.

Shape suffixes: N = objects in the batch (of all ranks), E = embedding, B = 2N.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from threedie.errors import ConfigError


def invariance(a_NE: Tensor, b_NE: Tensor) -> Tensor:
    """Squared distance, mean over N *and* E, as VICReg's code; its eq. 5 sums over E.

    Raises:
        ConfigError: two shapes.
    """
    _check_pair(a_NE, b_NE)
    return F.mse_loss(a_NE, b_NE)


def variance_hinge(z_NE: Tensor, *, target_std: float = 1.0, eps: float = 1e-4) -> Tensor:
    """Mean over E of max(0, target_std − sqrt(var + eps)) of one view (VICReg eq. 1 and 2).

    The variance is divided by N − 1. A caller with two views takes the mean of both hinges, as
    VICReg's code does; its eq. 6 adds them, and so do solo-learn and eb_jepa: a weight of theirs is
    2 of ours.

    Raises:
        ConfigError: fewer than 2 rows.
    """
    _check_rows(z_NE)
    std_E = torch.sqrt(z_NE.var(dim=0) + eps)
    return F.relu(target_std - std_E).mean()


def covariance_penalty(z_NE: Tensor, *, rows: int | None = None) -> Tensor:
    """Sum of the squared off-diagonal covariances of one view, divided by E (VICReg eq. 3 and 4).

    Divided by E, not by E·(E − 1); a caller with two views takes their sum.

    Args:
        z_NE: one view.
        rows: the covariance is divided by rows − 1. Default N. The official SIE code divides by
            its `--batch-size` − 1, whatever the last batch holds.

    Raises:
        ConfigError: fewer than 2 rows.
    """
    _check_rows(z_NE)
    centred_NE = z_NE - z_NE.mean(dim=0)
    covariance_EE = centred_NE.T @ centred_NE / ((rows or len(z_NE)) - 1)
    off_diagonal_EE = covariance_EE - torch.diag(covariance_EE.diagonal())
    return off_diagonal_EE.square().sum() / z_NE.shape[1]


def nt_xent(a_NE: Tensor, b_NE: Tensor, *, temperature: float) -> Tensor:
    """SimCLR's normalised temperature-scaled cross-entropy (Chen et al. 2020, eq. 1).

    Each of the 2N rows must find its partner among the other 2N − 1 by cosine / temperature. Mean
    over the 2N rows, in natural units: ln(2N − 1) when nothing is told apart. Not times the
    temperature, as MoCo v3's is (2τ).

    Raises:
        ConfigError: two shapes.
    """
    _check_pair(a_NE, b_NE)
    n = len(a_NE)
    unit_BE = F.normalize(torch.cat([a_NE, b_NE]), dim=1)
    logits_BB = unit_BE @ unit_BE.T / temperature
    itself_BB = torch.eye(2 * n, dtype=torch.bool, device=a_NE.device)
    partner_B = torch.arange(2 * n, device=a_NE.device).roll(n)
    return F.cross_entropy(logits_BB.masked_fill(itself_BB, -torch.inf), partner_B)


def squared_error_per_row(a_NE: Tensor, b_NE: Tensor) -> Tensor:
    """(N,): squared distance, mean over E. Its mean over all ranks' rows is `invariance`."""
    _check_pair(a_NE, b_NE)
    return (a_NE - b_NE).square().mean(dim=1)


def _check_pair(a_NE: Tensor, b_NE: Tensor) -> None:
    if a_NE.shape != b_NE.shape or a_NE.ndim != 2:
        raise ConfigError(
            f"a loss needs two (N, E) tensors of one shape, found {tuple(a_NE.shape)} and "
            f"{tuple(b_NE.shape)}."
        )


def _check_rows(z_NE: Tensor) -> None:
    if z_NE.ndim != 2 or len(z_NE) < 2:
        raise ConfigError(
            f"a variance needs (N, E) with 2 rows or more, found {tuple(z_NE.shape)}: "
            "use a larger batch."
        )
