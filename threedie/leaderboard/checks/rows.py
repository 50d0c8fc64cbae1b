"""One run's predictions against the board's list: is there one possible answer for each row?

Shape suffixes: M = rows of the list, N = objects, V = views, K = classes, k = min(5, K).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.evaluation.items import About, Items
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.errors import EntryError
from threedie.leaderboard.board import OpenBoard
from threedie.manifests.entries import RunInfo, Submission
from threedie.words import plural

LARGEST = 100.0
"""Of a predicted number: targets lie within ±1, and no probe that has learnt goes so far."""
TOP = 5


def about_problems(
    items: Items, run: RunInfo, submission: Submission, board: OpenBoard
) -> Iterator[EntryError]:
    """Where `about` contradicts the submission or the board."""
    about, where = items.about, run.predictions.path
    wanted: dict[str, tuple[str, object]] = {
        "protocol": ("wrong-protocol", board.protocol),
        "list_sha256": ("wrong-list", board.config.list_sha256),
        "classes": ("wrong-classes", len(board.truth.classes)),
        "seed": ("wrong-seed", run.seed),
    }
    for field, (name, value) in wanted.items():
        if getattr(about, field) != value:
            yield EntryError(
                name, f"{where}: about.{field} is {getattr(about, field)!r}; {value!r} is expected."
            )
    if sorted(about.parts) != sorted(submission.model.parts):
        yield EntryError(
            "wrong-parts",
            f"{where}: about.parts is {list(about.parts)}; model.parts of submission.json is "
            f"{list(submission.model.parts)}.",
        )
    weights = run.checkpoint_sha256
    if weights and about.checkpoint_sha256 and weights != about.checkpoint_sha256:
        yield EntryError(
            "wrong-checkpoint",
            f"{where}: about.checkpoint_sha256 is {about.checkpoint_sha256[:12]}…; submission.json "
            f"says {weights[:12]}….",
        )


def row_problems(items: Items, where: str, board: OpenBoard) -> Iterator[EntryError]:
    """What is wrong with the arrays of one run.

    Args:
        items: what the file holds.
        where: its path, for messages.
        board: whose list it must answer.
    """
    arrays = dict(arrays_of(items))
    found = [*_array_names(items.about, arrays, where, board), *_shapes(arrays, where, board)]
    yield from found
    if found:
        return  # the rest would stumble over it
    yield from _rows_of_the_list(items.row_M, where, board)
    for name, array in arrays.items():
        if name.startswith("top5"):
            yield from _classes(array, f"{where}: {name}", len(board.truth.classes))
        elif name.startswith(("rotation", "scene")):
            yield from _numbers(array, f"{where}: {name}", name.startswith("rotation"))
    yield from _ranks(items, where, board)


def arrays_of(items: Items) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Every array of a run but the numbers of its rows, by its member's name."""
    for kind in ("top5", "rotation", "scene"):
        for part, values in getattr(items, kind).items():
            yield f"{kind}.{part}", values
    for kind in ("greater", "equal", "nearest"):
        values = getattr(items, f"{kind}_M")
        if values is not None:
            yield kind, values


def _array_names(
    about: About, arrays: dict[str, NDArray[np.generic]], where: str, board: OpenBoard
) -> Iterator[EntryError]:
    protocol = PROTOCOLS[board.config.protocol.name]
    turned = about.parts if board.config.data.views > 1 else ()
    wanted = {f"top5.{p}" for p in about.parts} | {f"rotation.{p}" for p in turned}
    wanted |= {"scene.all"} if protocol.scene is not None else set()
    predictor = {"greater", "equal", "nearest"}
    wanted |= predictor if predictor & set(arrays) else set()
    if missing := sorted(wanted - set(arrays)):
        yield EntryError("missing-array", f"{where}: {', '.join(missing)} is missing.")
    if foreign := sorted(set(arrays) - wanted):
        yield EntryError("foreign-array", f"{where}: {', '.join(foreign)} belongs to no part.")


