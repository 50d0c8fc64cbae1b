"""Claims proved here, on features and their cache.

- Rows are all views in order; pictures reach the encoder normalised, in its channel order.
- An encoder is read in eval mode and left as it was: modes, and buffers that drifted.
- A cache is read instead of pictures, for exactly its key; damage of any kind, or a place that
  can't be written, costs a note and a second reading, never a wrong number.
- An encoder of another form, NaN, a lack of memory, unknown settings: one clear line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import JsonValue
from torch import Tensor, nn

from tests.benchmark.evaluation.fakes import SIZE, FakeSplit, looked_up
from threedie.benchmark.evaluation.encoder import (
    NORMALISATIONS,
    Encoder,
    Normalisation,
    choose_device,
    find_normalisation,
    memory_for,
)
from threedie.benchmark.evaluation.feature_cache import cached, default_folder
from threedie.benchmark.evaluation.features import (
    Features,
    Gather,
    encode_blocks,
    fingerprint,
    in_memory,
    statistics,
)
from threedie.errors import ConfigError

CPU = torch.device("cpu")
PLAIN = NORMALISATIONS["none"]


def quiet(*_: object) -> None:
    """No progress."""


def features_of(encode: Callable[[Tensor], Tensor], split: FakeSplit, batch: int = 7) -> Any:
    encoder = Encoder(encode, device=CPU, normalisation=PLAIN)
    blocks = encode_blocks(encoder, split, size=SIZE, batch_size=batch, on_progress=quiet)
    return in_memory(blocks, len(split) * split.n_views)


@pytest.fixture
def split() -> FakeSplit:
    return FakeSplit("train", 9, 5, 3)


def index_of(split: FakeSplit) -> Any:
    rows = np.arange(len(split) * split.n_views, dtype=float)
    return rows.reshape(len(split), split.n_views, 1) * [1.0, -1.0]


@pytest.mark.parametrize("batch", [1, 7, 45, 100])
def test_rows_are_all_views_in_order(split: FakeSplit, batch: int) -> None:
    data = {"train": split, "val": FakeSplit("val", 2, 5, 3)}
    found = features_of(looked_up(data, index_of), split, batch)
    assert found == pytest.approx(index_of(split).reshape(-1, 2))
    assert found.dtype == np.float32


def test_pictures_are_normalised_in_the_encoders_order() -> None:
    seen: list[Tensor] = []

    def encode(images: Tensor) -> Tensor:
        seen.append(images)
        return images.flatten(1)

    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    settings = Normalisation(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0), order="bgr")
    out = Encoder(encode, device=CPU, normalisation=settings)(images)
    expected = images.double().numpy()[:, ::-1] / 255
    expected = (expected - np.array([0.1, 0.2, 0.3])[:, None, None]) / np.array(
        [0.5, 0.25, 2.0]
    ).reshape(3, 1, 1)
    assert seen[0].numpy() == pytest.approx(expected, abs=1e-6)
    assert out.shape == (2, 48)
    named = find_normalisation("dataset", (0.1, 0.2, 0.3), (0.5, 0.0, 2.0))
    assert named == Normalisation(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    assert find_normalisation("published", (0,) * 3, (1,) * 3).order == "bgr"
    with pytest.raises(ConfigError, match=r"unknown normalisation 'imagnet'.*imagenet"):
        find_normalisation("imagnet", (0,) * 3, (1,) * 3)


def net(*last: nn.Module) -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 6), *last)


def test_an_encoder_is_left_as_it_was(split: FakeSplit) -> None:
    module = net(nn.BatchNorm1d(6), nn.Dropout(0.5)).train()
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        module[2].running_mean.fill_(3.0)
        before["2.running_mean"].fill_(3.0)
    one, other = features_of(module, split, 7), features_of(module, split, 20)
    assert one == pytest.approx(other, abs=1e-5)  # eval mode: the batch does not matter
    assert [m.training for m in module] == [True, False, True, True]
    encoder = Encoder(module, device=CPU, normalisation=PLAIN)
    with encoder.kept():
        encoder.set_mode("train")
        encoder(torch.zeros(4, 3, SIZE, SIZE, dtype=torch.uint8))
        assert not torch.equal(module[2].running_mean, before["2.running_mean"])
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [m.training for m in module] == [True, False, True, True]


@pytest.mark.parametrize(
    ("encode", "depends"),
    [
        (net(nn.BatchNorm1d(6)), True),
        (net(nn.Dropout(0.1)), True),
        (net(nn.Dropout(0.0)), False),
        (net(nn.LayerNorm(6)), False),
        (lambda images: images.flatten(1), False),
    ],
)
def test_which_encoders_depend_on_the_batch(encode: Any, depends: bool) -> None:
    encoder = Encoder(encode, device=CPU, normalisation=PLAIN)
    assert encoder.depends_on_batch is depends


def test_half_precision_gives_float32() -> None:
    images = torch.randint(0, 256, (3, 3, SIZE, SIZE), dtype=torch.uint8)
    module = net()
    full = Encoder(module, device=CPU, normalisation=PLAIN)(images)
    half = Encoder(module, device=CPU, normalisation=PLAIN, precision="bf16")(images)
    assert half.dtype == torch.float32
    assert torch.allclose(half, full, atol=0.02)
    assert not torch.equal(half, full)
    with pytest.raises(ConfigError, match=r"unknown precision 'fp8'.*fp32, bf16"):
        Encoder(module, device=CPU, normalisation=PLAIN, precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("encode", "told"),
    [
        (lambda x: x.mean((1, 2, 3)), r"shape \(45,\) for 45 pictures.*\(45, D\)"),
        (lambda x: x, r"shape \(45, 3, 4, 4\)"),
        (lambda x: x.flatten(1)[:4], r"shape \(4, 48\) for 45"),
        (lambda x: None, "NoneType"),
        (lambda x: x.flatten(1)[:, :0], r"shape \(45, 0\) for 45"),
        (lambda x: x.flatten(1) / 0, "NaN or infinity for class0/object0, view 0"),
        (lambda x: x.missing, r"fails on pictures of shape \(45, 3, 4, 4\): AttributeError: "),
    ],
)
def test_encoders_of_another_form_are_refused(encode: Any, told: str, split: FakeSplit) -> None:
    with pytest.raises(ConfigError, match=told):
        features_of(encode, split, 100)


def test_a_width_that_changes_is_refused(split: FakeSplit) -> None:
    with pytest.raises(ConfigError, match="gave 3 numbers a picture, and 7 before"):
        features_of(lambda x: x.flatten(1)[:, : len(x)], split)  # 45 pictures by 7: the last are 3


def test_the_first_picture_that_breaks_is_named(split: FakeSplit) -> None:
    def values(s: FakeSplit) -> Any:
        table = index_of(s)
        if s.name == "train":
            table[4, 3] = np.nan
        return table

    data = {"train": split, "val": FakeSplit("val", 2, 5, 3)}
    with pytest.raises(ConfigError, match="class1/object4, view 3 "):
        features_of(looked_up(data, values), split, 7)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_lack_of_memory_says_which_batch_to_try(error: Exception) -> None:
    def encode(images: Tensor) -> Tensor:
        raise error

    with pytest.raises(ConfigError, match="batch_size=64: try batch_size=32"):
        Encoder(encode, device=CPU, normalisation=PLAIN)(torch.zeros(64, 3, 4, 4))
    with pytest.raises(RuntimeError, match="shapes differ"), memory_for("x", "batch_size", 4):
        raise RuntimeError("shapes differ")


def test_devices() -> None:
    assert choose_device("cpu") == CPU
    for wrong in ("gpu", "meta", "cuda:99"):
        with pytest.raises(ConfigError, match=f"'{wrong}'"):
            choose_device(wrong)


def test_gather_and_statistics(split: FakeSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).normal(5, 3, size=(45, 6)).astype(np.float32)
    data[:, 2] = 1e4
    features, columns = Features(data_MD=data, n_views=5), slice(1, 4)
    mean, std = statistics(features, columns)
    assert mean.numpy() == pytest.approx(data[:, columns].mean(0), rel=1e-5)
    assert std.numpy() == pytest.approx([data[:, 1].std(), 1.0, data[:, 3].std()], rel=1e-4)
    rows = np.array([44, 0, 7, 7])
    expected = (data[rows, columns] - mean.numpy()) / std.numpy()
    for room in (2**30, 0):  # moved as a whole, or fetched when asked for
        monkeypatch.setattr("threedie.benchmark.evaluation.features._HOST_BYTES", room)
        gather = Gather(features, columns, CPU, (mean, std))
        assert gather(rows).numpy() == pytest.approx(expected, abs=1e-5)
        assert torch.cat(list(gather.blocks(10))).shape == (45, 3)
        assert (len(gather), gather.dim) == (45, 3)


def test_a_unit_that_train_views_hardly_woke_does_not_decide_alone() -> None:
    """One train row in 1000 moves it a little; in val it is 10⁴ train deviations away."""
    train, val = np.zeros((1000, 2), np.float32), np.zeros((5, 2), np.float32)
    train[:, 0] = val[:, 0] = 1.0
    train[::2, 0], train[7, 1], val[3, 1] = -1.0, 1e-3, 1.0
    standard = statistics(Features(data_MD=train, n_views=5), slice(None))
    held = Gather(Features(data_MD=val, n_views=5), slice(None), CPU, standard)(np.arange(5))
    assert held[3].tolist() == [1.0, 20.0]
    assert held[0].tolist() == pytest.approx([1.0, 0.0], abs=0.1)
    bare = Gather(Features(data_MD=val, n_views=5), slice(None), CPU)(np.arange(5))
    assert bare.numpy() == pytest.approx(val)


def test_fingerprints_see_every_weight() -> None:
    torch.manual_seed(0)
    module = net(nn.BatchNorm1d(6))
    first = fingerprint(module)
    assert first == fingerprint(module)
    assert len(first) == 64
    with torch.no_grad():
        module[2].running_var[3] += 1e-6
    assert fingerprint(module) != first


# The cache.

KEY: dict[str, JsonValue] = {"encoder": "abc", "size": 4}
ROWS = 45


class Counted:
    """Gives the same blocks, and counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0
        self.data = np.random.default_rng(1).normal(size=(ROWS, 6)).astype(np.float32)

    def __call__(self) -> Any:
        self.times += 1
        return iter(np.split(self.data, [10, 30]))


