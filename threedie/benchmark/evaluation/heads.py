"""Probe heads and how they are trained: small networks on features that stay as they are.

Shape suffixes: B = batch, D = features of a part, I = inputs, O = outputs, K = classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.benchmark.evaluation.features import Gather
from threedie.benchmark.evaluation.protocols import ProbeSettings
from threedie.errors import ConfigError

Loss = Callable[[Tensor, Tensor], Tensor]
OnStep = Callable[[int, int], None]
_ROWS, _TELL_EVERY = 65536, 50


def make_head(
    inputs: int, hidden: tuple[int, ...], outputs: int, *, seed: int, device: torch.device
) -> nn.Sequential:
    """Linear layers with ReLU between them, initialised as torch does: uniform ±1/√inputs.

    Drawn on the CPU, so that every device starts from the same numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    widths, layers = [inputs, *hidden, outputs], list[nn.Module]()
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        layer = nn.Linear(n_in, n_out)
        with torch.no_grad():
            for parameter in (layer.weight, layer.bias):
                parameter.uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in), generator=generator)
        layers += [nn.ReLU(), layer] if i else [layer]
    return nn.Sequential(*layers).to(device)


def make_optimizer(head: nn.Module, settings: ProbeSettings) -> torch.optim.Optimizer:
    """Adam as the official scripts use it, or AdamW that leaves biases undecayed."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adam":
        return torch.optim.Adam(head.parameters(), lr=rate, weight_decay=decay, fused=True)
    weights = [p for p in head.parameters() if p.ndim > 1]
    biases = [p for p in head.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def train_head(
    head: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    steps: int,
    settings: ProbeSettings,
    loss: Loss,
    on_step: OnStep,
) -> None:
    """Train on (input, target) batches; the rate falls to zero along a half cosine.

    Args:
        head: is changed in place.
        batches: `steps` of them.
        steps: length of the cosine.
        settings: of the probe.
        loss: of (output, target).
        on_step: is told (steps done, of how many), now and then.

    Raises:
        ConfigError: the loss is no number any more.
    """
    optimizer = make_optimizer(head, settings)
    value = torch.zeros(())
    for step, (inputs, target) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        value = descend(head, optimizer, inputs, target, loss)
        if step % _TELL_EVERY == 0 or step + 1 == steps:
            on_step(step + 1, steps)
    check_finite(value)


def descend(
    head: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, target: Tensor, loss: Loss
) -> Tensor:
    """One step; returns the loss before it."""
    optimizer.zero_grad(set_to_none=True)
    value = loss(head(inputs), target)
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step()
    return value.detach()


def check_finite(value: Tensor) -> None:
    """Refuse a probe that has diverged.

    Raises:
        ConfigError: its loss is NaN or infinite.
    """
    if not bool(torch.isfinite(value)):
        raise ConfigError(
            "a probe's loss is not a number: the features are too large for it. Features of "
            "ordinary size (standard deviation near 1), or a protocol that standardises, will do."
        )


def fit_logistic(
    features: Gather, class_M: Tensor, n_classes: int, settings: ProbeSettings
) -> nn.Linear:
    """Multinomial logistic regression by L-BFGS over all rows: convex, so without a seed.

    Minimises the mean cross-entropy plus weight_decay / 2 · ‖W‖² (biases free), from zero.

    Args:
        features: M rows.
        class_M: int64, 0 … K − 1, on the device.
        n_classes: K.
        settings: `epochs` is the number of iterations.
    """
    linear = nn.Linear(features.dim, n_classes).to(class_M.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    solver = torch.optim.LBFGS(
        linear.parameters(),
        max_iter=settings.epochs,
        max_eval=2 * settings.epochs,
        history_size=10,
        tolerance_grad=1e-6,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        return _logistic_gradient(linear, features, class_M, settings.weight_decay)

    solver.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    check_finite(linear.weight.sum())
    return linear


@torch.no_grad()
def _logistic_gradient(
    linear: nn.Linear, features: Gather, class_M: Tensor, weight_decay: float
) -> Tensor:
    """The loss; leaves the gradients. By hand: half the time of autograd, in bounded memory."""
    weight, bias, count = linear.weight, linear.bias, len(features)
    weight.grad, bias.grad = weight_decay * weight, torch.zeros_like(bias)
    loss = weight_decay / 2 * weight.square().sum()
    first = 0
    for block_BD in features.blocks(_ROWS):
        class_B = class_M[first : first + len(block_BD)]
        log_BK = F.log_softmax(linear(block_BD), dim=1)
        loss = loss - log_BK.gather(1, class_B[:, None]).sum() / count
        residual_BK = log_BK.exp_()
        residual_BK[torch.arange(len(class_B), device=class_B.device), class_B] -= 1
        weight.grad += residual_BK.T @ block_BD / count
        bias.grad += residual_BK.sum(dim=0) / count
        first += len(block_BD)
    return loss
