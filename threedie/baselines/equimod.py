"""EquiMod on SimCLR: one projector is invariant, a second one is moved by a predictor.

Devillers, Lefort. EquiMod: an equivariance module to improve visual instance discrimination.
ICLR 2023. https://arxiv.org/abs/2211.01244

As in the SIE paper: the equivariance term is contrastive too (moved view against the other view),
and the predictor is SIE's hypernetwork. Both projectors see the whole representation. The official
code weighs the rotation's equivariance by 0.45 and that of rotation and colour by 1 (METHODS).

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from threedie.baselines.checks import check_temperature, check_weights, check_widths
from threedie.baselines.losses import nt_xent
from threedie.baselines.method import MovingMethod, Terms
from threedie.baselines.networks import projector
from threedie.baselines.predictors import PredictorSettings, build_predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class EquiModConfig(PredictorSettings):
    """Defaults of the SIE paper."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of each projector."""
    temperature: float = 0.1
    """Divides the cosines, of both terms."""
    equi_factor: float = 0.45
    """Weight of the equivariance against the invariance's 1."""

    def __post_init__(self) -> None:
        """Check ranges."""
        PredictorSettings.__post_init__(self)
        check_widths(self, "projector")
        check_temperature(self)
        check_weights(self, "equi_factor")


class EquiMod(MovingMethod):
    """Contrastive twice."""

    Config = EquiModConfig
    config: EquiModConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: EquiModConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector_inv = projector(dim, config.projector)
        self.projector_equi = projector(dim, config.projector)
        self.predictor = build_predictor(config, config.projector[-1], self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both views invariantly; the first moved by z, and the second."""
        return {
            "inv_x": self.projector_inv(x_ND),
            "inv_y": self.projector_inv(y_ND),
            "moved": self.predict(self.embed(x_ND), z_NG),
            "equi_y": self.embed(y_ND),
        }

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """L_invariance + λ · L_equivariance."""
        p, c = projections, self.config
        inv = nt_xent(p["inv_x"], p["inv_y"], temperature=c.temperature)
        equi = nt_xent(p["moved"], p["equi_y"], temperature=c.temperature)
        return {"loss": inv + c.equi_factor * equi, "invariance": inv, "equivariance": equi}
