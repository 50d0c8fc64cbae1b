"""Claims proved here, on which pairs there are.

- An epoch has every object once; its views are two different ones, every ordered pair alike.
- Nothing depends on the number of ranks or on where a run is resumed; batches go over the end of an
  epoch without loss; seeds and epochs give other orders and other views.
- The numbers are these and stay these (a pinned draw), and come from Philox words alone.
- z is inv(R1)·R2 as SciPy says in float64, and second hue − first hue, by hand.
- Too few views, a batch larger than the data, ranks that can't share it: refused.
"""

from __future__ import annotations

import itertools
from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from threedie.benchmark.reading.pairs import (
    PairBatch,
    Pairs,
    below,
    changes,
    epoch_order,
    epoch_views,
    words,
)
from threedie.errors import ConfigError
from threedie.manifests.latents import COLUMNS


def stream(steps: range, *, batch: int = 6, world: int = 1, **options: Any) -> list[list[int]]:
    """(row, first view, second view) of all ranks, in the order of the global batch."""
    options = {"n_objects": 10, "n_views": 4, "seed": 3} | options
    ranks = [Pairs(batch_size=batch, rank=r, world=world, **options) for r in range(world)]
    found = []
    for step in steps:
        for pairs in ranks:
            part = pairs.step(step)
            found += np.column_stack([part.rows_N, part.views_N2]).tolist()
    return found


