"""Factor × part: which latent can be read from which part of the representation.

Scores are the protocol's own. They are taken from results.json where it has them for this very
checkpoint and data set; what it does not have (the components of the rotation, or anything, where
there is no such file) is probed on the same features, with the same settings and seed.

Shape suffixes: M = views, R = judged pairs, D = representation.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from threedie.benchmark.evaluation import findings, metrics, probes
from threedie.benchmark.evaluation.chance import most_frequent
from threedie.benchmark.evaluation.features import Gather, statistics
from threedie.benchmark.evaluation.findings import Finding, Measured, undefined
from threedie.benchmark.evaluation.stages import ONE_VIEW, Context
from threedie.benchmark.evaluation.tables import Tables
from threedie.benchmark.evaluation.targets import judged_pairs
from threedie.manifests.analysis import FactorScore
from threedie.manifests.results import Number, Numbers, Results

_LISTED = {
    "class": "top1",
    "rotation": "rotation_r2_uniform",
    "floor_hue": "floor_hue_r2_uniform",
    "light_hue": "light_hue_r2_uniform",
    "light_direction": "light_direction_r2_uniform",
}
"""Factors that results.json has, and by which metric."""
_COMPONENTS = ("rotation_x", "rotation_y", "rotation_z")
"""x, y, z of the relative quaternion."""
_NOT_PROBED = "results.json does not have it for this checkpoint and data set, and no probe was run"

Factors = dict[str, dict[str, FactorScore]]


def factor_matrix(context: Context, known: Results | None, *, probe: bool) -> Factors:
    """By part, by factor.

    Args:
        context: with the features of train and val, where `probe` is true.
        known: results of this checkpoint on this data set, under the context's protocol.
        probe: whether what is not known is measured; else it is null.
    """
    chance, found = _chance(context), Factors()
    for part in context.parts:
        listed = {} if known is None else known.metrics.get(part, {})
        scores = {
            factor: _score(factor, listed[metric], chance, "results.json")
            for factor, metric in _LISTED.items()
            if metric in listed
        }
        missing = [f for f in (*_LISTED, *_COMPONENTS) if f not in scores]
        probed = _probed(context, part, missing) if probe else {}
        for factor in missing:
            number = probed.get(factor, Number(value=None, n=0, note=_NOT_PROBED))
            scores[factor] = _score(factor, number, chance, "probe" if probe else None)
        found[part] = {factor: scores[factor] for factor in (*_LISTED, *_COMPONENTS)}
    return found


def _score(factor: str, score: Number, chance: Numbers, source: str | None) -> FactorScore:
    return FactorScore.model_validate(
        {
            "metric": _LISTED.get(factor, "r2"),
            "score": score,
            "chance": chance.get(factor, Number(value=0.0, n=0, note="a constant answer")),
            "source": source,
        }
    )


def _chance(context: Context) -> Numbers:
    """Of the class; every R² of a constant is 0."""
    val = context.truths["val"]
    class_M = np.repeat(val.class_N, val.n_views)
    frequent = most_frequent(class_M, context.n_classes, findings.view_rows(val))
    return {"class": frequent["top1"]} if "top1" in frequent else {}


def _probed(context: Context, part: str, missing: Iterable[str]) -> Numbers:
    """The missing factors of one part, measured as `3die-v1` does."""
    wanted, columns = set(missing), context.parts[part]
    standard = statistics(context.features["train"], columns)
    train, val = (
        Gather(context.features[name], columns, context.device, standard)
        for name in ("train", "val")
    )
    tables = Tables(
        {"val": context.splits["val"]},
        edges_deg=context.protocol.curve_edges_deg,
        seed=context.seed,
        resamples=context.protocol.resamples,
    )
    found: list[Finding] = []
    if "class" in wanted:
        found += _class(context, train, val)
    if wanted & {"floor_hue", "light_hue", "light_direction"}:
        found += _scene(context, part, train, val)
    if wanted & {"rotation", *_COMPONENTS}:
        found += _rotation(context, part, train, val)
    by_metric = {one.name: one for one in found}
    named = {factor: by_metric.get(_LISTED.get(factor, factor)) for factor in wanted}
    return {factor: tables.number(one) for factor, one in named.items() if one is not None}


def _class(context: Context, train: Gather, val: Gather) -> list[Finding]:
    truths = context.truths
    logits = probes.classification(
        train, truths["train"], val, context.n_classes, context.protocol.classification
    )
    class_M = np.repeat(truths["val"].class_N, truths["val"].n_views)
    return findings.classified(logits, class_M, findings.view_rows(truths["val"]))


def _scene(context: Context, part: str, train: Gather, val: Gather) -> list[Finding]:
    truths, settings = context.truths, context.protocol.scene
    if settings is None:
        return []
    predicted = probes.scene(
        train,
        truths["train"].scene_NV7.reshape(-1, 7),
        val,
        settings,
        seed=context.seed,
        on_step=partial(context.on_progress, f"scene probe, {part}"),
    )
    target_M7 = truths["val"].scene_NV7.reshape(-1, 7)
    return findings.seen(predicted, target_M7, findings.view_rows(truths["val"]))


def _rotation(context: Context, part: str, train: Gather, val: Gather) -> list[Finding]:
    """The whole relative rotation, and each of its components by its own R²."""
    truth, protocol = context.truths["val"], context.protocol
    if truth.n_views < 2:
        return [undefined(name, ONE_VIEW) for name in (_LISTED["rotation"], *_COMPONENTS)]
    judged = judged_pairs(truth.n_objects, truth.n_views, protocol.val_partners, context.seed)
    predicted = probes.rotation(
        train,
        context.truths["train"],
        val,
        judged.flat(truth.n_views),
        protocol.rotation,
        hemisphere=protocol.hemisphere,
        seed=context.seed,
        on_step=partial(context.on_progress, f"rotation probe, {part}"),
    )
    target, rows = truth.relative(judged, protocol.hemisphere), findings.pair_rows(truth, judged)
    components: list[Finding] = [
        Measured(
            name=name,
            statistic=metrics.r2_uniform(predicted[:, [i]], target[:, [i]]),
            rows=rows,
        )
        for i, name in enumerate(_COMPONENTS)
    ]
    return [*findings.rotated(predicted, target, rows), *components]
