"""The predictor of one run, looked at: analysis.json, beside the run's results.json.

It stands apart because results.json is what a protocol measured, and is hashed as such. The same
seed gives the same bytes: there is no clock in it. docs/metrics.md has the formulas.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from threedie.manifests.dataset import Count, Model
from threedie.manifests.results import (
    DatasetInfo,
    EncoderInfo,
    Environment,
    MetricName,
    Number,
    Numbers,
    NumbersFile,
    PartName,
)

FILE_NAME = "analysis.json"

Axis = Literal["x", "y", "z"]
AXES: tuple[Axis, ...] = ("x", "y", "z")
Degrees = Annotated[float, Field(ge=-180, le=360)]
Share = Annotated[float, Field(ge=0, le=1)]
ObjectName = Annotated[str, Field(min_length=1, max_length=300)]
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the singular values, in `Spectrum.quantiles`."""


class Settings(Model):
    """What bounded the analysis, and what it drew."""

    objects: Count
    """Val objects that the numbers rest on."""
    of_objects: Count
    """Val objects there are."""
    moves: Count
    """Triples of views drawn of each object."""
    angles: Annotated[int, Field(ge=2, le=360)]
    """Steps of a whole turn."""
    axes: tuple[Axis, ...]
    """Of the object's own frame."""
    probes: bool
    """Whether probes were trained for factors that results.json does not have."""


class PredictorInfo(Model):
    """What moves embeddings."""

    latents: Literal["rotation", "rotation+color", "color"]
    width: Annotated[int, Field(ge=1)]
    """E."""
    affine: bool
    """Whether it is one matrix (and a shift) for each z; else matrices are Jacobians at a view."""


class Sweep(Model):
    """One latent asked for, in even steps, from view 0 of every object."""

    name: MetricName
    """rotation_x, rotation_y, rotation_z, floor_hue, light_hue."""
    among: Literal["object", "val"]
    """Whose views are the candidates: the object's own, or those of all objects."""
    asked_deg: tuple[Degrees, ...]
    """Rotations: −180 … 180 about the axis. Hues: the hue itself, 0 … 360."""
    error_deg: tuple[Number, ...]
    """Between what was asked and what the nearest view has."""
    best_deg: tuple[Number, ...]
    """The same for the candidate that is nearest in truth: no predictor can do better."""
    recovered_deg: tuple[Degrees | None, ...]
    """Circular mean over objects of what the nearest view has; null where all directions cancel."""
    agreement: tuple[Share, ...]
    """Length of that mean: 1 all objects agree, 0 none do."""

    @model_validator(mode="after")
    def _is_even(self) -> Sweep:
        _same_length(
            self.name,
            len(self.asked_deg),
            self.error_deg,
            self.best_deg,
            self.recovered_deg,
            self.agreement,
        )
        return self


class Spectrum(Model):
    """The predictor's matrix at one move."""

    move: Literal["identity", "drawn"]
    angle_deg: Annotated[float, Field(ge=0, le=180)]
    """Of the rotation in it."""
    on: Literal["all", "data"]
    """all: the whole matrix. data: on the span that holds 99 % of the embeddings' variance."""
    width: Annotated[int, Field(ge=1)]
    """Singular values there are."""
    quantiles: tuple[float, ...]
    """At `QUANTILES`, rising."""
    condition: float | None
    """Largest over smallest; null where the smallest is zero."""
    effective_rank: float | None
    """Null for a matrix of zeros, as the next two."""
    orthogonality_error: Share | None
    """Relative distance from the nearest multiple of an isometry."""
    identity_error: Share | None
    """Relative distance from the nearest multiple of the identity."""

    @model_validator(mode="after")
    def _rises(self) -> Spectrum:
        _same_length("quantiles", len(QUANTILES), self.quantiles)
        if list(self.quantiles) != sorted(self.quantiles) or self.quantiles[0] < 0:
            raise ValueError("quantiles of singular values are not negative, and rise")
        return self


class FactorScore(Model):
    """How well a probe reads one latent from one part."""

    metric: MetricName
    score: Number
    chance: Number
    """What a constant answer scores."""
    source: Literal["results.json", "probe"] | None
    """Null where nobody probed it."""


class ViewOf(Model):
    """One picture of the data set."""

    object: ObjectName
    view: Count


class ShownSweep(Model):
    """The views that one sweep of one object finds, for pictures."""

    name: MetricName
    nearest: tuple[Count, ...]
    """View of the object that is nearest to the prediction, for each step asked."""
    true: tuple[Count, ...]
    """View of the object that is nearest to what was asked."""
    nearest_in_val: tuple[ViewOf, ...]

    @model_validator(mode="after")
    def _is_even(self) -> ShownSweep:
        _same_length(self.name, len(self.nearest), self.true, self.nearest_in_val)
        return self


class Shown(Model):
    """An object worth a row of pictures."""

    object: ObjectName
    source_view: Count
    sweeps: tuple[ShownSweep, ...]


class Analysis(NumbersFile):
    """analysis.json."""

    advice = "`3die analyze RUN --data DATASET` makes one."
    foreign = "not an analysis of threedie; make one with `3die analyze`"

    schema_version: Literal[1] = 1
    encoder: EncoderInfo
    dataset: DatasetInfo
    predictor: PredictorInfo | None
    """Null for a method without one: then `numbers` are null, and only `factors` is filled."""
    settings: Settings
    seed: Count
    versions: Environment
    device: str
    numbers: Numbers
    sweeps: tuple[Sweep, ...]
    spectra: tuple[Spectrum, ...]
    factors: dict[PartName, dict[MetricName, FactorScore]]
    shown: tuple[Shown, ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Analysis:
        steps = {sweep.name: len(sweep.asked_deg) for sweep in self.sweeps}
        for shown in self.shown:
            for sweep in shown.sweeps:
                if steps.get(sweep.name) != len(sweep.nearest):
                    raise ValueError(f"'{sweep.name}' of {shown.object!r} fits no sweep")
        kinds = [(sweep.name, sweep.among) for sweep in self.sweeps]
        if len(set(kinds)) < len(kinds):
            raise ValueError("a sweep stands there twice")
        return self


def _same_length(name: str, expected: int, *rows: tuple[object, ...]) -> None:
    lengths = {len(row) for row in rows}
    if lengths != {expected}:
        raise ValueError(f"'{name}' has rows of {sorted(lengths)} where {expected} were expected")
