"""Supervised: the class of each view and the latents between two views are given. An upper bound.

Both heads are those of the evaluation: a linear classifier of each view, and an MLP that reads z
from both views (2D-2D-2D-G, trained by the squared error, as SIE's probes are).

Shape suffixes: N = objects in the batch, D = representation, G = latent numbers, K = classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.baselines.checks import check_choice, check_weights, require
from threedie.baselines.losses import squared_error_per_row
from threedie.baselines.method import LatentGroup, Method, Terms
from threedie.baselines.networks import regressor


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedConfig:
    """Ours: the paper gives no coefficients."""

    latents: LatentGroup = "rotation"
    """What is regressed: the relative quaternion xyzw, the two hue differences, or both."""
    label_weight: float = 1.0
    """Weight of the cross-entropy of the class."""
    latent_weight: float = 1.0
    """Weight of the squared error of z."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_choice(self, "latents", LatentGroup)
        check_weights(self, "label_weight", "latent_weight")


class Supervised(Method):
    """Classification and regression."""

    Config = SupervisedConfig
    config: SupervisedConfig

    def __init__(
        self, backbone: nn.Module, dim: int, config: SupervisedConfig, *, n_classes: int
    ) -> None:
        super().__init__(backbone, dim, config, n_classes=n_classes)
        require(n_classes > 1, "n_classes", n_classes, "2 or more for the supervised method")
        self.classifier = nn.Linear(dim, n_classes)
        self.regressor = regressor(dim, self.latent_size)

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Each row's losses: their mean over the rows of all ranks is the loss."""
        found_NG = self.regressor(torch.cat([x_ND, y_ND], dim=1))
        views = [
            F.cross_entropy(self.classifier(v), label_N, reduction="none") for v in (x_ND, y_ND)
        ]
        return {
            "surprise_N": (views[0] + views[1]) / 2,
            "error_N": squared_error_per_row(found_NG, z_NG),
        }

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """Mean cross-entropy (nats, over both views) and mean squared error of z."""
        surprise, error = projections["surprise_N"].mean(), projections["error_N"].mean()
        loss = self.config.label_weight * surprise + self.config.latent_weight * error
        return {"loss": loss, "classification": surprise, "regression": error}
