"""`3die merge`: close a data set whose parts were rendered apart.

The parts lie in the target itself (a folder or a store), or each in a folder of its own; then
their shards are copied first. Nothing is rendered, and no mesh is needed.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie import files
from threedie.data.folders import refuse_other
from threedie.data.stores import FolderStore, is_remote, open_store
from threedie.data.urls import shown
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest
from threedie.render.close import close_folder, close_store
from threedie.render.delivery import Delivery
from threedie.render.outline import Outline, ShardOutline
from threedie.render.workspace import PLAN, WORK, ShardRecord, Workspace, read_outline
from threedie.words import plural

FINISHED_WITH_FAILURES = 3


def merge_parts(target: str, parts: Sequence[Path], *, console: Console) -> int:
    """Close a data set and say how it ended.

    Args:
        target: folder or address of a store.
        parts: folders of parts, if they are not in the target; their shards are copied there.
        console: to write on.

    Returns:
        The exit status: 0, or 3 if objects failed.

    Raises:
        ConfigError: no part is there, or parts of different plans.
        ManifestError: a shard is missing or damaged (named).
        StorageError: the target can't be written.
    """
    if is_remote(target):
        manifest = _merge_store(target, parts)
    else:
        with files.storage_errors(Path(target)):
            manifest = _merge_folder(Path(target), parts)
    objects, quoted = sum(manifest.splits.values()), shlex.quote(shown(target))
    failed = f", {manifest.failures:,} failed" if manifest.failures else ""
    look = "" if is_remote(target) else f" Check it: 3die verify {quoted}"
    console.print(
        escape(
            f"{shown(target)}: whole, {plural(len(manifest.shards), 'shard')}, "
            f"{plural(objects, 'object')}{failed}.{look}"
        ),
        highlight=False,
        soft_wrap=True,
    )
    return FINISHED_WITH_FAILURES if manifest.failures else 0


def _merge_folder(folder: Path, parts: Sequence[Path]) -> DatasetManifest:
    if (folder / FILE_NAME).exists() and not parts:
        return DatasetManifest.read(folder)
    outline = _outline_of(folder, parts)
    workspace = Workspace(folder, outline)
    with workspace.opened():
        sources = [Workspace(part, outline) for part in parts]
        records = []
        for shard in outline.shards:
            record = workspace.made(shard.name, shard.objects)
            records.append(record or _adopt(shard, workspace, sources))
        found = _all_there(outline, records, str(folder))
        manifest = close_folder(outline, found, folder)
        workspace.finish()
    return manifest


def _outline_of(folder: Path, parts: Sequence[Path]) -> Outline:
    """The plan of the target or of the first part; all must be of the same."""
    found = [(place, outline) for place in (folder, *parts) if (outline := read_outline(place))]
    absent = [part for part in parts if read_outline(part) is None]
    if absent or not found:
        place = absent[0] if absent else folder
        raise ConfigError(
            f"{place} holds no part of a data set: there is no {WORK}/{PLAN} in it. Give the "
            "folder that `3die render --shard-range` wrote into."
        )
    outline = found[0][1]
    for place, other in found[1:]:
        refuse_other(str(place), other.making, outline.making)
    return _with_shards(outline, str(found[0][0]))


def _with_shards(outline: Outline, where: str) -> Outline:
    if not outline.shards:
        raise ConfigError(
            f"{where} was begun by an earlier version, whose {PLAN} lists no shards: finish it "
            "with `3die render` and the options of its parts."
        )
    return outline


def _adopt(
    shard: ShardOutline, workspace: Workspace, sources: Sequence[Workspace]
) -> ShardRecord | None:
    """Copy a shard from the first part that has it whole."""
    for source in sources:
        if record := source.made(shard.name, shard.objects):
            FolderStore(workspace.folder).put_file(shard.name, source.folder / shard.name)
            workspace.record(record)
            return record
    return None


def _all_there(
    outline: Outline, records: Sequence[ShardRecord | None], where: str
) -> list[ShardRecord]:
    missing = [s.name for s, r in zip(outline.shards, records, strict=True) if r is None]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ManifestError(
            f"{where}: {len(missing)} of {len(outline.shards)} shards are missing or not whole: "
            f"{', '.join(missing[:5])}{more}. Render their parts (--shard-range) again, or run "
            "`3die render` without it: it makes what is missing and closes the data set."
        )
    return [record for record in records if record is not None]


def _merge_store(address: str, parts: Sequence[Path]) -> DatasetManifest:
    if parts:
        raise ConfigError(
            f"parts in folders can't be merged into {shown(address)} directly: merge them into a "
            "folder and `3die publish` that."
        )
    delivery = Delivery(open_store(address))
    if manifest := delivery.finished():
        return manifest
    begun = delivery.outline()
    if begun is None:
        raise ConfigError(f"{shown(address)} holds no part of a data set: no {WORK}/{PLAN} there.")
    outline = _with_shards(begun, shown(address))
    records = [delivery.done(shard.name, shard.objects) for shard in outline.shards]
    found = _all_there(outline, records, shown(address))
    with tempfile.TemporaryDirectory(prefix="threedie-close-") as scratch:
        return close_store(outline, found, delivery, Path(scratch))
