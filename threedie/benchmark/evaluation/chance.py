"""Chance rows: what knowing nothing scores, on this data set and under this protocol.

Constant predictors go through the same formulas as probes. Ranks and PRE have closed forms.

Shape suffixes: N = objects, V = views, R = rows, K = classes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from threedie.benchmark.evaluation import findings
from threedie.benchmark.evaluation.findings import HITS, Finding, Given, Rows
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.manifests.results import Number


def most_frequent(class_R: Ints, n_classes: int, rows: Rows) -> dict[str, Number]:
    """top1, top5 and balanced_top1 of always guessing the val split's most frequent classes."""
    known = class_R[class_R >= 0]
    counts = np.bincount(known, minlength=n_classes).astype(np.float64)
    logits = np.broadcast_to(counts, (len(class_R), n_classes))
    found = findings.classified(logits, class_R, rows)
    return _values(found, "the most frequent classes of val", int(np.unique(rows.object_R).size))


def constant(found: Iterable[Finding], n: int) -> dict[str, Number]:
    """Metrics of a constant prediction, the mean target of train."""
    return _values(found, "always the mean target of train", n)


def ranks(split: str, n_views: int, n: int) -> dict[str, Number]:
    """Mrr and h_at_k of a random order of V views: (1 + 1/2 + … + 1/V) / V, and k / V.

    For 50 views: .0900, .02, .04, .10, .20.
    """
    note = f"a random order of {n_views} views"
    mrr = float((1 / np.arange(1, n_views + 1)).sum() / n_views)
    numbers = {f"mrr_{split}": Number(value=mrr, n=n, note=note)}
    for k in HITS:
        if k < n_views:
            numbers[f"h_at_{k}_{split}"] = Number(value=k / n_views, n=n, note=note)
    return numbers


def random_pose(name: str, queries_R4: Array, candidates_R4: Array, n: int) -> dict[str, Number]:
    """PRE of a candidate drawn at random: 1 − mean ⟨q, q'⟩², from the second moments of both."""
    moments = [q.T @ q / len(q) for q in (queries_R4, candidates_R4)]
    value = float(1 - (moments[0] * moments[1]).sum())
    return {name: Number(value=value, n=n, note="a random view of the candidates")}


def _values(found: Iterable[Finding], note: str, n: int) -> dict[str, Number]:
    numbers = {}
    for one in found:
        value = np.nan if isinstance(one, Given) else one.statistic.value()
        if np.isfinite(value):
            numbers[one.name] = Number(value=float(value), n=n, note=note)
    return numbers
