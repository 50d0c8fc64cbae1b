"""Embeddings of the judged objects and the predictor that moves them, all in float64.

Shape suffixes: N = judged objects, V = views, R = rows, E = embedding, G = latent numbers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from threedie.benchmark.evaluation.encoder import memory_for
from threedie.benchmark.evaluation.features import Features
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.retrieval import Predictor, checked_rows
from threedie.benchmark.evaluation.targets import Pairs, Truth, grouped

MOST_OBJECTS = 500
MOST_BYTES = 2**30
"""Of the embeddings: wide ones are judged on fewer objects."""
_ROWS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """What the analysis looks at."""

    e_NVE: Tensor
    objects_N: Ints
    """Their numbers in the split, rising."""
    truth: Truth
    """Of the whole split."""
    predictor: Predictor
    """In float64 and eval mode: a copy, where it is a module."""

    @property
    def n_objects(self) -> int:
        """N."""
        return len(self.objects_N)

    @property
    def n_views(self) -> int:
        """V."""
        return self.truth.n_views

    @property
    def width(self) -> int:
        """E."""
        return self.e_NVE.shape[2]

    @property
    def group(self) -> str:
        """Which latents move: a key of LATENT_GROUPS."""
        return self.predictor.latent_group

    def rows(self, object_R: Ints, view_R: Ints) -> Tensor:
        """(R, E) embeddings of views; objects by their place among the judged ones."""
        return self.e_NVE[torch.from_numpy(object_R), torch.from_numpy(view_R)]

    def latents(self, object_R: Ints, first_R: Ints, second_R: Ints) -> Array:
        """(R, G) from one view to another, with the signs that training saw."""
        pairs = Pairs(object_R=self.objects_N[object_R], first_R=first_R, second_R=second_R)
        q_R4, hues_R2 = self.truth.relative(pairs, "scipy"), self.truth.hue_change(pairs)
        return grouped(q_R4, hues_R2, self.group)

    @torch.no_grad()
    def predict(self, e_RE: Tensor, z_RG: Array) -> Tensor:
        """(R, E) moved embeddings; one row of z for each of e.

        Raises:
            ConfigError: the predictor gives no numbers, or memory is short.
        """
        z = torch.from_numpy(np.ascontiguousarray(z_RG)).to(e_RE)
        with memory_for("predictions", "rows", _ROWS):
            pieces = [
                self.predictor.predict(e_RE[i : i + _ROWS], z[i : i + _ROWS])
                for i in range(0, len(e_RE), _ROWS)
            ]
        return checked_rows(torch.cat(pieces), "predict", len(e_RE), e_RE.shape[1])


def embed(
    features: Features, truth: Truth, predictor: Predictor, *, device: torch.device, seed: int
) -> Embedded:
    """Embed all views of as many objects as are affordable, drawn by the seed.

    Raises:
        ConfigError: the predictor gives no numbers.
    """
    if isinstance(predictor, nn.Module):
        predictor = copy.deepcopy(predictor).to(device).double().train(False)
    views = truth.n_views
    width = _embed_rows(predictor, features, np.zeros(1, dtype=np.int64), device).shape[1]
    most = max(2, min(MOST_OBJECTS, MOST_BYTES // (8 * views * width)))
    rng = np.random.Generator(np.random.PCG64(seed))
    objects_N = np.sort(rng.permutation(truth.n_objects)[:most])
    rows = (objects_N[:, None] * views + np.arange(views)).reshape(-1)
    e_ME = torch.cat(
        [
            _embed_rows(predictor, features, rows[i : i + _ROWS], device)
            for i in range(0, len(rows), _ROWS)
        ]
    )
    return Embedded(
        e_NVE=e_ME.view(len(objects_N), views, -1),
        objects_N=objects_N,
        truth=truth,
        predictor=predictor,
    )


@torch.no_grad()
def _embed_rows(
    predictor: Predictor, features: Features, rows_R: Ints, device: torch.device
) -> Tensor:
    r_RD = torch.from_numpy(features.data_MD[rows_R].astype(np.float64)).to(device)
    with memory_for("embeddings", "rows", _ROWS):
        return checked_rows(predictor.embed(r_RD).double(), "embed", len(rows_R))
