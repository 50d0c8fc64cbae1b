"""Retrieval with a predictor: does the moved embedding find the view it was moved to?

SIE (Garrido et al. 2023, arXiv 2302.10283), section 5. View 0 of an object is moved to each of its
V views v (to itself too) with the latents 0→v.
MRR, H@k: the candidates are the V views of the same object, ranked by cosine; rank of view v.
PRE: the candidates are all views of all objects of a split (or both); 1 − ⟨q, q'⟩² between the
absolute rotations of view v and of the nearest candidate.

A rank is averaged over all orders of candidates that tie with the target (cosines within 1e-9): a
collapsed embedding gets chance. With a plain argsort it would get anything.

Shape suffixes: N = objects, n = objects of a block, V = views, D = representation, E = embedding,
G = latent numbers, Q = queries.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from threedie.benchmark.evaluation.encoder import memory_for
from threedie.benchmark.evaluation.features import Features, Progress
from threedie.benchmark.evaluation.metrics import Array, Ints, rotation_distance
from threedie.benchmark.evaluation.neighbours import group_size, nearest, unit
from threedie.benchmark.evaluation.targets import Pairs, Truth
from threedie.errors import ConfigError

TIE = 1e-9


class Predictor(Protocol):
    """What moves an embedding; a trained method with a predictor is one."""

    @property
    def latent_group(self) -> str:
        """Which latents `predict` is told: a key of manifests.latents.LATENT_GROUPS."""

    def embed(self, r_ND: Tensor) -> Tensor:
        """(N, E) from representations: what is moved."""

    def predict(self, e_NE: Tensor, z_NG: Tensor) -> Tensor:
        """(N, E) embeddings moved by latents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """Where the target stands among the views of its object."""

    greater_NV: Ints
    """Candidates with a higher cosine than the target."""
    equal_NV: Ints
    """Candidates with the same cosine, the target included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """One split, moved from view 0 to every view."""

    ranks: dict[str, Ranks]
    """By who predicts: "predictor", "identity" (does nothing), "oracle" (the target itself)."""
    error_NV: Array
    """1 − cosine between prediction and target."""
    identity_error_NV: Array
    """1 − cosine between view 0 and target: the error of doing nothing."""


class MovedSplit:
    """The embeddings of a split and their predictions, computed block by block when needed.

    Args:
        features: representations, all of D.
        truth: latents of the same split.
        predictor: in eval mode, on the device.
        device: where.
        batch_size: rows that go through the predictor at a time.
    """

    def __init__(
        self,
        features: Features,
        truth: Truth,
        predictor: Predictor,
        *,
        device: torch.device,
        batch_size: int = 256,
    ) -> None:
        self.truth, self.device = truth, device
        self._features, self._predictor, self._batch = features, predictor, batch_size
        self._objects = max(1, batch_size // truth.n_views)

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(n, V, E) embeddings, and (n, V, E) predictions of them from view 0; not normalised."""
        views = self.truth.n_views
        for first in range(0, self.truth.n_objects, self._objects):
            objects = np.arange(first, min(first + self._objects, self.truth.n_objects))
            e_ME = self.embeddings(first * views, (first + len(objects)) * views)
            e_nVE = e_ME.view(len(objects), views, -1)
            moved = self._predict(e_nVE[:, 0].repeat_interleave(views, dim=0), objects)
            yield e_nVE, moved.view_as(e_nVE)

    @torch.no_grad()
    def embeddings(self, first: int, last: int) -> Tensor:
        """(last − first, E) of flat rows."""
        pieces = []
        with memory_for("embeddings", "batch_size", self._batch):
            for i in range(first, last, self._batch):
                rows = np.array(self._features.data_MD[i : min(i + self._batch, last)])
                r_ND = torch.from_numpy(rows).to(self.device)
                pieces.append(self._predictor.embed(r_ND).float())
        return checked_rows(torch.cat(pieces), "embed", last - first)

    @torch.no_grad()
    def _predict(self, e_QE: Tensor, objects: Ints) -> Tensor:
        views = self.truth.n_views
        pairs = Pairs(
            object_R=np.repeat(objects, views),
            first_R=np.zeros(len(e_QE), dtype=np.int64),
            second_R=np.tile(np.arange(views), len(objects)),
        )
        latents = self.truth.latents(pairs, self._predictor.latent_group)
        z_QG = torch.from_numpy(latents).to(self.device)
        with memory_for("predictions", "batch_size", self._batch):
            pieces = [
                self._predictor.predict(e_QE[i : i + self._batch], z_QG[i : i + self._batch])
                for i in range(0, len(e_QE), self._batch)
            ]
        return checked_rows(torch.cat(pieces).float(), "predict", len(e_QE), e_QE.shape[1])

    def candidates(self) -> Iterator[Tensor]:
        """All embeddings in order, of unit length."""
        rows = self.truth.n_objects * self.truth.n_views
        step = max(self._batch, 8192)
        for first in range(0, rows, step):
            yield unit(self.embeddings(first, min(first + step, rows)))

    def queries(self) -> Iterator[Tensor]:
        """All predictions in order, of unit length, in groups that fit on the device."""
        waiting, count = list[Tensor](), 0
        for _, moved_nVE in self.blocks():
            waiting.append(unit(moved_nVE.flatten(0, 1)))
            count += len(waiting[-1])
            if count >= group_size(moved_nVE.shape[-1], self.device):
                yield torch.cat(waiting)
                waiting, count = [], 0
        if waiting:
            yield torch.cat(waiting)


