"""Predictions that are somebody else's: whole, in part, or in another order.

Two trained networks never agree to the last bit of a half float on a row; so bits that agree are
copied. Integers can agree honestly (two perfect predictors rank all targets first): of them only
what says enough counts.

Shape suffixes: M = rows, m = some of them, x = columns of an array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.evaluation.items import Items
from threedie.benchmark.evaluation.metrics import Ints, geodesic_deg
from threedie.errors import EntryError
from threedie.leaderboard.checks.rows import arrays_of
from threedie.manifests.verification import Check

SHARED = 0.1
"""Of the rows of an array: more than that alike is a copy."""
_ENOUGH = 16
"""Different answers of integers, below which agreement says nothing."""
_BY_CHANCE = 5.0
"""Rows of a collapsed network meet each other by chance, and so they meet another's."""
_LOOKED_AT = 2000
"""Rows that are compared for it."""
SAME_ERRORS, _ERRORS = 0.9, 50
"""Agreement of two runs where one of them errs, beyond chance; and in how many rows at least."""
NEAR = 0.2
"""Two runs whose rotations differ by less than this share of their error and spread are near."""


@dataclass(frozen=True, slots=True)
class Run:
    """Predictions, and what to call them."""

    name: str
    """`seed 0`, or `entries/2026/sie, seed 0`."""
    items: Items
    flat_M: Ints
    """Of the list."""


@dataclass(frozen=True, slots=True)
class Print:
    """What of a run is compared."""

    name: str
    floats: Mapping[str, NDArray[np.uint64]]
    """By member: a number for each row, equal where rows are equal to the last bit."""
    integers: Mapping[str, str]
    """By member: a hash of arrays that say enough."""


def print_of(run: Run) -> Print:
    """What of a run is compared."""
    floats: dict[str, NDArray[np.uint64]] = {}
    integers: dict[str, str] = {}
    for member, array in arrays_of(run.items):
        if member.startswith(("rotation", "scene")):
            marks_M = _marks(array)
            if len(np.unique(marks_M)) > 1:  # one answer for everything says nothing
                floats[member] = marks_M
        elif _says_enough(member, array, run.flat_M):
            integers[member] = hashlib.sha256(array.tobytes()).hexdigest()
    return Print(run.name, floats, integers)


