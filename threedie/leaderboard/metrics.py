"""The metrics of a board: what each is called, its unit, which way is better, and its formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardMetric:
    """One metric."""

    name: str
    title: str
    unit: Literal["fraction", "degrees"]
    higher: bool
    formula: str
    chance: str = ""


def _m(name: str, title: str, unit: Literal["fraction", "degrees"], formula: str) -> BoardMetric:
    return BoardMetric(name=name, title=title, unit=unit, higher=unit != "degrees", formula=formula)


METRICS = {
    m.name: m
    for m in (
        _m(
            "top1",
            "top-1",
            "fraction",
            "share of views whose class is the first of the five listed",
        ),
        _m("top5", "top-5", "fraction", "share of views whose class is among the five listed"),
        _m("balanced_top1", "balanced top-1", "fraction", "mean over classes of the share of hits"),
        _m(
            "rotation_r2_global",
            "rotation R² (global)",
            "fraction",
            "1 − Σ(t − p)² / Σ(t − m)², one mean m",
        ),
        _m(
            "rotation_r2_uniform",
            "rotation R² (uniform)",
            "fraction",
            "mean over outputs of 1 − Σ(t − p)² / Σ(t − m_o)²",
        ),
        _m("rotation_geodesic_deg", "rotation error", "degrees", "mean of 2·arccos |⟨p, q⟩|"),
        _m(
            "rotation_geodesic_deg_median",
            "rotation error (median)",
            "degrees",
            "median of 2·arccos |⟨p, q⟩|",
        ),
        _m("floor_hue_r2_uniform", "floor hue R²", "fraction", "R² of (cos 2πh, sin 2πh)"),
        _m("light_hue_r2_uniform", "light hue R²", "fraction", "R² of (cos 2πh, sin 2πh)"),
        _m(
            "light_direction_r2_uniform",
            "light direction R²",
            "fraction",
            "R² of the unit vector to the light",
        ),
        _m("mrr_val", "MRR", "fraction", "mean of 1 / rank of the true view"),
        _m("h_at_1_val", "H@1", "fraction", "share of ranks ≤ 1"),
        _m("h_at_5_val", "H@5", "fraction", "share of ranks ≤ 5"),
        _m("pre_val", "PRE", "fraction", "mean of 1 − ⟨q, q'⟩² of the nearest view"),
    )
}
