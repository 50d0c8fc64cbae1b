"""95 % intervals by resampling objects: the views of one object are not independent.

Every resample is a vector of how often each object was drawn; times the sums of each object it
gives the resample's sums. So 1,000 resamples of a metric are one matrix product (Efron's percentile
interval).

Shape suffixes: B = resamples, N = objects, R = rows, J = blocks, S = sums, T = groups.
"""

from __future__ import annotations

import numpy as np

from threedie.benchmark.evaluation.metrics import Array, Ints, Statistic
from threedie.manifests.results import Number

RESAMPLES = 1000
_CHUNK_BYTES = 2**28
_CHUNK_ROWS = 2**18
_SPARSE = 64


class Resampler:
    """Intervals over the objects of one split.

    Args:
        n_objects: N.
        seed: of the resamples; the same ones serve every metric, so that differences are paired.
        resamples: B; 0 for no intervals.
    """

    def __init__(self, n_objects: int, *, seed: int, resamples: int = RESAMPLES) -> None:
        rng = np.random.Generator(np.random.PCG64(seed))
        self.n_objects = n_objects
        self._draws_BN = np.zeros((resamples, n_objects), dtype=np.float32)
        for draws_N in self._draws_BN:
            drawn = rng.integers(n_objects, size=n_objects)
            draws_N += np.bincount(drawn, minlength=n_objects)

    def number(self, statistic: Statistic, objects_R: Ints) -> Number:
        """The metric over all rows, with its interval.

        Args:
            statistic: the metric.
            objects_R: which object each row is of.
        """
        sums_NJS = statistic.sums(objects_R, self.n_objects)
        present_N = np.bincount(objects_R, minlength=self.n_objects) > 0
        low, high = self._ends(statistic, sums_NJS[:, None])
        return _number(statistic, statistic.value(), low[0], high[0], int(present_N.sum()))

    def by_group(
        self, statistic: Statistic, objects_R: Ints, group_R: Ints, groups: int
    ) -> list[Number]:
        """The metric over the rows of each group.

        Args:
            statistic: the metric.
            objects_R: which object each row is of.
            group_R: which group each row is of.
            groups: T.
        """
        place_R = objects_R * groups + group_R
        sums = statistic.sums(place_R, self.n_objects * groups)
        sums_NTJS = sums.reshape(self.n_objects, groups, *sums.shape[1:])
        value_T = statistic.formula(sums_NTJS.sum(axis=0))
        present_NT = np.bincount(place_R, minlength=self.n_objects * groups) > 0
        count_T = present_NT.reshape(self.n_objects, groups).sum(axis=0)
        low_T, high_T = self._ends(statistic, sums_NTJS)
        found = zip(value_T, low_T, high_T, count_T, strict=True)
        return [_number(statistic, v, a, b, int(n)) for v, a, b, n in found]

    def replicates(self, statistic: Statistic, objects_R: Ints) -> Array:
        """(B,) the metric of each resample; NaN where it is undefined.

        Args:
            statistic: the metric.
            objects_R: which object each row is of.
        """
        cells = self.n_objects * statistic.blocks * statistic.rows_RS.shape[1]
        if cells > _SPARSE * statistic.rows_RS.size:
            return self._row_by_row(statistic, objects_R)
        sums_NJS = statistic.sums(objects_R, self.n_objects)
        return self._values(statistic, sums_NJS[:, None])[:, 0]

    def _row_by_row(self, statistic: Statistic, objects_R: Ints) -> Array:
        """The same where most sums of an object are of no row, as in the bins of a median."""
        rows, sums = statistic.rows_RS.shape
        block_R = statistic.block_R if statistic.block_R is not None else np.zeros(rows, np.int64)
        step, values = max(1, _CHUNK_ROWS // max(rows, 1)), []
        for i in range(0, len(self._draws_BN), step):
            weight_bR = self._draws_BN[i : i + step, objects_R].astype(np.float64)
            count = len(weight_bR)
            place = np.arange(count)[:, None] * statistic.blocks + block_R
            columns = [
                np.bincount(
                    place.reshape(-1),
                    weights=(weight_bR * column_R).reshape(-1),
                    minlength=count * statistic.blocks,
                )
                for column_R in statistic.rows_RS.T
            ]
            summed = np.stack(columns, axis=-1).astype(np.float64)
            values.append(statistic.formula(summed.reshape(count, statistic.blocks, sums)))
        return np.concatenate(values)

    def _ends(self, statistic: Statistic, sums_NTJS: Array) -> tuple[Array, Array]:
        """2.5 % and 97.5 % of the metric over the resamples, per group."""
        groups = sums_NTJS.shape[1]
        if not len(self._draws_BN):
            return np.full(groups, np.nan), np.full(groups, np.nan)
        return percentiles(self._values(statistic, sums_NTJS))

    def _values(self, statistic: Statistic, sums_NTJS: Array) -> Array:
        """(B, T): the metric of each resample and group."""
        flat = sums_NTJS.reshape(self.n_objects, -1)
        step = max(1, _CHUNK_BYTES // (8 * flat.shape[1]))
        values = [
            statistic.formula(
                (self._draws_BN[i : i + step].astype(np.float64) @ flat).reshape(
                    -1, *sums_NTJS.shape[1:]
                )
            )
            for i in range(0, len(self._draws_BN), step)
        ]
        return np.concatenate(values)


def percentiles(values_BT: Array) -> tuple[Array, Array]:
    """2.5 % and 97.5 % of what is not NaN, linear; NaN where most of it is."""
    ordered = np.sort(values_BT, axis=0)  # NaN sorts last
    known_T = (~np.isnan(values_BT)).sum(axis=0)
    ends = []
    for share in (0.025, 0.975):
        place_T = share * np.maximum(known_T - 1, 0)
        below = np.floor(place_T).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(known_T - 1, 0))
        pair = np.take_along_axis(ordered, np.stack([below, above]), axis=0)
        ends.append(pair[0] + (place_T - below) * (pair[1] - pair[0]))
    few = known_T * 2 < len(values_BT)
    return np.where(few, np.nan, ends[0]), np.where(few, np.nan, ends[1])


def _number(statistic: Statistic, value: float, low: float, high: float, n: int) -> Number:
    if not np.isfinite(value):
        return Number(value=None, n=n, note=statistic.undefined)
    known = n > 1 and np.isfinite(low) and np.isfinite(high)
    return Number(
        value=float(value),
        low=float(low) if known else None,
        high=float(high) if known else None,
        n=n,
    )
