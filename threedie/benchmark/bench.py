"""`3die bench`: for each method and seed, train what is not trained and evaluate what is not.

Every run has its own folder, so a stop costs the run under way only, and the same command again
goes on there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from threedie.benchmark.evaluate_run import evaluate_run
from threedie.benchmark.reading.pairs import PairSource
from threedie.benchmark.reading.source import open_pairs
from threedie.benchmark.reading.stream import StreamingPairs
from threedie.benchmark.requests import BenchRequest
from threedie.benchmark.training.build import build_method
from threedie.benchmark.training.config import RunConfig, make_config
from threedie.benchmark.training.devices import settle
from threedie.benchmark.training.distributed import launch
from threedie.benchmark.training.signals import Interrupted
from threedie.benchmark.training.train import train
from threedie.data.urls import is_url, shown


def bench(request: BenchRequest, *, console: Console) -> list[Path]:
    """Train and evaluate every method with every seed, one after the other.

    Args:
        request: what to do; all its settings are checked before the first run begins.
        console: told how it goes (by rank 0).

    Returns:
        The run folders.

    Raises:
        ThreedieError: see `train` and `evaluate`; runs that were finished before stay.
    """
    configs = {
        request.folder(method, seed): settle(
            make_config(
                method=method,
                data=request.data,
                preset=request.preset,
                seed=seed,
                settings=request.settings,
            )
        )
        for seed in request.seeds
        for method in request.methods
    }
    fabric = launch(next(iter(configs.values())))
    alone = fabric.world_size == 1
    for number, (folder, config) in enumerate(configs.items(), start=1):
        if len(configs) > 1 and fabric.is_global_zero:
            console.rule(f"{escape(folder.name)} ({number} of {len(configs)})")
        if is_url(config.data) and fabric.is_global_zero:  # a server may be silent for minutes
            console.print(f"reading {escape(shown(config.data))} …", highlight=False)
        source = _pairs(config, rank=fabric.global_rank, world=fabric.world_size)
        method = build_method(config, source.n_classes)
        train(config, source, method, folder, fabric=fabric, console=console)
        if alone:
            _evaluate(folder, config, request, console)
    if not alone and fabric.is_global_zero:  # last: the other ranks wait for nothing, and are gone
        for folder, config in configs.items():
            _evaluate(folder, config, request, console)
    return list(configs)


def _evaluate(folder: Path, config: RunConfig, request: BenchRequest, console: Console) -> None:
    if not request.evaluate:
        return
    if is_url(request.data):
        told = f"{folder} is trained. Evaluating reads every picture: fetch the data set, and then "
        how = f"3die eval --checkpoint {folder} --data FOLDER"
        console.print(escape(told + how), highlight=False, soft_wrap=True)
        return
    try:
        evaluate_run(
            folder,
            request.data,
            protocol=request.protocol,
            device=config.device,
            console=console,
        )
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"{folder} is trained, but not evaluated; run the same command to go on."
        ) from stop


def _pairs(config: RunConfig, *, rank: int, world: int) -> PairSource:
    """The config's reader on its train split."""
    shared: dict[str, Any] = {
        "batch_size": config.batch_size,
        "seed": config.seed,
        "size": config.size,
        "rank": rank,
        "world": world,
        "workers": config.workers or None,
    }
    if config.reader == "stream":
        return StreamingPairs(config.data, **shared)
    return open_pairs(config.data, cache=config.cache, **shared)
