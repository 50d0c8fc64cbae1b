"""Claims proved here, on the loaders.

- Each picture, label and latent of a batch belongs to the row and view that it names; batches are
  channels_last without a copy, and the same with any number of threads, ranks or steps before.
- What a consumer holds is never written again, be it a batch or a crop of one; what it dropped is.
- No more batches are under way than asked for. Threads end when the iterator ends, is dropped or
  fails; the failure reaches the consumer with its words. Ctrl-C ends the process, and so does the
  end of a program that still holds an iterator.
- All views come once, in order, and only the wanted rows.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data import builders
from threedie.benchmark.reading.ahead import Job, choose_workers, in_background, work_ahead
from threedie.benchmark.reading.buffers import Buffers
from threedie.benchmark.reading.loader import PairLoader, ViewLoader
from threedie.benchmark.reading.pairs import PairBatch, changes
from threedie.benchmark.reading.source import open_pairs
from threedie.benchmark.reading.split import Split, open_split
from threedie.data.dataset import open_dataset
from threedie.errors import ConfigError, ManifestError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine objects of train, five views each, PNG: every picture is of its own colour."""
    place = tmp_path_factory.mktemp("data") / "d"
    builders.build(place, builders.Plan(views=5, channel_order="bgr"))
    return place


@pytest.fixture
def split(folder: Path) -> Split:
    return open_split(folder, "train")


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def colour(row: int, view: int) -> list[int]:
    return [int(value) for value in builders.picture(row, view, 1)[0, 0]]


def check(batch: PairBatch, split: Split) -> None:
    """Everything in a batch is of its rows and views."""
    rows, views = batch.row_N.numpy(), batch.view_N2.numpy()
    for images, view_N in ((batch.x_NCHW, views[:, 0]), (batch.y_NCHW, views[:, 1])):
        expected = torch.tensor([colour(r, v) for r, v in zip(rows, view_N, strict=True)])
        assert (images == expected[:, :, None, None]).all()
    assert batch.label_N.tolist() == split.labels_N[rows].tolist()
    rotation, hue = changes(split.latents_NVL[rows[:, None], views])
    assert torch.equal(batch.rotation_N4, rotation)
    assert torch.equal(batch.hue_N2, hue)


def flat(batches: Iterator[PairBatch]) -> list[list[int]]:
    return [
        [r, *v] for b in batches for r, v in zip(b.row_N.tolist(), b.view_N2.tolist(), strict=True)
    ]


@pytest.mark.parametrize("size", [None, 16, 20])
def test_a_batch_is_what_it_says(split: Split, size: int | None) -> None:
    loader = PairLoader(split, batch_size=4, seed=0, size=size, workers=2)
    batches = list(loader.batches(0, 9))
    assert len(batches) == 9
    for batch in batches:
        check(batch, split)
        side = size or 32
        for images in (batch.x_NCHW, batch.y_NCHW):
            assert (images.shape, images.dtype) == ((4, 3, side, side), torch.uint8)
            assert images.is_contiguous(memory_format=torch.channels_last)
        storage = batch.x_NCHW.untyped_storage()
        assert storage.data_ptr() == batch.y_NCHW.untyped_storage().data_ptr()
        assert batch.x_NCHW.data_ptr() == storage.data_ptr()
    rows = [row for row, *_ in flat(iter(batches))]
    assert all(sorted(rows[9 * e : 9 * e + 9]) == list(range(9)) for e in range(4))


def test_threads_ranks_prefetch_and_resume_change_nothing(split: Split) -> None:
    one = PairLoader(split, batch_size=6, seed=1, workers=1, prefetch=1)
    expected = flat(one.batches(0, 8))
    many = PairLoader(split, batch_size=6, seed=1, workers=5, prefetch=4)
    assert flat(many.batches(0, 8)) == expected
    assert flat(many.batches(5, 8)) == expected[30:]
    ranks = [PairLoader(split, batch_size=6, seed=1, rank=r, world=3) for r in range(3)]
    parts = zip(*(rank.batches(0, 8) for rank in ranks), strict=True)
    assert [p for step in parts for p in flat(iter(step))] == expected
    assert flat(PairLoader(split, batch_size=6, seed=2).batches(0, 8)) != expected
    assert list(one.batches(3, 3)) == []


def test_what_training_asks_of_a_source(split: Split, folder: Path) -> None:
    source = open_pairs(str(folder), batch_size=4, seed=0, size=16, workers=1)
    assert (source.n_objects, source.n_classes, source.batch_size) == (9, 56, 4)
    assert source.data_hash == split.data_hash
    assert (source.pixel_mean, source.pixel_std) == (split.pixel_mean, split.pixel_std)
    check(next(source.batches(2, 3)), split)


