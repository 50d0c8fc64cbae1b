"""What is odd about an entry that has passed. Nothing is refused for it; all of it is shown.

Shape suffixes: M = rows of the list, N = objects, k = listed views of an object.
"""

from __future__ import annotations

import math
import statistics
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from threedie.benchmark.evaluation.items import Items
from threedie.leaderboard.board import OpenBoard
from threedie.leaderboard.checks.check import Checked
from threedie.leaderboard.checks.copies import kappa
from threedie.leaderboard.metrics import METRICS
from threedie.leaderboard.recompute import Recomputed
from threedie.manifests.entries import RANKED_RUNS, Submission
from threedie.manifests.verification import Check, Measured, Verification
from threedie.words import plural

_PERFECT = 0.005
"""Share of the whole range within which a network does not come of the oracle."""
_STEADY = 0.2
"""Of the others' median deviation over seeds."""
_AGREES, _AT_CHANCE, _MANY = 0.2, 2.0, 50
_TELLING = (("all", "top1"), ("all", "rotation_r2_uniform"), ("all", "mrr_val"))
_FEWEST_OTHERS = 3
_APART = 0.2
"""Between the best and the worst seed: trainings of one configuration come nearer, as a rule."""
_BY_OBJECTS = 6.0
"""Deviations of a share over objects (0.5 / √N at most), which few objects may be apart by."""


def warnings_of(
    checked: Checked,
    found: Recomputed,
    board: OpenBoard,
    others: Sequence[Verification],
    today: str,
) -> tuple[Check, ...]:
    """All that is odd.

    Args:
        checked: the entry.
        found: its numbers.
        board: where it is to stand.
        others: verifications of other entries.
        today: yyyy-mm-dd.
    """
    submission = checked.entry.submission
    listed = [
        *_declared(submission, today),
        *_seeds(found, others),
        *_perfect(found),
        *checked.near,
        *(
            Check(name=name, ok=False, says=f"seed {seed}: {says}")
            for seed, items in sorted(checked.items_by_seed.items())
            for name, says in _odd_rows(items, board)
        ),
    ]
    return tuple(listed)


def _warning(name: str, says: str) -> Check:
    return Check(name=name, ok=False, says=says)


def _declared(submission: Submission, today: str) -> Iterator[Check]:
    runs, started = len(submission.runs), submission.selection.runs_started
    if runs < RANKED_RUNS:
        yield _warning(
            "few-seeds", f"{plural(runs, 'seed')}: shown, and not ranked; that needs {RANKED_RUNS}"
        )
    if started > runs:
        yield _warning(
            "runs-left-out",
            f"{plural(started, 'run')} started with this configuration, {runs} given",
        )
    for field, text in (
        ("method.name", submission.method.name),
        ("method.variant", submission.method.variant or ""),
        ("submitter.name", submission.submitter.name),
    ):
        if word := _of_two_scripts(text):
            yield _warning("mixed-scripts", f"{field}: '{word}' has letters of two scripts")
    if submission.submitted > today:
        yield _warning("from-the-future", f"submitted {submission.submitted}, looked at on {today}")
    if submission.training_data.val_objects_used:
        yield _warning("val-objects-used", "val objects were used in training, it says")


def _of_two_scripts(text: str) -> str | None:
    """The first word with letters that look alike and are not: Latin beside Cyrillic or Greek."""
    for word in text.split():
        kinds = {unicodedata.name(c, "").partition(" ")[0] for c in word if c.isalpha()}
        if len(kinds & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return word
    return None


def _seeds(found: Recomputed, others: Sequence[Verification]) -> Iterator[Check]:
    for part, name in _TELLING:
        own = found.metrics.get(part, {}).get(name)
        if own is None or own.std is None:
            continue
        known = [value for value in own.per_seed if value is not None]
        apart = max(known) - min(known)
        if apart > max(_APART, _BY_OBJECTS * 0.5 / math.sqrt(own.objects)):
            yield _warning(
                "uneven-seeds",
                f"{part}/{name} is {min(known):.3f} to {max(known):.3f} over seeds: trainings of "
                "one configuration differ by less, as a rule",
            )
        if len(set(own.per_seed)) == 1 and 0 < abs(own.value or 0) < 1:
            yield _warning(
                "equal-digits", f"{part}/{name} is the same to the last digit in all seeds"
            )
            continue
        theirs = [m.std for v in others if (m := _of(v, part, name)) and m.std]
        if len(theirs) >= _FEWEST_OTHERS and own.std < _STEADY * statistics.median(theirs):
            yield _warning(
                "steady-seeds",
                f"{part}/{name} deviates by {own.std:.2g} over seeds; in other entries by "
                f"{statistics.median(theirs):.2g}",
            )


def _of(verification: Verification, part: str, name: str) -> Measured | None:
    return verification.metrics.get(part, {}).get(name)


def _perfect(found: Recomputed) -> Iterator[Check]:
    for part, name in _TELLING:
        own = found.metrics.get(part, {}).get(name)
        metric = METRICS[name]
        if own is not None and own.value is not None and abs(own.value - metric.perfect) < _PERFECT:
            yield _warning(
                "near-perfect", f"{part}/{name} is {own.value:.4f}: as good as knowing the answers"
            )


def _odd_rows(items: Items, board: OpenBoard) -> Iterator[tuple[str, str]]:
    rotation = items.rotation.get("all")
    if rotation is not None and len(rotation) > 1 and len(np.unique(rotation, axis=0)) == 1:
        yield "constant", "one rotation is predicted for every row"
    if says := _looks_permuted(items, board):
        yield "looks-permuted", says
    greater_M, equal_M, nearest_M = items.greater_M, items.equal_M, items.nearest_M
    if greater_M is None or equal_M is None or nearest_M is None:
        return
    listed = board.truth.listed
    first_M = nearest_M == listed.flat_M
    own_M = nearest_M // listed.n_views == listed.object_M
    wrong_M = np.where(first_M, greater_M > 0, own_M & (greater_M == 0)) & (equal_M == 1)
    if wrong_M.mean() > 0.01:
        yield (
            "ranks-and-nearest",
            f"in {wrong_M.mean():.0%} of rows 'nearest' and 'greater' contradict each other: the "
            "nearest of all views would be the nearest of its object",
        )


def _looks_permuted(items: Items, board: OpenBoard) -> str | None:
    """Guesses that stay with their object, but never with its class: rows of another list.

    A network that knows nothing of classes does not guess alike for two views of an object either.
    """
    listed, truth = board.truth.listed, board.truth.truth
    guess_M = items.top5["all"][:, 0]
    k = len(listed) // listed.n_objects
    class_N = truth.class_N
    if k < 2 or listed.n_objects < _MANY or len(np.unique(class_N)) < 2:
        return None
    guess_Nk = guess_M.reshape(-1, k)
    with_views = kappa(guess_Nk[:, 0], guess_Nk[:, 1])
    with_truth = kappa(guess_Nk[:, 0], class_N)
    noise = _AT_CHANCE / math.sqrt(listed.n_objects)
    if with_views > max(_AGREES, 2 * noise) and abs(with_truth) < min(noise, with_views / 4):
        return (
            f"guesses for two views of an object agree (kappa {with_views:.2f}), but not with the "
            f"object's class ({with_truth:.2f}): are these rows of another order?"
        )
    return None
