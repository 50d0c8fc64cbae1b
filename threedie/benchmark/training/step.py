"""One step's mathematics: uint8 pairs to loss terms, over all ranks.

Shape suffixes: N = this rank's pairs, C = channels, H, W = pixels, G = latent numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from threedie.baselines.method import Method, Terms
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.training.distributed import gather


class Forward(nn.Module):
    """What runs under autocast, DDP and compile: pixels to representations and projections.

    Args:
        method: it shares its parameters.
        mean: of the data set's pixels, true RGB, 0..1.
        std: likewise.
        channels_last: memory format that the encoder is given.
    """

    mean_C11: Tensor
    scale_C11: Tensor

    def __init__(
        self, method: Method, mean: Sequence[float], std: Sequence[float], *, channels_last: bool
    ) -> None:
        super().__init__()
        self.method = method
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        for name, values in (("mean_C11", mean), ("scale_C11", [1 / (s or 1.0) for s in std])):
            values_C = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, values_C.view(3, 1, 1), persistent=False)

    def forward(
        self, x_NCHW: Tensor, y_NCHW: Tensor, z_NG: Tensor, label_N: Tensor
    ) -> dict[str, Any]:
        """Plain dicts of tensors, which DDP and Fabric look into."""
        outputs = self.method(self.normalise(x_NCHW), self.normalise(y_NCHW), z_NG, label_N)
        return {
            "x_ND": outputs.x_ND,
            "y_ND": outputs.y_ND,
            "projections": dict(outputs.projections),
        }

    def normalise(self, pictures_NCHW: Tensor) -> Tensor:
        """uint8 to float32 with mean 0 and standard deviation 1 over the data set."""
        scaled = (pictures_NCHW.float() / 255 - self.mean_C11) * self.scale_C11
        return scaled.contiguous(memory_format=self.memory_format)


def on_device(batch: PairBatch, group: str, device: torch.device) -> tuple[Tensor, ...]:
    """The arguments of `Forward`, without waiting for the copies where memory is pinned."""
    wanted = (batch.x_NCHW, batch.y_NCHW, batch.latents(group), batch.label_N)
    return tuple(tensor.to(device, non_blocking=True) for tensor in wanted)


def terms_of(method: Method, projections: dict[str, Tensor]) -> Terms:
    """The loss and its terms from the projections of all ranks, never in 16 bits."""
    rows = {name: gather(_widened(value)) for name, value in projections.items()}
    return method.terms(rows)


def _widened(value: Tensor) -> Tensor:
    """Of 16 bits to 32; the rest as it is."""
    return value.float() if value.is_floating_point() and value.itemsize < 4 else value
