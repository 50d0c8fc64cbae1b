"""SimCLR: find the other view of an object among all views of the batch.

Chen, Kornblith, Norouzi, Hinton. A simple framework for contrastive learning of visual
representations. ICML 2020. https://arxiv.org/abs/2002.05709

Projector and temperature are those of the SIE paper: three layers of 2048 with BatchNorm, 0.1.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from threedie.baselines.checks import check_temperature, check_widths
from threedie.baselines.losses import nt_xent
from threedie.baselines.method import Method, Terms
from threedie.baselines.networks import projector


@dataclass(frozen=True, kw_only=True, slots=True)
class SimCLRConfig:
    """Defaults of the SIE paper."""

    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of the projector."""
    temperature: float = 0.1
    """Divides the cosines; smaller looks harder at the nearest negatives."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_widths(self, "projector")
        check_temperature(self)


class SimCLR(Method):
    """Normalised temperature-scaled cross-entropy between two views."""

    Config = SimCLRConfig
    config: SimCLRConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: SimCLRConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector = projector(dim, config.projector)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both views through the projector."""
        return {"x": self.projector(x_ND), "y": self.projector(y_ND)}

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """Equation 1, mean over all 2N views."""
        contrast = nt_xent(projections["x"], projections["y"], temperature=self.config.temperature)
        return {"loss": contrast, "invariance": contrast}
