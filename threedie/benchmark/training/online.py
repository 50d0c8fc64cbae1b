"""Online probes: a linear classifier and a rotation regressor that watch, and change nothing.

They see detached representations, have their own optimiser in float32 and draw their weights from
a generator of their own, so a run with them is the same run bit for bit. Their numbers are of
training pictures while the encoder changes: a guide, no result.

Shape suffixes: N = this rank's pairs, B = 2N, D = representation, G = latent numbers, K = classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.benchmark.training.distributed import several_ranks

_HIDDEN = 256


class OnlineProbes(nn.Module):
    """A linear head on each view for the class, an MLP on two views for the latents z.

    Args:
        dim: D.
        latent_size: G.
        n_classes: K.
        seed: of the initial weights.
        lr: of their Adam.
    """

    def __init__(
        self, dim: int, latent_size: int, n_classes: int, *, seed: int, lr: float = 1e-3
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = nn.Linear(dim, n_classes)
            self.regressor = nn.Sequential(
                nn.Linear(2 * dim, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, latent_size)
            )
        self.lr = lr
        self.optimizer: torch.optim.Optimizer | None = None
        self._sums: list[Tensor] = []

    def start(self, device: torch.device) -> None:
        """Move to the device; the optimiser is made for the parameters there."""
        self.to(device)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=self.lr, fused=True)

    def step(self, x_ND: Tensor, y_ND: Tensor, z_NG: Tensor, label_N: Tensor) -> None:
        """Learn from a batch, and remember how well it was foretold."""
        if self.optimizer is None:
            raise RuntimeError("start() comes before step()")
        x_ND, y_ND = x_ND.detach().float(), y_ND.detach().float()
        logits_BK = self.classifier(torch.cat([x_ND, y_ND]))
        label_B = torch.cat([label_N, label_N])
        guess_NG = self.regressor(torch.cat([x_ND, y_ND], dim=1))
        loss = F.cross_entropy(logits_BK, label_B) + F.mse_loss(guess_NG, z_NG)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._share_gradients()
        self.optimizer.step()
        self._remember(logits_BK.detach(), label_B, guess_NG.detach(), z_NG)

    def report(self) -> dict[str, float]:
        """online_top1 and online_r2 (one mean over all outputs, as `r2_global`) since the last."""
        if not self._sums:
            return {}
        sums = torch.stack(self._sums).double().sum(dim=0)
        self._sums.clear()
        if several_ranks():
            dist.all_reduce(sums)
        right, rows, residual, squares, total, count = sums.tolist()
        spread = squares - total**2 / count
        found = {"online_top1": right / rows}
        return {**found, "online_r2": 1 - residual / spread} if spread > 0 else found

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        if self.optimizer is None:
            raise RuntimeError("start() comes before state()")
        return {"weights": self.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """From a checkpoint, after `start`."""
        self.load_state_dict(state["weights"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])

    def _remember(self, logits_BK: Tensor, label_B: Tensor, guess_NG: Tensor, z_NG: Tensor) -> None:
        right = (logits_BK.argmax(dim=1) == label_B).sum()
        values = [right, right.new_tensor(len(label_B)), (guess_NG - z_NG).square().sum()]
        values += [z_NG.square().sum(), z_NG.sum(), right.new_tensor(z_NG.numel())]
        self._sums.append(torch.stack([value.float() for value in values]))

    def _share_gradients(self) -> None:
        if not several_ranks():
            return
        for parameter in self.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= dist.get_world_size()
