"""How much of a prediction's variance is the move's: a predictor that ignores z has none.

Shape suffixes: N = judged objects, V = views, K = moves, R = rows, E = embedding.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.laws import Triples, with_positive_w
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.features import Features
from threedie.benchmark.evaluation.invariance import within_share
from threedie.benchmark.evaluation.neighbours import unit
from threedie.manifests.results import Number

_MOVES = 16


def measure_steering(
    embedded: Embedded, triples: Triples, resampler: Resampler
) -> dict[str, Number]:
    """The share of variance that moves make, and the share that real views make.

    `moved_share`: variance over moves / (over moves + between objects), of view 0 moved by the same
    real moves for every object (w >= 0: a sign is no move). `view_share`: the same of real views,
    which is what a perfect predictor comes near. Of unit vectors, since cosines are what is ranked.
    """
    rows = np.unique(np.linspace(0, len(triples.object_R) - 1, _MOVES).astype(np.int64))
    z_KG = embedded.latents(triples.object_R[rows], triples.a_R[rows], triples.b_R[rows])
    z_KG = z_KG if embedded.group == "color" else with_positive_w(z_KG)
    source_NE = embedded.e_NVE[:, 0]
    moved_KNE = [
        embedded.predict(source_NE, np.broadcast_to(z, (len(source_NE), len(z)))) for z in z_KG
    ]
    return {
        "moved_share": _share(torch.stack(moved_KNE, dim=1), resampler),
        "view_share": _share(embedded.e_NVE, resampler),
    }


def _share(e_NKE: Tensor, resampler: Resampler) -> Number:
    data_ME = unit(e_NKE).flatten(0, 1).float().cpu().numpy()
    statistic = within_share(Features(data_MD=data_ME, n_views=e_NKE.shape[1]), slice(None))
    return resampler.number(statistic, np.arange(len(e_NKE)))
