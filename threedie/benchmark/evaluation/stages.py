"""The stages of an evaluation: probes, direct measures and retrieval, each giving named metrics.

Shape suffixes: M = N·V views, D = representation, K = classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch

from threedie.benchmark.evaluation import chance, findings, invariance, metrics, probes
from threedie.benchmark.evaluation.encoder import Encoder
from threedie.benchmark.evaluation.features import Features, Gather, Progress, statistics
from threedie.benchmark.evaluation.findings import HITS, Finding, Given, Measured, undefined
from threedie.benchmark.evaluation.listed import Listed
from threedie.benchmark.evaluation.metrics import Array
from threedie.benchmark.evaluation.neighbours import knn_votes
from threedie.benchmark.evaluation.official_probes import (
    Stream,
    cached_stream,
    live_stream,
    train_and_judge,
)
from threedie.benchmark.evaluation.protocols import Protocol
from threedie.benchmark.evaluation.retrieval import (
    MovedSplit,
    Predictor,
    Ranks,
    at_rest,
    nearest_views,
    retrieve,
    turned_apart,
)
from threedie.benchmark.evaluation.targets import Pairs, Truth, judged_pairs
from threedie.benchmark.reading.split import Split
from threedie.manifests.results import Number

_PRE: tuple[tuple[str, Literal["train", "val"], tuple[str, ...]], ...] = (
    ("pre_train", "train", ("train",)),
    ("pre_val", "val", ("val",)),
    ("pre_val_all", "val", ("train", "val")),
)
"""Metric, whose view 0 is moved, whose views are candidates."""
_KINDS = ("r2_global", "r2_uniform", "geodesic_deg", "geodesic_deg_median")
ONE_VIEW = "the data set has one view per object"


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What every stage needs."""

    protocol: Protocol
    encoder: Encoder
    splits: dict[str, Split]
    truths: dict[str, Truth]
    parts: dict[str, slice]
    dim: int
    n_classes: int
    """Of the train split."""
    device: torch.device
    seed: int
    size: int
    on_progress: Progress
    live: bool
    """Probes encode pictures in every epoch: features depend on the batch."""
    features: dict[str, Features] = field(default_factory=dict)
    """By split; empty where nothing reads them."""


