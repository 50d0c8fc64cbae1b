"""Check a finished data set to the last byte: the library half of `3die verify`.

Every listed file against its hash, every shard against the strict reader, every sample against the
manifest and the index, every picture decoded. All problems are collected; a damaged shard is one
problem, and the rest goes on.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from threedie import files
from threedie.data import index as split_index
from threedie.data.index import PixelSums, SplitIndex, read_index
from threedie.data.ledger import FILE_NAME as LEDGER
from threedie.data.ledger import read_ledger
from threedie.data.verify_shard import ShardCheck, ShardFindings
from threedie.errors import ManifestError
from threedie.manifests.dataset import (
    FILE_NAME,
    DatasetManifest,
    FileEntry,
)
from threedie.manifests.latents import COLUMNS, TRANSLATION_COLUMNS

_MEND = "Render again into the same folder: it is made anew."
_THREADS = 8  # decoding and hashing leave the interpreter lock


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """What `verify_dataset` has found."""

    folder: Path
    problems: list[str]
    """Each: file, what was found, what was expected. Empty: the data set is whole."""
    notes: list[str]
    """What could not be checked, and files that are no part of the data set."""
    shards: int = 0
    samples: int = 0
    pictures: int = 0
    bytes: int = 0
    """Of the files that the manifest lists."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_dataset(folder: Path, *, on_shard: Callable[[str], None] | None = None) -> VerifyReport:
    """Check everything that can be wrong with a data set.

    Args:
        folder: holds dataset.json.
        on_shard: told the name of each shard when it has been checked, in the manifest's order.

    Returns:
        Problems, notes and counts. Nothing is raised for a damaged data set.
    """
    started = time.perf_counter()
    try:
        manifest = DatasetManifest.read(folder)
    except ManifestError as err:
        return VerifyReport(folder=folder, problems=[str(err)], notes=[])
    damaged = _damaged_files(folder, manifest)
    problems = [*_manifest_problems(folder, manifest), *damaged.values()]
    indices = _read_indices(folder, manifest, damaged, problems)
    shards = _check_shards(folder, manifest, indices, on_shard)
    problems += [problem for shard in shards for problem in shard.problems]
    if not problems:  # totals over damaged parts would only repeat what is told
        problems += _total_problems(folder, manifest, shards)
    return VerifyReport(
        folder=folder,
        problems=problems,
        notes=list(_notes(folder, manifest)),
        shards=len(shards),
        samples=sum(len(shard.objects) for shard in shards),
        pictures=sum(shard.pictures for shard in shards),
        bytes=sum(e.bytes for e in manifest.shards) + sum(e.bytes for e in manifest.files.values()),
        seconds=time.perf_counter() - started,
    )


def _manifest_problems(folder: Path, manifest: DatasetManifest) -> Iterator[str]:
    """What its schema can't say."""
    path = folder / FILE_NAME
    columns = (*COLUMNS, *TRANSLATION_COLUMNS)[: manifest.making.recipe.latent_size]
    if manifest.latent_columns != columns:
        yield f"{path}: latent_columns are {manifest.latent_columns}, expected {columns}."
    if manifest.failures and LEDGER not in manifest.files:
        yield f"{path}: counts {manifest.failures} failures and lists no {LEDGER}."
    yield from _doubled(path, "shard", (entry.name for entry in manifest.shards))
    yield from _doubled(path, "class", (entry.class_id for entry in manifest.classes))
    yield from _doubled(path, "label", (entry.label for entry in manifest.classes))


