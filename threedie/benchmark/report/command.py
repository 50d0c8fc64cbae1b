"""The command that makes a run again, from config.json or from what results.json says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import Run
from threedie.benchmark.training.config import MACHINE, RunConfig
from threedie.benchmark.training.presets import PRESETS

DATA = "DATASET"
_OPTIONS = {"method", "seed", "settings"}


def training_command(run: Run, seeds: Sequence[int] = ()) -> str | None:
    """`3die bench …` of a run that was trained here; None for another's encoder.

    Args:
        run: one of them.
        seeds: of all that the command makes; empty: its own.
    """
    if run.record is None:
        return None
    config = run.record.config
    preset = str(config.get("preset", "small"))
    words = ["3die", "bench", "--method", str(config.get("method")), "--data", DATA]
    words += [
        "--preset",
        preset,
        "--seeds",
        ",".join(map(str, seeds)) or str(config.get("seed", 0)),
    ]
    for key, value in _changed(config, preset):
        words += ["--set", f"{key}={_value(value)}"]
    words += ["--device", str(config.get("device", "auto"))]
    return _line([*words, *_protocol(run)])


def evaluation_command(run: Run) -> str:
    """`3die eval …`: the same numbers from the same weights."""
    results = run.results
    if run.record is not None:
        words = ["3die", "eval", "--checkpoint", "RUN", "--data", DATA]
    else:
        config = results.encoder.config
        words = ["3die", "eval", "--encoder", str(config.get("encoder", results.encoder.name))]
        words += ["--pretrained"] if config.get("pretrained") is True else []
        words += ["--checkpoint", "FILE"] if results.encoder.checkpoint_sha256 else []
        words += ["--data", DATA]
    words += [*_protocol(run), "--seed", str(results.seed)]
    if epochs := _probe_epochs(run):
        words += ["--probe-epochs", str(epochs)]
    return _line(words)


def _protocol(run: Run) -> list[str]:
    name = run.results.protocol.name
    return [] if name == "3die-v1" else ["--protocol", name]


def _probe_epochs(run: Run) -> int | None:
    """What `--probe-epochs` was, where that is what was changed."""
    settings = run.results.protocol.settings
    for probe in run.results.protocol.changed:
        found = settings.get(probe)
        epochs = found.get("epochs") if isinstance(found, Mapping) else None
        if isinstance(epochs, int):
            return epochs
    return None


def _changed(config: Mapping[str, Any], preset: str) -> Iterator[tuple[str, Any]]:
    """Settings that differ from the preset's, of the run and of the method."""
    own = PRESETS[preset].settings if preset in PRESETS else {}
    for field in fields(RunConfig):
        key = field.name
        if key in MACHINE or key in _OPTIONS or key not in config:
            continue
        if _decides(key, config) and (
            config[key] != own.get(key, field.default) or _replaces(key, own)
        ):
            yield key, config[key]
    settings, known = config.get("settings"), own.get("settings", {})
    for key, value in (settings if isinstance(settings, Mapping) else {}).items():
        if key not in known or _plain(known[key]) != value:
            yield key, value


def _decides(key: str, config: Mapping[str, Any]) -> bool:
    """`pairs` takes the place of `epochs` unless it is 0; only one of them may be given."""
    if key not in ("epochs", "pairs"):
        return True
    return bool(config.get("pairs")) == (key == "pairs")


def _replaces(key: str, own: Mapping[str, Any]) -> bool:
    """Whether epochs stand where the preset counts pairs: they are said even if they are usual."""
    return key == "epochs" and bool(own.get("pairs"))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _line(words: list[str]) -> str:
    return " ".join(shlex.quote(shown(word)) for word in words)
