"""The presets: a dict to read. Importable without torch.

A preset's values are fields of RunConfig; `settings` in it are the method's, where it has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from threedie.names import find


@dataclass(frozen=True, slots=True)
class Preset:
    """A row of `PRESETS`."""

    says: str
    """One line for `3die list presets`."""
    settings: Mapping[str, Any]
    """What differs from RunConfig's defaults."""


# The paper's 2048 columns are for its batch of 1024. A covariance of so many columns over few rows
# costs about columns / rows however good the embedding is, and holds its variance down.
_FOR_64_ROWS = {"projector": (256, 256, 256)}
_FOR_512_ROWS = {"projector": (1024, 1024, 1024)}

PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        "does it run? 64 px, batch 32, 20 epochs: under 2 minutes of CPU on the demo data",
        {
            "size": 64,
            "batch_size": 32,
            "epochs": 20,
            "checkpoint_minutes": 0.0,
            "log_every": 5,
            "settings": _FOR_64_ROWS,
        },
    ),
    "small": Preset(
        "a laptop's: 64 px, batch 64, 20,480 pairs (about 5 minutes on two cores)",
        {"size": 64, "batch_size": 64, "pairs": 20_480, "settings": _FOR_64_ROWS},
    ),
    "ladder": Preset(
        "the study on one axis: 64 px, batch 64, 40,960 pairs, one thread a run",
        {
            "size": 64,
            "batch_size": 64,
            "pairs": 40_960,
            "threads": 1,
            "settings": _FOR_64_ROWS,
        },
    ),
    "study-small": Preset(
        "the study on full rotations: 64 px, batch 512, 5,120,000 pairs; for a GPU",
        {
            "size": 64,
            "batch_size": 512,
            "pairs": 5_120_000,
            "cache": "ram",
            "settings": _FOR_512_ROWS,
        },
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
    return find("preset", name, PRESETS)
