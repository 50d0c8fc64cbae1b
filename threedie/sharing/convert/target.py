"""The folder that a conversion writes into: whether it may, what is there, whether it fits."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from threedie import files
from threedie.data.folders import differences
from threedie.data.index import read_index
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import (
    FILE_NAME,
    Converted,
    DatasetManifest,
    canonical_json,
    read_json,
    validated,
)
from threedie.manifests.recipes import find_recipe
from threedie.manifests.splits import split_rule
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.published_source import Source
from threedie.sharing.convert.spool import Sealed
from threedie.words import room

WORK = ".convert"
_OURS = {WORK, ".download"}
"""What may stand in the folder before the first shard: our own, and an archive that is coming."""


def check_room(out: Path, needed: int, what: str) -> None:
    """Refuse to begin what can't end.

    Raises:
        StorageError: says how much is free, and how much is needed for `what`.
    """
    free = shutil.disk_usage(out).free
    if free < needed:
        raise StorageError(
            f"{out}: {room(free)} are free, about {room(needed)} are needed "
            f"({what}). Make room, or give --out on another disk."
        )


def check_target(out: Path, source: Source, options: ConvertOptions) -> None:
    """Refuse to mix two data sets in one folder.

    Raises:
        ConfigError: the folder holds something else; the difference is in the message.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; --out names a folder.")
    asked: dict[str, Any] = {"kind": source.kind, "name": source.name}
    if source.size is not None:
        asked["bytes"] = source.size
    sealed = out / WORK / "sealed.json"
    if (out / FILE_NAME).exists():
        making = DatasetManifest.read(out).making
        if not isinstance(making, Converted):
            raise ConfigError(f"{out} holds a data set that was rendered. Give another --out.")
        there = {**making.model_dump(), **making.origin.model_dump()}
        _refuse(out, _wrong({**asked, **_asked(options)}, there) + _moved(out, options))
    elif sealed.exists():
        _refuse(out, _wrong(asked, validated(Sealed, read_json(sealed), sealed).model_dump()))
    elif strangers := _strangers(out):
        raise ConfigError(
            f"{out} is not empty and holds no data set of threedie (found {strangers[0]}). Give "
            "--out a new or empty folder."
        )


def _strangers(out: Path) -> list[str]:
    return [p.name for p in out.iterdir() if p.name not in _OURS] if out.exists() else []


def _asked(options: ConvertOptions) -> dict[str, Any]:
    """The decisions that stand in the options themselves."""
    asked = {
        "recipe": find_recipe(options.recipe),
        "objects_per_shard": options.objects_per_shard,
        "views": options.views,
        "channel_order": None if options.channel_order == "auto" else options.channel_order,
        "split": options.split or ("official" if options.val_list else None),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _wrong(asked: dict[str, Any], there: dict[str, Any]) -> list[str]:
    found = []
    for name, value in asked.items():
        old = there[name]
        if name == "recipe":
            old, value = old["name"], value.name
        if old != value:
            found.append(f"{name}: {old} there, {value} asked for")
    return found


def _moved(out: Path, options: ConvertOptions) -> list[str]:
    """Objects of a finished set that a given val list puts on another side."""
    if options.val_list is None:
        return []
    manifest, moved = DatasetManifest.read(out), 0
    rule = split_rule("official", val_list=options.val_list)
    for split in manifest.splits:
        with contextlib.suppress(ManifestError):  # a damaged index is mended, not compared
            names = read_index(out, split, manifest.files).objects_N
            moved += sum(rule(*str(name).split("/", 1)) != split for name in names)
    return [f"val list: {moved:,} objects are on the other side there"] if moved else []


def _refuse(out: Path, found: list[str]) -> None:
    if found:
        listed = "\n".join(f"  {line}" for line in found)
        raise ConfigError(
            f"{out} holds a data set made otherwise:\n{listed}\n"
            "Repeat its source and options to go on with it, or give another --out."
        )


def finished_manifest(out: Path) -> DatasetManifest | None:
    """The manifest of a data set of which every byte is there; else it is made again."""
    if not (out / FILE_NAME).exists():
        return None
    manifest = DatasetManifest.read(out)
    listed = {entry.name: (entry.bytes, entry.sha256) for entry in manifest.shards}
    listed |= {name: (entry.bytes, entry.sha256) for name, entry in manifest.files.items()}
    whole = all(is_whole(out / name, *expected) for name, expected in listed.items())
    return manifest if whole else None


def is_whole(path: Path, size: int, sha256: str) -> bool:
    """Whether a file is there with this content."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    return files.sha256_file(path) == sha256


def keep_plan(out: Path, making: Converted) -> None:
    """Write the plan down, or compare it with the one that shards were made by.

    Raises:
        ConfigError: it is another one.
    """
    path = out / WORK / "plan.json"
    there: Converted | None = None
    if path.exists():
        there = validated(Converted, read_json(path), path)
    elif (out / FILE_NAME).exists():
        made = DatasetManifest.read(out).making
        there = made if isinstance(made, Converted) else None
    if there is not None and there.recipe_hash != making.recipe_hash:
        _refuse(out, differences(there, making))
    files.put(path, canonical_json(making.model_dump(mode="json")))
