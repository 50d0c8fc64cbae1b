"""Nearest neighbours by cosine, blocked: any number of queries and candidates in bounded memory.

Queries stay on the device in large groups and candidates stream past them, so that a candidate is
computed once per group and no matrix of all similarities ever exists.

Shape suffixes: Q = queries, C = candidates of a block, E = width, K = classes, k = neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from threedie.benchmark.evaluation.features import Gather
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.protocols import Protocol

Blocks = Callable[[], Iterable[Tensor]]
"""Gives all candidates in order, (C, E) of unit length; is called once per group of queries."""
_TILE_QUERIES = 2048
_HOST_BYTES = 2**30


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1; a zero row stays zero, so that its cosine with everything is 0."""
    length: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / length.clamp_min(1e-12)


def group_size(width: int, device: torch.device) -> int:
    """How many queries of this width are kept on the device at a time."""
    room = _HOST_BYTES
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0] // 4
    return max(_TILE_QUERIES, room // (4 * width))


def nearest(queries_QE: Tensor, candidates: Blocks, k: int) -> tuple[Tensor, Tensor]:
    """The k most similar candidates of each query.

    Args:
        queries_QE: of unit length, on the device.
        candidates: of unit length, on the same device.
        k: how many; fewer where there are fewer candidates.

    Returns:
        Cosines (Q, k), falling, and the candidates' numbers (Q, k).
    """
    best = queries_QE.new_empty(len(queries_QE), 0)
    place = torch.empty(len(queries_QE), 0, dtype=torch.int64, device=queries_QE.device)
    first = 0
    for block_CE in candidates():
        pieces = [
            _merge(best[i : i + _TILE_QUERIES], place[i : i + _TILE_QUERIES], tile, first, k)
            for i, tile in _tiles(queries_QE, block_CE)
        ]
        best, place = (torch.cat(part) for part in zip(*pieces, strict=True))
        first += len(block_CE)
    return best, place


def _tiles(queries_QE: Tensor, block_CE: Tensor) -> Iterator[tuple[int, Tensor]]:
    for i in range(0, len(queries_QE), _TILE_QUERIES):
        yield i, queries_QE[i : i + _TILE_QUERIES] @ block_CE.T


def _merge(
    best: Tensor, place: Tensor, tile_QC: Tensor, first: int, k: int
) -> tuple[Tensor, Tensor]:
    """Of what was known and a new tile, the k best; what was known wins a tie."""
    if k == 1:
        top, where = (t[:, None] for t in tile_QC.max(dim=1))
    else:
        top, where = tile_QC.topk(min(k, tile_QC.shape[1]), dim=1)
    both, places = torch.cat([best, top], dim=1), torch.cat([place, where + first], dim=1)
    if k == 1 and both.shape[1] == 2:
        newer = both[:, 1:] > both[:, :1]
        return torch.where(newer, both[:, 1:], both[:, :1]), torch.where(
            newer, places[:, 1:], places[:, :1]
        )
    kept, order = both.topk(min(k, both.shape[1]), dim=1)
    return kept, places.gather(1, order)


def knn_votes(
    train: Gather, class_M: Ints, val: Gather, n_classes: int, protocol: Protocol
) -> Array:
    """(M val, K) votes of the nearest train views, weighed by exp(cosine / temperature).

    Cosine of features as they are, not standardised; every view of every train object may vote.
    """
    classes = torch.from_numpy(class_M).to(train.device)
    votes = []
    for queries in val.blocks(group_size(val.dim, val.device)):
        cosine, place = nearest(
            unit(queries), lambda: map(unit, train.blocks(8192)), protocol.knn_neighbours
        )
        weight = torch.exp((cosine - cosine[:, :1]) / protocol.knn_temperature).double()
        zeros = weight.new_zeros(len(queries), n_classes)
        votes.append(zeros.scatter_add_(1, classes[place], weight).cpu().numpy())
    return np.concatenate(votes)
