"""Small stand-ins for training tests: an encoder with BatchNorm, and pairs without pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threedie.baselines import find_method
from threedie.baselines.method import Method
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.training.config import RunConfig, make_config, method_config

DIM, SIZE, CLASSES = 8, 8, 5


class Tiny(nn.Module):
    """(N, 3, H, W) to (N, 8), with two BatchNorms, in whatever precision its weights have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, DIM, 2, bias=False), nn.BatchNorm2d(DIM)

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(self.conv1.weight.dtype)
        hidden = F.relu(self.norm1(self.conv1(images)))
        pooled: Tensor = F.relu(self.norm2(self.conv2(hidden))).mean(dim=(2, 3))
        return pooled


def tiny() -> nn.Module:
    """An encoder for `encoder="tests.benchmark.training.tiny:tiny"`."""
    return Tiny()


def config_of(method: str, *settings: str, **changes: Any) -> RunConfig:
    """A run of the tiny encoder on the CPU, with narrow heads."""
    own = find_method(method).load().Config
    narrow = [] if "projector" not in own.__dataclass_fields__ else ["projector=16,16,12"]
    config = make_config(method=method, data="none", settings=[*narrow, *settings])
    values = {"device": "cpu", "precision": "32", "threads": 1, "size": SIZE, "batch_size": 8}
    values |= {"encoder": "tests.benchmark.training.tiny:tiny", "pairs": 80, "log_every": 2}
    return replace(config, **{**values, **changes})


def method_of(config: RunConfig, *, dtype: torch.dtype = torch.float32) -> Method:
    """The method on the tiny encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        kind = find_method(config.method).load()
        return kind(Tiny(), DIM, method_config(config), n_classes=CLASSES).to(dtype).train()


class FakePairs:
    """A `PairSource` of noise: a step's pictures depend on the step alone.

    Args:
        config: for the batch size.
        rank: gets its slice of every batch.
        world: number of ranks.
        dtype: of the latents.
        before: called with a step before its batch is given.
        wait_s: time that a batch takes.
    """

    n_objects, n_classes, data_hash = 40, CLASSES, "ab" * 32
    pixel_mean, pixel_std = (0.5, 0.4, 0.6), (0.2, 0.3, 0.25)

    def __init__(
        self,
        config: RunConfig,
        *,
        rank: int = 0,
        world: int = 1,
        dtype: torch.dtype = torch.float32,
        before: Callable[[int], None] = lambda step: None,
        wait_s: float = 0.0,
    ) -> None:
        self.batch_size, self.size = config.batch_size, config.size
        self._mine = slice(
            rank * config.batch_size // world, (rank + 1) * config.batch_size // world
        )
        self._dtype, self._before, self._wait_s = dtype, before, wait_s
        self.asked: list[tuple[int, int]] = []

    def batches(self, first_step: int, last_step: int) -> Iterator[PairBatch]:
        self.asked.append((first_step, last_step))
        for step in range(first_step, last_step):
            self._before(step)
            time.sleep(self._wait_s)
            yield self.batch(step)

    def batch(self, step: int) -> PairBatch:
        """This rank's rows of a step."""
        generator = torch.Generator().manual_seed(1000 + step)
        n, mine = self.batch_size, self._mine
        shape = (2, n, 3, self.size, self.size)
        x, y = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        rotation = F.normalize(torch.randn(n, 4, generator=generator), dim=1)
        hue = torch.rand(n, 2, generator=generator) - 0.5
        return PairBatch(
            x_NCHW=x[mine],
            y_NCHW=y[mine],
            rotation_N4=rotation.to(self._dtype)[mine],
            hue_N2=hue.to(self._dtype)[mine],
            label_N=torch.randint(0, CLASSES, (n,), generator=generator)[mine],
            row_N=torch.arange(n)[mine],
            view_N2=torch.zeros(n, 2, dtype=torch.int64)[mine],
        )