def _shapes(
    arrays: dict[str, NDArray[np.generic]], where: str, board: OpenBoard
) -> Iterator[EntryError]:
    rows, k = len(board.truth.listed), min(TOP, len(board.truth.classes))
    for name, array in arrays.items():
        kind = name.partition(".")[0]
        rest = {"top5": (k,), "rotation": (4,), "scene": (7,)}.get(kind, ())
        if array.shape[1:] != rest:
            yield EntryError(
                "wrong-shape", f"{where}: {name} is {array.shape}; {(rows, *rest)} is expected."
            )
        elif len(array) != rows:
            yield EntryError(
                "missing-row" if len(array) < rows else "too-many-rows",
                f"{where}: {name} has {plural(len(array), 'row')}; the list has {rows:,}.",
            )


def _rows_of_the_list(row_M: Ints, where: str, board: OpenBoard) -> Iterator[EntryError]:
    wanted_M = board.truth.listed.flat_M
    if row_M.shape != wanted_M.shape:
        name = "missing-row" if row_M.ndim == 1 and len(row_M) < len(wanted_M) else "wrong-rows"
        yield EntryError(name, f"{where}: row is {row_M.shape}; {wanted_M.shape} is expected.")
    elif (row_M != wanted_M).any():
        first = int(np.flatnonzero(row_M != wanted_M)[0])
        permuted = (np.sort(row_M) == np.sort(wanted_M)).all()
        yield EntryError(
            "permuted-rows" if permuted else "wrong-rows",
            f"{where}: row {first} answers view {int(row_M[first])} (n·V + v), but the list has "
            f"{int(wanted_M[first])} there. The list's own order is expected.",
        )


def _classes(array: NDArray[np.generic], where: str, n_classes: int) -> Iterator[EntryError]:
    top5_Mk: Ints = np.asarray(array, dtype=np.int64)
    if (top5_Mk >= n_classes).any():
        row = int(np.flatnonzero((top5_Mk >= n_classes).any(axis=1))[0])
        yield EntryError(
            "class-out-of-range", f"{where}: row {row} names a class that is none of {n_classes}."
        )
    ordered_Mk = np.sort(top5_Mk, axis=1)
    if (twice_M := (ordered_Mk[:, 1:] == ordered_Mk[:, :-1]).any(axis=1)).any():
        row = int(np.flatnonzero(twice_M)[0])
        yield EntryError("class-twice", f"{where}: row {row} names a class twice.")


def _numbers(array: NDArray[np.generic], where: str, rotation: bool) -> Iterator[EntryError]:
    values_MO: Array = np.asarray(array, dtype=np.float64)
    bad_M = ~np.isfinite(values_MO).all(axis=1)
    if bad_M.any():
        row = int(np.flatnonzero(bad_M)[0])
        yield EntryError("nan", f"{where}: row {row} is not finite ({int(bad_M.sum())} in all).")
        return
    if (far_M := (np.abs(values_MO) > LARGEST).any(axis=1)).any():
        row = int(np.flatnonzero(far_M)[0])
        yield EntryError("absurd-number", f"{where}: row {row} holds a number beyond ±{LARGEST:g}.")
    if rotation and (zero_M := ~values_MO.any(axis=1)).any():
        row = int(np.flatnonzero(zero_M)[0])
        yield EntryError(
            "zero-quaternion", f"{where}: row {row} is all zero, which is no rotation."
        )


def _ranks(items: Items, where: str, board: OpenBoard) -> Iterator[EntryError]:
    greater_M, equal_M, nearest_M = items.greater_M, items.equal_M, items.nearest_M
    if greater_M is None or equal_M is None or nearest_M is None:
        return
    views, total = board.config.data.views, board.config.data.val_objects * board.config.data.views
    bad_M = (equal_M < 1) | (greater_M + equal_M > views)
    if bad_M.any():
        row = int(np.flatnonzero(bad_M)[0])
        yield EntryError(
            "rank-out-of-range",
            f"{where}: row {row} has {int(greater_M[row])} greater and {int(equal_M[row])} equal; "
            f"equal counts the target itself, and there are {plural(views, 'view')}.",
        )
    if (nearest_M >= total).any():
        row = int(np.flatnonzero(nearest_M >= total)[0])
        yield EntryError(
            "nearest-out-of-range",
            f"{where}: nearest of row {row} is {int(nearest_M[row])}; val has {total:,} views.",
        )
