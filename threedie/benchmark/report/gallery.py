"""Retrieval looked at: a view, the rotation asked for, and what the predictor finds.

Computed when the page is made, with the trained method, on a few val objects: the query is view 0,
moved to another view's latents as in `evaluation.retrieval`, and the views of the object are
ranked by cosine. The ranks are `retrieve`'s own.

Shape suffixes: N = objects looked at, V = views, k = neighbours shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from threedie.benchmark.evaluate_run import of_run
from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.encoder import Encoder, choose_device, find_normalisation
from threedie.benchmark.evaluation.features import Features, Progress, encode_blocks, in_memory
from threedie.benchmark.evaluation.neighbours import unit
from threedie.benchmark.evaluation.retrieval import MovedSplit, at_rest, retrieve
from threedie.benchmark.evaluation.targets import Pairs, Truth
from threedie.benchmark.reading.split import Split, open_split
from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import Run
from threedie.benchmark.training.devices import threads
from threedie.benchmark.training.run_folder import load_run
from threedie.data.gallery import data_uri, shrink
from threedie.errors import ConfigError
from threedie.manifests.classes import class_name

OBJECTS, PICTURES = 32, 640
"""At most so many are looked at: a report must not take as long as an evaluation."""
_SHOWN, _NEIGHBOURS, _SIDE, _QUALITY = 5, 4, 72, 75


@dataclass(frozen=True, slots=True)
class Thumb:
    """One picture."""

    src: str
    alt: str
    caption: str
    right: bool = False
    """Whether it is the view asked for."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the predictor."""

    asked: str
    rank: str
    pictures: tuple[Thumb, ...]
    """The query, the true view, then the nearest ones in order."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One object."""

    name: str
    place: str
    """best, middle or worst."""
    mrr: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One run."""

    says: str
    objects: tuple[Looked, ...]


class Chosen:
    """Some objects of a split, as a `Split`."""

    def __init__(self, split: Split, rows: NDArray[np.int64]) -> None:
        self._split, self._rows = split, rows
        self.name, self.n_classes, self.data_hash = split.name, split.n_classes, split.data_hash
        self.objects_N, self.labels_N = split.objects_N[rows], split.labels_N[rows]
        self.latents_NVL = split.latents_NVL[rows]
        self.pixel_mean, self.pixel_std = split.pixel_mean, split.pixel_std
        self.picture_size = split.picture_size

    def __len__(self) -> int:
        """N."""
        return len(self._rows)

    @property
    def n_views(self) -> int:
        """V."""
        return self._split.n_views

    def read(
        self,
        rows_B: Sequence[int] | NDArray[np.int64],
        views_B: Sequence[int] | NDArray[np.int64],
        size: int,
        out: NDArray[np.uint8],
    ) -> None:
        """As the whole split reads."""
        self._split.read(self._rows[np.asarray(rows_B)], views_B, size, out)


def look(run: Run, data: str, *, device: str = "auto", on_progress: Progress) -> Look:
    """Ask the predictor of a run, and show the best, the middle and the worst objects.

    Args:
        run: of a method with a predictor.
        data: the data set that it was evaluated on.
        device: where the method runs.
        on_progress: is told (stage, done, of how many).

    Raises:
        ConfigError: another data set.
        ManifestError: no checkpoint, or a damaged one, or damaged data.
    """
    split = open_split(data, "val")
    wanted = run.results.dataset.splits.get("val")
    if wanted is None or split.data_hash != wanted.hash:
        raise ConfigError(
            f"--data has val pictures {split.data_hash[:12]}…, this run was evaluated on "
            f"{wanted.hash[:12] if wanted else 'others'}…: give that data set."
        )
    some = Chosen(split, _spread(len(split), split.n_views))
    folder = run.folder
    loaded = load_run(folder)
    subject = of_run(loaded, folder)
    with threads(subject.threads):
        cosine_NVV, reciprocal_NV, rank_NV = _ask(
            loaded.method, some, subject.size, subject.normalise, device, on_progress
        )
    order = np.argsort(-reciprocal_NV.mean(axis=1), kind="stable")
    return Look(
        f"{len(some)} of {len(split)} val objects were asked, mean reciprocal rank "
        f"{reciprocal_NV.mean():.3f}.",
        tuple(
            _looked(some, row, place, cosine_NVV[row], reciprocal_NV[row], rank_NV[row])
            for row, place in _places(order)
        ),
    )


def _spread(count: int, views: int) -> NDArray[np.int64]:
    """Rows of the objects that are looked at, evenly over the split."""
    most = max(1, min(count, OBJECTS, PICTURES // views))
    return np.arange(most, dtype=np.int64) * count // most


def _ask(
    method: torch.nn.Module,
    some: Chosen,
    size: int | None,
    normalise: object,
    device: str,
    on_progress: Progress,
) -> tuple[metrics.Array, metrics.Array, metrics.Array]:
    """(N, V, V) cosines of prediction v to view w; (N, V) 1/rank and rank of the true view."""
    where = choose_device(device)
    encoder = Encoder(
        method.represent,  # type: ignore[arg-type]  # a Method
        device=where,
        normalisation=find_normalisation(normalise, some.pixel_mean, some.pixel_std),  # type: ignore[arg-type]
    )
    side = size or some.picture_size
    blocks = encode_blocks(encoder, some, size=side, batch_size=64, on_progress=on_progress)
    features = Features(data_MD=in_memory(blocks, len(some) * some.n_views), n_views=some.n_views)
    moved = MovedSplit(features, Truth(some, np.unique(some.labels_N)), method, device=where)  # type: ignore[arg-type]
    with at_rest(method, where):  # type: ignore[arg-type]
        found = retrieve(moved, on_progress, "retrieval").ranks["predictor"]
        cosines = [
            (unit(guess.double()) @ unit(e.double()).transpose(1, 2)).cpu().numpy()
            for e, guess in moved.blocks()
        ]
    reciprocal = metrics.reciprocal_rank(found.greater_NV, found.equal_NV)
    return np.concatenate(cosines), reciprocal, found.greater_NV + (found.equal_NV + 1) / 2


def _places(order: NDArray[np.int64]) -> list[tuple[int, str]]:
    """Rows to show: two best, one in the middle, two worst; all where there are few."""
    rows = order.tolist()
    if len(rows) <= _SHOWN:
        return [(row, f"{i + 1} of {len(rows)}") for i, row in enumerate(rows)]
    middle = rows[len(rows) // 2]
    return [
        *((row, "best") for row in rows[:2]),
        (middle, "middle"),
        *((row, "worst") for row in rows[-2:]),
    ]


def _looked(
    some: Chosen,
    row: int,
    place: str,
    cosine_VV: metrics.Array,
    reciprocal_V: metrics.Array,
    rank_V: metrics.Array,
) -> Looked:
    class_id, _, name = str(some.objects_N[row]).partition("/")
    asked = [int(v) for v in np.argsort(rank_V[1:], kind="stable") + 1]
    chosen = list(dict.fromkeys([asked[0], asked[-1]])) if asked else [0]
    return Looked(
        f"{shown(class_name(class_id))} {shown(name)}",
        place,
        f"{reciprocal_V.mean():.3f}",
        tuple(_query(some, row, view, cosine_VV[view], float(rank_V[view])) for view in chosen),
    )


def _query(some: Chosen, row: int, view: int, cosine_V: metrics.Array, rank: float) -> Query:
    nearest = [int(v) for v in np.argsort(-cosine_V, kind="stable")[:_NEIGHBOURS]]
    pictures = [
        _thumb(some, row, 0, "query: view 0"),
        _thumb(some, row, view, f"asked for: view {view}"),
    ]
    for place, found in enumerate(nearest, start=1):
        says = f"{place}. view {found}, cosine {cosine_V[found]:.3f}"
        pictures.append(_thumb(some, row, found, says, right=found == view))
    return Query(_rotation(some, row, view), f"rank {rank:g} of {some.n_views}", tuple(pictures))


def _rotation(some: Chosen, row: int, view: int) -> str:
    """`72° about (0.10, 0.99, 0.05)`: the turn from view 0, as the predictor is told."""
    truth = Truth(some, np.unique(some.labels_N))
    one = np.array([row]), np.array([0]), np.array([view])
    pair = Pairs(object_R=one[0], first_R=one[1], second_R=one[2])
    q = truth.relative(pair, "positive-w")[0]
    length = float(np.linalg.norm(q[:3]))
    angle = float(truth.angle_deg(pair)[0])
    axis = ", ".join(f"{x / length:.2f}" for x in q[:3]) if length > 1e-9 else "any axis"
    return f"{angle:.0f}° about ({axis})".replace("-", "−")


def _thumb(some: Chosen, row: int, view: int, says: str, *, right: bool = False) -> Thumb:
    side = some.picture_size
    pixels = np.empty((1, side, side, 3), dtype=np.uint8)
    some.read([row], [view], side, pixels)
    kind = shown(class_name(str(some.objects_N[row]).partition("/")[0]))
    src = data_uri(shrink(pixels[0], _SIDE), _QUALITY)
    return Thumb(src, f"{kind}, {says}{', the right one' if right else ''}", says, right)