@dataclass(slots=True)
class Outcome:
    """What stages found."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)
    """By part."""
    chance: dict[str, Number] = field(default_factory=dict)
    references: dict[str, list[Finding]] = field(default_factory=dict)
    """By the predictor one can do without."""
    listed: Listed | None = None
    """Where predictions for the frozen list are collected, if they are asked for."""

    def add(self, part: str, found: Iterable[Finding]) -> None:
        """To the metrics of a part."""
        self.findings.setdefault(part, []).extend(found)


def all_view_probes(context: Context, outcome: Outcome) -> None:
    """`3die-v1`: probes on every view, kNN, and invariance measured directly."""
    train, val = context.truths["train"], context.truths["val"]
    has_pairs = val.n_views > 1
    judged = judged_pairs(
        val.n_objects, val.n_views, context.protocol.val_partners if has_pairs else 0, context.seed
    )
    views, pairs = findings.view_rows(val), findings.pair_rows(val, judged)
    for part, columns in context.parts.items():
        raw = [Gather(context.features[s], columns, context.device) for s in ("train", "val")]
        standard = statistics(context.features["train"], columns)
        pair = [
            Gather(context.features[s], columns, context.device, standard) for s in ("train", "val")
        ]
        outcome.add(part, _view_probes(context, outcome, part, pair, views))
        outcome.add(part, _knn(context, raw[0], raw[1], views))
        if not has_pairs:
            outcome.add(part, _without_pairs())
            continue
        head = probes.rotation_head(
            pair[0],
            train,
            context.protocol.rotation,
            hemisphere=context.protocol.hemisphere,
            seed=context.seed,
            on_step=partial(context.on_progress, f"rotation probe, {part}"),
        )
        if outcome.listed is not None:
            asked = outcome.listed.rows.pairs().flat(val.n_views)
            outcome.listed.rotated(part, probes.judge(head, pair[1], *asked))
        predicted = probes.judge(head, pair[1], *judged.flat(val.n_views))
        target = val.relative(judged, context.protocol.hemisphere)
        outcome.add(part, findings.rotated(predicted, target, pairs))
        spread = invariance.between_over_within(context.features["val"], columns)
        cosines = invariance.pair_cosines(raw[1], judged, val.n_views)
        outcome.add(part, _direct(spread, cosines, raw[1], pairs, val))
    _all_view_chance(context, outcome, judged)


def _view_probes(
    context: Context, outcome: Outcome, part: str, features: list[Gather], rows: findings.Rows
) -> Iterator[Finding]:
    truths, protocol, (train, val) = context.truths, context.protocol, features
    logits = probes.classification(
        train, truths["train"], val, context.n_classes, protocol.classification
    )
    if outcome.listed is not None:
        outcome.listed.classified(part, logits)
    yield from findings.classified(logits, _view_classes(truths["val"]), rows)
    if protocol.scene is not None:
        target_MO = truths["train"].scene_NV7.reshape(-1, 7)
        predicted = probes.scene(
            train,
            target_MO,
            val,
            protocol.scene,
            seed=context.seed,
            on_step=partial(context.on_progress, f"scene probe, {part}"),
        )
        if outcome.listed is not None:
            outcome.listed.seen(part, predicted)
        yield from findings.seen(predicted, truths["val"].scene_NV7.reshape(-1, 7), rows)


def _knn(context: Context, train: Gather, val: Gather, rows: findings.Rows) -> Iterator[Finding]:
    classes = _view_classes(context.truths["train"])
    votes = knn_votes(train, classes, val, context.n_classes, context.protocol)
    found = findings.classified(votes, _view_classes(context.truths["val"]), rows, prefix="knn_")
    yield from (one for one in found if one.name == "knn_top1")


def _direct(
    spread: metrics.Statistic, cosines: Array, val: Gather, pairs: findings.Rows, truth: Truth
) -> list[Finding]:
    objects = findings.Rows(
        split="val",
        object_R=np.arange(truth.n_objects),
        angle_R=np.zeros(truth.n_objects),
        axis="absolute",
    )
    n = truth.n_objects
    return [
        Measured(name="between_over_within", statistic=spread, rows=objects, curve=False),
        Measured(name="view_cosine", statistic=metrics.mean(cosines), rows=pairs),
        _plain("object_cosine", invariance.object_cosine(val, truth.n_views), n, "one object"),
        _plain("effective_rank", invariance.effective_rank(val), n, "collapsed: no variance"),
    ]


def _plain(name: str, value: float, n: int, why: str) -> Finding:
    return Given(name, Number(value=value, n=n)) if np.isfinite(value) else undefined(name, why)


def _without_pairs() -> list[Finding]:
    names = [f"rotation_{kind}" for kind in _KINDS]
    names += ["between_over_within", "view_cosine", "object_cosine"]
    return [undefined(name, ONE_VIEW) for name in names]


def _all_view_chance(context: Context, outcome: Outcome, judged: Pairs) -> None:
    train, val, n = context.truths["train"], context.truths["val"], len(context.splits["val"])
    views = findings.view_rows(val)
    frequent = chance.most_frequent(_view_classes(val), context.n_classes, views)
    outcome.chance |= frequent
    if "top1" in frequent:
        outcome.chance["knn_top1"] = frequent["top1"]
    scene_R7, mean_7 = val.scene_NV7.reshape(-1, 7), train.scene_NV7.reshape(-1, 7).mean(axis=0)
    if context.protocol.scene is not None:
        guess = np.broadcast_to(mean_7, scene_R7.shape)
        outcome.chance |= chance.constant(findings.seen(guess, scene_R7, views), n)
    if val.n_views < 2:
        return
    outcome.chance |= _constant_pairs(context, judged)
    outcome.chance["between_over_within"] = Number(
        value=0.0, n=n, note="features that know nothing of the object"
    )


def _constant_pairs(context: Context, judged: Pairs) -> dict[str, Number]:
    """The constant rotation (and hue change, where it is asked for) on the judged pairs."""
    train, val, protocol = context.truths["train"], context.truths["val"], context.protocol
    learnt = judged_pairs(train.n_objects, train.n_views, protocol.val_partners, context.seed)
    rows, target = findings.pair_rows(val, judged), val.relative(judged, protocol.hemisphere)
    guess = np.broadcast_to(train.relative(learnt, protocol.hemisphere).mean(axis=0), target.shape)
    found = findings.rotated(guess, target, rows)
    if protocol.color is not None:
        change = val.hue_change(judged)
        none = np.broadcast_to(train.hue_change(learnt).mean(axis=0), change.shape)
        found += findings.recolored(none, change, rows)
    return chance.constant(found, val.n_objects)


def official_probes(context: Context, outcome: Outcome) -> None:
    """`sie-2023`: the official scripts' probes, one random pair per object and epoch."""
    train, val = context.truths["train"], context.truths["val"]
    with context.encoder.kept():
        judged = train_and_judge(
            context.protocol,
            context.parts,
            (_stream(context, "train"), train),
            (_stream(context, "val"), val),
            dim=context.dim,
            n_classes=context.n_classes,
            device=context.device,
            seed=context.seed,
            on_progress=context.on_progress,
        )
    pairs, views = judged.pairs, findings.first_view_rows(val, judged.pairs)
    rows = findings.pair_rows(val, pairs)
    classes = val.class_N[pairs.object_R]
    for part in context.parts:
        logits = judged.outputs["classification"][part]
        outcome.add(part, findings.classified(logits, classes, views))
        if val.n_views < 2:
            outcome.add(part, [undefined(f"rotation_{kind}", ONE_VIEW) for kind in _KINDS])
            outcome.add(part, [undefined(f"color_{kind}", ONE_VIEW) for kind in _KINDS[:2]])
            continue
        target = val.relative(pairs, context.protocol.hemisphere)
        outcome.add(part, findings.rotated(judged.outputs["rotation"][part], target, rows))
        if context.protocol.color is not None:
            change = val.hue_change(pairs)
            outcome.add(part, findings.recolored(judged.outputs["color"][part], change, rows))
    outcome.chance |= chance.most_frequent(classes, context.n_classes, views)
    if val.n_views > 1:
        outcome.chance |= _constant_pairs(context, pairs)


