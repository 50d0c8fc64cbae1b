"""Pairs from shards that stay where they are: http(s), stores, or local files read in sequence.

The same `PairBatch` as from `PairLoader`, with the same two views of each object in each epoch, and
every object once per epoch over all ranks. The *order* is another one, for a stream can't jump: an
epoch's shards are shuffled and cut into one stretch of objects for each rank, which passes through
a shuffle buffer. So it depends on the number of ranks, and on nothing else but (seed, epoch, rank).
Resuming reads only shards that still hold something wanted. A stretch has N // ranks objects or one
more; the ranks take turns, so that they stay in the same epoch.

A whole shard is read for two views of each object: where the files are local, `PairLoader` is many
times faster.

Shape suffixes: N = objects of the split or of a stretch, H, W = pixels, L = latent columns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from threedie.benchmark.reading.ahead import Job, choose_workers, in_background, work_ahead
from threedie.benchmark.reading.buffers import Buffers
from threedie.benchmark.reading.encoded import check_size
from threedie.benchmark.reading.indexed import n_classes, split_hash
from threedie.benchmark.reading.loader import PIECE, check_prefetch
from threedie.benchmark.reading.pairs import (
    BUFFER,
    SHARDS,
    PairBatch,
    Rows,
    below,
    changes,
    check_batch,
    epoch_views,
    words,
)
from threedie.benchmark.reading.pictures import Picture, decode_into
from threedie.benchmark.reading.shard_stream import EncodedPair, read_shard
from threedie.data import urls
from threedie.errors import ConfigError, ManifestError

_CHUNKS_AHEAD = 16  # MiB that are downloaded while a shard is taken apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """What one rank reads in one epoch."""

    rows_N: Rows
    """In the order of reading."""
    emission_N: Rows
    """Which of `rows_N` comes out first, second, … of the shuffle buffer."""


class StreamPlan:
    """Which objects a rank reads, from counts alone.

    Args:
        samples: objects of each shard.
        seed: of everything.
        rank: this process.
        world: number of processes.
        buffer: objects in the shuffle buffer.
    """

    def __init__(
        self, samples: list[int], *, seed: int, rank: int, world: int, buffer: int
    ) -> None:
        self._samples, self._n_objects = np.array(samples, np.int64), sum(samples)
        self.first_rows = np.cumsum(self._samples) - self._samples
        self._seed, self._rank, self._world, self._buffer = seed, rank, world, buffer

    def before(self, epoch: int, rank: int | None = None) -> int:
        """Objects that a rank has had before an epoch."""
        rank = self._rank if rank is None else rank
        return (epoch * self._n_objects - rank + self._world - 1) // self._world

    def epoch_at(self, index: int) -> int:
        """The epoch of a rank's index-th object."""
        return (index * self._world + self._rank) // self._n_objects

    def stretch(self, epoch: int) -> Stretch:
        """This rank's objects of an epoch."""
        keys = words(self._seed, epoch, SHARDS, len(self._samples))
        shards = np.argsort(keys, kind="stable")
        rows_N = np.concatenate(
            [self.first_rows[s] + np.arange(self._samples[s]) for s in shards], dtype=np.int64
        )
        sizes = [self.before(epoch + 1, r) - self.before(epoch, r) for r in range(self._world)]
        first = sum(sizes[: self._rank])
        own_N = rows_N[first : first + sizes[self._rank]]
        return Stretch(rows_N=own_N, emission_N=self._shuffled(epoch, len(own_N)))

    def _shuffled(self, epoch: int, count: int) -> Rows:
        """What a shuffle buffer makes of 0 … count − 1."""
        raw_N = words(self._seed, epoch, BUFFER, count, part=self._rank)
        left_N = np.minimum(self._buffer, count - np.arange(count))
        held, out = list(range(min(self._buffer, count))), []
        for i, (pick, left) in enumerate(zip(below(raw_N, left_N), left_N, strict=True)):
            out.append(held[pick])
            upcoming = self._buffer + i
            held[pick] = upcoming if upcoming < count else held[left - 1]
        return np.array(out, np.int64)

    def shard_of(self, rows_N: Rows) -> Rows:
        """The shard of each row."""
        ends = self.first_rows + self._samples
        return np.searchsorted(ends, rows_N, side="right").astype(np.int64)


