"""What a sweep asks for: one latent in even steps, from view 0 of every object.

Shape suffixes: N = judged objects, V = views, K = steps, G = latent numbers, x = 4 numbers of a
rotation (xyzw) or 2 of a hue (cos, sin).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from threedie.benchmark.analysis.embedded import Embedded
from threedie.benchmark.analysis.turns import steps_deg, turns, twist_deg, with_signs_of_euler
from threedie.benchmark.evaluation import metrics
from threedie.benchmark.evaluation.metrics import Array
from threedie.benchmark.evaluation.targets import IDENTITY, grouped
from threedie.manifests.analysis import Axis
from threedie.manifests.latents import quaternion_conjugate_xyzw, quaternion_multiply_xyzw

HUES = ("floor_hue", "light_hue")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One sweep."""

    name: str
    asked_deg_K: Array
    z_NKG: Array
    """What the predictor is told."""
    target_NKx: Array
    """What the moved view ought to have."""
    values_NVx: Array
    """What the views have."""
    degrees: Callable[[Array, Array], Array]
    """Between two such values."""
    recovered_deg: Callable[[Array], Array]
    """(N, K, x) of the views found to (N, K): on the scale of `asked_deg_K`."""
    counted_K: Array
    """1 for the steps that the summary counts: not the one that asks for nothing."""


def questions(embedded: Embedded, axes: Sequence[Axis], steps: int) -> Iterator[Question]:
    """The sweeps that predictor and data allow: axes, then the hues that vary."""
    if embedded.group != "color":
        for axis in axes:
            yield _turn(embedded, axis, steps)
    if embedded.group != "rotation":
        hues_NV2 = embedded.truth.hue_NV2[embedded.objects_N]
        for column, name in enumerate(HUES):
            if np.ptp(hues_NV2[..., column]) > metrics.NO_VARIANCE:
                yield _recolor(embedded, hues_NV2, column, name, steps)


def _turn(embedded: Embedded, axis: Axis, steps: int) -> Question:
    rotation_NV4 = embedded.truth.rotation_NV4[embedded.objects_N]
    asked = steps_deg(steps)
    q_K4, source_N14 = turns(axis, asked), rotation_NV4[:, :1]
    q_NK4 = with_signs_of_euler(q_K4[None], source_N14)
    back_N14 = quaternion_conjugate_xyzw(source_N14)

    def recovered(found_NK4: Array) -> Array:
        return twist_deg(quaternion_multiply_xyzw(back_N14, found_NK4), axis)

    return Question(
        name=f"rotation_{axis}",
        asked_deg_K=asked,
        z_NKG=grouped(q_NK4, np.zeros((*q_NK4.shape[:2], 2)), embedded.group),
        target_NKx=quaternion_multiply_xyzw(source_N14, q_K4[None]),
        values_NVx=rotation_NV4,
        degrees=metrics.geodesic_deg,
        recovered_deg=recovered,
        counted_K=(np.abs(asked) > 1e-9).astype(np.float64),
    )


def _recolor(embedded: Embedded, hues_NV2: Array, column: int, name: str, steps: int) -> Question:
    asked = np.arange(steps) / steps
    change_NK2 = np.zeros((len(hues_NV2), steps, 2))
    change_NK2[..., column] = asked - hues_NV2[:, :1, column]  # not wrapped, as in training
    still_NK4 = np.broadcast_to(IDENTITY, (*change_NK2.shape[:2], 4))
    target_NK2 = np.broadcast_to(_on_circle(asked), change_NK2.shape)
    return Question(
        name=name,
        asked_deg_K=360 * asked,
        z_NKG=grouped(still_NK4, change_NK2, embedded.group),
        target_NKx=target_NK2,
        values_NVx=_on_circle(hues_NV2[..., column]),
        degrees=metrics.circle_deg,
        recovered_deg=lambda found: np.degrees(np.arctan2(found[..., 1], found[..., 0])) % 360,
        counted_K=np.ones(steps),
    )


def _on_circle(hue: Array) -> Array:
    """(…, 2) cosine and sine of hues in turns."""
    return np.stack([np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)], axis=-1)
