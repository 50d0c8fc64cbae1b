"""The methods: one file each. `METHODS` is a dict to read; nothing is imported until it is used.

An entry names the class that reads like the paper and the settings that make it this method, so
that two near-equal methods are one class with an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from threedie.names import find

if TYPE_CHECKING:
    from threedie.baselines.method import Method


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A row of `METHODS`."""

    home: str
    """`module:class` below threedie.baselines."""
    says: str
    """One line for `3die list methods`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the class's Config that differ from their defaults."""

    def load(self) -> type[Method]:
        """Import the class."""
        module, _, name = self.home.partition(":")
        found: type[Method] = getattr(import_module(f"threedie.baselines.{module}"), name)
        return found


_ROT_COLOR = {"latents": "rotation+color"}

METHODS: dict[str, MethodEntry] = {
    "augself": MethodEntry("augself:AugSelf", "SimCLR, and an MLP that finds q from both views"),
    "augself-color": MethodEntry("augself:AugSelf", "AugSelf, rotation and hues", _ROT_COLOR),
    "equimod": MethodEntry("equimod:EquiMod", "EquiMod on SimCLR: a second, moved projection"),
    "equimod-color": MethodEntry(
        "equimod:EquiMod", "EquiMod, rotation and hues", {**_ROT_COLOR, "equi_factor": 1.0}
    ),
    "equimod-vicreg": MethodEntry("equimod_vicreg:EquiModVICReg", "EquiMod on VICReg"),
    "random": MethodEntry(
        "untrained:Untrained", "the backbone as initialised: the floor of a table"
    ),
    "sen": MethodEntry("sen:SEN", "SEN: SimCLR between the moved view and the other one"),
    "sen-color": MethodEntry("sen:SEN", "SEN, rotation and hues", _ROT_COLOR),
    "sie": MethodEntry("sie:SIE", "split invariant-equivariant, moved by a hypernetwork"),
    "sie-color": MethodEntry("sie:SIE", "SIE, rotation and hues", _ROT_COLOR),
    "sie-equi": MethodEntry("sie:SIE", "SIE, all of it equivariant", {"invariant_part": False}),
    "sie-novar": MethodEntry(
        "sie:SIE", "SIE without the variance of its prediction", {"predictor_variance": False}
    ),
    "simclr": MethodEntry("simclr:SimCLR", "contrastive: two views of an object against the rest"),
    "supervised": MethodEntry("supervised:Supervised", "labels and relative rotations given"),
    "vicreg": MethodEntry("vicreg:VICReg", "variance, invariance, covariance"),
    "vicreg-part": MethodEntry(
        "vicreg:VICReg", "VICReg, an eighth of it left free", {"free_part": 0.125}
    ),
}


def find_method(name: str) -> MethodEntry:
    """The entry with this name.

    Raises:
        ConfigError: unknown, with the nearest name.
    """
    return find("method", name, METHODS)