class StreamingPairs:
    """Pairs of a split by URL: a `PairSource`.

    Args:
        data: folder of a data set, a path or URL (see urls.py), or its dataset.json.
        split: which.
        batch_size: global, over all ranks.
        seed: of order and views.
        size: side of the pictures in pixels; None as stored.
        rank: this process.
        world: number of processes.
        shuffle_buffer: objects (two encoded pictures each) in the shuffle buffer.
        workers: decoding threads; None for this rank's share of the cores.
        prefetch: whole batches under way.
        pin: page-locked memory; None where there is a CUDA device.

    Raises:
        ConfigError: as `PairLoader`, or an address that is refused.
        ManifestError: dataset.json is damaged, or of another schema. While reading: a shard is cut
            off or changed; none of its pictures has been given out then.
        StorageError: it can't be reached.
    """

    def __init__(
        self,
        data: str,
        *,
        split: str = "train",
        batch_size: int,
        seed: int,
        size: int | None = None,
        rank: int = 0,
        world: int = 1,
        shuffle_buffer: int = 2048,
        workers: int | None = None,
        prefetch: int = 3,
        pin: bool | None = None,
    ) -> None:
        self._base, _, self.manifest = urls.open_manifest(data)
        making = self.manifest.making
        self._shards = [s for s in self.manifest.shards if s.split == split and s.samples]
        self.n_objects, self.n_views = sum(s.samples for s in self._shards), making.views
        if not self.n_objects:
            known = ", ".join(s for s, n in self.manifest.splits.items() if n)
            raise ConfigError(f"{data} has no objects in split '{split}'; it has {known}.")
        check_batch(self.n_objects, making.views, batch_size, seed=seed, rank=rank, world=world)
        if shuffle_buffer < 1:
            raise ConfigError(f"the shuffle buffer holds {shuffle_buffer} objects; give 1 or more.")
        self._plan = StreamPlan(
            [s.samples for s in self._shards],
            seed=seed,
            rank=rank,
            world=world,
            buffer=shuffle_buffer,
        )
        self.size, self.picture_size = size or making.size, making.size
        check_size(self.size, making.size)
        self.batch_size, self._share, self._seed = batch_size, batch_size // world, seed
        self.n_classes = n_classes(self.manifest)
        self.pixel_mean, self.pixel_std = self.manifest.pixel_mean, self.manifest.pixel_std
        self.data_hash = split_hash(self.manifest, split)
        self._workers, self._prefetch = choose_workers(workers), check_prefetch(prefetch)
        self._buffers = Buffers(keep=self._prefetch + 2, pin=pin)

    def batches(self, first_step: int, last_step: int) -> Iterator[PairBatch]:
        """This rank's part of the global batches first_step … last_step − 1."""
        jobs = self._jobs(first_step * self._share, last_step * self._share)
        return work_ahead(jobs, workers=self._workers, prefetch=self._prefetch)

    def _jobs(self, index: int, last: int) -> Iterator[Job[PairBatch]]:
        with closing(self._encoded(index, last)) as stream:
            while pairs := list(islice(stream, self._share)):
                yield self._job(pairs)

    def _encoded(self, index: int, last: int) -> Generator[EncodedPair, None, None]:
        """This rank's objects index … last − 1, over all epochs."""
        while index < last:
            epoch = self._plan.epoch_at(index)
            start, stretch = self._plan.before(epoch), self._plan.stretch(epoch)
            stop = min(last - start, len(stretch.rows_N))
            yield from self._epoch(epoch, stretch, index - start, stop)
            index = start + stop

    def _epoch(self, epoch: int, stretch: Stretch, first: int, stop: int) -> Iterator[EncodedPair]:
        """The first … stop − 1st objects that come out of the shuffle buffer."""
        views_N2 = epoch_views(self.n_objects, self.n_views, seed=self._seed, epoch=epoch)
        wanted = stretch.emission_N[first:stop]
        rows_N = stretch.rows_N[np.sort(wanted)]
        shards_N = self._plan.shard_of(rows_N)
        upcoming = iter(dict.fromkeys(shards_N.tolist()))
        held: dict[int, EncodedPair] = {}
        for row in stretch.rows_N[wanted].tolist():
            while row not in held:
                shard = next(upcoming)
                held |= {p.row: p for p in self._read(shard, rows_N[shards_N == shard], views_N2)}
            yield held.pop(row)

    def _read(self, shard: int, rows_N: Rows, views_N2: Rows) -> list[EncodedPair]:
        entry, first_row = self._shards[shard], int(self._plan.first_rows[shard])
        address = urls.join(self._base, entry.name)
        chosen = {
            r - first_row: (int(views_N2[r, 0]), int(views_N2[r, 1])) for r in rows_N.tolist()
        }
        pieces = urls.chunks(address, entry.bytes, entry.bytes + 1)
        with closing(in_background(pieces, depth=_CHUNKS_AHEAD)) as ahead:
            return read_shard(
                ahead,
                entry,
                chosen,
                manifest=self.manifest,
                first_row=first_row,
                where=urls.shown(address),
            )

    def _job(self, pairs: list[EncodedPair]) -> Job[PairBatch]:
        images = self._buffers.take((2, len(pairs), self.size, self.size, 3))
        out = images.numpy()
        pieces = [
            partial(self._decode, pairs[i : i + PIECE], view, out[view, i : i + PIECE])
            for view in (0, 1)
            for i in range(0, len(pairs), PIECE)
        ]
        return Job(pieces, partial(_finish, pairs, images))

    def _decode(self, pairs: list[EncodedPair], view: int, out: Picture) -> None:
        making = self.manifest.making
        for pair, pixels in zip(pairs, out, strict=True):
            try:
                bgr = making.channel_order == "bgr"
                decode_into(pair.images[view], pixels, side=making.size, bgr=bgr)
            except ManifestError as err:
                raise ManifestError(f"{pair.object}, view {pair.views[view]}: {err}") from err


def _finish(pairs: list[EncodedPair], images: Tensor) -> PairBatch:
    rotation, hue = changes(np.stack([p.latents_2L for p in pairs]))
    x_NCHW, y_NCHW = images.permute(0, 1, 4, 2, 3)
    return PairBatch(
        x_NCHW=x_NCHW,
        y_NCHW=y_NCHW,
        rotation_N4=rotation,
        hue_N2=hue,
        label_N=torch.tensor([p.label for p in pairs]),
        row_N=torch.tensor([p.row for p in pairs]),
        view_N2=torch.tensor([p.views for p in pairs]),
    )
