"""Values that others published for 3DIEBench, each with its source: quoted, never measured here.

All are of the whole published data set (55 classes, 50 views, relative rotations). "R²" has two
kinds in the literature (docs/metrics.md): a value stands beside ours of the same kind only. None
of these papers' probes is `3die-v1`.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, cast

R2Kind = Literal["global", "uniform"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quoted:
    """One row of somebody's table; None where the source does not say."""

    method: str
    top1: float | None
    """Share, 0..1."""
    rotation_r2: float | None
    r2_kind: R2Kind | None
    """global: one mean over all outputs. uniform: each output its own, then averaged."""
    mrr: float | None
    h_at_1: float | None
    h_at_5: float | None
    size: int | None
    """Side of the pictures in pixels."""
    batch: int | None
    epochs: int | None
    source: str

    @property
    def setting(self) -> str:
        """Size and budget in words."""
        if self.size is None:
            return "size and epochs not stated"
        return f"{self.size} px, batch {self.batch}, {self.epochs} epochs"


@functools.cache
def literature() -> tuple[Quoted, ...]:
    """All rows, as they stand in literature.csv."""
    text = files("threedie.manifests").joinpath("literature.csv").read_text(encoding="utf-8")
    return tuple(_from_row(row) for row in csv.DictReader(text.splitlines()))


def _from_row(row: dict[str, str]) -> Quoted:
    shares = {k: float(row[k]) if row[k] else None for k in _SHARES}
    counts = {k: int(row[k]) if row[k] else None for k in ("size", "batch", "epochs")}
    kind = cast("R2Kind | None", row["r2_kind"] or None)
    return Quoted(
        method=row["method"],
        source=row["source"],
        r2_kind=kind,
        **counts,
        **shares,  # type: ignore[arg-type]
    )


_SHARES = ("top1", "rotation_r2", "mrr", "h_at_1", "h_at_5")
