"""Features: every view of every object through the frozen encoder, once.

Shape suffixes: N = objects, V = views, M = N·V rows (object by object), D = representation,
B = a batch of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threedie.benchmark.evaluation.encoder import Encoder, finite
from threedie.benchmark.reading.loader import ViewLoader
from threedie.benchmark.reading.split import Split

_HOST_BYTES = 2**30
MOST_STD = 20.0
"""Standardised features are held within ±this. A unit that a handful of train views woke (an
untrained ReLU has such) stands thousands of its standard deviations away in a val view, and one
such view is the whole R². Trained encoders stay below 14 (docs/results)."""

Block = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""(stage, done, of how many)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """All representations of one split."""

    data_MD: Block
    """Row n·V + v is view v of object n. In memory, or a read-only memory map."""
    n_views: int
    """V."""

    @property
    def n_objects(self) -> int:
        """N."""
        return len(self.data_MD) // self.n_views

    @property
    def dim(self) -> int:
        """D."""
        return self.data_MD.shape[1]

    def blocks(self, rows: int, columns: slice = slice(None)) -> Iterator[Block]:
        """The rows in order, some at a time, of some columns."""
        for first in range(0, len(self.data_MD), rows):
            yield np.asarray(self.data_MD[first : first + rows, columns])


def encode_blocks(
    encoder: Encoder, split: Split, *, size: int, batch_size: int, on_progress: Progress
) -> Iterator[Block]:
    """Representations of all views, batch by batch, in the order of `Features`.

    Args:
        encoder: is put in eval mode, and back.
        split: which pictures.
        size: side of the pictures in pixels.
        batch_size: pictures at a time.
        on_progress: is told the stage "features <split>" and the number of pictures.

    Raises:
        ConfigError: the encoder gives no (B, D), no numbers, or memory is short.
    """
    total, done = len(split) * split.n_views, 0
    stage = f"features {split.name}"
    on_progress(stage, 0, total)
    with encoder.kept():
        for batch in ViewLoader(split, batch_size=batch_size, size=size):
            encoder.set_mode("eval")  # here: a consumer may have trained something in between
            block_BD = encoder(batch.images_BCHW).cpu().numpy()
            finite(block_BD, partial(_picture, split, done))
            done += len(block_BD)
            on_progress(stage, done, total)
            yield block_BD


def _picture(split: Split, first: int, i: int) -> str:
    row, view = divmod(first + i, split.n_views)
    return f"{split.objects_N[row]}, view {view}"


def in_memory(blocks: Iterator[Block], rows: int) -> Block:
    """All blocks as one array of M rows."""
    first = next(blocks)
    data_MD = np.empty((rows, first.shape[1]), dtype=np.float32)
    data_MD[: len(first)] = first
    place = len(first)
    for block in blocks:
        data_MD[place : place + len(block)] = block
        place += len(block)
    return data_MD


class Gather:
    """Rows of some columns of features on a device, by their number.

    They are moved there once where they fit: into half of a GPU's free memory, or 1 GiB of the
    computer's; else rows are fetched when they are asked for.

    Args:
        features: where from.
        columns: the part of the representation.
        device: where to.
        standard: (D,) mean and standard deviation to take out, what is left being held within
            ±`MOST_STD`; None for features as they are.
    """

    def __init__(
        self,
        features: Features,
        columns: slice,
        device: torch.device,
        standard: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self._data, self._columns, self.device = features.data_MD, columns, device
        self._standard = standard and (standard[0].to(device), standard[1].to(device))
        self.dim = self._data[:1, columns].shape[1]
        self._moved: Tensor | None = None
        room = _HOST_BYTES
        if device.type == "cuda":
            room = torch.cuda.mem_get_info(device)[0] // 2
        if 4 * self.dim * len(self._data) <= room:
            self._moved = self._fixed(np.array(self._data[:, columns]))

    def __len__(self) -> int:
        """M."""
        return len(self._data)

    def __call__(self, rows_B: NDArray[np.int64]) -> Tensor:
        """(B, D of the part) float32."""
        if self._moved is not None:
            return self._moved[torch.from_numpy(rows_B).to(self.device)]
        return self._fixed(np.take(self._data, rows_B, axis=0)[:, self._columns])

    def blocks(self, rows: int) -> Iterator[Tensor]:
        """All rows in order, some at a time."""
        for first in range(0, len(self), rows):
            if self._moved is not None:
                yield self._moved[first : first + rows]
            else:
                yield self._fixed(np.array(self._data[first : first + rows, self._columns]))

    def _fixed(self, rows_BD: Block) -> Tensor:
        moved = torch.from_numpy(rows_BD).to(self.device).float()  # submitted ones are halves
        if self._standard is None:
            return moved
        mean, std = self._standard
        return ((moved - mean) / std).clamp(-MOST_STD, MOST_STD)


def statistics(features: Features, columns: slice) -> tuple[Tensor, Tensor]:
    """(D,) mean and standard deviation over all rows, float32; 1 where a column is constant."""
    count, total, squares = len(features.data_MD), np.zeros(1), np.zeros(1)
    shift = np.asarray(features.data_MD[0, columns], dtype=np.float64)
    for block in features.blocks(65536, columns):
        centred = block.astype(np.float64) - shift
        total = total + centred.sum(axis=0)
        squares = squares + np.square(centred).sum(axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
    largest = np.maximum(np.abs(shift + mean), std)
    std = np.where(std > 1e-6 * largest, std, 1.0)
    return torch.from_numpy(shift + mean).float(), torch.from_numpy(std).float()


def fingerprint(module: nn.Module) -> str:
    """SHA-256 of a module's class and of every parameter and buffer: a key for `evaluate`.

    It does not see the code of `forward`: two programs with equal weights have one fingerprint.
    """
    digest = hashlib.sha256(f"{type(module).__module__}.{type(module).__qualname__}".encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()
