"""SIE: one part of the representation is invariant, the other is moved by a predictor.

Garrido, Najman, LeCun. Self-supervised learning of Split Invariant Equivariant representations.
ICML 2023. https://arxiv.org/abs/2302.10283

The losses are VICReg's. Changed here: nothing in the numbers (tests/golden); the linear predictor
never makes its N matrices. `predictor_variance=False` and `invariant_part=False` are the paper's
ablations.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from threedie.baselines.checks import (
    check_flags,
    check_rows,
    check_share,
    check_weights,
    check_widths,
)
from threedie.baselines.losses import covariance_penalty, invariance, variance_hinge
from threedie.baselines.method import MovingMethod, Terms
from threedie.baselines.networks import projector, share_widths, split_sizes
from threedie.baselines.predictors import PredictorSettings, build_predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class SIEConfig(PredictorSettings):
    """Defaults of the paper (rotation; ResNet-18, batch 1024)."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of both projectors together; each part gets its share."""
    equi_share: float = 0.5
    """Share of the representation that is equivariant: its last columns, 256 of 512."""
    sim_coeff: float = 10.0
    """Weight of the invariance, and through `equi_factor` of the equivariance."""
    std_coeff: float = 10.0
    """Weight of the variance, of views and of the prediction."""
    cov_coeff: float = 1.0
    """Weight of the covariance."""
    equi_factor: float = 0.45
    """Equivariance relative to the invariance: it weighs equi_factor · sim_coeff = 4.5."""
    predictor_variance: bool = True
    """Whether the prediction's variance is held up too (without it the predictor may collapse)."""
    invariant_part: bool = True
    """False: all columns are equivariant, weighed by sim_coeff alone, without `equi_factor`."""
    covariance_rows: int | None = None
    """The covariance is divided by this − 1 (official: the batch size). None: the rows there are"""

    def __post_init__(self) -> None:
        """Check ranges."""
        PredictorSettings.__post_init__(self)
        check_widths(self, "projector")
        check_share(self, "equi_share")
        check_weights(self, "sim_coeff", "std_coeff", "cov_coeff", "equi_factor")
        check_flags(self, "predictor_variance", "invariant_part")
        check_rows(self, "covariance_rows")


class SIE(MovingMethod):
    """Split invariant-equivariant."""

    Config = SIEConfig
    config: SIEConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: SIEConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        inv, equi = split_sizes(dim, config.equi_share) if config.invariant_part else (0, dim)
        self.equi_from = inv
        if config.invariant_part:
            self.projector_inv = projector(inv, share_widths(config.projector, inv, dim))
        widths = share_widths(config.projector, equi, dim)
        self.projector_equi = projector(equi, widths)
        self.predictor = build_predictor(config, widths[-1], self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both parts of both views, and the first view's equivariant part moved by z."""
        equi_x, equi_y = self.embed(x_ND), self.embed(y_ND)
        projections = {"equi_x": equi_x, "equi_y": equi_y, "moved": self.predict(equi_x, z_NG)}
        if self.config.invariant_part:
            projections["inv_x"] = self.projector_inv(x_ND[:, : self.equi_from])
            projections["inv_y"] = self.projector_inv(y_ND[:, : self.equi_from])
        return projections

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """VICReg's terms; variance and covariance see both parts side by side."""
        p, c = projections, self.config
        x, y = self._whole(p, "x"), self._whole(p, "y")
        equi = invariance(p["moved"], p["equi_y"])
        std = (variance_hinge(x) + variance_hinge(y)) / 2
        cov = covariance_penalty(x, rows=c.covariance_rows)
        cov = cov + covariance_penalty(y, rows=c.covariance_rows)
        terms = {"equivariance": equi, "variance": std, "covariance": cov}
        loss = c.std_coeff * std + c.cov_coeff * cov
        if c.invariant_part:
            terms["invariance"] = inv = invariance(p["inv_x"], p["inv_y"])
            loss = loss + c.sim_coeff * (inv + c.equi_factor * equi)
        else:
            loss = loss + c.sim_coeff * equi
        if c.predictor_variance:  # halved, as each view's is
            terms["moved_variance"] = variance_hinge(p["moved"]) / 2
            loss = loss + c.std_coeff * terms["moved_variance"]
        return {"loss": loss, **terms}

    def _whole(self, p: Mapping[str, Tensor], view: str) -> Tensor:
        if not self.config.invariant_part:
            return p[f"equi_{view}"]
        return torch.cat([p[f"inv_{view}"], p[f"equi_{view}"]], dim=1)

    def parts(self) -> dict[str, slice]:
        """The invariant columns come first; an all-equivariant representation has one part."""
        if not self.config.invariant_part:
            return {"all": slice(0, self.dim)}
        halves = {"inv": slice(0, self.equi_from), "equi": slice(self.equi_from, self.dim)}
        return {"all": slice(0, self.dim), **halves}