def test_a_cache_is_read_instead(tmp_path: Path) -> None:
    compute, notes = Counted(), list[str]()
    for _ in range(2):
        found = cached(tmp_path / "new" / "folder", KEY, ROWS, compute, notes.append)
        assert isinstance(found, np.memmap)
        assert np.array_equal(found, compute.data)
        assert not found.flags.writeable
    assert (compute.times, notes) == (1, [])
    other = cached(tmp_path / "new" / "folder", {**KEY, "size": 5}, ROWS, compute, notes.append)
    assert compute.times == 2
    assert np.array_equal(other, compute.data)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(next(folder.glob("*.npy")), -1),
        lambda folder: flip(next(folder.glob("*.npy")), 60),
        lambda folder: next(folder.glob("*.npy")).unlink(),
        lambda folder: next(folder.glob("*.npy")).write_bytes(b""),
        lambda folder: next(folder.glob("*.json")).write_bytes(b'{"version": 1'),
        lambda folder: next(folder.glob("*.json")).write_bytes(b"{}"),
    ],
)
def test_damage_is_computed_anew_and_said(damage: Callable[[Path], None], tmp_path: Path) -> None:
    compute, notes = Counted(), list[str]()
    cached(tmp_path, KEY, ROWS, compute, notes.append)
    damage(tmp_path)
    for _ in range(2):
        found = cached(tmp_path, KEY, ROWS, compute, notes.append)
        assert np.array_equal(found, compute.data)
    assert compute.times == 2
    assert len(notes) == 1
    assert "damaged" in notes[0]


