"""config.json of a run folder: every resolved setting, and what ran it on what data.

Importable without torch.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

import threedie
from threedie import files
from threedie.benchmark.training.config import MACHINE, RunConfig, method_config
from threedie.benchmark.training.settings import field_types, read_setting
from threedie.data.urls import shown
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import Count, Model, parse_json, validated

FILE_NAME = "config.json"
_MAX_BYTES = 2**20
_PACKAGES = ("torch", "torchvision", "timm", "lightning-fabric", "numpy")


class RunRecord(Model):
    """config.json."""

    schema_version: Literal[1] = 1
    config: dict[str, JsonValue]
    """A RunConfig with nothing left to be chosen (device and precision are what was taken)."""
    method_config: dict[str, JsonValue]
    """All of the method's own settings, defaults too."""
    data_hash: str
    pixel_mean: tuple[float, float, float]
    """True RGB, 0..1: what pictures are normalised with."""
    pixel_std: tuple[float, float, float]
    """Likewise; 1 for a channel that never changes."""
    n_objects: Count
    n_classes: Count
    steps: Count
    """Of the whole run."""
    versions: dict[str, str]
    commit: str | None
    """Of threedie's own repository, where it runs from one."""
    started: str
    """UTC, ISO 8601, of the first start."""

    @property
    def run_config(self) -> RunConfig:
        """The settings as a RunConfig.

        Raises:
            ManifestError: a setting that is unknown, or of another type.
        """
        return _config_from(self.config)

    def write(self, folder: Path) -> None:
        """Write config.json."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)
        files.put(folder / FILE_NAME, text.encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> RunRecord | None:
        """Read config.json, its settings too; None where there is none.

        Raises:
            ManifestError: it is damaged or of another schema.
        """
        record = cls.shown(folder)
        if record is not None:
            _ = record.run_config
        return record

    @classmethod
    def shown(cls, folder: Path) -> RunRecord | None:
        """The same to look at: settings are not checked, so no method and no torch is needed."""
        path = folder / FILE_NAME
        if not path.exists():
            return None
        try:
            content = path.read_bytes() if path.stat().st_size < _MAX_BYTES else b""
        except OSError as err:
            raise ManifestError(f"{path}: {err.strerror}.") from err
        return validated(cls, parse_json(content, str(path)), path)


def make_record(config: RunConfig, source: Any, *, trains: bool = True) -> RunRecord:
    """The record of a run that begins now.

    Args:
        config: settled.
        source: a PairSource.
        trains: whether the method learns at all; one that does not has 0 steps.
    """
    red, green, blue = (std if std > 0 else 1.0 for std in source.pixel_std)
    return RunRecord(
        config={**_plain(dataclasses.asdict(config)), "data": shown(config.data)},
        method_config=_plain(dataclasses.asdict(method_config(config))),
        data_hash=source.data_hash,
        pixel_mean=source.pixel_mean,
        pixel_std=(red, green, blue),
        n_objects=source.n_objects,
        n_classes=source.n_classes,
        steps=config.steps(source.n_objects) if trains else 0,
        versions=versions(),
        commit=commit(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def check_same_run(found: RunRecord, asked: RunRecord, folder: Path) -> None:
    """Refuse to go on with another run than the folder's.

    Raises:
        ConfigError: with every difference that decides the result.
    """
    before, now = _identity(found), _identity(asked)
    differing = [
        f"{key} {json.dumps(before.get(key))} (now {json.dumps(now.get(key))})"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise ConfigError(
            f"{folder} holds another run: {'; '.join(differing)}. Take another folder, or the "
            "settings it was begun with."
        )


def versions() -> dict[str, str]:
    """What computes."""
    found = {"threedie": threedie.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of threedie's repository, with a + where files differ from it."""
    home = Path(threedie.__file__).parents[1]
    if not (home / ".git").exists():
        return None
    try:
        head = _git(home, "rev-parse", "HEAD")
        changed = _git(home, "status", "--porcelain", "--untracked-files=no", "--", "threedie")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def _git(home: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(home), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return run.stdout.strip()


def _identity(record: RunRecord) -> dict[str, JsonValue]:
    run = {k: v for k, v in record.config.items() if k not in MACHINE | {"settings"}}
    return {**run, **record.method_config, "data": record.data_hash, "steps": record.steps}


def _plain(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """As JSON holds it: tuples are lists."""
    plain: dict[str, JsonValue] = json.loads(json.dumps(values, default=dict))
    return plain


def _config_from(body: Mapping[str, JsonValue]) -> RunConfig:
    types = field_types(RunConfig)
    if unknown := sorted(body.keys() - types.keys()):
        raise ManifestError(f"{FILE_NAME} has settings of another version: {', '.join(unknown)}.")
    try:
        values = {key: read_setting(key, body[key], types[key], FILE_NAME) for key in body}
        entry_types = field_types(_entry_config(values["method"]))
        values["settings"] = {
            key: read_setting(key, value, entry_types[key], FILE_NAME)
            for key, value in dict(values["settings"]).items()
        }
        return RunConfig(**values)
    except (ConfigError, KeyError, TypeError) as err:
        raise ManifestError(f"{FILE_NAME} holds no run of this version: {err}.") from err


def _entry_config(method: str) -> type[Any]:
    from threedie.baselines import find_method

    return find_method(method).load().Config
