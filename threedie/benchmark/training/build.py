"""A method from a RunConfig: backbone and heads with weights that the seed decides."""

from __future__ import annotations

import torch

from threedie.baselines import find_method
from threedie.baselines.encoders import build_encoder
from threedie.baselines.method import Method
from threedie.benchmark.training.config import RunConfig, method_config


def build_method(config: RunConfig, n_classes: int) -> Method:
    """The method, initialised from the config's seed; torch's own generators stay as they were.

    The backbone's weights are drawn first, so equal seeds give all methods the same backbone.

    Args:
        config: names method, encoder, size and seed.
        n_classes: of the data set.

    Raises:
        ConfigError: unknown names, or settings that the method refuses.
    """
    own = method_config(config)
    kind = find_method(config.method).load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        backbone, dim = build_encoder(config.encoder, size=config.size)
        return kind(backbone, dim, own, n_classes=n_classes).train()
