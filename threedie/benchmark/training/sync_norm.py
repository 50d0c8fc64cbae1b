"""BatchNorm over all ranks: torch's own on CUDA, and an exact one for CPUs, where torch has none.

Shape suffixes: N = this rank's rows, C = channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from threedie.benchmark.training.distributed import sum_over_ranks
from threedie.errors import ConfigError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def share_statistics(module: nn.Module, *, device: str) -> nn.Module:
    """Replace every BatchNorm by one whose statistics are those of all ranks' rows.

    State-dict names stay. Every rank must hold the same number of rows.

    Raises:
        ConfigError: a BatchNorm of a kind that is not known here.
    """
    for name, child in list(module.named_modules()):
        if isinstance(child, _BatchNorm) and type(child) not in _PLAIN:
            raise ConfigError(
                f"the encoder's {name} is a {type(child).__name__}, which can't be shared by "
                "several ranks; train it in one process, or take another encoder."
            )
    if device == "cuda":
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        converted: nn.Module = convert(module)
        return converted
    return _replaced(module)


def _replaced(module: nn.Module) -> nn.Module:
    if type(module) in _PLAIN:
        return SharedBatchNorm.like(module)  # type: ignore[arg-type]
    for name, child in module.named_children():
        if (new := _replaced(child)) is not child:
            setattr(module, name, new)
    return module


class SharedBatchNorm(_BatchNorm):
    """BatchNorm with the mean and the variance of all ranks' rows, in two exact passes.

    In eval mode, and in a single process, it is the plain one. Mean and variance are never
    in 16 bits; the running variance is the unbiased one, as torch keeps it.
    """

    @classmethod
    def like(cls, norm: _BatchNorm) -> SharedBatchNorm:
        """One with the parameters and buffers of another (the same tensors)."""
        shared = cls(norm.num_features, norm.eps, norm.momentum, affine=False)
        shared.affine, shared.track_running_stats = norm.affine, norm.track_running_stats
        shared.weight, shared.bias = norm.weight, norm.bias
        shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
        shared.num_batches_tracked = norm.num_batches_tracked
        return shared.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"BatchNorm needs (N, C, …), found {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, …) normalised per channel."""
        self._check_input_dim(input)
        if not self.training and self.running_mean is not None:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        x = input.float() if input.itemsize < 4 else input
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.numel() // x.shape[1] * _world()
        mean_C = sum_over_ranks(x.sum(axes)) / count
        centred = x - mean_C.view(shape)
        var_C = sum_over_ranks(centred.square().sum(axes)) / count
        self._track(mean_C.detach(), var_C.detach(), count)
        scale_C = torch.rsqrt(var_C + self.eps)
        out = centred * scale_C.view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)

    def _track(self, mean_C: Tensor, var_C: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or not self.training:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean_C, share)
        self.running_var.lerp_(var_C * count / max(count - 1, 1), share)


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
