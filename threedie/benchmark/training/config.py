"""`RunConfig`: all that decides a training run, and how it is put together from a preset and --set.

Importable without torch. A run's config.json holds it resolved; see record.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from threedie.baselines import find_method
from threedie.benchmark.training.presets import find_preset
from threedie.benchmark.training.settings import field_types, parse_setting, unknown_key
from threedie.errors import ConfigError

Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One training run. The defaults are those of preset `small`, except its budget."""

    method: str
    """A key of METHODS."""
    data: str
    """A folder of shards, a published folder, or a URL of the streaming reader."""
    preset: str = "small"
    """Where the values below come from before --set."""
    seed: int = 0
    """Decides initialisation, order and views. Same seed, same run (bit for bit on a CPU)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the method's own Config, where they differ from its defaults."""

    encoder: str = "resnet18"
    """resnet18 as published, or torchvision:NAME, timm:NAME."""
    size: int = 64
    """Side in pixels of what the encoder sees; larger pictures are reduced when decoded."""
    batch_size: int = 64
    """Pairs per step over all ranks."""
    epochs: int = 100
    """One epoch is one pair of every object."""
    pairs: int = 0
    """A budget in pairs; unless 0 it takes the place of `epochs`."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """sgd has momentum 0.9; the others torch's betas."""
    lr: float = 1e-3
    """Peak learning rate, for the batch size as it is (nothing is scaled)."""
    weight_decay: float = 1e-6
    """L2 in adam and sgd, decoupled in adamw; on all parameters, as published."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After the warm-up; cosine ends at 0."""
    warmup_epochs: float = 0.0
    """The rate rises linearly over these."""
    precision: Precision = "auto"
    """auto: bf16 where the device computes in it, else 32. Losses are always in float32."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    channels_last: bool = True
    """Memory format of pictures and convolutions; faster nearly everywhere."""
    compile: bool = False
    """torch.compile; the first step takes a minute."""
    threads: int = 0
    """Of torch on a CPU; 0 leaves torch's choice. 1 is best where runs share a machine."""
    workers: int = 0
    """Decoding threads; 0: this process's share of the cores."""
    cache: Literal["none", "ram"] = "none"
    """ram keeps the compressed pictures in memory."""
    reader: Literal["indexed", "stream"] = "indexed"
    checkpoint_minutes: float = 10.0
    """Time between checkpoints. 0: only at the end and when stopped."""
    checkpoint_steps: int = 0
    """Besides, one after every so many steps; 0: none."""
    log_every: int = 20
    """Steps between lines of log.jsonl."""
    online_probes: bool = True
    """Read class and rotation from the detached representations while training."""
    wandb: bool = False
    """Log to Weights & Biases too."""

    def __post_init__(self) -> None:
        for name, low in _AT_LEAST.items():
            value = getattr(self, name)
            if name == "lr" and not 0 < value < math.inf:
                raise ConfigError(f"lr is {value}; it must be a number above 0.")
            if not (math.isfinite(value) and value >= low):
                raise ConfigError(f"{name} is {value}; it must be {low} or more.")

    def steps(self, n_objects: int) -> int:
        """Global steps of the whole run; a last batch that would not be full is left out."""
        pairs = self.pairs or self.epochs * n_objects
        return max(1, pairs // self.batch_size)

    def identity(self) -> dict[str, Any]:
        """What makes it this run; the rest (`MACHINE`) may change from one start to the next."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in MACHINE}


MACHINE = frozenset(
    {"data", "preset", "device", "channels_last", "compile", "threads", "workers", "cache"}
    | {"reader", "checkpoint_minutes", "checkpoint_steps", "log_every", "online_probes", "wandb"}
)
"""Fields that may differ when a run goes on. (The data are compared by their hash.)"""

_AT_LEAST: dict[str, float] = {
    "seed": 0,
    "size": 8,
    "batch_size": 2,
    "epochs": 1,
    "pairs": 0,
    "lr": 0,
    "weight_decay": 0,
    "warmup_epochs": 0,
    "threads": 0,
    "workers": 0,
    "checkpoint_minutes": 0,
    "checkpoint_steps": 0,
    "log_every": 1,
}
_OWN_OPTIONS = {"method": "--method", "data": "--data", "preset": "--preset", "seed": "--seeds"}


def make_config(
    *, method: str, data: str, preset: str = "small", seed: int = 0, settings: Iterable[str] = ()
) -> RunConfig:
    """The config of a run: the preset's values, then `key=value` settings over them.

    Args:
        method: key of METHODS.
        data: where the pictures are.
        preset: key of PRESETS.
        seed: 0 or more.
        settings: `key=value`; a key is a field of RunConfig or of the method's Config. `epochs`
            takes the place of a preset's `pairs`, and `pairs` that of its `epochs`.

    Raises:
        ConfigError: unknown method, preset or key (with the nearest names), or a bad value.
    """
    entry, values = find_method(method), dict(find_preset(preset).settings)
    own, run_types = dict(values.pop("settings", {})), field_types(RunConfig)
    method_types = field_types(entry.load().Config)
    own = {key: value for key, value in own.items() if key in method_types}
    settings = tuple(settings)
    given = {text.partition("=")[0].strip() for text in settings}
    if {"epochs", "pairs"} <= given:
        raise ConfigError("--set epochs and --set pairs both say how long to train; give one.")
    for text in settings:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"--set is '{text}'; it must be key=value.")
        if key in _OWN_OPTIONS:
            raise ConfigError(f"--set {key}: use {_OWN_OPTIONS[key]} for that.")
        if key in run_types and key != "settings":
            values[key] = parse_setting(key, value, run_types[key])
            values |= {"pairs": 0} if key == "epochs" else {}
        elif key in method_types:
            own[key] = parse_setting(key, value, method_types[key])
        else:
            free = [name for name in run_types if name not in (*_OWN_OPTIONS, "settings")]
            raise unknown_key(key, [*free, *method_types], method)
    config = RunConfig(method=method, data=data, preset=preset, seed=seed, settings=own, **values)
    method_config(config)
    return config


def method_config(config: RunConfig) -> Any:
    """The method's own Config: its defaults, what the table of methods says, then the settings.

    Raises:
        ConfigError: a setting that the method refuses or does not have.
    """
    entry = find_method(config.method)
    own = entry.load().Config
    types = field_types(own)
    for key in config.settings:
        if key not in types:
            raise unknown_key(key, list(types), config.method)
    return own(**{**entry.settings, **config.settings})
