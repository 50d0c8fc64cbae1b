"""What learns: method, optimiser, precision and online probes, as one thing that can be saved.

Shape suffixes: N = this rank's pairs, D = representation, G = latent numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from threedie.baselines.method import Method, Terms
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.training.checkpoint import Loaded, load_weights
from threedie.benchmark.training.collapse import indicators
from threedie.benchmark.training.config import RunConfig
from threedie.benchmark.training.distributed import gather
from threedie.benchmark.training.online import OnlineProbes
from threedie.benchmark.training.optimise import learning_rate, make_optimizer, set_rate
from threedie.benchmark.training.record import RunRecord
from threedie.benchmark.training.step import Forward, on_device, terms_of
from threedie.benchmark.training.sync_norm import share_statistics


class Learner:
    """One rank's part of what learns.

    Args:
        config: settled.
        record: says what pictures are normalised with.
        method: trained in place.
        fabric: launched.
        found: where to go on from.

    Raises:
        ConfigError: the checkpoint is of another method or encoder.
    """

    def __init__(
        self,
        config: RunConfig,
        record: RunRecord,
        method: Method,
        fabric: Any,
        found: Loaded | None = None,
    ) -> None:
        self._config, self._record, self._fabric = config, record, fabric
        self.method = method
        if found is not None:
            load_weights(method, found.state["method"], found.checkpoint.path)
        if fabric.world_size > 1:
            share_statistics(method, device=config.device)
        if config.channels_last:
            method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._set_up()
        if found is not None:
            self._restore(found.state)
        self._seen: Tensor | None = None

    def _set_up(self) -> None:
        config, record, method = self._config, self._record, self.method
        forward: Any = Forward(
            method, record.pixel_mean, record.pixel_std, channels_last=config.channels_last
        )
        if config.compile:
            forward = torch.compile(forward)
        self._optimizer = make_optimizer(method.parameters(), config)
        self._forward, self._stepper = self._fabric.setup(forward, self._optimizer)
        self._probes: OnlineProbes | None = None
        if config.online_probes:
            self._probes = OnlineProbes(
                method.dim, method.latent_size, record.n_classes, seed=config.seed
            )
            self._probes.start(self._fabric.device)

    def learn(self, step: int, batch: PairBatch) -> Terms:
        """One global step; its terms, detached."""
        x, y, z_NG, label_N = on_device(batch, self.method.latent_group, self._fabric.device)
        set_rate(self._optimizer, learning_rate(self._config, step, self._record.n_objects))
        outputs = self._forward(x, y, z_NG, label_N)
        terms = terms_of(self.method, outputs["projections"])
        self._stepper.zero_grad(set_to_none=True)
        self._fabric.backward(terms["loss"])
        self._stepper.step()
        x_ND, y_ND = outputs["x_ND"].detach(), outputs["y_ND"].detach()
        if self._probes is not None:
            self._probes.step(x_ND, y_ND, z_NG, label_N)
        self._seen = torch.cat([x_ND, y_ND])
        return {name: term.detach() for name, term in terms.items()}

    def report(self) -> dict[str, float]:
        """Online probes since the last report; collapse indicators of the last batch."""
        online = {} if self._probes is None else self._probes.report()
        if self._seen is None:
            return online
        return {**online, **indicators(gather(self._seen))}  # few rows have a low rank of their own

    def not_finite(self) -> str | None:
        """Name of the first parameter or buffer that is not finite any more."""
        for name, value in self.method.state_dict().items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                return name
        return None

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "method": self.method.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._fabric.strategy.precision.state_dict(),
            "probes": None if self._probes is None else self._probes.state(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["scaler"])
        if self._probes is not None and state["probes"] is not None:
            self._probes.load(state["probes"])
