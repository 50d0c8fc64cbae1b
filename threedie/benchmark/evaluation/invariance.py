"""Invariance measured directly on features, without a probe.

Shape suffixes: N = objects, V = views, D = features of a part, R = pairs.
"""

from __future__ import annotations

import numpy as np
import torch

from threedie.benchmark.evaluation.features import Features, Gather
from threedie.benchmark.evaluation.metrics import Array, Statistic
from threedie.benchmark.evaluation.neighbours import unit
from threedie.benchmark.evaluation.targets import Pairs

_ROWS = 16384


def between_over_within(features: Features, columns: slice) -> Statistic:
    """Variance between objects over variance between the views of an object; a row per object.

    The two components of one-way analysis of variance with random effects: within = pooled variance
    of views about their object's mean, between = variance of the objects' means less within / V.
    So features that know nothing of the object score 0 (and not 1/V), and noise can make it
    slightly negative. Sums over the D columns before the ratio.
    """
    views = features.n_views
    return Statistic(
        rows_RS=_object_sums(features, columns),
        formula=lambda sums: _ratio(*_components(sums, views)),
        undefined="the views of an object have equal features, or there is one object only",
    )


def within_share(features: Features, columns: slice) -> Statistic:
    """Within over within + between, the same components: 0 where views of an object are equal."""
    views = features.n_views
    return Statistic(
        rows_RS=_object_sums(features, columns),
        formula=lambda sums: _share(*_components(sums, views)),
        undefined="all features are equal, or there is one object only",
    )


def _object_sums(features: Features, columns: slice) -> Array:
    """(N, 3 + D): 1, squares of views about their mean, squared length of the mean, the mean."""
    views, rows = features.n_views, list[Array]()
    shift_D: Array | None = None
    for block in features.blocks(max(1, _ROWS // views) * views, columns):
        f_NVD = block.reshape(-1, views, block.shape[1]).astype(np.float64)
        shift_D = f_NVD[0].mean(axis=0) if shift_D is None else shift_D
        mean_ND = f_NVD.mean(axis=1)
        within_N = np.square(f_NVD - mean_ND[:, None]).sum(axis=(1, 2))
        mean_ND = mean_ND - shift_D
        lengths_N = np.square(mean_ND).sum(axis=1)
        rows.append(np.column_stack([np.ones(len(f_NVD)), within_N, lengths_N, mean_ND]))
    return np.concatenate(rows)


def _components(sums: Array, views: int) -> tuple[Array, Array]:
    """Within and between; NaN where there is one object or one view."""
    count, within, lengths = np.moveaxis(sums[..., 0, :3], -1, 0)
    centre = np.square(sums[..., 0, 3:]).sum(axis=-1) / np.maximum(count, 1)
    mean_square = within / np.maximum(count * (views - 1), 1)
    spread = (lengths - centre) / np.maximum(count - 1, 1)
    # Views of one object that are the same picture differ in the last digit only.
    mean_square = np.where(mean_square > 1e-12 * np.maximum(spread, 1e-30), mean_square, 0.0)
    known = (count > 1) & (views > 1)
    between = spread - mean_square / views
    return np.where(known, mean_square, np.nan), np.where(known, between, np.nan)


def _ratio(within: Array, between: Array) -> Array:
    known = within > 0
    return np.where(known, between / np.where(known, within, 1.0), np.nan)


def _share(within: Array, between: Array) -> Array:
    total = within + np.maximum(between, 0.0)
    known = total > 0
    return np.where(known, within / np.where(known, total, 1.0), np.nan)


def pair_cosines(features: Gather, pairs: Pairs, n_views: int) -> Array:
    """(R,) cosine between the features of both views, as they are (not centred)."""
    first, second = pairs.flat(n_views)
    found = []
    for i in range(0, len(first), _ROWS):
        x, y = features(first[i : i + _ROWS]), features(second[i : i + _ROWS])
        found.append((unit(x.double()) * unit(y.double())).sum(dim=1).cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0)


def object_cosine(features: Gather, n_views: int) -> float:
    """Mean cosine between views of different objects, over all such pairs.

    From sums: the squared length of the sum of all unit vectors, less that of each object's own.
    """
    total, own, count = None, 0.0, len(features) // n_views
    for block in features.blocks(max(1, _ROWS // n_views) * n_views):
        sum_ND = unit(block.double()).view(-1, n_views, block.shape[1]).sum(dim=1)
        own += float(sum_ND.square().sum())
        total = sum_ND.sum(dim=0) if total is None else total + sum_ND.sum(dim=0)
    if total is None or count < 2:
        return float("nan")
    return (float(total.square().sum()) - own) / (count * (count - 1) * n_views**2)


def effective_rank(features: Gather) -> float:
    """Exp of the entropy of the normalised singular values of the centred features: 1 … D.

    Roy and Vetterli, EUSIPCO 2007. A collapsed representation has no rank: NaN.
    """
    total = torch.zeros(features.dim, dtype=torch.float64, device=features.device)
    squares = total.new_zeros(features.dim, features.dim)
    shift = features(np.zeros(1, dtype=np.int64)).double()
    for block in features.blocks(_ROWS):
        centred = block.double() - shift
        total += centred.sum(dim=0)
        squares += centred.T @ centred
    mean = total / len(features)
    values = torch.linalg.eigvalsh(squares / len(features) - torch.outer(mean, mean))
    singular = values.clamp_min(0).sqrt()
    largest = float(shift.abs().max() + mean.abs().max())
    if float(singular.sum()) <= 1e-7 * max(largest, 1e-30):
        return float("nan")
    share = singular / singular.sum()
    return float(torch.exp(-torch.special.xlogy(share, share).sum()))
