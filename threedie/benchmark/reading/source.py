"""Where training gets its pairs: a folder, or a URL."""

from __future__ import annotations

import os
from pathlib import Path

from threedie.benchmark.reading.loader import PairLoader
from threedie.benchmark.reading.memory import Cache
from threedie.benchmark.reading.pairs import PairSource
from threedie.benchmark.reading.published import ChannelOrder
from threedie.benchmark.reading.split import open_split
from threedie.data.dataset import Dataset, Verify
from threedie.data.urls import is_url
from threedie.errors import ConfigError


def open_pairs(
    data: str | os.PathLike[str] | Dataset,
    *,
    split: str = "train",
    batch_size: int,
    seed: int,
    size: int | None = None,
    rank: int = 0,
    world: int = 1,
    workers: int | None = None,
    verify: Verify = "once",
    cache: Cache = "none",
    lists: Path | None = None,
    channel_order: ChannelOrder = "bgr",
) -> PairSource:
    """The pairs of a split: `PairLoader` for what is on this machine, `StreamingPairs` for URLs.

    Arguments and errors are theirs and `open_split`'s.

    Raises:
        ConfigError: also where a URL is to be kept in memory.
    """
    if isinstance(data, str) and is_url(data):
        if cache != "none":
            raise ConfigError(
                f"--cache {cache} is for data on this machine; {data[:80]} is streamed."
            )
        from threedie.benchmark.reading.stream import StreamingPairs  # webdataset loads slowly

        return StreamingPairs(
            data,
            split=split,
            batch_size=batch_size,
            seed=seed,
            size=size,
            rank=rank,
            world=world,
            workers=workers,
        )
    opened = open_split(
        data, split, verify=verify, cache=cache, lists=lists, channel_order=channel_order
    )
    return PairLoader(
        opened,
        batch_size=batch_size,
        seed=seed,
        size=size,
        rank=rank,
        world=world,
        workers=workers,
    )
