"""Shards into the published layout: pictures as they are, a latent file a view, the split lists.

Into a folder an object at a time, each appearing as a whole (five million flushes would take hours,
so everything is flushed once at the end, and a run that goes on compares what is there byte for
byte); the lists come last. Into one .tar in a fixed order, so that equal sets are equal archives.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from threedie import files
from threedie.data.dataset import Dataset, Sample, open_dataset
from threedie.data.published import is_safe_name
from threedie.data.shard import BLOCK, end_of_shard
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import FILE_NAME, canonical_json, read_json
from threedie.manifests.latents import Array
from threedie.sharing.convert.progress import ConsoleProgress, ConvertProgress
from threedie.words import plural

LAYOUTS = ("official",)
_MARKER = ".export.json"
_ROOT = "3DIEBench"
"""The leading folder of an archive, as published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOutcome:
    """How an export ended."""

    target: Path
    objects: int
    written: int
    """Objects that this run has written; the others were there."""


def export_dataset(
    folder: Path, target: Path, *, layout: str = "official", progress: ConvertProgress
) -> ExportOutcome:
    """Write a data set in the published layout.

    Args:
        folder: a finished data set.
        target: a folder (created, or of the same export), or a file that ends in .tar.
        layout: official.
        progress: is told what happens.

    Raises:
        ConfigError: the target holds something else; an unknown layout.
        ManifestError: the data set is damaged, or an object's name can't be a folder's.
        StorageError: the disk is full or fails.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout '{layout}'. Known: {', '.join(LAYOUTS)}.")
    if target.name.lower().endswith((".tar.gz", ".tgz")):
        raise ConfigError(f"--out is '{target}'; give a .tar: pictures do not shrink in a .gz.")
    dataset = open_dataset(folder)
    rows = _sorted_rows(dataset)
    progress.writing(len(rows), 0)
    if target.suffix.lower() == ".tar":
        written = _into_tar(dataset, rows, target, progress)
    else:
        written = _into_folder(dataset, rows, target, progress)
    return ExportOutcome(target=target, objects=len(rows), written=written)


def _sorted_rows(dataset: Dataset) -> list[int]:
    """Rows of the data set in the order of the objects' names, which are known to be harmless."""
    names = [str(n) for index in dataset.indices.values() for n in index.objects_N]
    for name in names:
        parts = name.split("/")
        if len(parts) != 2 or not all(map(is_safe_name, parts)):
            raise ManifestError(
                f"{dataset.folder}: the object {name[:80]!r} can't be written as a folder of that "
                "name. Leave this data set as it is."
            )
    return sorted(range(len(names)), key=lambda row: names[row])


def _files(sample: Sample, image_format: str) -> dict[str, bytes]:
    """The files of an object, by name."""
    views = range(len(sample.views))
    pictures = {f"image_{v}.{image_format}": sample.views.encoded(v) for v in views}
    return pictures | {f"latent_{v}.npy": _npy(sample.latents[v]) for v in views}