def _stream(context: Context, split: Literal["train", "val"]) -> Stream:
    if not context.live:
        gather = Gather(context.features[split], slice(None), context.device)
        return cached_stream(gather, context.truths[split].n_views)
    mode = context.protocol.batchnorm if split == "train" else "eval"
    return live_stream(context.encoder, context.splits[split], context.size, mode)


def retrieval(context: Context, predictor: Predictor, outcome: Outcome, batch_size: int) -> None:
    """MRR, H@k, PRE and the equivariance error; under the part "all", whatever is moved."""
    truths = context.truths
    views = min(truth.n_views for truth in truths.values())
    if views < 2:
        without_predictor(outcome, ONE_VIEW)
        return
    with at_rest(predictor, context.device):
        moved = {
            name: MovedSplit(
                context.features[name],
                truths[name],
                predictor,
                device=context.device,
                batch_size=batch_size,
            )
            for name in ("train", "val")
        }
        for name in ("train", "val"):
            _within_objects(context, moved[name], name, outcome)
        for metric, source, targets in _PRE:
            stage = f"{metric.replace('_', '-')} ({source} among {' and '.join(targets)})"
            place_Q = nearest_views(
                moved[source], [moved[t] for t in targets], context.on_progress, stage
            )
            error_NV = turned_apart(truths[source], [truths[t] for t in targets], place_Q)
            if outcome.listed is not None and metric == "pre_val":
                outcome.listed.found(place_Q)
            rows = findings.query_rows(truths[source], source)
            statistic = metrics.mean(error_NV.reshape(-1))
            outcome.add("all", [Measured(name=metric, statistic=statistic, rows=rows)])
            queries = truths[source].rotation_NV4.reshape(-1, 4)
            among = np.concatenate([truths[t].rotation_NV4.reshape(-1, 4) for t in targets])
            n = truths[source].n_objects
            outcome.chance |= chance.random_pose(metric, queries, among, n)


def _within_objects(
    context: Context, moved: MovedSplit, name: Literal["train", "val"], outcome: Outcome
) -> None:
    truth = context.truths[name]
    found = retrieve(moved, context.on_progress, f"retrieval {name}")
    rows = findings.query_rows(truth, name)
    outcome.add("all", findings.ranked(found.ranks["predictor"], rows, truth.n_views))
    for other in ("identity", "oracle"):
        ranks: Ranks = found.ranks[other]
        listed = outcome.references.setdefault(other, [])
        listed += findings.ranked(ranks, rows, truth.n_views)
    if name == "val":
        if outcome.listed is not None:
            outcome.listed.ranked(found.ranks["predictor"])
        outcome.add("all", findings.moved(found, rows))
        outcome.references["identity"] += findings.unmoved(found, rows)
    outcome.chance |= chance.ranks(name, truth.n_views, truth.n_objects)


def without_predictor(outcome: Outcome, why: str) -> None:
    """Retrieval's metrics as nulls, with the reason."""
    names = [f"{kind}_{split}" for split in ("train", "val") for kind in _rank_names()]
    names += [metric for metric, _, _ in _PRE] + ["equivariance_error", "equivariance_gain"]
    outcome.add("all", [undefined(name, why) for name in names])


def _rank_names() -> list[str]:
    return ["mrr", *(f"h_at_{k}" for k in HITS)]


def _view_classes(truth: Truth) -> metrics.Ints:
    return np.repeat(truth.class_N, truth.n_views)
