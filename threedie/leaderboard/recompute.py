"""All metrics of an entry, from its predictions and the board's truth; in float64, without torch.

The interval is of runs *and* objects: each of 1,000 replicates draws the seeds with replacement,
their deviation from the mean inflated by √(S / (S − 1)), and the objects with replacement. Objects
are drawn alike for all entries of a list, so that differences between entries are paired; seeds
are drawn for each entry anew, since seed 0 of one method has nothing in common with another's.
Few seeds give too short an interval all the same, as percentiles do: where training is all that
varies, it holds the truth in 62, 81, 87 and 91 of 100 cases with 2, 3, 5 and 10 seeds.

Shape suffixes: M = rows of the list, N = objects, K = classes, B = replicates, S = seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.bootstrap import RESAMPLES, Resampler, percentiles
from threedie.benchmark.evaluation.findings import (
    Finding,
    Given,
    Rows,
    classified,
    pair_rows,
    placed,
    rotated,
    seen,
    undefined,
)
from threedie.benchmark.evaluation.findings import (
    Measured as OfRows,
)
from threedie.benchmark.evaluation.frozen_truth import FrozenTruth
from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.leaderboard.metrics import METRICS
from threedie.manifests.verification import Measured

REPLICATED = ("all/top1", "all/rotation_r2_uniform", "equi/rotation_r2_uniform", "all/mrr_val")
"""What rows of a table are told apart by: `part/metric`."""
_KEPT, _DIGITS, _SHORT = 500, 9, 6
_SEED = 20230707  # as the frozen list's: changed with the protocol's version only

Findings = dict[str, dict[str, Finding]]
"""By part and name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recomputed:
    """What verification.json has of numbers."""

    metrics: dict[str, dict[str, Measured]]
    """By part and name; nine digits, so that two machines write the same."""
    replicates: dict[str, tuple[float, ...]]
    """By `part/metric`; six digits."""


def recompute(
    items_by_seed: Mapping[int, Items], truth: FrozenTruth, *, key: str = ""
) -> Recomputed:
    """Judge an entry's predictions, which were checked before.

    Args:
        items_by_seed: predictions of each run, of the same parts.
        truth: the board's.
        key: of the draws of seeds: the entry's id.
    """
    found = [judge(items, truth) for _, items in sorted(items_by_seed.items())]
    resampler = Resampler(len(truth.objects), seed=_SEED, resamples=RESAMPLES)
    counts_BS = _seed_draws(len(found), key)
    numbers: dict[str, dict[str, Measured]] = {}
    kept: dict[str, tuple[float, ...]] = {}
    for part, names in found[0].items():
        for name in names:
            measured, values_B = _measured([f[part][name] for f in found], resampler, counts_BS)
            numbers.setdefault(part, {})[name] = measured
            if f"{part}/{name}" in REPLICATED and measured.low is not None:
                kept[f"{part}/{name}"] = _rounded(values_B[:_KEPT], _SHORT)
    return Recomputed(metrics=numbers, replicates=kept)


def judge(items: Items, truth: FrozenTruth) -> Findings:
    """The metrics of one run, by part; what its method or the data don't have is undefined."""
    listed, targets = truth.listed, truth.truth
    tilt_M = targets.tilt_deg()[listed.flat_M]
    views = Rows(split="val", object_R=listed.object_M, angle_R=tilt_M, axis="absolute")
    found: dict[str, list[Finding]] = {}
    for part in items.about.parts:
        logits_MK = _as_logits(items.top5[part], len(truth.classes))
        found[part] = classified(logits_MK, targets.class_N[listed.object_M], views)
        found[part] += _turned(items, part, truth)
    scene_M7 = targets.scene_NV7.reshape(-1, 7)[listed.flat_M]
    if "all" in items.scene:
        found["all"] += seen(items.scene["all"], scene_M7, views)
    found["all"] += _retrieved(items, truth)
    missing = [name for name in METRICS if name not in {one.name for one in found["all"]}]
    found["all"] += [undefined(name, "the protocol has no such probe") for name in missing]
    return {
        part: {one.name: one for one in listed_ if one.name in METRICS}
        for part, listed_ in found.items()
    }


def _as_logits(top5_Mk: Ints, n_classes: int) -> Array:
    """(M, K): 5 for the likeliest class, …, 1 for the fifth, 0 for all others."""
    logits_MK = np.zeros((len(top5_Mk), n_classes))
    scores = np.arange(top5_Mk.shape[1], 0, -1, dtype=np.float64)
    np.put_along_axis(logits_MK, top5_Mk, np.broadcast_to(scores, top5_Mk.shape), axis=1)
    return logits_MK


