"""Some classes of a data set come here: their samples out of the published shards, and no others.

Shards mix classes, so parts of them are asked for, by the offsets in the index, and packed into
shards of our own in the same order. A published hash is of a whole shard and can't be compared with
a part; what can be is: the tar headers, the key, offsets, lengths, latents and record of a sample
against index and manifest, and, where the record has the hash of the pictures (converted sets),
that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from threedie import files
from threedie.data import urls
from threedie.data.finish import finish_dataset
from threedie.data.index import SplitIndex, read_index
from threedie.data.shard import BLOCK, SampleMembers, end_of_shard, parse_latents, parse_sample
from threedie.errors import ManifestError
from threedie.manifests.dataset import (
    Converted,
    ShardEntry,
    canonical_json,
    parse_json,
)
from threedie.sharing.transfer.target import Target
from threedie.sharing.transfer.transfer import OnBytes, Transfer, TransferProgress
from threedie.sharing.transfer.whole_set import Published, bring, index_names, part_of_classes

_LONGEST_PART = 16 << 20
"""Bytes asked for at once, where wanted samples lie side by side."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where a sample lies in a published shard."""

    row: int
    shard: ShardEntry
    first: int
    end: int
    """Of the last sample of a shard: with the end blocks."""


@dataclass(frozen=True, slots=True)
class _OwnShard:
    """A shard that is made here."""

    name: str
    split: str
    samples: tuple[_Extent, ...]


def download_classes(
    published: Published, target: Target, *, jobs: int, progress: TransferProgress
) -> None:
    """Bring the samples of the wanted classes, and write a manifest of them.

    Raises:
        ManifestError: a sample is not what index and manifest say; the shards before are kept.
        StorageError: the disk is full, or the server is gone or sends no parts.
    """
    manifest = published.manifest
    splits = target.wanted.splits or tuple(manifest.splits)
    _bring_indices(published, target, splits, jobs=jobs)
    indices = {s: read_index(target.work, s, manifest.files) for s in splits}
    shards = [shard for s in splits for shard in _deal(published, target, s, indices[s])]
    lacking = [
        _transfer(published, target, shard, indices[shard.split])
        for shard in shards
        if target.entry(shard.name, _record(target, shard)) is None
    ]
    bring(lacking, target, found=len(shards) - len(lacking), jobs=jobs, progress=progress)
    entries = [target.entry(shard.name, _record(target, shard)) for shard in shards]
    counts = Counter(
        _class_of(indices[shard.split], sample.row) for shard in shards for sample in shard.samples
    )
    finish_dataset(
        target.folder,
        making=manifest.making,
        classes=part_of_classes(manifest, counts),
        shards=[entry for entry in entries if entry is not None],
        failures=(),
        subset_of=target.wanted,
    )
    target.finish()


def _bring_indices(
    published: Published, target: Target, splits: Sequence[str], *, jobs: int
) -> None:
    """The published index is only looked into: it goes into the working folder."""
    listed = published.manifest.files
    names = [name for split in splits for name in index_names(split)]
    lacking = [
        published.transfer(name, target.work / name, listed[name].bytes, listed[name].sha256)
        for name in names
        if not (target.work / name).is_file()
    ]
    bring(lacking, target, found=len(names) - len(lacking), jobs=jobs, progress=TransferProgress())


def _class_of(index: SplitIndex, row: int) -> str:
    return str(index.objects_N[row]).partition("/")[0]


def _deal(
    published: Published, target: Target, split: str, index: SplitIndex
) -> Iterator[_OwnShard]:
    """The wanted samples in their published order, as many to a shard as there."""
    wanted, most = target.wanted.classes or (), published.manifest.making.objects_per_shard
    extents = [e for e in _extents(published, split, index) if _class_of(index, e.row) in wanted]
    for number, first in enumerate(range(0, len(extents), most)):
        yield _OwnShard(f"{split}-{number:06d}.tar", split, tuple(extents[first : first + most]))


