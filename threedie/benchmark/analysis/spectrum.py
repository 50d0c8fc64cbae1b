"""The predictor's matrix at one move: how it stretches an embedding, how far it is from a turn.

Of a predictor that is affine in the embedding (a linear or deep hypernetwork without ReLU, an MLP
without hidden layers) the matrix is exact and the same everywhere; of any other it is the Jacobian
at a real view.

Shape suffixes: E = embedding, P = columns of the data's span, R = drawn moves, G = latent numbers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.laws import Triples
from threedie.benchmark.evaluation.metrics import Array, geodesic_deg
from threedie.benchmark.evaluation.targets import IDENTITY
from threedie.manifests.analysis import QUANTILES, Spectrum

MOST_WIDTH = 4096
"""A wider predictor's singular values take minutes each."""
MOVES = 12
"""Drawn beside the identity."""
_KEPT = 0.99
_ZERO = 1e-12
_AFFINE = 1e-6
_FAR = (1.0, 1e3)
"""Lengths of the far points, over √E."""


def is_affine(embedded: Embedded, triples: Triples) -> bool:
    """Whether f(x + y) + f(0) = f(x) + f(y) at a real move, near real views and far from them.

    Far points, in fixed random directions, cross every kink of a ReLU that real views may not.
    """
    random = torch.Generator().manual_seed(0)
    far = torch.randn(2, 4 * len(_FAR), embedded.width, generator=random, dtype=torch.float64)
    far *= torch.tensor(_FAR, dtype=torch.float64).repeat(4)[:, None]
    views = embedded.rows(triples.object_R[:16], triples.a_R[:16])
    others = embedded.rows(triples.object_R[-16:], triples.b_R[-16:])
    x, y = torch.cat([views, far[0].to(views)]), torch.cat([others, far[1].to(views)])
    first = (triples.object_R[:1], triples.a_R[:1], triples.b_R[:1])
    z_NG = embedded.latents(*first).repeat(len(x), axis=0)
    f = [embedded.predict(e, z_NG) for e in (x, y, x + y, torch.zeros_like(x))]
    gap, size = (f[2] + f[3] - f[0] - f[1]).norm(dim=1), f[0].norm(dim=1) + f[1].norm(dim=1)
    return bool((gap <= _AFFINE * size.clamp_min(_ZERO)).all())


def spectra(embedded: Embedded, triples: Triples, *, affine: bool) -> tuple[Spectrum, ...]:
    """At the identity and at `MOVES` moves between real views, whole and on the data's span."""
    span_EP, found = _span(embedded), list[Spectrum]()
    whole = torch.eye(embedded.width, dtype=torch.float64, device=embedded.e_NVE.device)
    rows = np.unique(np.linspace(0, len(triples.object_R) - 1, MOVES).astype(np.int64))
    n, a, b = triples.object_R[rows], triples.a_R[rows], triples.b_R[rows]
    still, drawn = embedded.latents(n[:1], a[:1], a[:1]), embedded.latents(n, a, b)
    places = np.concatenate([[0], np.arange(len(rows))])
    for i, z_G in zip(places, np.concatenate([still, drawn]), strict=True):
        e_E = embedded.rows(n[i : i + 1], a[i : i + 1])[0]
        matrix = _affine_matrix(embedded, z_G) if affine else _jacobian(embedded, e_E, z_G)
        move: Literal["identity", "drawn"] = "drawn" if found else "identity"
        found.append(_spectrum(matrix, whole, move, z_G, "all", embedded.group))
        found.append(_spectrum(matrix, span_EP, move, z_G, "data", embedded.group))
    return tuple(found)


def _span(embedded: Embedded) -> Tensor:
    """(E, P) orthonormal columns that hold `_KEPT` of the embeddings' variance."""
    e_ME = embedded.e_NVE.flatten(0, 1)
    e_ME = e_ME - e_ME.mean(dim=0)  # of a large mean alone, one column would hold nearly all
    values, vectors = torch.linalg.eigh(e_ME.T @ e_ME)
    share = values.flip(0).clamp_min(0).cumsum(0) / values.clamp_min(0).sum().clamp_min(1e-300)
    kept = int((share < _KEPT).sum()) + 1
    span_EP: Tensor = vectors.flip(1)[:, :kept]
    return span_EP


def _affine_matrix(embedded: Embedded, z_G: Array) -> Tensor:
    """W (E, E) of f(e) = W·e + c."""
    eye = torch.eye(embedded.width, dtype=torch.float64, device=embedded.e_NVE.device)
    basis = torch.cat([eye, torch.zeros_like(eye[:1])])
    moved = embedded.predict(basis, np.broadcast_to(z_G, (len(basis), len(z_G))))
    return (moved[:-1] - moved[-1]).T


def _jacobian(embedded: Embedded, e_E: Tensor, z_G: Array) -> Tensor:
    """(E, E) derivative of the prediction by the embedding, at one view."""
    z_1G = torch.from_numpy(np.ascontiguousarray(z_G)).to(e_E)[None]

    def move(e: Tensor) -> Tensor:
        return embedded.predictor.predict(e[None], z_1G)[0]

    jacobian: Tensor = torch.func.jacrev(move, chunk_size=256)(e_E)
    return jacobian.detach()


def _spectrum(
    matrix_EE: Tensor,
    basis_EP: Tensor,
    move: Literal["identity", "drawn"],
    z_G: Array,
    on: Literal["all", "data"],
    group: str,
) -> Spectrum:
    moved_EP = matrix_EE @ basis_EP
    s_P = np.sort(torch.linalg.svdvals(moved_EP).cpu().numpy())
    squares, trace = float(np.square(s_P).sum()), float((moved_EP * basis_EP).sum())
    zero = s_P[-1] <= _ZERO
    share_P = s_P / max(s_P.sum(), 1e-300)
    entropy = -float((share_P[share_P > 0] * np.log(share_P[share_P > 0])).sum())
    rotation = z_G[:4] if group != "color" else IDENTITY
    return Spectrum(
        move=move,
        angle_deg=float(geodesic_deg(rotation, IDENTITY)),
        on=on,
        width=len(s_P),
        quantiles=tuple(np.quantile(s_P, QUANTILES).tolist()),
        condition=None if s_P[0] <= _ZERO * max(s_P[-1], 1.0) else float(s_P[-1] / s_P[0]),
        effective_rank=None if zero else float(np.exp(entropy)),
        orthogonality_error=None if zero else _off(s_P.sum() ** 2 / len(s_P), squares),
        identity_error=None if zero else _off(trace**2 / len(s_P), squares),
    )


def _off(explained: float, squares: float) -> float:
    """√(1 − explained / all): what the nearest multiple of an isometry (or identity) leaves."""
    return float(np.sqrt(np.clip(1 - explained / squares, 0.0, 1.0)))
