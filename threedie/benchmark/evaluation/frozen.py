"""The frozen list of a protocol: which val views and pairs a submitted prediction is about.

One list per protocol and data set, the same for everybody and for ever: drawn from a fixed seed,
hashed together with the truth that it is judged by. `3die-v1` judges every view of a data set of
up to 20,000 val views; of a larger one an equal number of each object, so that no object weighs
more than another and a seed's predictions stay near a megabyte.

Shape suffixes: N = val objects, V = views, M = listed views, K = classes, L = latent columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.evaluation.metrics import Ints
from threedie.benchmark.evaluation.targets import Pairs

MOST_VIEWS = 20_000
"""Listed views, unless objects are so many that two of each are more."""
MOST_TRAIN_VIEWS = 100_000
"""Likewise, of the train views whose features are submitted."""
_SEED = 20230707  # the day of SIE's publication; changed with the protocol's version only


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenList:
    """Row m is view `view_M[m]` of val object `object_M[m]`; rows of an object stand together.

    Its class and scene are asked for; the rotation from it to `partner_M[m]`; and, of a predictor,
    where view 0 moved to it lands.
    """

    object_M: Ints
    view_M: Ints
    partner_M: Ints
    n_objects: int
    n_views: int

    def __len__(self) -> int:
        return len(self.object_M)

    @property
    def flat_M(self) -> Ints:
        """n·V + v of each row."""
        return self.object_M * self.n_views + self.view_M

    def pairs(self) -> Pairs:
        """From each row's view to its partner."""
        return Pairs(object_R=self.object_M, first_R=self.view_M, second_R=self.partner_M)

    def queries(self) -> Pairs:
        """From view 0 to each row's view."""
        first = np.zeros_like(self.view_M)
        return Pairs(object_R=self.object_M, first_R=first, second_R=self.view_M)


def frozen_list(n_objects: int, n_views: int) -> FrozenList:
    """The list of `3die-v1` for a val split of this form.

    Each object gives the same number k of views, in random order; the partner of each is the next
    one, and of the last the first. With one view per object a view is its own partner, and nothing
    of pairs is defined.
    """
    count = max(min(n_views, 2), min(n_views, MOST_VIEWS // max(n_objects, 1)))
    rng = np.random.Generator(np.random.PCG64(_SEED))
    everything_NV = np.broadcast_to(np.arange(n_views), (n_objects, n_views))
    view_Nk = rng.permuted(everything_NV, axis=1)[:, :count]
    object_Nk = np.broadcast_to(np.arange(n_objects)[:, None], view_Nk.shape)
    flat = [object_Nk, view_Nk, np.roll(view_Nk, -1, axis=1)]
    object_M, view_M, partner_M = (np.ascontiguousarray(a).reshape(-1) for a in flat)
    return FrozenList(
        object_M=object_M,
        view_M=view_M,
        partner_M=partner_M,
        n_objects=n_objects,
        n_views=n_views,
    )


def frozen_train(n_objects: int, n_views: int) -> Ints:
    """(N, k) views of each train object whose features are submitted, rising: all, if they fit.

    Probes learn from them again (level "re-probed"); of a larger train split every object gives
    the same number of views, two at least.
    """
    count = max(min(n_views, 2), min(n_views, MOST_TRAIN_VIEWS // max(n_objects, 1)))
    rng = np.random.Generator(np.random.PCG64([_SEED, 1]))
    everything_NV = np.broadcast_to(np.arange(n_views), (n_objects, n_views))
    return np.asarray(np.sort(rng.permuted(everything_NV, axis=1)[:, :count], axis=1))


def list_sha256(
    protocol: str,
    listed: FrozenList,
    *,
    objects: Sequence[str],
    classes: Sequence[str],
    class_N: Ints,
    latents_NVL: NDArray[np.float64],
) -> str:
    """SHA-256 of the list and of its truth.

    Args:
        protocol: name and version, `3die-v1/1`.
        listed: the list.
        objects: N names in the order of the val split.
        classes: K names; class k is the k-th of the train split.
        class_N: −1 for a class without train objects.
        latents_NVL: as they are judged: rounded to float32.
    """
    digest = hashlib.sha256()
    for text in (protocol, *objects, *classes):
        digest.update(len(text.encode()).to_bytes(4, "little") + text.encode())
    for values in (class_N, listed.object_M, listed.view_M, listed.partner_M):
        digest.update(np.asarray(values.shape, "<i8").tobytes() + values.astype("<i8").tobytes())
    rounded = np.asarray(latents_NVL, dtype="<f4")
    digest.update(np.asarray(rounded.shape, "<i8").tobytes() + rounded.tobytes())
    return digest.hexdigest()
