"""SEN-like: SimCLR between the view moved by a predictor and the other view; nothing invariant.

Park, Biza, Zhao, van de Meent, Walters. Learning symmetric embeddings for equivariant world
models. ICML 2022. https://arxiv.org/abs/2204.11371

As in the SIE paper ("SimCLR, only equivariant"): SEN's contrastive loss is SimCLR's, its group
action a learned hypernetwork.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from threedie.baselines.checks import check_temperature, check_widths
from threedie.baselines.losses import nt_xent
from threedie.baselines.method import MovingMethod, Terms
from threedie.baselines.networks import projector
from threedie.baselines.predictors import PredictorSettings, build_predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class SENConfig(PredictorSettings):
    """Defaults of the SIE paper."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of the projector."""
    temperature: float = 0.1
    """Divides the cosines."""

    def __post_init__(self) -> None:
        """Check ranges."""
        PredictorSettings.__post_init__(self)
        check_widths(self, "projector")
        check_temperature(self)


class SEN(MovingMethod):
    """Contrastive and only equivariant."""

    Config = SENConfig
    config: SENConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: SENConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector_equi = projector(dim, config.projector)
        self.predictor = build_predictor(config, config.projector[-1], self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """The first view moved by z, and the second."""
        return {"moved": self.predict(self.embed(x_ND), z_NG), "equi_y": self.embed(y_ND)}

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """The moved view must find the other one, and the other way round."""
        p = projections
        contrast = nt_xent(p["moved"], p["equi_y"], temperature=self.config.temperature)
        return {"loss": contrast, "equivariance": contrast}
