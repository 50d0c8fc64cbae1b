"""Objects worth a row of pictures: which, and the views that their sweeps found (ids, no pixels).

Shape suffixes: N = judged objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.sweeps import SOURCE, Found
from threedie.benchmark.evaluation.metrics import Ints
from threedie.manifests.analysis import Shown, ShownSweep, ViewOf


def choose_shown(labels_N: Ints, count: int, seed: int) -> Ints:
    """Places of objects drawn by the seed: one of each class before a second of any."""
    rng = np.random.Generator(np.random.PCG64([seed, 2]))
    order = rng.permutation(len(labels_N))
    turn = np.zeros(len(labels_N), dtype=np.int64)
    met: dict[int, int] = {}
    for place in order:
        label = int(labels_N[place])
        turn[place] = met[label] = met.get(label, -1) + 1
    return order[np.argsort(turn[order], kind="stable")][:count]


def show(
    founds: Sequence[Found], embedded: Embedded, names: NDArray[np.str_], chosen: Ints
) -> tuple[Shown, ...]:
    """The chosen objects' rows.

    Args:
        founds: all sweeps.
        embedded: what they were made on.
        names: of all objects of the split.
        chosen: places among the judged objects.
    """
    names_N, views = names[embedded.objects_N], embedded.n_views
    return tuple(
        Shown(
            object=str(names_N[n]),
            source_view=SOURCE,
            sweeps=tuple(_row(found, n, names_N, views) for found in founds),
        )
        for n in chosen.tolist()
    )


def _row(found: Found, n: int, names_N: NDArray[np.str_], views: int) -> ShownSweep:
    return ShownSweep(
        name=found.question.name,
        nearest=tuple((found.nearest_NK["object"][n] % views).tolist()),
        true=tuple((found.true_NK["object"][n] % views).tolist()),
        nearest_in_val=tuple(
            ViewOf(object=str(names_N[flat // views]), view=flat % views)
            for flat in found.nearest_NK["val"][n].tolist()
        ),
    )
