"""Loaders over a split: pairs for training, and all views in order for evaluation.

Threads decode straight into (…, H, W, 3) buffers; a batch is a permuted view of them, which is
channels_last memory without a copy. libjpeg runs without Python's lock, so threads are enough.

Shape suffixes: N = pairs of this rank's batch, B = pictures, C = 3, H, W = pixels, V = views.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from threedie.benchmark.reading.ahead import Job, choose_workers, work_ahead
from threedie.benchmark.reading.buffers import Buffers
from threedie.benchmark.reading.encoded import check_size
from threedie.benchmark.reading.pairs import PairBatch, Pairs, Rows, Slice, changes
from threedie.benchmark.reading.split import Split
from threedie.errors import ConfigError

PIECE = 16  # pictures a thread takes at a time


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewBatch:
    """Pictures in order."""

    images_BCHW: Tensor
    """uint8, true RGB, channels_last memory."""
    row_B: Tensor
    """int64, the object's row in its split."""
    view_B: Tensor
    """int64."""


class PairLoader:
    """Pairs of a split in random access: a `PairSource`.

    Args:
        split: where pictures and latents are.
        batch_size: global, over all ranks.
        seed: of order and views.
        size: side of the pictures in pixels; None as stored.
        rank: this process.
        world: number of processes.
        workers: threads; None for this rank's share of the cores.
        prefetch: whole batches under way.
        pin: page-locked memory; None where there is a CUDA device.

    Raises:
        ConfigError: fewer than two views, a batch larger than the split or not divisible by the
            ranks, a size larger than stored, or an impossible number.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        size: int | None = None,
        rank: int = 0,
        world: int = 1,
        workers: int | None = None,
        prefetch: int = 3,
        pin: bool | None = None,
    ) -> None:
        self.split, self.size = split, size or split.picture_size
        check_size(self.size, split.picture_size)
        self._pairs = Pairs(
            n_objects=len(split),
            n_views=split.n_views,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world=world,
        )
        self.n_objects, self.n_classes = len(split), split.n_classes
        self.batch_size = batch_size
        self.pixel_mean, self.pixel_std = split.pixel_mean, split.pixel_std
        self.data_hash = split.data_hash
        self._workers, self._prefetch = choose_workers(workers), check_prefetch(prefetch)
        self._buffers = Buffers(keep=self._prefetch + 2, pin=pin)

    def batches(self, first_step: int, last_step: int) -> Iterator[PairBatch]:
        """This rank's part of the global batches first_step … last_step − 1."""
        jobs = (self._job(self._pairs.step(step)) for step in range(first_step, last_step))
        return work_ahead(jobs, workers=self._workers, prefetch=self._prefetch)

    def _job(self, pairs: Slice) -> Job[PairBatch]:
        images = self._buffers.take((2, len(pairs.rows_N), self.size, self.size, 3))
        rows, views = np.tile(pairs.rows_N, 2), pairs.views_N2.T.reshape(-1)
        pieces = decoding(self.split, rows, views, images.flatten(0, 1))
        return Job(pieces, partial(self._finish, pairs, images))

    def _finish(self, pairs: Slice, images: Tensor) -> PairBatch:
        split, rows = self.split, pairs.rows_N
        rotation, hue = changes(split.latents_NVL[rows[:, None], pairs.views_N2])
        x_NCHW, y_NCHW = images.permute(0, 1, 4, 2, 3)
        return PairBatch(
            x_NCHW=x_NCHW,
            y_NCHW=y_NCHW,
            rotation_N4=rotation,
            hue_N2=hue,
            label_N=torch.from_numpy(split.labels_N[rows]),
            row_N=torch.from_numpy(rows),
            view_N2=torch.from_numpy(pairs.views_N2),
        )


class ViewLoader:
    """All views of a split, object by object, in order; can be iterated many times.

    Args:
        split: where pictures are.
        batch_size: pictures in a batch (the last one may be smaller).
        size: side of the pictures in pixels; None as stored.
        rows: only these objects, in this order; None for all.
        workers: threads; None for this rank's share of the cores.
        prefetch: whole batches under way.
        pin: page-locked memory; None where there is a CUDA device.

    Raises:
        ConfigError: a size larger than stored, or an impossible number.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        size: int | None = None,
        rows: Rows | None = None,
        workers: int | None = None,
        prefetch: int = 3,
        pin: bool | None = None,
    ) -> None:
        self.split, self.size = split, size or split.picture_size
        check_size(self.size, split.picture_size)
        if batch_size < 1:
            raise ConfigError(f"the batch size is {batch_size}; it must be 1 or more.")
        self.batch_size = batch_size
        self._rows = np.arange(len(split)) if rows is None else np.asarray(rows, np.int64)
        self._workers, self._prefetch = choose_workers(workers), check_prefetch(prefetch)
        self._buffers = Buffers(keep=self._prefetch + 2, pin=pin)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self._rows) * self.split.n_views // self.batch_size)

    def __iter__(self) -> Iterator[ViewBatch]:
        jobs = (self._job(number) for number in range(len(self)))
        return work_ahead(jobs, workers=self._workers, prefetch=self._prefetch)

    def _job(self, number: int) -> Job[ViewBatch]:
        count = len(self._rows) * self.split.n_views
        first = number * self.batch_size
        flat = np.arange(first, min(first + self.batch_size, count))
        rows, views = self._rows[flat // self.split.n_views], flat % self.split.n_views
        images = self._buffers.take((len(flat), self.size, self.size, 3))
        return Job(
            decoding(self.split, rows, views, images), partial(_view_batch, images, rows, views)
        )


def _view_batch(images: Tensor, rows: Rows, views: Rows) -> ViewBatch:
    return ViewBatch(
        images_BCHW=images.permute(0, 3, 1, 2),
        row_B=torch.from_numpy(rows),
        view_B=torch.from_numpy(views),
    )


def decoding(split: Split, rows_B: Rows, views_B: Rows, images_BHW3: Tensor) -> list[partial[None]]:
    """The work of filling a buffer, in pieces for threads."""
    out = images_BHW3.numpy()
    cuts = [slice(i, i + PIECE) for i in range(0, len(rows_B), PIECE)]
    return [partial(split.read, rows_B[c], views_B[c], out.shape[1], out[c]) for c in cuts]


def check_prefetch(prefetch: int) -> int:
    """At least one batch under way.

    Raises:
        ConfigError: fewer.
    """
    if prefetch < 1:
        raise ConfigError(f"prefetch is {prefetch}; at least 1 batch must be under way.")
    return prefetch
