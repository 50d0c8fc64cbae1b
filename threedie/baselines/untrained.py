"""Untrained: the backbone as it was initialised (or pretrained elsewhere). The floor of a table.

Shape suffixes: N = objects in the batch, D = representation, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from threedie.baselines.method import Method, Terms


@dataclass(frozen=True, kw_only=True, slots=True)
class UntrainedConfig:
    """Nothing to set."""


class Untrained(Method):
    """No heads and no loss: the trainer skips the training."""

    Config = UntrainedConfig
    trains = False

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """No heads, no projections."""
        return {}

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """Zero, without a gradient."""
        return {"loss": torch.zeros(())}