def _doubled(path: Path, what: str, names: Iterable[object]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{path}: {what} {name} is there {count} times, once was expected."


def _damaged_files(folder: Path, manifest: DatasetManifest) -> dict[str, str]:
    """Files beside the shards that are not as listed, by name: the problem."""
    needed = {name for split in manifest.splits for name in _index_names(split)}
    listing = folder / FILE_NAME
    found = {name: f"{listing}: lists no {name}. {_MEND}" for name in needed - set(manifest.files)}
    for name, entry in manifest.files.items():
        if name not in needed | {LEDGER}:
            found[name] = f"{listing}: lists {name!r}, which is no file of a data set."
        elif problem := _file_problem(folder / name, entry):
            found[name] = f"{problem} {_MEND}" if name in needed else problem
    return dict(sorted(found.items()))


def _index_names(split: str) -> tuple[str, str]:
    return f"{split_index.FOLDER}/{split}.npz", f"{split_index.FOLDER}/{split}.latents.npy"


def _file_problem(path: Path, entry: FileEntry) -> str | None:
    try:
        size, digest = path.stat().st_size, files.sha256_file(path)
    except OSError as err:
        return f"{path}: {err.strerror}; {FILE_NAME} lists it."
    if size != entry.bytes:
        return f"{path}: {size} bytes, {FILE_NAME} says {entry.bytes}."
    if digest != entry.sha256:
        return f"{path}: sha256 is {digest[:16]}…, {FILE_NAME} says {entry.sha256[:16]}…."
    return None


def _read_indices(
    folder: Path, manifest: DatasetManifest, damaged: dict[str, str], problems: list[str]
) -> dict[str, SplitIndex]:
    """The index of every split whose files are whole; others' problems are told already."""
    indices = {}
    for split in manifest.splits:
        if damaged.keys() & set(_index_names(split)):
            continue
        try:
            index = read_index(folder, split, manifest.files)
        except ManifestError as err:
            problems.append(str(err))
            continue
        if problem := _shape_problem(manifest, split, index):
            problems.append(f"{folder / _index_names(split)[0]}: {problem}")
        else:
            indices[split] = index
    return indices


def _shape_problem(manifest: DatasetManifest, split: str, index: SplitIndex) -> str | None:
    total, views = manifest.splits[split], manifest.making.views
    found = (index.keys_N.shape, index.offsets_NV.shape, index.latents_NVD.shape)
    expected = ((total,), (total, views), (total, views, len(manifest.latent_columns)))
    if found != expected:
        return f"keys, offsets and latents have shapes {found}, expected {expected}."
    entries = [entry for entry in manifest.shards if entry.split == split]
    numbers = [number for number, entry in enumerate(entries) for _ in range(entry.samples)]
    if index.shards_N.tolist() != numbers:
        return f"its samples per shard are not those of {FILE_NAME}."
    return None


def _check_shards(
    folder: Path,
    manifest: DatasetManifest,
    indices: dict[str, SplitIndex],
    on_shard: Callable[[str], None] | None,
) -> list[ShardFindings]:
    rows = Counter[str]()
    checks, results = [], []
    for entry in manifest.shards:
        checks.append(
            ShardCheck(
                folder=folder,
                manifest=manifest,
                entry=entry,
                index=indices.get(entry.split),
                first=rows[entry.split],
            )
        )
        rows[entry.split] += entry.samples
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for check, findings in zip(checks, pool.map(ShardCheck.run, checks), strict=True):
            results.append(findings)
            if on_shard:
                on_shard(check.entry.name)
    return results


def _total_problems(
    folder: Path, manifest: DatasetManifest, shards: list[ShardFindings]
) -> Iterator[str]:
    """What only shows over all shards."""
    path, objects = folder / FILE_NAME, list(chain.from_iterable(s.objects for s in shards))
    yield from _doubled(path, "object", (f"{c}/{o}" for c, o in objects))
    try:
        failed = Counter(f.object.split("/")[0] for f in read_ledger(folder, manifest))
    except ManifestError as err:
        yield str(err)
        return
    there = Counter(class_id for class_id, _ in objects)
    for entry in manifest.classes:
        counts = (there[entry.class_id], failed[entry.class_id])
        if sum(counts) != entry.objects:
            yield (
                f"{path}: class {entry.class_id} has {entry.objects} objects there; the shards "
                f"have {counts[0]}, and {counts[1]} failed."
            )
    if len({shard.keys for shard in shards if shard.objects}) > 1:
        yield f"{folder}: the samples' json has other fields in one shard than in another."
    sums = PixelSums()
    for part in (shard.sums for shard in shards if shard.objects):
        sums.add({"pixel_sum": part.total, "pixel_sum_squares": part.squares}, part.count)
    found, listed = sums.mean_std(), (manifest.pixel_mean, manifest.pixel_std)
    if found != listed:
        yield f"{path}: pixel_mean and pixel_std are {listed}, the samples give {found}."


def _notes(folder: Path, manifest: DatasetManifest) -> Iterator[str]:
    if (part := manifest.subset_of) is not None:
        chosen = {"split": part.splits, "classes": part.classes}
        said = "; ".join(f"{what} {', '.join(names)}" for what, names in chosen.items() if names)
        yield (
            f"A part ({said}) of the data set whose {FILE_NAME} has "
            f"sha256 {part.manifest_sha256[:16]}…; failures.jsonl of a part is empty."
        )
    if manifest.making.latents_sha256 is not None:
        yield "The latents were given, not drawn: their ranges were not checked."
    if not any(entry.samples for entry in manifest.shards):
        yield "It holds no object: all have failed."
    known = {FILE_NAME, *manifest.files, *(entry.name for entry in manifest.shards)}
    inside = (*folder.iterdir(), *(folder / split_index.FOLDER).glob("*"))
    for path in sorted(inside):
        name = path.relative_to(folder).as_posix()
        ours = name == "gallery.html" or (path.parent == folder and path.suffix == ".png")
        if name not in known and name != split_index.FOLDER and not ours:
            yield f"{name}{'/' if path.is_dir() else ''} is no part of the data set."