def _turned(items: Items, part: str, truth: FrozenTruth) -> list[Finding]:
    pairs, targets = truth.listed.pairs(), truth.truth
    if part not in items.rotation:
        why = "with one view per object there are no pairs"
        return [undefined(name, why) for name in METRICS if name.startswith("rotation_")]
    wanted_M4 = targets.relative(pairs, hemisphere(truth.protocol))
    return rotated(items.rotation[part], wanted_M4, pair_rows(targets, pairs))


def hemisphere(protocol: str) -> str:
    """Which of q and −q a protocol asks for.

    Args:
        protocol: name and version.
    """
    return PROTOCOLS[protocol.partition("/")[0]].hemisphere


def _retrieved(items: Items, truth: FrozenTruth) -> list[Finding]:
    greater_M, equal_M, nearest_M = items.greater_M, items.equal_M, items.nearest_M
    if greater_M is None or equal_M is None or nearest_M is None:
        names = [name for name in METRICS if name.endswith("_val")]
        return [undefined(name, "the method has no predictor") for name in names]
    listed, targets = truth.listed, truth.truth
    rows = pair_rows(targets, listed.queries())
    flat_4 = targets.rotation_NV4.reshape(-1, 4)
    error_M = metrics.rotation_distance(flat_4[listed.flat_M], flat_4[nearest_M])
    return [
        *placed(greater_M, equal_M, rows, listed.n_views),
        OfRows(name="pre_val", statistic=metrics.mean(error_M), rows=rows),
    ]


def _seed_draws(seeds: int, key: str) -> Ints:
    """(B, S) how often each seed is drawn."""
    words = np.frombuffer(hashlib.sha256(key.encode()).digest(), dtype="<u4")
    rng = np.random.Generator(np.random.PCG64([_SEED, *words.tolist()]))
    drawn_BS = rng.integers(seeds, size=(RESAMPLES, seeds))
    return np.stack([(drawn_BS == s).sum(axis=1) for s in range(seeds)], axis=1)


def over_seeds(values_BS: Array, counts_BS: Ints) -> Array:
    """(B,) the mean over the seeds drawn, its deviation from that over all of them inflated.

    So the variance is s² / S, the mean's own; drawing S of S alone gives (S − 1) / S of it.
    """
    seeds = values_BS.shape[1]
    mean_B = values_BS.mean(axis=1)
    if seeds == 1:
        return np.asarray(mean_B)
    drawn_B = (values_BS * counts_BS).sum(axis=1) / seeds
    return np.asarray(mean_B + np.sqrt(seeds / (seeds - 1)) * (drawn_B - mean_B))


def _measured(
    found: Sequence[Finding], resampler: Resampler, counts_BS: Ints
) -> tuple[Measured, Array]:
    """One metric over all seeds, and its replicates."""
    first = found[0]
    rows = [one for one in found if isinstance(one, OfRows)]
    values = [one.statistic.value() for one in rows]
    if len(rows) < len(found) or not np.isfinite(values).all():
        note = first.number.note if isinstance(first, Given) else first.statistic.undefined
        nothing = Measured(value=None, per_seed=(None,) * len(found), objects=0, note=note)
        return nothing, np.empty(0)
    per_seed = [resampler.replicates(one.statistic, one.rows.object_R) for one in rows]
    values_B = over_seeds(np.stack(per_seed, axis=1), counts_BS)
    low, high = _interval(values_B, first.name)
    objects = int(np.unique(rows[0].rows.object_R).size)
    known = objects > 1 and np.isfinite([low, high]).all()
    value = float(np.mean(values))
    if first.name.endswith("_median"):  # its replicates are of bins of 0.1°, which can leave it out
        low, high = min(low, value), max(high, value)
    measured = Measured(
        value=_short(value),
        low=_short(low) if known else None,
        high=_short(high) if known else None,
        std=_short(float(np.std(values, ddof=1))) if len(values) > 1 else None,
        per_seed=_rounded(values, _DIGITS),
        objects=objects,
    )
    return measured, values_B


def _interval(values_B: Array, name: str) -> tuple[float, float]:
    """2.5 % and 97.5 %, within what the metric can be."""
    metric = METRICS[name]
    low, high = (float(end[0]) for end in percentiles(values_B[:, None]))
    least = -np.inf if metric.low is None else metric.low
    return float(np.clip(low, least, metric.high)), float(np.clip(high, least, metric.high))


def _short(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}") + 0.0  # no −0


def _rounded(values: Sequence[float] | Array, digits: int) -> tuple[float, ...]:
    return tuple(_short(float(value), digits) for value in values)
