"""Sweeps: what is asked of the predictor, against what the nearest real view has.

Candidates are the object's own views, or the views of all judged objects. Best is the error of the
candidate that is nearest in truth, chance that of a candidate drawn at random.

Shape suffixes: N = judged objects, V = views, K = steps, E = embedding, Q = N·K queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.questions import Question
from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.bootstrap import Resampler
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.neighbours import nearest, unit
from threedie.manifests.analysis import Sweep
from threedie.manifests.results import Number

Among = Literal["object", "val"]
_TIE = 1e-9
SOURCE = 0
"""The view that is moved, as in retrieval."""
_QUERIES = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The views that a sweep found; flat numbers are object · V + view."""

    question: Question
    nearest_NK: dict[Among, Ints]
    true_NK: dict[Among, Ints]


def sweep(embedded: Embedded, question: Question) -> Found:
    """Move view 0 step by step, and look for the nearest real views by cosine."""
    e_NVE = unit(embedded.e_NVE)
    candidates = e_NVE.flatten(0, 1).float()
    own, among_all = list[Ints](), list[Ints]()
    for step in range(len(question.asked_deg_K)):
        moved_NE = unit(embedded.predict(embedded.e_NVE[:, SOURCE], question.z_NKG[:, step]))
        cosine_NV = torch.einsum("nve,ne->nv", e_NVE, moved_NE).cpu().numpy()
        own.append(_first_best(cosine_NV))
        _, place = nearest(moved_NE.float(), lambda: [candidates], 1)
        among_all.append(place[:, 0].cpu().numpy())
    first_N1 = np.arange(embedded.n_objects)[:, None] * embedded.n_views
    return Found(
        question=question,
        nearest_NK={"object": np.stack(own, axis=1) + first_N1, "val": np.stack(among_all, axis=1)},
        true_NK={"object": _best_own(question) + first_N1, "val": _best_of_all(question)},
    )


def measure(found: Found, resampler: Resampler) -> Iterator[tuple[Sweep, dict[str, Number]]]:
    """The curve of each kind of candidate, and its summary over all steps."""
    question = found.question
    values_Mx = question.values_NVx.reshape(-1, question.values_NVx.shape[-1])
    for among in ("object", "val"):
        error_NK = question.degrees(values_Mx[found.nearest_NK[among]], question.target_NKx)
        best_NK = question.degrees(values_Mx[found.true_NK[among]], question.target_NKx)
        chance_NK = _chance(question, own=among == "object")
        recovered_NK = question.recovered_deg(values_Mx[found.nearest_NK[among]])
        mean_K = np.exp(1j * np.radians(recovered_NK)).mean(axis=0)
        curve = Sweep(
            name=question.name,
            among=among,
            asked_deg=tuple(question.asked_deg_K.tolist()),
            error_deg=_by_step(error_NK, resampler),
            best_deg=_by_step(best_NK, resampler),
            recovered_deg=tuple(_direction(mean, question) for mean in mean_K),
            agreement=tuple(np.minimum(np.abs(mean_K), 1.0).tolist()),
        )
        yield (
            curve,
            _summary(f"{question.name}_{among}", found, error_NK, best_NK, chance_NK, resampler),
        )


def _summary(
    name: str, found: Found, error_NK: Array, best_NK: Array, chance_NK: Array, resampler: Resampler
) -> dict[str, Number]:
    """Means over the counted steps; `gain` is 1 for the best there is, 0 for chance."""
    kept = found.question.counted_K > 0
    over, under = (error_NK - best_NK)[:, kept], (chance_NK - best_NK)[:, kept]
    objects = np.repeat(np.arange(len(error_NK)), int(kept.sum()))
    statistics = {
        "error_deg": metrics.mean(error_NK[:, kept].reshape(-1)),
        "best_deg": metrics.mean(best_NK[:, kept].reshape(-1)),
        "chance_deg": metrics.mean(chance_NK[:, kept].reshape(-1)),
        "gain": metrics.one_minus_ratio(
            over.reshape(-1), under.reshape(-1), undefined="any view is as good as the best"
        ),
    }
    if name.endswith("_val"):
        views = found.question.values_NVx.shape[1]
        own = found.nearest_NK["val"] // views == np.arange(len(error_NK))[:, None]
        statistics["own_object"] = metrics.mean(own[:, kept].reshape(-1).astype(np.float64))
    return {f"{name}_{kind}": resampler.number(s, objects) for kind, s in statistics.items()}


def _by_step(degrees_NK: Array, resampler: Resampler) -> tuple[Number, ...]:
    steps = degrees_NK.shape[1]
    objects, step = (a.reshape(-1) for a in np.indices(degrees_NK.shape))
    return tuple(resampler.by_group(metrics.mean(degrees_NK.reshape(-1)), objects, step, steps))


def _direction(mean: complex, question: Question) -> float | None:
    """Of a circular mean, on the scale of what was asked."""
    if abs(mean) < _TIE:
        return None
    degrees = float(np.degrees(np.angle(mean)))
    return degrees % 360 if question.asked_deg_K.min() >= 0 else degrees


def _first_best(score_NV: Array) -> Ints:
    """(N,) place of the best; the first of those that tie."""
    best = score_NV.max(axis=-1, keepdims=True)
    return np.asarray((score_NV >= best - _TIE).argmax(axis=-1), dtype=np.int64)


def _best_own(question: Question) -> Ints:
    """(N, K) view of the object that is nearest to what is asked."""
    target_NK1x, values_N1Vx = question.target_NKx[:, :, None], question.values_NVx[:, None]
    return _first_best(-question.degrees(target_NK1x, values_N1Vx))


def _best_of_all(question: Question) -> Ints:
    """(N, K) flat number of the nearest of all views: degrees fall as inner products rise."""
    width = question.values_NVx.shape[-1]
    target_Qx, values_Mx = (
        question.target_NKx.reshape(-1, width),
        question.values_NVx.reshape(-1, width),
    )
    found = []
    for i in range(0, len(target_Qx), _QUERIES):
        product = target_Qx[i : i + _QUERIES] @ values_Mx.T
        found.append((np.abs(product) if width == 4 else product).argmax(axis=1))
    place_NK: Ints = np.concatenate(found).reshape(question.target_NKx.shape[:2])
    return place_NK


def _chance(question: Question, *, own: bool) -> Array:
    """(N, K) mean error of a view of the object, or of the next object (for: of any other)."""
    values_NVx = question.values_NVx if own else np.roll(question.values_NVx, -1, axis=0)
    chance_NK = question.degrees(question.target_NKx[:, :, None], values_NVx[:, None]).mean(axis=2)
    return np.asarray(chance_NK, dtype=np.float64)
