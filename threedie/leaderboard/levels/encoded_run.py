"""A run's features and moved embeddings, as blocks of the arrays that are submitted.

Shape suffixes: N = objects, V = views, D = representation, E = embedding, M = rows of the list,
n = objects of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.evaluate_run import Subject, of_run
from threedie.benchmark.evaluation.context import open_context, read_features
from threedie.benchmark.evaluation.features import Gather, statistics
from threedie.benchmark.evaluation.frozen import frozen_train
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth, freeze
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.evaluation.record import Log
from threedie.benchmark.evaluation.retrieval import MovedSplit, at_rest
from threedie.benchmark.evaluation.stages import Context
from threedie.benchmark.training.run_folder import load_run

Block = NDArray[np.float32]
Blocks = tuple[tuple[int, int], Iterator[Block]]
"""Shape of an array, and its rows in order."""
_ROWS = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedRun:
    """Every view of a data set through a run's encoder."""

    context: Context
    subject: Subject
    predictor: Any
    truth: FrozenTruth
    batch_size: int

    def about(self) -> dict[str, object]:
        """The fields of features.json but its arrays."""
        return {
            "protocol": self.truth.protocol,
            "list_sha256": self.truth.sha256,
            "seed": self.subject.about.config["seed"],
            "checkpoint_sha256": self.subject.about.checkpoint_sha256,
            "train_views": self._train_views().shape[1],
            "parts": {n: (s.start, s.stop) for n, s in self.context.parts.items()},
        }

    def arrays(self) -> dict[str, Blocks]:
        """By file name."""
        features, dim = self.context.features, self.context.dim
        views_Nk, n_val = self._train_views(), len(features["val"].data_MD)
        found: dict[str, Blocks] = {
            "train.npy": ((views_Nk.size, dim), self._train(views_Nk)),
            "val.npy": ((n_val, dim), self._seen("val", np.arange(n_val))),
        }
        if self.predictor is not None and self.truth.listed.n_views > 1:
            width = self._moved().embeddings(0, 1).shape[1]
            found["embedding.npy"] = ((n_val, width), self._embedded())
            found["moved.npy"] = ((len(self.truth.listed), width), self._moved_rows())
        return found

    def _train_views(self) -> NDArray[np.int64]:
        truth = self.context.truths["train"]
        return frozen_train(truth.n_objects, truth.n_views)

    def _train(self, views_Nk: NDArray[np.int64]) -> Iterator[Block]:
        objects = np.arange(len(views_Nk))[:, None] * self.context.truths["train"].n_views
        return self._seen("train", (objects + views_Nk).reshape(-1))

    def _seen(self, split: str, rows: NDArray[np.int64]) -> Iterator[Block]:
        """Standardised by all train views, as probes see them."""
        context = self.context
        standard = statistics(context.features["train"], slice(None))
        gather = Gather(context.features[split], slice(None), context.device, standard)
        for first in range(0, len(rows), _ROWS):
            yield gather(rows[first : first + _ROWS]).cpu().numpy()

    def _moved(self) -> MovedSplit:
        context = self.context
        return MovedSplit(
            context.features["val"],
            context.truths["val"],
            self.predictor,
            device=context.device,
            batch_size=self.batch_size,
        )

    def _embedded(self) -> Iterator[Block]:
        with at_rest(self.predictor, self.context.device):
            for block in self._moved().candidates():
                yield block.cpu().numpy()

    def _moved_rows(self) -> Iterator[Block]:
        """Of the list's rows only, which of each object stand together."""
        listed = self.truth.listed
        wanted_Nk = listed.view_M.reshape(listed.n_objects, -1)
        first = 0
        with at_rest(self.predictor, self.context.device):
            for _, moved_nVE in self._moved().blocks():
                views_nk = wanted_Nk[first : first + len(moved_nVE)]
                rows_nkE = moved_nVE.cpu().numpy()[np.arange(len(views_nk))[:, None], views_nk]
                first += len(views_nk)
                rows = rows_nkE.reshape(-1, rows_nkE.shape[-1]).astype(np.float64)
                length = np.linalg.norm(rows, axis=1, keepdims=True)
                yield (rows / np.maximum(length, 1e-12)).astype(np.float32)


def encode_run(run: Path, data: Path, *, device: str, batch_size: int) -> EncodedRun:
    """Encode every view of a data set with the weights of a run folder.

    Raises:
        ConfigError: arguments that can't be, too little memory.
        ManifestError: a damaged run or data set.
    """
    subject, protocol, log = of_run(load_run(run), run), find_protocol("3die-v1"), Log()
    context, predictor, _ = open_context(
        subject.encoder,
        data,
        protocol=protocol,
        device=device,
        size=subject.size,
        normalise=subject.normalise,
        log=log,
    )
    features = read_features(
        context, ("train", "val"), identity=None, cache=None, batch_size=batch_size, log=log
    )
    splits = context.splits
    return EncodedRun(
        context=replace(context, features=features),
        subject=subject,
        predictor=predictor,
        truth=freeze(f"{protocol.name}/{protocol.version}", splits["train"], splits["val"]),
        batch_size=batch_size,
    )