def _marks(array: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A number for each row of halves: its first four numbers, and all others folded in."""
    halves_Mx = np.ascontiguousarray(np.asarray(array, dtype=np.float64).astype("<f2"))
    bits_Mx = halves_Mx.view("<u2").astype(np.uint64)
    marks_M = np.zeros(len(bits_Mx), dtype=np.uint64)
    for column_M in bits_Mx.T:
        marks_M = (marks_M ^ column_M) * np.uint64(0x9E3779B97F4A7C15)
        marks_M ^= marks_M >> np.uint64(29)
    return marks_M


def _says_enough(member: str, array: NDArray[np.generic], flat_M: Ints) -> bool:
    if member.startswith("top5"):
        return len(np.unique(array, axis=0)) >= _ENOUGH
    perfect = {"greater": np.zeros(1), "equal": np.ones(1), "nearest": flat_M}[member]
    return len(np.unique(array[array != perfect])) >= _ENOUGH  # what misses is one's own


def copied(own: Print, other: Print) -> EntryError | None:
    """Whether a run's predictions are another run's.

    Returns:
        "copied" where rows agree in their places, "permuted-copy" where they do elsewhere.
    """
    for member, digest in own.integers.items():
        if other.integers.get(member) == digest:
            return _refusal("copied", own, other, f"{member} is the same in every row")
    for member, marks_M in own.floats.items():
        for theirs, others_M in other.floats.items():
            if _kind(theirs) != _kind(member):
                continue
            same = (marks_M == others_M).mean() if len(marks_M) == len(others_M) else 0.0
            if same > SHARED:
                return _refusal(
                    "copied", own, other, f"{member} agrees in {same:.0%} of rows with {theirs}"
                )
            moved, twice = (
                np.isin(marks_M, others_M).mean(),
                1 - len(np.unique(marks_M)) / len(marks_M),
            )
            if moved > max(SHARED, _BY_CHANCE * twice):
                return _refusal(
                    "permuted-copy",
                    own,
                    other,
                    f"{moved:.0%} of the rows of {member} stand in {theirs}, in other places",
                )
    return None


def _refusal(name: str, own: Print, other: Print, says: str) -> EntryError:
    return EntryError(name, f"{own.name}: its predictions are those of {other.name}: {says}.")


def identical_seeds(prints: Sequence[Print]) -> Iterator[EntryError]:
    """Seeds of one entry that are no runs of their own."""
    for i, own in enumerate(prints):
        for earlier in prints[:i]:
            if found := copied(own, earlier):
                yield EntryError(
                    "identical-seeds",
                    f"{found.says} Seeds are runs of their own; one run counts once.",
                )


class Originals:
    """An entry's own runs, sought among many others: most are told apart at one look.

    Args:
        prints: of the runs.
    """

    def __init__(self, prints: Sequence[Print]) -> None:
        self._prints = prints
        self._integers = {digest for one in prints for digest in one.integers.values()}
        kinds = {_kind(member) for one in prints for member in one.floats}
        self._marks = {
            kind: np.unique(
                np.concatenate(
                    [m for one in prints for name, m in one.floats.items() if _kind(name) == kind]
                )
            )
            for kind in kinds
        }

    def copied_in(self, other: Print) -> EntryError | None:
        """The first of the own runs that is another's, as `copied` says it."""
        alike = any(digest in self._integers for digest in other.integers.values())
        if not alike and not any(self._meets(*one) for one in other.floats.items()):
            return None
        found = (copied(own, other) for own in self._prints)
        return next((err for err in found if err), None)

    def _meets(self, member: str, marks_M: NDArray[np.uint64]) -> bool:
        own = self._marks.get(_kind(member))
        if own is None:
            return False
        place_M = np.minimum(np.searchsorted(own, marks_M), len(own) - 1)
        return bool((own[place_M] == marks_M).mean() > SHARED / 10)


def _kind(member: str) -> str:
    return member.partition(".")[0]


def kappa(a_M: Ints, b_M: Ints) -> float:
    """Cohen's kappa: agreement beyond that of the same answers in any order; 1 is all, 0 chance."""
    classes = int(max(a_M.max(), b_M.max())) + 2
    shares = [np.bincount(x_M + 1, minlength=classes) / len(x_M) for x_M in (a_M, b_M)]
    chance = float((shares[0] * shares[1]).sum())
    return 0.0 if chance == 1 else (float((a_M == b_M).mean()) - chance) / (1 - chance)


class NearCopies:
    """Runs that err as another entry's do: what can be warned of, and not proved.

    Args:
        runs: an entry's own.
        target_M4: true rotations of the list's rows.
        class_M: their true classes.
    """

    def __init__(self, runs: Sequence[Run], target_M4: NDArray[np.float64], class_M: Ints) -> None:
        self._class_M = class_M
        self._classes = [(run.name, run.items.top5["all"][:, 0]) for run in runs]
        self._rows = slice(None, None, max(1, len(target_M4) // _LOOKED_AT))
        self._own = []
        for run in runs:
            rotation_m4 = run.items.rotation["all"][self._rows]
            error = float(np.median(geodesic_deg(rotation_m4, target_M4[self._rows])))
            # Networks that know little all say nearly the mean: of them that is no sign.
            spread = float(np.median(geodesic_deg(rotation_m4, rotation_m4.mean(axis=0))))
            self._own.append((run.name, rotation_m4, min(error, spread)))

    def of(self, other: Run, *, among: int | None = None) -> Iterator[Check]:
        """A warning for each own run that is near to another run.

        Args:
            other: of another entry, or of this one.
            among: how many of the own runs are looked at, from the first; None: all.
        """
        yield from self._same_errors(other, among)
        theirs_m4 = other.items.rotation["all"][self._rows]
        for name, rotation_m4, size in self._own[:among]:
            between = float(np.median(geodesic_deg(rotation_m4, theirs_m4)))
            if between < NEAR * size:
                says = (
                    f"{name}: its rotations differ from those of {other.name} by {between:.1f}°, "
                    f"and err and spread by {size:.1f}° or more; two trainings differ by about as "
                    "much as they err"
                )
                yield Check(name="near-copy", ok=False, says=says)

    def _same_errors(self, other: Run, among: int | None) -> Iterator[Check]:
        """Of classes: two trainings err in other rows, and otherwise."""
        theirs_M = other.items.top5["all"][:, 0]
        for name, own_M in self._classes[:among]:
            wrong_M = (own_M != self._class_M) | (theirs_M != self._class_M)
            if wrong_M.sum() < _ERRORS:
                continue
            own_m, theirs_m = own_M[wrong_M], theirs_M[wrong_M]
            if kappa(own_m, theirs_m) > SAME_ERRORS:
                says = (
                    f"{name}: in {wrong_M.sum():,} rows it or {other.name} has a wrong class, and "
                    f"in {(own_m == theirs_m).mean():.0%} of them both have the same one"
                )
                yield Check(name="near-copy", ok=False, says=says)
