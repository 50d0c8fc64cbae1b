"""Predictors: what moves an embedding e by the latents z, so that it meets the other view's.

A hypernetwork writes the weights of a small network from z; an MLP is given z beside e.

Shape suffixes: N = objects in the batch, E = embedding, G = latent numbers, C = codes (what the
hypernetwork's last layer multiplies), I and O = inputs and outputs of a layer, P = I·O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.baselines.checks import check_choice, check_flags, check_widths, require
from threedie.baselines.method import LatentGroup

PredictorKind = Literal["linear", "deep", "mlp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictorSettings:
    """Settings of methods that have a predictor; the defaults are SIE's."""

    latents: LatentGroup = "rotation"
    """What moves an embedding: the relative quaternion xyzw, the two hue differences, or both."""
    predictor: PredictorKind = "linear"
    """linear: a hypernetwork of one layer; deep: of three; mlp: no hypernetwork, z beside e."""
    predictor_hidden: tuple[int, ...] = ()
    """Widths of the predictor's hidden layers. The paper's predictor is a single matrix."""
    predictor_relu: bool = False
    """ReLU between a hypernetwork's predictor layers (an mlp always has it)."""
    predictor_bias: bool = False
    """Whether a hypernetwork also writes biases (an mlp always has them)."""
    hypernetwork_bias: bool = False
    """Biases in the hypernetwork itself: then z = 0 moves an embedding too."""

    def __post_init__(self) -> None:
        """Check choices and widths."""
        check_choice(self, "latents", LatentGroup)
        check_choice(self, "predictor", PredictorKind)
        check_widths(self, "predictor_hidden", may_be_empty=True)
        flags = ("predictor_relu", "predictor_bias", "hypernetwork_bias")
        check_flags(self, *flags)
        for flag in flags if self.predictor == "mlp" else ():
            require(not getattr(self, flag), flag, True, "left out for predictor='mlp'")


def build_predictor(settings: PredictorSettings, embedding: int, latents: int) -> nn.Module:
    """A module (e_NE, z_NG) to (N, E)."""
    if settings.predictor == "mlp":
        return MLPPredictor(embedding, latents, settings.predictor_hidden)
    return HyperPredictor(
        [embedding, *settings.predictor_hidden, embedding],
        Hypernetwork(
            latents,
            _outputs([embedding, *settings.predictor_hidden, embedding], settings.predictor_bias),
            deep=settings.predictor == "deep",
            bias=settings.hypernetwork_bias,
        ),
        relu=settings.predictor_relu,
        bias=settings.predictor_bias,
    )


def _outputs(widths: Sequence[int], bias: bool) -> int:
    return sum(i * o + (o if bias else 0) for i, o in pairwise(widths))


class Hypernetwork(nn.Module):
    """(N, G) to all numbers of a predictor, (N, outputs): one linear layer, or G-G-G-outputs."""

    def __init__(self, latents: int, outputs: int, *, deep: bool, bias: bool) -> None:
        super().__init__()
        self.bias = bias
        hidden: list[nn.Module] = []
        for _ in range(2 if deep else 0):
            hidden += [nn.Linear(latents, latents, bias=bias), nn.ReLU()]
        self.net = nn.Sequential(*hidden, nn.Linear(latents, outputs, bias=bias))

    def forward(self, z_NG: Tensor) -> Tensor:
        """All numbers, one row for each object: N × outputs. `factors` says the same in less."""
        numbers: Tensor = self.net(z_NG)
        return numbers

    def factors(self, z_NG: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, C) and basis (outputs, C), whose product codes @ basis.T is `forward`."""
        codes_NC = z_NG
        for layer in list(self.net)[:-1]:
            codes_NC = layer(codes_NC)
        last = cast(nn.Linear, self.net[-1])
        if not self.bias:
            return codes_NC, last.weight
        one_N1 = torch.ones_like(codes_NC[:, :1])
        return torch.cat([codes_NC, one_N1], 1), torch.cat([last.weight, last.bias[:, None]], 1)


class HyperPredictor(nn.Module):
    """Layers whose weights a hypernetwork writes for each object."""

    def __init__(
        self, widths: Sequence[int], hypernet: Hypernetwork, *, relu: bool, bias: bool
    ) -> None:
        super().__init__()
        self.hypernet = hypernet
        self.shapes = list(pairwise(widths))
        self.relu = relu
        self.bias = bias

    def forward(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        """Moved embeddings (N, E)."""
        codes_NC, basis_PC = self.hypernet.factors(z_NG)
        moved, start = e_NE, 0
        for index, (wide, narrow) in enumerate(self.shapes):
            if index and self.relu:
                moved = F.relu(moved)
            end = start + wide * narrow
            moved, start = written_linear(moved, codes_NC, basis_PC[start:end]), end
            if self.bias:
                moved, start = moved + codes_NC @ basis_PC[end : end + narrow].T, end + narrow
        return moved


def written_linear(x_NI: Tensor, codes_NC: Tensor, basis_PC: Tensor) -> Tensor:
    """y[n] = W[n] x[n] for W[n] = (basis_PC @ codes[n]).view(O, I), without making any W[n].

    The product is Σ_c codes[n, c] · (M_c x[n]), so one matrix product of codes ⊗ x with the C
    matrices M_c side by side is enough. Memory N·C·I instead of N·O·I: 16 MB instead of 4 GB for
    the paper's N = E = 1024 with C = 4 in float32, and backwards too.

    Returns:
        (N, O)
    """
    inputs, codes = x_NI.shape[1], codes_NC.shape[1]
    mixed = (codes_NC[:, :, None] * x_NI[:, None, :]).flatten(1)  # (N, C·I)
    matrices = basis_PC.view(-1, inputs, codes).transpose(1, 2).flatten(1)  # (O, C·I)
    return F.linear(mixed, matrices)


class MLPPredictor(nn.Module):
    """z beside e through linear layers with ReLU between them; z comes first."""

    def __init__(self, embedding: int, latents: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide, narrow in pairwise([latents + embedding, *hidden, embedding]):
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        self.pred = nn.Sequential(*layers[:-1])

    def forward(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        """Moved embeddings (N, E)."""
        moved: Tensor = self.pred(torch.cat([z_NG, e_NE], dim=1))
        return moved
