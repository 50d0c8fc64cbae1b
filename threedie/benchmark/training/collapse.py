"""Is the representation collapsing? Three indicators from one batch, without labels.

Shape suffixes: N = rows (both views of a batch), D = representation.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def indicators(r_ND: Tensor) -> dict[str, float]:
    """repr_std, repr_corr and repr_rank of a batch's representations.

    - repr_std: standard deviation over rows, mean over D, as a share of the rows' root mean square:
      0 when all rows are one.
    - repr_corr: mean absolute correlation between two different columns (columns that never change
      left out): 1 when all columns say the same.
    - repr_rank: exp of the entropy of the normalised singular values of the centred rows (Roy and
      Vetterli 2007): between 1 and min(N − 1, D); 0 when all rows are one.
    """
    rows_ND = r_ND.detach().float()
    centred_ND = rows_ND - rows_ND.mean(dim=0)
    std_D = centred_ND.square().mean(dim=0).sqrt()
    size = rows_ND.square().mean().sqrt().clamp_min(1e-30)
    singular = torch.linalg.svdvals(centred_ND)
    found = torch.stack(
        [(std_D.mean() / size), _correlation(centred_ND, std_D), _effective_rank(singular)]
    )
    return dict(zip(("repr_std", "repr_corr", "repr_rank"), found.tolist(), strict=True))


def _correlation(centred_ND: Tensor, std_D: Tensor) -> Tensor:
    alive = std_D > 1e-6 * std_D.max().clamp_min(1e-30)
    unit_ND = centred_ND[:, alive] / std_D[alive]
    n, d = unit_ND.shape
    if d < 2:
        return torch.ones((), device=centred_ND.device) * float(d == 1)
    correlation_DD = (unit_ND.T @ unit_ND / n).abs()
    return (correlation_DD.sum() - correlation_DD.diagonal().sum()) / (d * (d - 1))


def _effective_rank(singular: Tensor) -> Tensor:
    total = singular.sum()
    if total <= 1e-12:
        return torch.zeros_like(total)
    share = (singular / total).clamp_min(1e-30)
    return torch.exp(-(share * share.log()).sum())
