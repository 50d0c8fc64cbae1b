"""The dice of one object: keyed by class and index, the same on every machine and NumPy version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Random choices for one object (class_name, index): the only source of chance here."""

    def __init__(self, class_name: str, index: int) -> None:
        digest = hashlib.sha256(f"{class_name}/{index}".encode()).digest()
        key = int.from_bytes(digest[:16], "big")
        self._generator = np.random.Generator(np.random.Philox(key=key))

    def unit(self) -> float:
        """A number in [0, 1). Only random() is used: NumPy may change other methods' streams."""
        return float(self._generator.random())

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def count(self, low: int, high: int) -> int:
        """A whole number in low..high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.unit() * len(options))]
