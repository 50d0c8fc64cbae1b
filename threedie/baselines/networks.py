"""Heads: the projector that losses see, and the regressor that reads latents from two views.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from threedie.errors import ConfigError


def projector(dim: int, widths: Sequence[int]) -> nn.Sequential:
    """(N, D) to (N, E): Linear, BatchNorm, ReLU for each width but the last, then a bare Linear.

    VICReg's expander, as SIE uses it: the last layer has neither bias nor BatchNorm. State-dict
    names are the official ones: 0, 1, 3, 4, 6 for three widths.
    """
    layers: list[nn.Module] = []
    for wide, narrow in pairwise([dim, *widths[:-1]]):
        layers += [nn.Linear(wide, narrow), nn.BatchNorm1d(narrow), nn.ReLU(inplace=True)]
    last = [dim, *widths][-2]
    return nn.Sequential(*layers, nn.Linear(last, widths[-1], bias=False))


def regressor(dim: int, out: int) -> nn.Sequential:
    """(N, 2D) of two views to (N, out): two hidden layers of 2D with ReLU (SIE's AugSelf head)."""
    return nn.Sequential(
        nn.Linear(2 * dim, 2 * dim),
        nn.ReLU(),
        nn.Linear(2 * dim, 2 * dim),
        nn.ReLU(),
        nn.Linear(2 * dim, out),
    )


def split_sizes(dim: int, equi_share: float) -> tuple[int, int]:
    """How many columns of D are invariant (they come first), and how many equivariant.

    Raises:
        ConfigError: one of them would be empty.
    """
    equi = round(dim * equi_share)
    if not 0 < equi < dim:
        raise ConfigError(
            f"equi_share {equi_share} of a representation of {dim} numbers leaves a part empty; "
            f"it must be between {1 / dim:.3g} and {1 - 1 / dim:.3g}."
        )
    return dim - equi, equi


def share_widths(widths: Sequence[int], part: int, dim: int) -> tuple[int, ...]:
    """A projector's widths for `part` of `dim` columns: in proportion, halves to the even one."""
    return tuple(max(1, round(width * (part / dim))) for width in widths)
