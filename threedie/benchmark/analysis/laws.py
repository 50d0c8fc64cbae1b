"""The laws of a group action, on real views: does the predictor keep them?

A view a of an object is moved to b, and on to c. With q_ab = inv(Ra)·Rb (docs/methods.md) the
product q_ab·q_bc is q_ac, sign included, and hue differences add up, so that moving twice ought to
be moving once: predict(predict(e_a, z_ab), z_bc) = predict(e_a, z_ac), the first move being the
left factor. The other order is measured as well: where turns do not commute, it has to be wrong.

Shape suffixes: N = judged objects, T = triples of each, R = N·T rows, E = embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.neighbours import unit
from threedie.benchmark.evaluation.targets import positive_w
from threedie.manifests.results import Number

TRIPLES = 8
_ROWS = 1024
_NOTHING = 1e-9
"""A mean distance below this is rounding: nothing can be measured against it."""
_COLLAPSED = "all views of an object have one embedding: there is no distance to measure by"
NEED_THREE = ("composition", "composition_swapped", "two_steps", "other_rotation", "other_hues")
"""What needs a third view."""
NAMES = (
    "object",
    "prediction",
    "prediction_positive_w",
    "identity",
    "double_cover",
    "inverse",
    *NEED_THREE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Triples:
    """Views a, b, c of one object, all different."""

    object_R: Ints
    a_R: Ints
    b_R: Ints
    c_R: Ints | None
    """None where there are two views only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """How far two sets of embeddings are apart, row by row."""

    cosine_R: Array
    """1 − cosine."""
    square_R: Array
    """Squared distance."""


