"""Other people's pictures into shards: a conversion that reads its source once, and can be killed.

The source streams into a spool (spool.py), a plan is made of it (plan.py), and the shards
are written out of the spool; dataset.json comes last. A conversion that was killed while it read
begins anew; after that it goes on with the next shard, and the source is not touched again.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.data import ledger
from threedie.data.finish import finish_dataset
from threedie.data.folders import locked
from threedie.errors import ConfigError
from threedie.manifests.dataset import (
    ClassEntry,
    Converted,
    DatasetManifest,
    Failure,
    ShardEntry,
)
from threedie.sharing.convert.plan import ConvertOptions, make_plan
from threedie.sharing.convert.progress import ConvertProgress
from threedie.sharing.convert.published_source import ArchiveSource, FolderSource, Source
from threedie.sharing.convert.set_aside import SetAside
from threedie.sharing.convert.shards import ShardWriter
from threedie.sharing.convert.spool import Spool, SpoolWriter
from threedie.sharing.convert.target import (
    WORK,
    check_room,
    check_target,
    finished_manifest,
    keep_plan,
)

_ROOM = 2.2  # times the source: spool and shards, with headers, padding and index


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertOutcome:
    """How a conversion ended."""

    folder: Path
    manifest: DatasetManifest
    failures: tuple[Failure, ...]
    converted: bool
    """Whether this run has written something; else everything was there."""
    notes: tuple[str, ...]
    """What is good to know of the source; a line each."""
    seconds: float

    @property
    def objects(self) -> int:
        """In the shards."""
        return sum(self.manifest.splits.values())


def convert_archive(
    chunks: Iterable[bytes],
    *,
    name: str,
    size: int | None,
    out: Path,
    options: ConvertOptions,
    progress: ConvertProgress,
) -> ConvertOutcome:
    """Convert a tar or tar.gz in the published layout, in bounded memory, as it arrives.

    Args:
        chunks: the archive's bytes; not touched if a spool of it is there already.
        name: of the archive, without path and query.
        size: in bytes, if known.
        out: folder of the data set; created, or the same conversion's.
        options: what is asked for.
        progress: is told what happens.

    Raises:
        ManifestError: the archive is damaged, cut off, or holds nothing of the layout.
        ConfigError: the folder holds something else; the channel order can't be found out.
        StorageError: the disk is full or fails.
        Busy: another run writes into the folder.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    return _convert(ArchiveSource(chunks, name, size), out, options, progress)


def convert_folder(
    folder: Path, *, out: Path, options: ConvertOptions, progress: ConvertProgress
) -> ConvertOutcome:
    """Convert a folder in the published layout; see `convert_archive`.

    Raises:
        ConfigError: `out` and `folder` are in one another, too.
    """
    made, given = out.resolve(), folder.resolve()
    if made == given or made in given.parents or given in made.parents:
        raise ConfigError(
            f"the data set would go into {out}, the pictures are in {folder}: give --out a folder "
            "outside of them."
        )
    return _convert(FolderSource(folder), out, options, progress)


def _convert(
    source: Source, out: Path, options: ConvertOptions, progress: ConvertProgress
) -> ConvertOutcome:
    begun, work = time.monotonic(), out / WORK
    check_target(out, source, options)
    if (finished := finished_manifest(out)) is not None:
        _clear(out)  # a run may have been killed after its last word
        return _outcome(out, finished, converted=False, notes=(), begun=begun)
    with files.storage_errors(out):
        files.make_directory(work)
        with locked(work / "lock"):
            check_target(out, source, options)
            _sweep(out)
            if not (work / "sealed.json").exists():
                _fill_spool(source, out, progress)
            made = _write_shards(out, options, progress)
            manifest = finish_dataset(
                out,
                making=made.making,
                classes=made.classes,
                shards=made.shards,
                failures=made.failures,
            )
            _clear(out)
    return _outcome(out, manifest, converted=True, notes=made.notes, begun=begun)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """What is left to know when the shards are written: the index needs the spool's memory."""

    making: Converted
    classes: tuple[ClassEntry, ...]
    shards: list[ShardEntry]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]


def _write_shards(out: Path, options: ConvertOptions, progress: ConvertProgress) -> _Made:
    spool = Spool(out / WORK)
    plan = make_plan(spool, options)
    for note in plan.notes:
        progress.say(note)
    keep_plan(out, plan.making)
    return _Made(
        making=plan.making,
        classes=plan.classes,
        shards=ShardWriter(out, spool, plan, progress).write(),
        failures=plan.failures,
        notes=plan.notes,
    )


def _clear(out: Path) -> None:
    """Remove the working files; first the seal, without which the others are nothing."""
    with contextlib.suppress(OSError):
        (out / WORK / "sealed.json").unlink(missing_ok=True)
        _sweep(out)
    shutil.rmtree(out / WORK, ignore_errors=True)


def _sweep(out: Path) -> None:
    for folder in (out, out / "index", out / WORK, out / WORK / "lists"):
        files.sweep(folder)


def _outcome(
    out: Path, manifest: DatasetManifest, *, converted: bool, notes: tuple[str, ...], begun: float
) -> ConvertOutcome:
    return ConvertOutcome(
        folder=out,
        manifest=manifest,
        failures=tuple(ledger.read_ledger(out, manifest)),
        converted=converted,
        notes=notes,
        seconds=time.monotonic() - begun,
    )


def _fill_spool(source: Source, out: Path, progress: ConvertProgress) -> None:
    """Read the source from its first byte to its last."""
    work, aside = out / WORK, SetAside()
    if (needed := source.needed()) is not None:
        check_room(out, int(needed * _ROOM), "the pictures twice, while it works")
    progress.reading(source.size if source.kind == "archive" else needed)
    with (
        files.appended(work / "pictures.spool") as append_picture,
        files.appended(work / "latents.spool") as append_latent,
    ):
        writer = SpoolWriter(work, append_picture, append_latent)
        size, sha256 = source.read(writer, aside, progress)
    writer.seal(source.kind, source.name, size, sha256, tuple(aside.lines()))
