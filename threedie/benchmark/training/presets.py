"""The presets: a dict to read. Importable without torch.

A preset's values are fields of RunConfig; `settings` in it are the method's, where it has them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from threedie.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Preset:
    """A row of `PRESETS`."""

    says: str
    """One line for `3die list presets`."""
    settings: Mapping[str, Any]
    """What differs from RunConfig's defaults."""


PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        "does it run? 64 px, 20 epochs: under 2 minutes of CPU on the demo data",
        {"size": 64, "batch_size": 32, "epochs": 20, "checkpoint_minutes": 0.0, "log_every": 5},
    ),
    "small": Preset(
        "a laptop's: 64 px, batch 64, 20,000 pairs (about 5 minutes on two cores)",
        {"size": 64, "batch_size": 64, "pairs": 20_000},
    ),
    "ladder": Preset(
        "the study on one axis: 64 px, batch 64, 100,000 pairs, one thread a run",
        {"size": 64, "batch_size": 64, "pairs": 100_000, "threads": 1},
    ),
    "study-small": Preset(
        "the study on full rotations: 64 px, batch 512, 5,000,000 pairs; for a GPU",
        {"size": 64, "batch_size": 512, "pairs": 5_000_000, "cache": "ram"},
    ),
    "paper": Preset(
        "as published: 256 px, batch 1024, 2000 epochs, Adam 1e-3 constant, float16 AMP",
        {
            "size": 256,
            "batch_size": 1024,
            "epochs": 2000,
            "lr": 1e-3,
            "weight_decay": 1e-6,
            "precision": "16",
        },
    ),
}


def find_preset(name: str) -> Preset:
    """The preset with this name.

    Raises:
        ConfigError: unknown, with the nearest name.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(f"unknown preset '{name}'.{hint} Known: {', '.join(PRESETS)}.")
