"""Metrics into tables: value and interval, over the size of the rotation, and per class.

Shape suffixes: N = objects of a split, R = rows, T = bins or classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.findings import Finding, Given, Measured
from threedie.benchmark.evaluation.metrics import Ints
from threedie.benchmark.evaluation.targets import Named
from threedie.benchmark.reading.split import Split
from threedie.manifests.results import Curve, Number


class Tables:
    """All numbers of an evaluation, by part.

    Args:
        splits: train and val by name, for objects and classes.
        edges_deg: of the curves' bins.
        seed: of the resamples.
        resamples: how many.
    """

    def __init__(
        self, splits: dict[str, Split], *, edges_deg: Sequence[float], seed: int, resamples: int
    ) -> None:
        self.metrics: dict[str, dict[str, Number]] = {}
        self.curves: dict[str, dict[str, Curve]] = {}
        self.per_class: dict[str, dict[str, dict[str, Number]]] = {}
        self._edges = np.asarray(edges_deg)
        self._seed, self._resamples, self._splits = seed, resamples, splits
        self._resamplers: dict[str, Resampler] = {}
        self._classes = {name: named_classes(split) for name, split in splits.items()}

    def add(self, part: str, findings: Iterable[Finding]) -> None:
        """Put metrics into the tables of a part."""
        numbers = self.metrics.setdefault(part, {})
        curves = self.curves.setdefault(part, {})
        per_class = self.per_class.setdefault(part, {})
        for found in findings:
            numbers[found.name] = self.number(found)
            if isinstance(found, Measured) and found.curve:
                curves[found.name] = self._curve(found)
                per_class[found.name] = self._per_class(found)

    def number(self, found: Finding) -> Number:
        """Value and interval over all rows."""
        if isinstance(found, Given):
            return found.number
        return self._resampler(found).number(found.statistic, found.rows.object_R)

    def _curve(self, found: Measured) -> Curve:
        bins = len(self._edges) - 1
        group_R = np.clip(
            np.searchsorted(self._edges, found.rows.angle_R, "right") - 1, 0, bins - 1
        )
        points = self._resampler(found).by_group(
            found.statistic, found.rows.object_R, group_R, bins
        )
        edges = tuple(self._edges.tolist())
        return Curve(axis=found.rows.axis, edges_deg=edges, points=tuple(points))

    def _per_class(self, found: Measured) -> dict[str, Number]:
        names, class_N = self._classes[found.rows.split]
        points = self._resampler(found).by_group(
            found.statistic, found.rows.object_R, class_N[found.rows.object_R], len(names)
        )
        return dict(zip(names, points, strict=True))

    def _resampler(self, found: Measured) -> Resampler:
        name = found.rows.split
        if name not in self._resamplers:
            self._resamplers[name] = Resampler(
                len(self._splits[name]), seed=self._seed, resamples=self._resamples
            )
        return self._resamplers[name]


def named_classes(split: Named) -> tuple[list[str], Ints]:
    """Names of the classes that a split has, and each object's place among them."""
    labels, class_N = np.unique(split.labels_N, return_inverse=True)
    firsts = [int(np.argmax(split.labels_N == label)) for label in labels]
    names = [str(split.objects_N[i]).partition("/")[0] for i in firsts]
    if len(set(names)) < len(names):  # two classes of one name, or objects without a class
        names = [f"{name}:{label}" for name, label in zip(names, labels, strict=True)]
    return names, np.asarray(class_N, dtype=np.int64)
