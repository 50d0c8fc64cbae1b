"""Claims proved here, on streaming, against a real web server.

- The pictures, latents, labels, rows and views of a stream are those of the indexed reader; every
  object comes once in each epoch over all ranks, which stay in the same epoch.
- Resuming at any step, other numbers of threads, and http or files change nothing; the order is
  keyed by (seed, epoch, rank) and goes through the shuffle buffer, which holds what was said.
- A resumed run asks for no shard that it does not need.
- A changed byte, a cut, a longer or another shard, a hostile tar or sample: one clear error, and
  nothing of that shard was given out. No address and no member name runs anything.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data import builders
from tests.data.server import Server, serving
from threedie import files
from threedie.benchmark.reading.loader import PairLoader
from threedie.benchmark.reading.pairs import PairBatch
from threedie.benchmark.reading.source import open_pairs
from threedie.benchmark.reading.split import open_split
from threedie.benchmark.reading.stream import StreamingPairs, StreamPlan
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import DatasetManifest, ShardEntry

PLAN = builders.Plan(
    objects=tuple("abcdefg"), views=4, per_shard=4, image_format="jpg", channel_order="bgr"
)
N = 18  # objects of train, in shards of 4, 4, 4, 4 and 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "set"
    builders.build(place, PLAN)
    return place


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    before = set(threading.enumerate())
    with serving(folder) as running:
        yield running
    ours = {t for t in threading.enumerate() if t.name.startswith("threedie")}
    assert ours <= before


def source(address: str | Path, **options: Any) -> StreamingPairs:
    options = {"batch_size": 6, "seed": 2, "shuffle_buffer": 5, "workers": 2} | options
    return StreamingPairs(str(address), **options)


def pairs(batches: Iterator[PairBatch]) -> list[tuple[int, ...]]:
    """(row, first view, second view) in order."""
    return [
        (int(r), int(v[0]), int(v[1]))
        for b in batches
        for r, v in zip(b.row_N, b.view_N2, strict=True)
    ]


def parts(batches: Iterator[PairBatch]) -> dict[int, list[torch.Tensor]]:
    """Everything of an epoch, by row."""
    return {
        int(row): [
            b.x_NCHW[i].clone(),
            b.y_NCHW[i].clone(),
            b.rotation_N4[i],
            b.hue_N2[i],
            b.label_N[i],
            b.view_N2[i],
        ]
        for b in batches
        for i, row in enumerate(b.row_N)
    }


@pytest.mark.parametrize("size", [None, 16])
def test_it_is_what_the_indexed_reader_gives(server: Server, folder: Path, size: Any) -> None:
    stream = source(server.url, size=size)
    loader = PairLoader(open_split(folder, "train"), batch_size=6, seed=2, size=size)
    for first in (0, 3):  # two epochs of three steps
        ours = parts(stream.batches(first, first + 3))
        theirs = parts(loader.batches(first, first + 3))
        assert sorted(ours) == sorted(theirs) == list(range(N))
        for row, values in ours.items():
            assert all(torch.equal(a, b) for a, b in zip(values, theirs[row], strict=True))
    batch = next(stream.batches(0, 1))
    assert batch.x_NCHW.is_contiguous(memory_format=torch.channels_last)
    assert [t.dtype for t in (batch.label_N, batch.row_N, batch.view_N2)] == [torch.int64] * 3
    assert (stream.n_objects, stream.n_classes) == (N, loader.n_classes)
    assert stream.data_hash == loader.data_hash
    assert (stream.pixel_mean, stream.pixel_std) == (loader.pixel_mean, loader.pixel_std)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_have_every_object_once_an_epoch(folder: Path, world: int) -> None:
    ranks = [source(folder, rank=r, world=world) for r in range(world)]
    found = [pairs(rank.batches(0, 9)) for rank in ranks]  # 54 pairs: 3 epochs
    assert all(len(own) == 54 // world for own in found)
    for epoch in range(3):
        share = N // world
        rows = [row for own in found for row, *_ in own[epoch * share : (epoch + 1) * share]]
        assert sorted(rows) == list(range(N))


def test_uneven_shares_take_turns() -> None:
    """7 objects, 3 ranks: 3, 2, 2, then 2, 3, 2, then 2, 2, 3; always within one of each other."""
    plans = [StreamPlan([3, 4], seed=0, rank=r, world=3, buffer=2) for r in range(3)]
    for epoch in range(9):
        stretches = [plan.stretch(epoch).rows_N.tolist() for plan in plans]
        assert sorted(row for own in stretches for row in own) == list(range(7))
        had = [plan.before(epoch) for plan in plans]
        assert max(had) - min(had) <= 1
        assert sum(had) == 7 * epoch
        for plan, own in zip(plans, stretches, strict=True):
            positions = range(plan.before(epoch), plan.before(epoch) + len(own))
            assert [plan.epoch_at(i) for i in positions] == [epoch] * len(own)
    assert [len(plan.stretch(0).rows_N) for plan in plans] == [3, 2, 2]
    assert [len(plan.stretch(1).rows_N) for plan in plans] == [2, 3, 2]


@pytest.mark.parametrize("world", [1, 2])
def test_a_resumed_run_sees_the_same_pairs(folder: Path, world: int) -> None:
    options = {"world": world, "rank": world - 1, "batch_size": 8}
    expected = pairs(source(folder, **options).batches(0, 12))
    share = 8 // world
    for start in (1, 2, 5, 11):
        again = source(folder, workers=1, prefetch=1, **options)
        assert pairs(again.batches(start, 12)) == expected[start * share :]
    assert list(source(folder, **options).batches(4, 4)) == []


def test_the_order_has_its_keys(folder: Path) -> None:
    def rows(**options: Any) -> tuple[int, ...]:
        return tuple(row for row, *_ in pairs(source(folder, **options).batches(0, 6)))

    whole = rows()
    assert whole == rows(workers=1)
    assert whole[:N] != whole[N:]
    assert len({whole, rows(seed=3), rows(shuffle_buffer=6), rows(shuffle_buffer=1)}) == 4
    assert set(rows(rank=0, world=2)) | set(rows(rank=1, world=2)) == set(range(N))


def test_a_buffer_of_one_keeps_the_order_of_shards(folder: Path) -> None:
    rows = [row for row, *_ in pairs(source(folder, shuffle_buffer=1).batches(0, 3))]
    shards = [row // 4 for row in rows]
    assert rows == sorted(rows, key=lambda row: (shards.index(row // 4), row))
    assert list(dict.fromkeys(shards)) != sorted(set(shards))


@pytest.mark.parametrize("buffer", [1, 2, 7, 50])
def test_the_buffer_holds_what_was_said(buffer: int) -> None:
    plan = StreamPlan([40], seed=0, rank=0, world=1, buffer=buffer)
    emission = plan.stretch(0).emission_N
    assert sorted(emission.tolist()) == list(range(40))
    # The i-th to come out was among the first i + buffer that were read.
    assert (emission < np.arange(40) + buffer).all()
    assert buffer == 1 or (emission != np.arange(40)).any()


def test_ranks_shuffle_each_in_its_own_way() -> None:
    plans = [StreamPlan([60], seed=0, rank=r, world=3, buffer=50) for r in range(3)]
    assert len({tuple(plan.stretch(0).emission_N.tolist()) for plan in plans}) == 3


def test_every_place_of_the_buffer_is_alike() -> None:
    plans = (StreamPlan([4], seed=s, rank=0, world=1, buffer=4) for s in range(3000))
    orders = np.array([plan.stretch(0).emission_N for plan in plans])
    counts = np.array([[(orders[:, i] == k).sum() for k in range(4)] for i in range(4)])
    assert np.abs(counts - 750).max() < 120  # standard deviation 24


def test_each_shard_is_asked_for_once_an_epoch(server: Server) -> None:
    list(source(server.url).batches(0, 3))
    assert sorted(server.shards()) == [f"train-{i:06d}.tar" for i in range(5)]
    server.requests.clear()
    list(source(server.url, world=2, rank=0).batches(0, 3))
    half = server.shards()
    assert len(half) == len(set(half)) <= 4


def test_resuming_asks_for_what_it_needs(server: Server) -> None:
    options: dict[str, Any] = {"shuffle_buffer": 2, "batch_size": 3}
    whole = pairs(source(server.url, **options).batches(0, 6))
    server.requests.clear()
    last = pairs(source(server.url, **options).batches(5, 6))
    assert last == whole[15:]
    assert set(server.shards()) == {f"train-{row // 4:06d}.tar" for row, *_ in last}


def test_connections_that_break_change_nothing(server: Server) -> None:
    expected = pairs(source(server.url).batches(0, 3))
    server.cut, server.busy = (5000, 6), 2
    assert pairs(source(server.url).batches(0, 3)) == expected


def test_url_and_path_and_manifest_are_alike(server: Server, folder: Path) -> None:
    expected = pairs(source(folder).batches(0, 3))
    for address in (server.url, f"{server.url}/", f"{server.url}/dataset.json?key=1", f"{folder}/"):
        assert pairs(source(address).batches(0, 3)) == expected
    opened = open_pairs(server.url, batch_size=6, seed=2, workers=1)
    assert isinstance(opened, StreamingPairs)
    with pytest.raises(ConfigError, match="--cache ram is for data on this machine"):
        open_pairs(server.url, batch_size=6, seed=2, cache="ram")


def test_dropping_it_ends_its_threads(server: Server) -> None:
    batches = source(server.url).batches(0, 10**6)
    next(batches)
    assert any(t.name.startswith("threedie") for t in threading.enumerate())
    del batches
    assert not any(t.name.startswith("threedie") for t in threading.enumerate())


# What can be wrong with a shard. All pairs that came before the error are checked to be of others.


def fails(server: Server, message: str, **options: Any) -> None:
    """Streaming ends with the message, and nothing of shard 2 was given out."""
    given: list[tuple[int, ...]] = []
    batches = source(server.url, shuffle_buffer=1, batch_size=1, **options).batches(0, N)
    with pytest.raises(ManifestError, match=message):
        given.extend(pair for batch in batches for pair in pairs(iter([batch])))
    assert all(row // 4 != 2 for row, *_ in given)


def changed(at: int) -> Any:
    def rewrite(name: str, content: bytes) -> bytes:
        if name != "train-000002.tar":
            return content
        at_ = at % len(content)
        return content[:at_] + bytes([content[at_] ^ 1]) + content[at_ + 1 :]

    return rewrite


@pytest.mark.parametrize("at", [700, 2000, 512 * 20 + 600, -1, -5000])
def test_a_changed_byte(server: Server, at: int) -> None:
    server.rewrite = changed(at)
    fails(server, r"train-000002\.tar: (sha256 is .*a byte of it was changed|at byte \d+ is no)")


def test_a_changed_header(server: Server) -> None:
    for at, message in ((0, "member|cannot be read|sha256"), (156, "at byte 0 is no header")):
        server.rewrite = changed(at)
        fails(server, rf"train-000002\.tar: .*({message})")


@pytest.mark.parametrize("keep", [0, 512, 700, 5000, -512, -10240])
def test_a_truncated_shard(server: Server, keep: int) -> None:
    server.rewrite = lambda name, c: c[:keep] if "02.tar" in name else c
    fails(server, r"train-000002\.tar: cut off: \d+ bytes, the manifest says \d+\. Upload")


def test_a_shard_with_more_behind_it(server: Server) -> None:
    server.rewrite = lambda name, c: c + bytes(512) if "02.tar" in name else c
    fails(server, r"train-000002\.tar: too long")


def test_another_shard_in_its_place(server: Server, folder: Path) -> None:
    other = (folder / "train-000001.tar").read_bytes()
    server.rewrite = lambda name, c: other if "02.tar" in name else c
    fails(server, r"train-000002\.tar: (sha256|too long|cut off)")


def test_no_shard_and_no_manifest(server: Server, tmp_path: Path) -> None:
    server.rewrite = lambda name, c: b"<html>please log in</html>" if name.endswith(".tar") else c
    with pytest.raises(ManifestError, match="at byte 0 is no header that a shard may have"):
        list(source(server.url).batches(0, 1))
    with pytest.raises(StorageError, match=r"nothing/dataset\.json: HTTP 404"):
        source(f"{server.url}/nothing")
    server.rewrite = lambda name, c: c.replace(b'"seed": 7', b'"seed": 8')
    with pytest.raises(ManifestError, match=r"^http.*dataset\.json: field|recipe_hash"):
        source(server.url)
    server.rewrite = lambda name, c: b'{"schema_version": 9}'
    with pytest.raises(ManifestError, match="schema_version is 9, 1 was expected"):
        source(server.url)


def tar(members: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for info, content in members:
            info.size = len(content) if info.isreg() and not info.size else info.size
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def claim(folder: Path, content: bytes, **changes: Any) -> None:
    """Make a shard's entry in the manifest fit other content: a hostile publisher."""
    manifest = DatasetManifest.read(folder)
    fixed = {
        "name": "train-000002.tar",
        "split": "train",
        "samples": 4,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    ours = ShardEntry.model_validate(fixed | changes)
    shards = tuple(ours if s.name == ours.name else s for s in manifest.shards)
    manifest.model_copy(update={"shards": shards}).write(folder)
    files.put(folder / "train-000002.tar", content)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    builders.build(tmp_path / "set", PLAN)
    with serving(tmp_path / "set") as running:
        yield running


def bombs() -> dict[str, bytes]:
    big = entry("a_b.000.jpg", size=0)
    long_name = tar([(entry("x" * 300 + ".json"), b"{}")], tarfile.GNU_FORMAT)
    sparse = bytearray(tar([(entry("a_b.json"), b"{}")], tarfile.GNU_FORMAT))
    sparse[156:157] = b"S"
    huge = bytearray(tar([(big, b"")]))
    huge[124:136] = b"77777777777\0"
    base256 = bytearray(tar([(big, b"")]))
    base256[124:136] = b"\x80" + bytes(10) + b"\1"
    return {
        "a link": tar([(entry("a_b.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")]),
        "a long name": long_name,
        "pax headers": tar([(entry("é" * 90), b"")], tarfile.PAX_FORMAT),
        "a sparse file": bytes(sparse),
        "a huge size": bytes(huge),
        "a size in binary": bytes(base256),
        "compressed": b"\x1f\x8b\x08" + bytes(2000),
        "a path": tar([(entry("../../etc/x.json"), b"{}")]),
        "an absolute path": tar([(entry("/etc/cron.d/x.json"), b"{}")]),
        "an unknown member": tar([(entry("a_b.pyd"), b"x")]),
        "a pickle": tar([(entry("a_b.pkl"), b"cos\nsystem\n(S'true'\ntR.")]),
        "an upper-case member": tar([(entry("a_b.JSON"), b"{}")]),
        "no member": tar([]),
    }


@pytest.mark.parametrize("case", list(bombs()))
def test_a_hostile_tar_is_refused(hostile: Server, case: str) -> None:
    claim(hostile.folder, bombs()[case])
    fails(hostile, r"train-000002\.tar: (at byte|member|0 objects|cannot be read)")


def sample(**changes: Any) -> bytes:
    """Shard 2 with its first sample changed."""
    members, key = dict(ORIGINAL), next(iter(ORIGINAL)).partition(".")[0]
    record = json.loads(members[f"{key}.json"])
    given = changes.pop("members", {})
    members[f"{key}.json"] = json.dumps(record | changes).encode()
    members |= {f"{key}.{suffix}": content for suffix, content in given.items()}
    return tar([(entry(name), content) for name, content in members.items() if content])


ORIGINAL: dict[str, bytes] = {}


@pytest.fixture
def originals(folder: Path) -> None:
    with tarfile.open(folder / "train-000002.tar") as archive:
        for info in archive:
            file = archive.extractfile(info)
            assert file is not None
            ORIGINAL[info.name] = file.read()


def array(values: Any, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, values, allow_pickle=allow_pickle)
    return out.getvalue()


SAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "another label": ({"label": 3}, "its class or label is not the manifest's"),
    "a label that is no number": ({"label": "0"}, "its class or label"),
    "an unknown class": ({"class": "zzz"}, "its class or label"),
    "a class that is a list": ({"class": [1]}, "its class or label"),
    "no json": ({"members": {"json": b""}}, "json is missing"),
    "broken json": ({"members": {"json": b"{"}}, "not valid JSON"),
    "no latents": ({"members": {"latents.npy": b""}}, r"latents\.npy is missing"),
    "latents of text": ({"members": {"latents.npy": b"text"}}, "not a plain latents array"),
    "other latents": ({"members": {"latents.npy": array(np.zeros((3, 7)))}}, r"shape \(3, 7\)"),
    "pickled latents": (
        {"members": {"latents.npy": array(np.array([{}] * 4, object), True)}},
        "object of shape",
    ),
    "a damaged picture": (
        {"members": {f"{v:03d}.jpg": b"\xff\xd8\xff damaged" for v in range(4)}},
        r"view \d: a picture of 11 bytes does not decode",
    ),
    "a view that is not there": (
        {"members": {f"{v:03d}.jpg": b"" for v in range(4)}},
        r"00\d\.jpg.* is missing",
    ),
}


@pytest.mark.usefixtures("originals")
@pytest.mark.parametrize("case", SAMPLES)
def test_a_hostile_sample_is_refused(hostile: Server, case: str) -> None:
    changes, message = SAMPLES[case]
    claim(hostile.folder, sample(**dict(changes)))
    with pytest.raises(ManifestError, match=message):
        list(source(hostile.url).batches(0, 3))


@pytest.mark.usefixtures("originals")
def test_another_number_of_samples_than_the_manifest_says(hostile: Server) -> None:
    claim(hostile.folder, sample(), samples=5)
    with pytest.raises(ManifestError, match="4 objects, the manifest says 5"):
        list(source(hostile.url, batch_size=1).batches(0, 19))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, "no objects in split 'test'; it has train, val"),
        ({"batch_size": 19}, "batch size is 19, and the split has 18"),
        ({"world": 4}, "ranks must divide it"),
        ({"shuffle_buffer": 0}, "shuffle buffer holds 0"),
        ({"size": 33}, "33 pixels were asked for"),
    ],
)
def test_impossible_numbers(folder: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        source(folder, **change)


def test_commands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Commands \(pipe:\)"):
        source(f"pipe:touch {tmp_path}/ran; cat")
    with pytest.raises(ConfigError, match=r"Commands \(pipe:\)"):
        open_pairs(f"pipe:touch {tmp_path}/ran", batch_size=1, seed=0)
    assert not (tmp_path / "ran").exists()
