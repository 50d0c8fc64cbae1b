"""AugSelf: SimCLR whose representation must also tell how one view became the other.

Lee, Lee, Lee, Lee, Shin. Improving transferability of representations via augmentation-aware
self-supervision. NeurIPS 2021. https://arxiv.org/abs/2111.09613

Of the official SIE code, not of the AugSelf paper: the head reads both views' representations,
three layers 2D-2D-2D-G, and is trained by the squared error of z, quaternion and hues alike.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from threedie.baselines.checks import (
    check_choice,
    check_temperature,
    check_weights,
    check_widths,
)
from threedie.baselines.losses import nt_xent, squared_error_per_row
from threedie.baselines.method import LatentGroup, Method, Terms
from threedie.baselines.networks import projector, regressor


@dataclass(frozen=True, kw_only=True, slots=True)
class AugSelfConfig:
    """Defaults of the SIE paper."""

    latents: LatentGroup = "rotation"
    """What the head must find: the relative quaternion xyzw, the two hue differences, or both."""
    projector: tuple[int, ...] = (2048, 2048, 2048)
    """Widths of the projector."""
    temperature: float = 0.1
    """Divides the cosines."""
    ec_weight: float = 1.0
    """Weight of the squared error of z."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_choice(self, "latents", LatentGroup)
        check_widths(self, "projector")
        check_temperature(self)
        check_weights(self, "ec_weight")


class AugSelf(Method):
    """Contrastive, with an auxiliary regression of the latents."""

    Config = AugSelfConfig
    config: AugSelfConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: AugSelfConfig, *, n_classes: int = 0
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        self.projector = projector(dim, config.projector)
        self.predictor = regressor(dim, self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Both views projected, and each row's error of z (a mean of rows is the same anywhere)."""
        found_NG = self.predictor(torch.cat([x_ND, y_ND], dim=1))
        return {
            "x": self.projector(x_ND),
            "y": self.projector(y_ND),
            "error_N": squared_error_per_row(found_NG, z_NG),
        }

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """L_SimCLR + λ · L_AugSelf."""
        p, c = projections, self.config
        contrast = nt_xent(p["x"], p["y"], temperature=c.temperature)
        error = p["error_N"].mean()
        loss = contrast + c.ec_weight * error
        return {"loss": loss, "invariance": contrast, "equivariance": error}
