"""The rows of a frozen list judged from features alone: by new probes, and by exact retrieval.

What an evaluation does on its way to predictions.npz, once more, where there are features and no
pictures. Bounded memory: rows that nobody asks for are never read, embeddings pass in blocks.

Shape suffixes: N = objects, V = views, M = rows of the list, F = N·V views of val, D = features,
E = embedding, n = objects of a block, k = listed views of an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from threedie.benchmark.evaluation import probes
from threedie.benchmark.evaluation.features import Features, Gather, Progress, statistics
from threedie.benchmark.evaluation.frozen import FrozenList
from threedie.benchmark.evaluation.listed import halved, likeliest
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.neighbours import group_size, nearest, unit
from threedie.benchmark.evaluation.protocols import Protocol
from threedie.benchmark.evaluation.retrieval import TIE
from threedie.benchmark.evaluation.targets import Truth

Rows = NDArray[np.float32] | NDArray[np.float16]
_OBJECT_BYTES, _CANDIDATES = 2**26, 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What probes say of the list's rows, as items.Items holds it."""

    top5: dict[str, Ints] = field(default_factory=dict)
    rotation: dict[str, Array] = field(default_factory=dict)
    scene: dict[str, Array] = field(default_factory=dict)


def probe_listed(
    train: Features,
    truth: Truth,
    listed_MD: Rows,
    listed: FrozenList,
    *,
    parts: Mapping[str, slice],
    n_classes: int,
    protocol: Protocol,
    seed: int,
    device: torch.device,
    on_progress: Progress,
    standardise: bool = True,
) -> Probed:
    """Train a protocol's probes on features and judge the list's rows by them.

    Args:
        train: features of train views, the same number of each object.
        truth: labels and latents of these views.
        listed_MD: features of the list's rows, in its order.
        listed: the list.
        parts: of D.
        n_classes: of the train split.
        protocol: whose probes.
        seed: of the probes.
        device: where.
        on_progress: is told (stage, done, of how many).
        standardise: take the train views' mean and deviation out; False: features come so.
    """
    found = Probed()
    judged = Features(data_MD=np.asarray(listed_MD, dtype=np.float32), n_views=1)
    for part, columns in parts.items():
        standard = statistics(train, columns) if standardise else None
        learnt, val = (Gather(f, columns, device, standard) for f in (train, judged))
        logits = probes.classification(learnt, truth, val, n_classes, protocol.classification)
        found.top5[part] = likeliest(logits)
        if part == "all" and protocol.scene is not None:
            told = partial(on_progress, f"scene probe, {part}")
            target_MO = truth.scene_NV7.reshape(-1, 7)
            scene = probes.scene(learnt, target_MO, val, protocol.scene, seed=seed, on_step=told)
            found.scene[part] = halved(scene)
        if listed.n_views > 1:
            turned = probes.rotation(
                learnt,
                truth,
                val,
                _places(listed),
                protocol.rotation,
                hemisphere=protocol.hemisphere,
                seed=seed,
                on_step=partial(on_progress, f"rotation probe, {part}"),
            )
            found.rotation[part] = halved(turned)
    return found


def _places(listed: FrozenList) -> tuple[Ints, Ints]:
    """Where each row and its partner stand in the list."""
    place_F = np.zeros(listed.n_objects * listed.n_views, dtype=np.int64)
    place_F[listed.flat_M] = np.arange(len(listed))
    first, second = listed.pairs().flat(listed.n_views)
    return place_F[first], place_F[second]


def ranks_within(
    embedding_FE: Rows, moved_ME: Rows, listed: FrozenList, device: torch.device
) -> tuple[Ints, Ints]:
    """(M,) greater and (M,) equal of retrieval.Ranks, for view 0 moved to each row's view.

    Args:
        embedding_FE: of all views of val.
        moved_ME: view 0 of each row's object, moved to the row's view.
        listed: the list.
        device: where.
    """
    views, k = listed.n_views, len(listed) // listed.n_objects
    step = max(1, _OBJECT_BYTES // (8 * views * embedding_FE.shape[1]))
    greater, equal = list[Ints](), list[Ints]()
    for first in range(0, listed.n_objects, step):
        last = min(first + step, listed.n_objects)
        e_nVE = _doubles(embedding_FE[first * views : last * views], views, device)
        moved_nkE = _doubles(moved_ME[first * k : last * k], k, device)
        cosine_nkV = moved_nkE @ e_nVE.transpose(1, 2)
        asked = torch.from_numpy(listed.view_M[first * k : last * k].reshape(-1, k, 1)).to(device)
        target_nk1 = cosine_nkV.gather(2, asked)
        greater.append((cosine_nkV > target_nk1 + TIE).sum(dim=2).reshape(-1).cpu().numpy())
        near = ((cosine_nkV - target_nk1).abs() <= TIE).sum(dim=2)
        equal.append(near.reshape(-1).cpu().numpy())
    return np.concatenate(greater), np.concatenate(equal)


def _doubles(rows: Rows, together: int, device: torch.device) -> Tensor:
    """(n, together, E) of unit length, float64."""
    moved = torch.from_numpy(np.array(rows)).to(device).double()
    return unit(moved).view(-1, together, rows.shape[1])


def nearest_listed(
    embedding_FE: Rows, moved_ME: Rows, device: torch.device, on_progress: Progress
) -> Ints:
    """(M,) flat number of the val view nearest to each moved embedding, among all of val."""
    total, group, found = len(moved_ME), group_size(embedding_FE.shape[1], device), list[Ints]()
    for first in range(0, total, group):
        queries_QE = _singles(moved_ME[first : first + group], device)

        def candidates(first: int = first, count: int = len(queries_QE)) -> Iterator[Tensor]:
            for i in range(0, len(embedding_FE), _CANDIDATES):
                yield _singles(embedding_FE[i : i + _CANDIDATES], device)
                on_progress("nearest views", first + count * i // len(embedding_FE), total)

        _, place = nearest(queries_QE, candidates, 1)
        found.append(place[:, 0].cpu().numpy())
    on_progress("nearest views", total, total)
    return np.concatenate(found)


def _singles(rows: Rows, device: torch.device) -> Tensor:
    return unit(torch.from_numpy(np.array(rows)).to(device).float())