def _npy(array: Array | np.ndarray[tuple[int], np.dtype[np.generic]]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _lists(dataset: Dataset, rows: list[int]) -> dict[str, bytes]:
    """`<split>_images.npy` and `<split>_labels.npy`, as published: "/SYNSET/OBJECT/" and int64."""
    found = {}
    samples = [dataset[row] for row in rows]
    for split in dict.fromkeys(sample.split for sample in samples):
        chosen = [sample for sample in samples if sample.split == split]
        found[f"{split}_images.npy"] = _npy(np.array([f"/{s.object}/" for s in chosen], np.str_))
        found[f"{split}_labels.npy"] = _npy(np.array([s.label for s in chosen], np.int64))
    return found


def _into_folder(dataset: Dataset, rows: list[int], target: Path, progress: ConvertProgress) -> int:
    _claim(dataset, target)
    written, image_format = 0, dataset.manifest.making.image_format
    for row in rows:
        sample = dataset[row]
        path, content = target / sample.object, _files(sample, image_format)
        if not _is_there(path, content):
            files.make_directory(path.parent)
            files.put_folder(path, content)
            written += 1
        progress.wrote(1)
    with files.storage_errors(target):
        files.sync_all()
    for name, content_of_list in _lists(dataset, rows).items():
        files.put(target / name, content_of_list)
    return written


def _claim(dataset: Dataset, target: Path) -> None:
    """Mark the folder as this export's, or see that it is.

    Raises:
        ConfigError: it is something else.
    """
    made, given = target.resolve(), dataset.folder.resolve()
    if made == given or made in given.parents or given in made.parents:
        raise ConfigError(f"--out {target} and the data set {dataset.folder} are in one another.")
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is a file; --out names a folder, or a .tar.")
    digest = files.sha256_file(dataset.folder / FILE_NAME)
    marker = target / _MARKER
    if marker.exists():
        there = read_json(marker).get("dataset_sha256")
        if there != digest:
            raise ConfigError(
                f"{target} holds the export of another data set (its dataset.json has the sha256 "
                f"{str(there)[:12]}…, this one's {digest[:12]}…). Give another --out."
            )
    elif target.exists() and (strangers := sorted(p.name for p in target.iterdir())):
        raise ConfigError(
            f"{target} is not empty and holds no export of threedie (found {strangers[0]}). Give "
            "--out a new or empty folder, or a .tar."
        )
    files.make_directory(target)
    for folder in (target, *(p for p in target.iterdir() if p.is_dir() and not p.is_symlink())):
        files.sweep(folder)
    files.put(marker, canonical_json({"dataset_sha256": digest}))


def _is_there(path: Path, content: dict[str, bytes]) -> bool:
    try:
        return all((path / name).read_bytes() == data for name, data in content.items())
    except OSError:
        return False


def _into_tar(dataset: Dataset, rows: list[int], target: Path, progress: ConvertProgress) -> int:
    if target.is_file():
        if _is_same(target, _tar_pieces(dataset, rows, progress)):
            return 0
        raise ConfigError(f"{target} is there already, with other content. Give another --out.")
    if target.exists() or not target.parent.is_dir():
        what = "it is there, and no file" if target.exists() else f"no folder {target.parent}"
        raise ConfigError(f"--out is '{target}': {what}.")
    files.sweep(target.parent, of=f"{target.name}.")  # a killed export left up to a whole archive
    files.put(target, _tar_pieces(dataset, rows, progress))
    return len(rows)


def _tar_pieces(dataset: Dataset, rows: list[int], progress: ConvertProgress) -> Iterator[bytes]:
    """The lists, then the objects in the order of their names, then the end."""
    size = 0
    for name, content in _lists(dataset, rows).items():
        piece = _member(f"{_ROOT}/{name}", content)
        size += len(piece)
        yield piece
    image_format = dataset.manifest.making.image_format
    for row in rows:
        sample = dataset[row]
        members = (
            _member(f"{_ROOT}/{sample.object}/{name}", content)
            for name, content in _files(sample, image_format).items()
        )
        piece = b"".join(members)
        size += len(piece)
        yield piece
        progress.wrote(1)
    yield end_of_shard(size)


def _member(name: str, content: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % BLOCK)


def _is_same(path: Path, pieces: Iterator[bytes]) -> bool:
    with path.open("rb") as file:
        return all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)


def export_path(folder: Path, target: Path, *, layout: str, console: Console) -> None:
    """Export a data set, and say how it ended."""
    progress = ConsoleProgress(console)
    try:
        outcome = export_dataset(folder, target, layout=layout, progress=progress)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("The same command goes on.") from stop
    finally:
        progress.close()
    order = open_dataset(folder).manifest.making.channel_order
    there = plural(outcome.objects, "object")
    said = f"all {there} are there"
    if outcome.written:
        said = f"{outcome.written:,} of {there} written"
    line = f"{target}: {said}. Its pictures are {order}; the published ones are bgr."
    console.print(escape(line), highlight=False, soft_wrap=True)
