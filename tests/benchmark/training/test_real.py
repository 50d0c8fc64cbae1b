"""Claims proved here, with the real reader, encoder and methods.

- A rendered set of shards, the published ResNet-18 and SIE train, stop, go on to the same bytes as
  in one go, and are loaded; the pictures' mean and deviation are the data set's.
- All methods have the same backbone for the same seed, and it is drawn without touching torch's
  generators.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.data import builders
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.reading.source import open_pairs
from threedie.benchmark.training.build import build_method
from threedie.benchmark.training.config import RunConfig, make_config
from threedie.benchmark.training.log import read_log
from threedie.benchmark.training.run_folder import load_run
from threedie.benchmark.training.signals import Interrupted
from threedie.benchmark.training.train import Trained, train


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    data = tmp_path / "data"
    builders.build(data)
    narrow = ["projector=16,16", "size=16", "batch_size=4", "epochs=2", "log_every=1", "workers=1"]
    made = make_config(method="sie-color", data=str(data), settings=narrow)
    return replace(made, device="cpu", threads=1)


def go(config: RunConfig, folder: Path, *, stop_at: int | None = None) -> Trained:
    source = open_pairs(
        config.data, batch_size=config.batch_size, seed=config.seed, size=config.size, workers=1
    )
    given = source.batches

    def batches(first: int, last: int) -> Iterator[PairBatch]:
        for step, batch in enumerate(given(first, last), start=first):
            if step == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    setattr(source, "batches", batches)  # noqa: B010  # mypy knows it as a method
    return train(config, source, build_method(config, source.n_classes), folder)


def test_real_things_train_stop_and_go_on(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        go(config, tmp_path / "a", stop_at=1)
    resumed, straight = go(config, tmp_path / "a"), go(config, tmp_path / "b")
    assert resumed.checkpoint.sha256 == straight.checkpoint.sha256
    run = load_run(tmp_path / "a")
    source = open_pairs(config.data, batch_size=4, seed=0)
    assert (run.pixel_mean, run.record.data_hash) == (source.pixel_mean, source.data_hash)
    assert source.pixel_std[2] == 0  # these pictures have one blue: it must not become inf
    assert run.pixel_std == (*source.pixel_std[:2], 1.0)
    assert run.step == run.record.steps == 2 * source.n_objects // 4
    assert run.method.represent(torch.zeros(2, 3, 16, 16)).shape == (2, 512)
    assert [row["step"] for row in read_log(tmp_path / "a" / "log.jsonl")] == list(
        range(1, run.step + 1)
    )


def test_equal_seeds_have_equal_backbones() -> None:
    before = torch.get_rng_state()
    configs = [make_config(method=name, data="", seed=5) for name in ("sie", "simclr", "random")]
    first, *others = [build_method(c, 3).backbone.state_dict() for c in configs]
    for other in others:
        assert all(torch.equal(value, other[name]) for name, value in first.items())
    another = build_method(replace(configs[0], seed=6), 3).backbone.state_dict()
    assert not torch.equal(another["conv1.weight"], first["conv1.weight"])
    assert torch.equal(before, torch.get_rng_state())
