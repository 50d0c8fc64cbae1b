"""Finding a thing by its name, with the nearest names for a typo."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from threedie.errors import ConfigError

T = TypeVar("T")


def find(kind: str, name: str, known: Mapping[str, T]) -> T:
    """The thing with this name.

    Args:
        kind: what it is, for the message.
        name: as the user gave it.
        known: all there are.

    Raises:
        ConfigError: unknown, with the nearest name and all the others.
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(f"unknown {kind} '{name}'.{hint} Known: {', '.join(known)}.")