def test_an_epoch_has_every_object_once() -> None:
    found = stream(range(5))  # 30 pairs of 10 objects
    for epoch in range(3):
        assert sorted(row for row, *_ in found[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert [r for r, *_ in found[:10]] != [r for r, *_ in found[10:20]]


@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_share_the_same_batches(world: int) -> None:
    assert stream(range(7), world=world) == stream(range(7))


def test_a_resumed_run_sees_the_same_pairs() -> None:
    whole = stream(range(20))
    for start in (0, 1, 7, 19):
        assert stream(range(start, 20)) == whole[6 * start :]
    backwards = Pairs(n_objects=10, n_views=4, batch_size=6, seed=3)
    parts = [backwards.step(step).rows_N.tolist() for step in reversed(range(20))]
    assert list(chain.from_iterable(reversed(parts))) == [row for row, *_ in whole]


def test_the_batch_size_cuts_the_same_stream() -> None:
    assert stream(range(10), batch=3) == stream(range(5), batch=6) == stream(range(3), batch=10)


def test_views_belong_to_the_row() -> None:
    views_N2 = epoch_views(10, 4, seed=3, epoch=0)
    assert all(views_N2[row].tolist() == views for row, *views in stream(range(1), batch=10))


def test_views_are_different_and_every_ordered_pair_is_alike() -> None:
    views_N2 = epoch_views(60_000, 4, seed=0, epoch=0)
    counts = Counter(map(tuple, views_N2.tolist()))
    assert set(counts) == set(itertools.permutations(range(4), 2))
    # 5,000 expected each, standard deviation 68: five of them.
    assert max(abs(n - 5000) for n in counts.values()) < 340


def test_two_views_are_always_both() -> None:
    assert {tuple(v) for v in epoch_views(50, 2, seed=1, epoch=1).tolist()} == {(0, 1), (1, 0)}


def test_every_order_is_alike() -> None:
    counts = Counter(tuple(epoch_order(3, seed=s, epoch=0).tolist()) for s in range(6000))
    assert len(counts) == 6
    assert max(abs(n - 1000) for n in counts.values()) < 150  # standard deviation 29


def test_seed_and_epoch_both_count() -> None:
    keys = [(0, 0), (0, 1), (1, 0), (1, 1), (2**62, 7)]
    orders = {tuple(epoch_order(40, seed=s, epoch=e).tolist()) for s, e in keys}
    views = {tuple(epoch_views(40, 9, seed=s, epoch=e).ravel().tolist()) for s, e in keys}
    assert len(orders) == len(views) == len(keys)


def test_the_draw_is_pinned() -> None:
    """A change here changes every run: say so in the changelog."""
    assert epoch_order(8, seed=0, epoch=0).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    views = [[17, 46], [4, 36], [3, 15], [7, 9]]
    assert epoch_views(4, 50, seed=0, epoch=0).tolist() == views


def test_the_draw_is_philox_and_its_top_bits() -> None:
    raw = [int(w) for w in np.random.Philox(key=[5, 2], counter=[0, 0, 0, 0]).random_raw(6)]
    assert epoch_order(6, seed=5, epoch=2).tolist() == sorted(range(6), key=raw.__getitem__)
    raw = [int(w) for w in np.random.Philox(key=[5, 2], counter=[0, 0, 0, 1]).random_raw(12)]
    top = [(w >> 32) / 2**32 for w in raw]
    expected = []
    for a, b in zip(top[::2], top[1::2], strict=True):
        first = int(a * 7)
        others = [(first + k) % 7 for k in range(1, 7)]
        expected.append([first, others[int(b * 6)]])
    assert epoch_views(6, 7, seed=5, epoch=2).tolist() == expected


def test_below_by_hand() -> None:
    extremes = np.array([0, 2**63, 2**64 - 1], np.uint64)
    assert below(extremes, 10).tolist() == [0, 5, 9]
    assert below(extremes, np.array([1, 3, 50])).tolist() == [0, 1, 49]
    assert (words(1, 2, 0, 3) == np.random.Philox(key=[1, 2]).random_raw(3)).all()


def random_latents(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(0)
    latents = rng.uniform(0, 1, (count, 2, 7))
    latents[:, :, :3] = rng.uniform(-np.pi, np.pi, (count, 2, 3))
    return latents


def test_rotation_is_inverse_first_times_second() -> None:
    latents_N2L = random_latents(200)
    rotation_N4, _ = changes(latents_N2L)
    first, second = (Rotation.from_euler("xyz", latents_N2L[:, i, :3]) for i in (0, 1))
    expected = Rotation.as_quat(first.inv() * second)
    assert rotation_N4.dtype == torch.float32
    np.testing.assert_allclose(rotation_N4.numpy(), expected, atol=2e-6)


def test_a_quarter_turn_by_hand() -> None:
    latents_N2L = np.zeros((1, 2, 7))
    latents_N2L[0, 1, 2] = np.pi / 2  # about z: (0, 0, sin 45°, cos 45°)
    rotation_N4, hue_N2 = changes(latents_N2L)
    np.testing.assert_allclose(rotation_N4[0], [0, 0, 0.70710678, 0.70710678], atol=1e-6)
    assert hue_N2.tolist() == [[0, 0]]


def test_hues_are_second_minus_first() -> None:
    latents_N2L = np.zeros((1, 2, 7))
    latents_N2L[0, :, COLUMNS.index("floor_hue")] = (0.25, 1.0)
    latents_N2L[0, :, COLUMNS.index("spot_hue")] = (0.5, 0.25)
    assert changes(latents_N2L)[1].tolist() == [[0.75, -0.25]]


def test_swapping_the_views_inverts_z() -> None:
    latents_N2L = random_latents(50)
    there, back = changes(latents_N2L), changes(latents_N2L[:, ::-1])
    torch.testing.assert_close(back[0], there[0] * torch.tensor([-1.0, -1.0, -1.0, 1.0]))
    torch.testing.assert_close(back[1], -there[1])


def test_latent_groups() -> None:
    rotation, hue = changes(random_latents(3))
    none = torch.zeros(3)
    batch = PairBatch(
        x_NCHW=none,
        y_NCHW=none,
        rotation_N4=rotation,
        hue_N2=hue,
        label_N=none,
        row_N=none,
        view_N2=none,
    )
    assert torch.equal(batch.latents("rotation"), rotation)
    assert torch.equal(batch.latents("color"), hue)
    assert torch.equal(batch.latents("rotation+color"), torch.cat([rotation, hue], 1))
    with pytest.raises(ConfigError, match=r"unknown latents 'colour'\. Known: rotation, "):
        batch.latents("colour")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_views": 1}, "has 1 per object. Render it with --views 2"),
        ({"batch_size": 11}, "batch size is 11, and the split has 10"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"world": 4}, "ranks must divide it"),
        ({"rank": 2, "world": 2}, "rank 2 of 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_gives_no_pairs_is_refused(change: dict[str, int], message: str) -> None:
    good = {"n_objects": 10, "n_views": 4, "batch_size": 6, "seed": 0}
    Pairs(**good)
    with pytest.raises(ConfigError, match=message):
        Pairs(**good | change)