def retrieve(split: MovedSplit, on_progress: Progress, stage: str) -> Retrieved:
    """Ranks and errors within objects. Cosines in float64: ranks hang on their last digits."""
    found: dict[str, list[tuple[Array, Array]]] = {"predictor": [], "identity": [], "oracle": []}
    errors, nothing, done = list[Array](), list[Array](), 0
    for e_nVE, moved_nVE in split.blocks():
        e, moved = unit(e_nVE.double()), unit(moved_nVE.double())
        guesses = {"predictor": moved, "identity": e[:, :1].expand_as(e), "oracle": e}
        for name, guess in guesses.items():
            cosine_nVV = guess @ e.transpose(1, 2)
            target_nV1 = cosine_nVV.diagonal(dim1=1, dim2=2).unsqueeze(-1)
            greater = (cosine_nVV > target_nV1 + TIE).sum(dim=2)
            equal = ((cosine_nVV - target_nV1).abs() <= TIE).sum(dim=2)
            found[name].append((greater.cpu().numpy(), equal.cpu().numpy()))
        errors.append((1 - (moved * e).sum(dim=2)).cpu().numpy())
        nothing.append((1 - (e[:, :1] * e).sum(dim=2)).cpu().numpy())
        done += len(e)
        on_progress(stage, done, split.truth.n_objects)
    ranks = {
        name: Ranks(
            greater_NV=np.concatenate([g for g, _ in blocks]),
            equal_NV=np.concatenate([e for _, e in blocks]),
        )
        for name, blocks in found.items()
    }
    return Retrieved(
        ranks=ranks,
        error_NV=np.concatenate(errors),
        identity_error_NV=np.concatenate(nothing),
    )


def rotation_errors(
    source: MovedSplit, targets: Sequence[MovedSplit], on_progress: Progress, stage: str
) -> Array:
    """(N, V) of 1 − ⟨q, q'⟩² for every query of `source` among all views of `targets`: PRE's terms.

    Args: those of `nearest_views`.
    """
    place_Q = nearest_views(source, targets, on_progress, stage)
    return turned_apart(source.truth, [target.truth for target in targets], place_Q)


def turned_apart(source: Truth, targets: Sequence[Truth], place_Q: Ints) -> Array:
    """(N, V) of 1 − ⟨q, q'⟩² between each view of `source` and the view found for it."""
    candidates_C4 = np.concatenate([truth.rotation_NV4.reshape(-1, 4) for truth in targets])
    distance = rotation_distance(candidates_C4[place_Q], source.rotation_NV4.reshape(-1, 4))
    return distance.reshape(source.n_objects, source.n_views)


def nearest_views(
    source: MovedSplit, targets: Sequence[MovedSplit], on_progress: Progress, stage: str
) -> Ints:
    """(N·V,) flat number of the view nearest to each query of `source`, among all of `targets`.

    Args:
        source: whose view 0 is moved.
        targets: the splits whose views are candidates, in order; of equal ones the first counts.
        on_progress: is told the stage and the number of queries.
        stage: its name.
    """
    n_candidates = sum(t.truth.n_objects * t.truth.n_views for t in targets)
    n_queries = source.truth.n_objects * source.truth.n_views
    found, done = list[Ints](), 0

    def candidates(count: int) -> Iterator[Tensor]:
        """All of them; tells how many of `count` queries' comparisons are behind us."""
        passed = 0
        for block in (block for target in targets for block in target.candidates()):
            yield block
            passed += len(block)
            on_progress(stage, done + count * passed // n_candidates, n_queries)

    for queries_QE in source.queries():
        _, place = nearest(queries_QE, partial(candidates, len(queries_QE)), 1)
        found.append(place[:, 0].cpu().numpy())
        done += len(queries_QE)
    return np.concatenate(found)


@contextlib.contextmanager
def at_rest(predictor: Predictor, device: torch.device) -> Iterator[None]:
    """The predictor on the device and in eval mode, if it is a module; its modes are put back."""
    modules = list(predictor.modules()) if isinstance(predictor, nn.Module) else []
    modes = [module.training for module in modules]
    if isinstance(predictor, nn.Module):
        predictor.to(device).train(False)
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def checked_rows(rows: Tensor, who: str, count: int, width: int | None = None) -> Tensor:
    """What a predictor gave, if it is (count, width) numbers.

    Raises:
        ConfigError: another shape, NaN or infinity.
    """
    if rows.ndim != 2 or len(rows) != count or (width is not None and rows.shape[1] != width):
        raise ConfigError(
            f"the predictor's {who} gave shape {tuple(rows.shape)}; "
            f"({count}, {width or 'E'}) was expected."
        )
    if not bool(torch.isfinite(rows).all()):
        raise ConfigError(f"the predictor's {who} gives NaN or infinity: its weights are broken.")
    return rows