def test_a_note_of_another_key_is_not_believed(tmp_path: Path) -> None:
    compute, notes = Counted(), list[str]()
    cached(tmp_path, KEY, ROWS, compute, notes.append)
    cached(tmp_path, {"encoder": "other"}, ROWS, compute, notes.append)
    one, other = sorted(tmp_path.glob("*.json"))
    one.write_bytes(other.read_bytes())
    others: dict[str, JsonValue] = {"encoder": "other"}
    for key in (KEY, others):
        cached(tmp_path, key, ROWS, compute, notes.append)
    assert (compute.times, len(notes)) == (3, 1)


def test_an_array_that_is_no_such_array(tmp_path: Path) -> None:
    """The right hash of the wrong thing: an object array would run code when it is loaded."""
    compute, notes = Counted(), list[str]()
    cached(tmp_path, KEY, ROWS, compute, notes.append)
    (array,), (note,) = tmp_path.glob("*.npy"), tmp_path.glob("*.json")
    np.save(array, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    old = hashlib.sha256(compute.data.tobytes()).hexdigest()
    text = note.read_text()
    assert old not in text
    found = text[text.index('"sha256":"') + 10 :][:64]
    note.write_text(text.replace(found, hashlib.sha256(array.read_bytes()).hexdigest()))
    cached(tmp_path, KEY, ROWS, compute, notes.append)
    assert compute.times == 2
    assert "damaged" in notes[0]


def test_a_place_that_cannot_be_written_costs_a_note(tmp_path: Path) -> None:
    compute, notes = Counted(), list[str]()
    (tmp_path / "file").write_bytes(b"")
    found = cached(tmp_path / "file", KEY, ROWS, compute, notes.append)
    assert np.array_equal(found, compute.data)
    assert len(notes) == 1
    assert "not cached" in notes[0]


def test_no_room_is_found_before_anything_is_encoded(tmp_path: Path) -> None:
    compute, notes = Counted(), list[str]()
    found = cached(tmp_path, {**KEY, "dim": 2**60}, ROWS, compute, notes.append)
    assert np.array_equal(found, compute.data)
    assert compute.times == 1
    assert "not cached: they need" in notes[0]


def test_the_default_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/threedie/features")
