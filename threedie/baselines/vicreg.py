"""VICReg: two views agree, each number varies, and no two numbers say the same.

Bardes, Ponce, LeCun. VICReg: variance-invariance-covariance regularization for self-supervised
learning. ICLR 2022. https://arxiv.org/abs/2105.04906

Coefficients are those of the SIE paper (10, 10, 1; VICReg's own are 25, 25, 1). With `free_part`
the last numbers of the embedding need not agree: SIE's "VICReg with a partial invariance".

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from threedie.baselines.checks import check_rows, check_share, check_weights, check_widths
from threedie.baselines.losses import covariance_penalty, invariance, variance_hinge
from threedie.baselines.method import Method, Terms
from threedie.baselines.networks import projector


@dataclass(frozen=True, kw_only=True, slots=True)
class VICRegConfig:
    """Defaults of the SIE paper."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of the projector."""
    sim_coeff: float = 10.0
    """Weight of the invariance."""
    std_coeff: float = 10.0
    """Weight of the variance."""
    cov_coeff: float = 1.0
    """Weight of the covariance."""
    free_part: float = 0.0
    """Share of the embedding (its last numbers) without an invariance; 0 is VICReg."""
    covariance_rows: int | None = None
    """The covariance is divided by this − 1 (official: the batch size). None: the rows there are"""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_widths(self, "projector")
        check_weights(self, "sim_coeff", "std_coeff", "cov_coeff")
        check_share(self, "free_part", may_be_zero=True)
        check_rows(self, "covariance_rows")


class VICReg(Method):
    """Variance, invariance, covariance."""

    Config = VICRegConfig
    config: VICRegConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: VICRegConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector = projector(dim, config.projector)
        embedding = config.projector[-1]
        self.bound = max(1, embedding - round(embedding * config.free_part))

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both views through the projector."""
        return {"x": self.projector(x_ND), "y": self.projector(y_ND)}

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """The mean of both views' hinges, the sum of their covariances."""
        x, y, c = projections["x"], projections["y"], self.config
        rows = c.covariance_rows
        inv = invariance(x[:, : self.bound], y[:, : self.bound])
        std = (variance_hinge(x) + variance_hinge(y)) / 2
        cov = covariance_penalty(x, rows=rows) + covariance_penalty(y, rows=rows)
        loss = c.sim_coeff * inv + c.std_coeff * std + c.cov_coeff * cov
        return {"loss": loss, "invariance": inv, "variance": std, "covariance": cov}