def draw_triples(n_objects: int, n_views: int, seed: int) -> Triples:
    """`TRIPLES` of each object, by the seed; needs two views."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    views = np.tile(np.arange(n_views), (n_objects * TRIPLES, 1))
    order = rng.permuted(views, axis=1)
    return Triples(
        object_R=np.repeat(np.arange(n_objects), TRIPLES),
        a_R=order[:, 0],
        b_R=order[:, 1],
        c_R=order[:, 2] if n_views > 2 else None,
    )


def measure_laws(embedded: Embedded, triples: Triples, resampler: Resampler) -> dict[str, Number]:
    """Every law as three numbers, and the distances they are measured by.

    `view_…` is between two views of an object, `object_…` between views of two objects. Of each
    law: `…_cosine_error`, the mean of 1 − cosine; `…_cosine_ratio`, that over `view_cosine_error`;
    `…_square_ratio`, the same of squared distances. A ratio of 1: as wrong as any other view.
    `rotation_gain`, `hues_gain`: 1 − error / error with the rotation (hues) to view c.
    `negative_w_share`: of the moves, as the data have them.
    """
    gaps: dict[str, list[Gap]] = {}
    for first in range(0, len(triples.object_R), _ROWS):
        for name, (x, y) in _laws(embedded, _cut(triples, first)).items():
            gaps.setdefault(name, []).append(_gap(x, y))
    joined = {name: _joined(blocks) for name, blocks in gaps.items()}
    view = joined["view"]
    numbers = {
        f"{name}_cosine_error": resampler.number(metrics.mean(gap.cosine_R), triples.object_R)
        for name, gap in joined.items()
    }
    for name, gap in joined.items():
        if name != "view":
            for kind, over, under in (
                ("cosine", gap.cosine_R, view.cosine_R),
                ("square", gap.square_R, view.square_R),
            ):
                numbers[f"{name}_{kind}_ratio"] = resampler.number(
                    _ratio(over, under), triples.object_R
                )
    for kind in ("rotation", "hues"):
        if f"other_{kind}" in joined:
            gain = metrics.one_minus_ratio(
                joined["prediction"].cosine_R,
                joined[f"other_{kind}"].cosine_R,
                undefined="both predictions are perfect",
            )
            numbers[f"{kind}_gain"] = resampler.number(gain, triples.object_R)
    if embedded.group != "color":
        z_RG = embedded.latents(triples.object_R, triples.a_R, triples.b_R)
        negative = metrics.mean((z_RG[:, 3] < 0).astype(np.float64))
        numbers["negative_w_share"] = resampler.number(negative, triples.object_R)
    return numbers


def _laws(embedded: Embedded, t: Triples) -> dict[str, tuple[Tensor, Tensor]]:
    """Name to what ought to be equal (or, for distances, what is compared)."""
    n, predict = t.object_R, embedded.predict
    e_a, e_b = embedded.rows(n, t.a_R), embedded.rows(n, t.b_R)
    z_ab = embedded.latents(n, t.a_R, t.b_R)
    ab = predict(e_a, z_ab)
    found = {
        "view": (e_a, e_b),
        "prediction": (ab, e_b),
        "identity": (predict(e_a, embedded.latents(n, t.a_R, t.a_R)), e_a),
        "inverse": (predict(ab, embedded.latents(n, t.b_R, t.a_R)), e_a),
    }
    if embedded.n_objects > 1:
        found["object"] = (e_a, embedded.rows((n + 1) % embedded.n_objects, t.b_R))
    if embedded.group != "color":
        found["double_cover"] = (predict(e_a, with_other_sign(z_ab)), ab)
        found["prediction_positive_w"] = (predict(e_a, with_positive_w(z_ab)), e_b)
    if t.c_R is None:
        return found
    z_bc, z_ac = embedded.latents(n, t.b_R, t.c_R), embedded.latents(n, t.a_R, t.c_R)
    ac, twice = predict(e_a, z_ac), predict(ab, z_bc)
    found |= {
        "composition": (twice, ac),
        "composition_swapped": (predict(predict(e_a, z_bc), z_ab), ac),
        "two_steps": (twice, embedded.rows(n, t.c_R)),
    }
    turned = 0 if embedded.group == "color" else 4  # the columns of z that say the rotation
    if turned:
        mixed = np.concatenate([z_ac[:, :turned], z_ab[:, turned:]], axis=1)
        found["other_rotation"] = (predict(e_a, mixed), e_b)
    if z_ab.shape[1] > turned:
        mixed = np.concatenate([z_ab[:, :turned], z_ac[:, turned:]], axis=1)
        found["other_hues"] = (predict(e_a, mixed), e_b)
    return found


def with_other_sign(z_RG: Array) -> Array:
    """−q for q; hues stay."""
    return np.concatenate([-z_RG[:, :4], z_RG[:, 4:]], axis=1)


def with_positive_w(z_RG: Array) -> Array:
    """The one of q and −q with w >= 0; hues stay."""
    return np.concatenate([positive_w(z_RG[:, :4]), z_RG[:, 4:]], axis=1)


def _cut(t: Triples, first: int) -> Triples:
    rows = slice(first, first + _ROWS)
    c_R = None if t.c_R is None else t.c_R[rows]
    return Triples(object_R=t.object_R[rows], a_R=t.a_R[rows], b_R=t.b_R[rows], c_R=c_R)


def _gap(x_RE: Tensor, y_RE: Tensor) -> Gap:
    cosine_R = (1 - (unit(x_RE) * unit(y_RE)).sum(dim=1)).clamp_min(0)
    square_R = (x_RE - y_RE).square().sum(dim=1)
    return Gap(cosine_R=cosine_R.cpu().numpy(), square_R=square_R.cpu().numpy())


def _joined(blocks: list[Gap]) -> Gap:
    return Gap(
        cosine_R=np.concatenate([gap.cosine_R for gap in blocks]),
        square_R=np.concatenate([gap.square_R for gap in blocks]),
    )


def _ratio(over_R: Array, under_R: Array) -> metrics.Statistic:
    known = under_R if under_R.mean() > _NOTHING else np.zeros_like(under_R)
    return metrics.ratio(over_R, known, undefined=_COLLAPSED)
