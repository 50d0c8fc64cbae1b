"""What is gathered between two lines of the log: terms, time, and whether the loss is finite."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

from threedie.baselines.method import Terms

T = TypeVar("T")


class Window:
    """Terms stay on the device until somebody asks, so that the device is not waited for."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._terms: list[tuple[int, Terms]] = []
        self._checked = 0
        self._begun, self._waited = time.perf_counter(), 0.0

    def waiting_for(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches; the time until each one comes is counted."""
        source = iter(batches)
        while True:
            begun = time.perf_counter()
            batch = next(source, None)
            self._waited += time.perf_counter() - begun
            if batch is None:
                return
            yield batch

    def add(self, step: int, terms: Terms) -> None:
        """The detached terms of a step."""
        self._terms.append((step, terms))

    def not_finite(self) -> tuple[int, dict[str, float]] | None:
        """The first step since the last call whose loss is no number, with its terms."""
        new = self._terms[self._checked :]
        self._checked = len(self._terms)
        if not new:
            return None
        bad = ~torch.isfinite(torch.stack([terms["loss"] for _, terms in new])).cpu()
        if not bad.any():
            return None
        step, terms = new[int(bad.nonzero()[0])]
        return step, {name: float(value) for name, value in terms.items()}

    def close(self, batch_size: int) -> dict[str, float]:
        """Mean terms, pairs_per_s and data_wait (share of the time); begins the next window."""
        names = list(self._terms[0][1])
        stacked = torch.stack([torch.stack([t[n] for n in names]) for _, t in self._terms])
        means = stacked.mean(dim=0).tolist()
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        row = dict(zip(names, means, strict=True))
        row["pairs_per_s"] = len(self._terms) * batch_size / seconds
        row["data_wait"] = self._waited / seconds
        self._begin()
        return row
