"""EquiMod on VICReg: one projector is invariant, a second one is moved; each has a whole VICReg.

Devillers, Lefort. EquiMod: an equivariance module to improve visual instance discrimination.
ICLR 2023. https://arxiv.org/abs/2211.01244
The VICReg form is of the SIE paper, https://arxiv.org/abs/2302.10283.

Not SIE: both projectors see the whole representation, variance and covariance are of each
projector alone, and the prediction's variance is not held up.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from threedie.baselines.checks import check_rows, check_weights, check_widths
from threedie.baselines.losses import covariance_penalty, invariance, variance_hinge
from threedie.baselines.method import MovingMethod, Terms
from threedie.baselines.networks import projector
from threedie.baselines.predictors import PredictorSettings, build_predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class EquiModVICRegConfig(PredictorSettings):
    """Defaults of the SIE paper."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of each projector."""
    sim_coeff: float = 10.0
    """Weight of the invariance, and of the equivariance within its VICReg."""
    std_coeff: float = 10.0
    """Weight of the variance."""
    cov_coeff: float = 1.0
    """Weight of the covariance."""
    equi_factor: float = 0.45
    """Weight of the whole equivariant VICReg against the invariant one's 1."""
    covariance_rows: int | None = None
    """The covariance is divided by this − 1 (official: the batch size). None: the rows there are"""

    def __post_init__(self) -> None:
        """Check ranges."""
        PredictorSettings.__post_init__(self)
        check_widths(self, "projector")
        check_weights(self, "sim_coeff", "std_coeff", "cov_coeff", "equi_factor")
        check_rows(self, "covariance_rows")


class EquiModVICReg(MovingMethod):
    """VICReg twice."""

    Config = EquiModVICRegConfig
    config: EquiModVICRegConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: EquiModVICRegConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector_inv = projector(dim, config.projector)
        self.projector_equi = projector(dim, config.projector)
        self.predictor = build_predictor(config, config.projector[-1], self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both views through both projectors, and the first view's second projection moved by z."""
        equi_x = self.embed(x_ND)
        return {
            "inv_x": self.projector_inv(x_ND),
            "inv_y": self.projector_inv(y_ND),
            "equi_x": equi_x,
            "equi_y": self.embed(y_ND),
            "moved": self.predict(equi_x, z_NG),
        }

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """VICReg(inv_x, inv_y) + λ · VICReg(moved, equi_y), regularising equi_x, not `moved`."""
        p, c = projections, self.config
        inv, equi = invariance(p["inv_x"], p["inv_y"]), invariance(p["moved"], p["equi_y"])
        std_inv, cov_inv = self._spread(p["inv_x"], p["inv_y"])
        std_equi, cov_equi = self._spread(p["equi_x"], p["equi_y"])
        invariant = c.sim_coeff * inv + c.std_coeff * std_inv + c.cov_coeff * cov_inv
        equivariant = c.sim_coeff * equi + c.std_coeff * std_equi + c.cov_coeff * cov_equi
        return {
            "loss": invariant + c.equi_factor * equivariant,
            "invariance": inv,
            "equivariance": equi,
            "variance": std_inv + std_equi,
            "covariance": cov_inv + cov_equi,
        }

    def _spread(self, x_NE: Tensor, y_NE: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.config.covariance_rows
        std = (variance_hinge(x_NE) + variance_hinge(y_NE)) / 2
        return std, covariance_penalty(x_NE, rows=rows) + covariance_penalty(y_NE, rows=rows)