def test_batches_that_are_held_are_not_overwritten(split: Split) -> None:
    loader = PairLoader(split, batch_size=4, seed=0, workers=2, prefetch=2)
    held = list(loader.batches(0, 30))
    assert len({batch.x_NCHW.data_ptr() for batch in held}) == 30
    for batch in held:
        check(batch, split)


def test_a_crop_alone_keeps_its_buffer(split: Split) -> None:
    loader = PairLoader(split, batch_size=9, seed=0, workers=2, prefetch=1)
    crops, expected = [], []
    for batch in loader.batches(0, 20):
        crops.append((batch.y_NCHW[3, :, 4:6, 4:6], batch.x_NCHW.numpy()[2, 0, :2]))
        expected.append((crops[-1][0].clone(), crops[-1][1].copy()))
        del batch
    for (crop, row), (crop_was, row_was) in zip(crops, expected, strict=True):
        assert torch.equal(crop, crop_was)
        assert (row == row_was).all()


def test_buffers_come_back_when_nobody_holds_them() -> None:
    buffers = Buffers(keep=2, pin=False)
    first = buffers.take((2, 8))
    place, part = first.data_ptr(), first[1]
    del first
    assert buffers.take((2, 8)).data_ptr() != place  # `part` still holds it
    part.fill_(3)
    del part
    again = buffers.take((16,))
    other = buffers.take((16,))
    assert place in (again.data_ptr(), other.data_ptr())
    assert again.data_ptr() != other.data_ptr()
    assert buffers.take((4, 4, 2)).shape == (4, 4, 2)
    many = [buffers.take((7,)) for _ in range(5)]
    del many
    assert len(buffers._idle) <= 2