def _extents(published: Published, split: str, index: SplitIndex) -> Iterator[_Extent]:
    """A sample begins with the header of its first picture and ends where the next one begins."""
    entries = [entry for entry in published.manifest.shards if entry.split == split]
    starts = index.offsets_NV[:, 0] - BLOCK
    counts = np.bincount(index.shards_N, minlength=len(entries)).tolist()
    if counts != [entry.samples for entry in entries]:
        raise ManifestError(f"{published.base}: the index of {split} is not of these shards.")
    for row, number in enumerate(index.shards_N.tolist()):
        last = row + 1 == len(starts) or index.shards_N[row + 1] != number
        end = entries[number].bytes if last else int(starts[row + 1])
        if not 0 <= starts[row] < end <= entries[number].bytes:
            raise ManifestError(f"{published.base}: the index of {split} is out of order.")
        yield _Extent(row, entries[number], int(starts[row]), end)


def _transfer(
    published: Published, target: Target, shard: _OwnShard, index: SplitIndex
) -> Transfer:
    def run(on_bytes: OnBytes) -> None:
        path = target.folder / shard.name
        written = files.put(path, _content(published, shard, index, on_bytes))
        entry = ShardEntry(
            name=shard.name,
            split=shard.split,
            samples=len(shard.samples),
            bytes=written.size,
            sha256=written.sha256,
        )
        target.put_working(_record(target, shard), canonical_json(entry.model_dump(mode="json")))

    return Transfer(name=shard.name, size=sum(e.end - e.first for e in shard.samples), run=run)


def _record(target: Target, shard: _OwnShard) -> Path:
    return target.work / f"{shard.name}.json"


def _content(
    published: Published, shard: _OwnShard, index: SplitIndex, on_bytes: OnBytes
) -> Iterator[bytes]:
    size = 0
    for part in _parts(shard.samples):
        entry, first, end = part[0].shard, part[0].first, part[-1].end
        address = urls.join(published.base, entry.name)
        content = urls.read_range(address, first, end, size=entry.bytes, token=published.token)
        for sample in part:
            body = content[sample.first - first : sample.end - first]
            checked = _checked(published, shard, index, sample, body)
            yield checked
            size += len(checked)
        on_bytes(end - first)
    yield end_of_shard(size)


def _parts(samples: Sequence[_Extent]) -> Iterator[list[_Extent]]:
    """Samples that lie side by side, to be asked for at once."""
    part: list[_Extent] = []
    for sample in samples:
        beside = part and (part[-1].shard, part[-1].end) == (sample.shard, sample.first)
        if part and not (beside and sample.end - part[0].first <= _LONGEST_PART):
            yield part
            part = []
        part.append(sample)
    if part:
        yield part


def _checked(
    published: Published, shard: _OwnShard, index: SplitIndex, extent: _Extent, body: bytes
) -> bytes:
    """The bytes of a sample, compared with all that is known of it.

    Raises:
        ManifestError: they differ; says in what.
    """
    row, manifest = extent.row, published.manifest
    where = Path(f"{extent.shard.name}, {index.objects_N[row]}")
    sample, content = parse_sample(body, where)
    record = parse_json(_member(content, sample, "json"), f"{where}.json")
    latents = parse_latents(_member(content, sample, "latents.npy"), str(where))
    labels = {entry.class_id: entry.label for entry in manifest.classes}
    expected = {
        "key": str(index.keys_N[row]),
        "offsets": (index.offsets_NV[row] - extent.first).tolist(),
        "lengths": index.lengths_NV[row].tolist(),
        "latents": index.latents_NVD[row].tolist(),
        "object": str(index.objects_N[row]),
        "label": labels.get(_class_of(index, row)),
        "split": shard.split,
        "recipe_hash": manifest.recipe_hash,
    }
    found = {
        "key": sample.key,
        "offsets": [member.offset for member in sample.images],
        "lengths": [member.size for member in sample.images],
        "latents": latents.tolist(),
        "object": f"{record.get('class')}/{record.get('object')}",
        **{name: record.get(name) for name in ("label", "split", "recipe_hash")},
    }
    wrong = [name for name, value in expected.items() if found[name] != value]
    if isinstance(manifest.making, Converted) and not wrong:
        pictures = b"".join(content[m.offset : m.offset + m.size] for m in sample.images)
        same = hashlib.sha256(pictures).hexdigest() == record.get("source_sha256")
        wrong += [] if same else ["source_sha256"]
    if wrong:
        raise ManifestError(
            f"{urls.shown(published.base)}/{where}: its {', '.join(wrong)} differ from what the "
            "index and the manifest say."
        )
    return content


def _member(content: bytes, sample: SampleMembers, suffix: str) -> bytes:
    member = sample.record if suffix == "json" else sample.latents
    return content[member.offset : member.offset + member.size]
