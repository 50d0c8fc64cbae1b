"""Collects what an evaluation predicts for the rows of the frozen list, and writes predictions.npz.

The stages hand over what they have judged anyway; only the rotation probe judges the list's pairs
besides. So no number of results.json hangs on whether predictions are asked for.

Shape suffixes: M = rows of the list, F = N·V views of val, K = classes, R = rows of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from threedie import files
from threedie.benchmark.evaluation.frozen import FrozenList
from threedie.benchmark.evaluation.frozen_truth import freeze
from threedie.benchmark.evaluation.items import About, Items, to_bytes
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import PROTOCOLS, Protocol
from threedie.benchmark.evaluation.targets import Named
from threedie.manifests.results import PredictionsInfo

if TYPE_CHECKING:
    from threedie.benchmark.evaluation.retrieval import Ranks

MOST_CLASSES = 256
"""A class is one byte of the file."""
_LARGEST = float(np.finfo(np.float16).max)
_GUESSES = 5


class Listed:
    """One evaluation's predictions for the frozen list.

    Args:
        protocol: whose list.
        train: says which classes there are.
        val: is judged.
    """

    def __init__(self, protocol: Protocol, train: Named, val: Named) -> None:
        self._truth = freeze(f"{protocol.name}/{protocol.version}", train, val)
        self._protocol, self._n_classes = protocol, len(self._truth.classes)
        self._top5: dict[str, Ints] = {}
        self._rotation: dict[str, Array] = {}
        self._scene: dict[str, Array] = {}
        self._ranks: tuple[Ints, Ints] | None = None
        self._nearest: Ints | None = None

    @property
    def rows(self) -> FrozenList:
        """The list."""
        return self._truth.listed

    def classified(self, part: str, logits_FK: Array) -> None:
        """Keep the likeliest classes; of equal logits the lower class comes first."""
        self._top5[part] = likeliest(logits_FK[self.rows.flat_M])

    def rotated(self, part: str, predicted_M4: Array) -> None:
        """Keep the predicted rotations of the list's pairs."""
        self._rotation[part] = halved(predicted_M4)

    def seen(self, part: str, predicted_F7: Array) -> None:
        """Keep hues and the light's direction, of the whole representation only."""
        if part == "all":
            self._scene[part] = halved(predicted_F7[self.rows.flat_M])

    def ranked(self, ranks: Ranks) -> None:
        """Keep where the targets stand among the views of their objects."""
        flat_M = self.rows.flat_M
        self._ranks = ranks.greater_NV.reshape(-1)[flat_M], ranks.equal_NV.reshape(-1)[flat_M]

    def found(self, place_F: Ints) -> None:
        """Keep the val views nearest to view 0 moved to each view."""
        self._nearest = place_F[self.rows.flat_M]

    def items(self, *, seed: int, checkpoint_sha256: str | None) -> Items:
        """What has been collected.

        Args:
            seed: of the run.
            checkpoint_sha256: of its weights.
        """
        greater, equal = self._ranks or (None, None)
        return Items(
            about=About(
                protocol=says_protocol(self._protocol),
                list_sha256=self._truth.sha256,
                classes=self._n_classes,
                parts=tuple(self._top5),
                seed=seed,
                checkpoint_sha256=checkpoint_sha256,
            ),
            row_M=self.rows.flat_M,
            top5=self._top5,
            rotation=self._rotation,
            scene=self._scene,
            greater_M=greater,
            equal_M=equal,
            nearest_M=self._nearest,
        )

    def write(self, path: Path, items: Items) -> PredictionsInfo:
        """Write predictions.npz.

        Raises:
            StorageError: it can't be written.
        """
        written = files.put(path, to_bytes(items))
        return PredictionsInfo(sha256=written.sha256, list_sha256=items.about.list_sha256)


def likeliest(logits_RK: Array) -> Ints:
    """(R, min(5, K)) classes of the largest logits, falling; of equal ones the lower class."""
    return np.argsort(-logits_RK, axis=1, kind="stable")[:, :_GUESSES]


def says_protocol(protocol: Protocol) -> str:
    """Name and version; with a mark that no board takes, where settings are not the protocol's."""
    own = PROTOCOLS.get(protocol.name)
    changed = own is None or own.settings() != protocol.settings()
    return f"{protocol.name}/{protocol.version}{'+changed' if changed else ''}"


def training_seed(config: Mapping[str, Any], otherwise: int) -> int:
    """The seed of the run that is evaluated, where its configuration has one."""
    seed = config.get("seed")
    is_one = isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0
    return int(seed) if is_one else otherwise  # type: ignore[arg-type]  # it is a number


def halved(values: Array) -> Array:
    """As float16 has it; what is larger becomes the largest."""
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float16).astype(np.float64)