def test_pinned_memory_needs_a_device(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        PairLoader(split, batch_size=4, seed=0, pin=True)


class Slow:
    """A split that counts the batches that were begun, and fails when told to."""

    def __init__(self, split: Split, bad_row: int = -1) -> None:
        self._split, self._bad, self.reads = split, bad_row, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def __len__(self) -> int:
        return len(self._split)

    def read(self, rows: Any, views: Any, size: int, out: Any) -> None:
        self.reads += 1
        if self._bad in rows:
            raise ManifestError(f"row {self._bad} is damaged")
        self._split.read(rows, views, size, out)


@pytest.mark.parametrize("prefetch", [1, 3])
def test_the_work_ahead_is_bounded(split: Split, prefetch: int) -> None:
    slow = Slow(split)
    iterator = PairLoader(slow, batch_size=2, seed=0, workers=2, prefetch=prefetch).batches(0, 99)
    next(iterator)
    for _ in range(20):
        time.sleep(0.005)
        assert slow.reads <= prefetch + 1  # a batch of 4 pictures is one read
    while slow.reads < prefetch + 1:  # and that much is done without being asked
        time.sleep(0.005)


def test_a_failure_reaches_the_consumer(split: Split) -> None:
    loader = PairLoader(Slow(split, bad_row=4), batch_size=3, seed=0, workers=2)
    found: list[PairBatch] = []
    with pytest.raises(ManifestError, match="row 4 is damaged"):
        found.extend(loader.batches(0, 50))
    assert len(found) < 3
    assert all(4 not in batch.row_N for batch in found)


def test_a_damaged_picture_stops_training_with_its_name(tmp_path: Path) -> None:
    builders.build(tmp_path / "d", builders.Plan())
    split = open_split(tmp_path / "d", "train", verify="never")
    offsets_NV = open_dataset(tmp_path / "d").indices["train"].offsets_NV
    with (tmp_path / "d" / "train-000000.tar").open("r+b") as file:
        file.seek(int(offsets_NV[2, 1]))
        file.write(b"XXXX")
    loader = PairLoader(split, batch_size=3, seed=0, workers=2)
    with pytest.raises(ManifestError, match=f"{split.objects_N[2]}, view 1: .*neither JPEG nor PN"):
        list(loader.batches(0, 60))


def test_dropping_the_iterator_ends_its_threads(split: Split) -> None:
    before = threading.active_count()
    loader = PairLoader(split, batch_size=3, seed=0, workers=3)
    iterator = loader.batches(0, 10**9)
    batch = next(iterator)
    assert threading.active_count() > before
    del iterator
    assert threading.active_count() == before
    check(batch, split)
    for _ in loader.batches(0, 10**9):
        break
    assert threading.active_count() == before


def test_jobs_come_in_order_though_pieces_do_not() -> None:
    def job(number: int) -> Job[int]:
        pieces = [lambda: time.sleep(0.002 * ((7 * number) % 5)) for _ in range(3)]
        return Job(pieces, lambda: number)

    assert list(work_ahead(map(job, range(30)), workers=4, prefetch=5)) == list(range(30))


def test_the_background_passes_items_errors_and_the_end() -> None:
    assert list(in_background(range(100), depth=3)) == list(range(100))
    assert list(in_background([], depth=1)) == []

    def failing() -> Iterator[int]:
        yield 1
        raise KeyError("x")

    found = in_background(failing(), depth=4)
    assert next(found) == 1
    with pytest.raises(KeyError, match="x"):
        next(found)


def test_the_background_closes_what_it_reads() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = in_background(endless(), depth=2)
    next(items)
    items.close()
    assert closed.is_set()


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A program of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


PROGRAM = """
from threedie.benchmark.reading.loader import PairLoader
from threedie.benchmark.reading.split import open_split
import threading, time
split = open_split({folder!r}, "train")
wait = {wait}
class Waiting:
    def __getattr__(self, name): return getattr(split, name)
    def __len__(self): return len(split)
    def read(self, *args):
        time.sleep(wait)
        split.read(*args)
batches = PairLoader(Waiting(), batch_size=3, seed=0, workers=2).batches(0, 10**9)
next(batches)
"""
INTERRUPTED = """
import itertools, os, signal
plain, reads = Waiting.read, itertools.count()
def interrupting(self, *args):  # by now the main thread has used what was ready, and waits
    plain(self, *args)
    if next(reads) == 0: os.kill(os.getpid(), signal.SIGINT)
Waiting.read = interrupting
try:
    for _ in batches: pass
except KeyboardInterrupt:
    print(threading.active_count())
"""


def test_ctrl_c_ends_it_and_its_threads(folder: Path) -> None:
    done = run(PROGRAM.format(folder=str(folder), wait=0.2) + INTERRUPTED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_program_can_end_with_an_iterator_in_hand(folder: Path) -> None:
    done = run(PROGRAM.format(folder=str(folder), wait=0))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("batch_size", [1, 7, 45, 100])
def test_all_views_come_once_and_in_order(split: Split, batch_size: int) -> None:
    loader = ViewLoader(split, batch_size=batch_size, workers=2)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == -(-45 // batch_size)
        rows = torch.cat([b.row_B for b in batches]).tolist()
        views = torch.cat([b.view_B for b in batches]).tolist()
        assert rows == [row for row in range(9) for _ in range(5)]
        assert views == list(range(5)) * 9
        images = torch.cat([b.images_BCHW for b in batches])
        expected = torch.tensor([colour(r, v) for r, v in zip(rows, views, strict=True)])
        assert (images == expected[:, :, None, None]).all()
        channels_last = torch.channels_last
        assert all(b.images_BCHW.is_contiguous(memory_format=channels_last) for b in batches)


def test_views_of_chosen_rows(split: Split) -> None:
    chosen = np.array([7, 2])
    (batch,) = ViewLoader(split, batch_size=64, size=8, rows=chosen, workers=1)
    assert batch.row_B.tolist() == [7] * 5 + [2] * 5
    assert batch.images_BCHW.shape == (10, 3, 8, 8)
    assert batch.images_BCHW[6, :, 0, 0].tolist() == colour(2, 1)


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert choose_workers(None) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert (choose_workers(None), choose_workers(5)) == (2, 5)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert choose_workers(None) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 10}, "batch size is 10, and the split has 9"),
        ({"size": 64}, "64 pixels were asked for"),
        ({"workers": 0}, "0 loader threads"),
        ({"prefetch": 0}, "prefetch is 0"),
        ({"world": 2, "batch_size": 3}, "ranks must divide it"),
    ],
)
def test_impossible_numbers(split: Split, change: dict[str, int], message: str) -> None:
    options: dict[str, Any] = {"batch_size": 4, "seed": 0} | change
    with pytest.raises(ConfigError, match=message):
        PairLoader(split, **options)


def test_one_view_makes_no_pairs_but_can_be_read(tmp_path: Path) -> None:
    builders.build(tmp_path / "d", builders.Plan(views=1))
    split = open_split(tmp_path / "d", "train")
    with pytest.raises(ConfigError, match="has 1 per object"):
        PairLoader(split, batch_size=2, seed=0)
    assert sum(len(b.row_B) for b in ViewLoader(split, batch_size=4, workers=1)) == 9
    with pytest.raises(ConfigError, match="batch size is 0"):
        ViewLoader(split, batch_size=0)
