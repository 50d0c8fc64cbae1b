"""What every method is: a backbone with heads, and a loss that is a pure function of projections.

The step is split where ranks meet. `forward` runs on each rank's own rows and holds all parameters;
the trainer gathers its projections; `terms` is pure mathematics on the rows of all ranks.

Shape suffixes: N = objects in the batch, D = representation, E = embedding, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from threedie.manifests.latents import LATENT_GROUPS

Terms = dict[str, Tensor]
LatentGroup = Literal["rotation", "rotation+color", "color"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one step's forward gives."""

    x_ND: Tensor
    """Representation of the first view."""
    y_ND: Tensor
    projections: Mapping[str, Tensor]
    """Whatever `terms` needs, each with N rows, to be gathered over the ranks."""


class Method(nn.Module):
    """One method. Subclasses give `Config`, build their heads, and implement `project` and `terms`.

    Args:
        backbone: pictures (N, 3, H, W) float to representations (N, D).
        dim: D.
        config: an instance of the subclass's Config.
        n_classes: of the data set; only a supervised method uses it.
    """

    Config: ClassVar[type[Any]]
    """Frozen dataclass of the method's own settings, with the paper's defaults."""
    trains: ClassVar[bool] = True
    """False: there is nothing to train; the loss is a zero without a gradient."""

    def __init__(self, backbone: nn.Module, dim: int, config: Any, *, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dim = dim
        self.config = config
        self.n_classes = n_classes

    @property
    def latent_group(self) -> LatentGroup:
        """Which latents make z; methods that use none are given the rotation."""
        group: LatentGroup = getattr(self.config, "latents", "rotation")
        return group

    @property
    def latent_size(self) -> int:
        """G."""
        return LATENT_GROUPS[self.latent_group]

    def forward(self, x: Tensor, y: Tensor, z_NG: Tensor, label_N: Tensor) -> Outputs:
        """Both views through the backbone (each with its own batch statistics) and the heads."""
        x_ND, y_ND = self.backbone(x), self.backbone(y)
        return Outputs(x_ND, y_ND, self.project(x_ND, y_ND, z_NG, label_N))

    def project(
        self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Tensor]:
        """Run the heads on this rank's rows; every value has N rows."""
        raise NotImplementedError

    def terms(self, projections: Mapping[str, Tensor]) -> Terms:
        """The loss (under "loss", weighted) and its terms (unweighted), from all ranks' rows."""
        raise NotImplementedError

    def represent(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised to (N, D): what is evaluated."""
        representation: Tensor = self.backbone(images)
        return representation

    def parts(self) -> dict[str, slice]:
        """Named columns of D to evaluate: "all", and "inv" and "equi" where the method splits."""
        return {"all": slice(0, self.dim)}

    @property
    def has_predictor(self) -> bool:
        """Whether `embed` and `predict` may be called."""
        return False

    def embed(self, r_ND: Tensor) -> Tensor:
        """(N, E): the projection that the predictor moves; retrieval works on it."""
        raise NotImplementedError

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        """(N, E): embeddings moved by the latents z."""
        raise NotImplementedError


class MovingMethod(Method):
    """A method whose `predictor` moves what `projector_equi` gives."""

    projector_equi: nn.Module
    predictor: nn.Module
    equi_from: int = 0
    """The first column of D that `projector_equi` sees."""

    @property
    def has_predictor(self) -> bool:
        """True."""
        return True

    def embed(self, r_ND: Tensor) -> Tensor:
        """(N, E): the equivariant columns, projected."""
        embedding: Tensor = self.projector_equi(r_ND[:, self.equi_from :])
        return embedding

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        """(N, E): moved by z."""
        moved: Tensor = self.predictor(e_NE, z_NG)
        return moved


def frozen(method: Method) -> Method:
    """The method in eval mode, without gradients."""
    for parameter in method.parameters():
        parameter.requires_grad_(False)
    torch.nn.Module.eval(method)
    return method
