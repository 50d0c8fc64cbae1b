"""Results of one evaluation, results.json: every number with all that is needed to judge it.

A number has its 95 % interval over objects and how many objects it rests on. What is undefined is
null with the reason, never NaN. `metrics` is grouped by part of the representation: "all", and
"inv" and "equi" where a method splits it; docs/metrics.md has the formulas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, JsonValue, model_validator

from threedie import files
from threedie.errors import ManifestError
from threedie.manifests.dataset import Count, Model, Sha256, parse_json, validated

FILE_NAME = "results.json"
_MAX_BYTES = 64 * 2**20

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
PartName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Number(Model):
    """One measured number."""

    value: float | None
    """Null where it is undefined; `note` says why."""
    low: float | None = None
    """2.5 % and 97.5 % of the bootstrap over objects; null where there is no interval."""
    high: float | None = None
    n: Count
    """Objects it rests on: they are resampled, the views of one are not independent."""
    note: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Number:
        if self.value is None and not self.note:
            raise ValueError("a number that is null needs a note that says why")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends, or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval {self.low} to {self.high} is the wrong way round")
        return self


Numbers = dict[MetricName, Number]


class Curve(Model):
    """One metric over the size of the rotation."""

    axis: Literal["relative", "absolute"]
    """relative: angle of the rotation between the two views. absolute: of the one view's rotation,
    from the object's upright pose."""
    edges_deg: tuple[float, ...]
    """Bin i holds edge i <= angle < edge i + 1; the last bin holds its upper edge too."""
    points: tuple[Number, ...]

    @model_validator(mode="after")
    def _has_a_point_for_each_bin(self) -> Curve:
        if len(self.points) != len(self.edges_deg) - 1:
            raise ValueError(f"{len(self.points)} points do not fit {len(self.edges_deg)} edges")
        return self


class ProtocolInfo(Model):
    """How it was measured."""

    name: str
    version: Annotated[int, Field(ge=1)]
    settings: dict[str, JsonValue]
    """All of them, as they were in this evaluation."""
    changed: tuple[str, ...] = ()
    """Settings that differ from the protocol's own: such numbers stand in no table of it."""


class SplitInfo(Model):
    """One split of the data set."""

    objects: Count
    hash: Sha256
    """Identifies its pictures."""


class DatasetInfo(Model):
    """What it was measured on."""

    hash: Sha256
    """Over the splits' hashes."""
    recipe: str | None
    """Null where the folder does not say."""
    size: Annotated[int, Field(ge=1)]
    """Side of the pictures in the files, in pixels."""
    views: Annotated[int, Field(ge=1)]
    splits: dict[str, SplitInfo]
    classes: Count


class EncoderInfo(Model):
    """What was measured."""

    name: str
    config: dict[str, JsonValue]
    """Resolved: every setting of the run that made it, or of the build."""
    checkpoint_sha256: Sha256 | None
    dim: Annotated[int, Field(ge=1)]
    parts: dict[PartName, tuple[Count, Count]]
    """First and one past the last column of each part."""


class Environment(Model):
    """What ran it."""

    threedie: str
    torch: str
    numpy: str
    python: str


class PredictionsInfo(Model):
    """The file of per-item predictions beside the results (benchmark.evaluation.items)."""

    sha256: Sha256
    list_sha256: Sha256
    """Of the frozen list that it predicts."""


F = TypeVar("F", bound="NumbersFile")


class NumbersFile(Model):
    """A file of measured numbers: bounded, strict, of one version of its schema."""

    advice: ClassVar[str]
    """How one gets such a file, for whoever has none."""
    foreign: ClassVar[str]
    """What another file is told."""

    def to_bytes(self) -> bytes:
        """The file's content."""
        body = self.model_dump(mode="json")
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "surrogatepass") + b"\n"

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            StorageError: it can't be written.
        """
        files.put(path, self.to_bytes())

    @classmethod
    def read(cls: type[F], path: Path) -> F:
        """Read and check a file.

        Raises:
            ManifestError: absent, not JSON, of another schema, a wrong field (named).
        """
        return cls.parse(_read_bounded(path, cls.advice), str(path))

    @classmethod
    def parse(cls: type[F], content: bytes, where: str) -> F:
        """Check the bytes of a file, wherever they came from.

        Args:
            content: all of it.
            where: its name, for messages.

        Raises:
            ManifestError: not JSON, of another schema, a wrong field (named).
        """
        body = parse_json(content, where)
        found, expected = body.get("schema_version"), cls.model_fields["schema_version"].default
        if found != expected or isinstance(found, bool):
            newer = isinstance(found, int) and found > expected
            hint = "written by a newer threedie: update it" if newer else cls.foreign
            raise ManifestError(
                f"{where}: schema_version is {found!r}, {expected} was expected ({hint})."
            )
        return validated(cls, body, where)


class Results(NumbersFile):
    """results.json."""

    advice = "A finished run has a results.json; `3die bench` or `3die eval` makes one."
    foreign = "not results of threedie; evaluate again with `3die eval`"

    schema_version: Literal[1] = 1
    encoder: EncoderInfo
    protocol: ProtocolInfo
    dataset: DatasetInfo
    seed: Count
    versions: Environment
    device: str
    finished: str
    """UTC, ISO 8601."""
    seconds: dict[str, float]
    """Wall clock by stage; "total" is all of it."""
    metrics: dict[PartName, Numbers]
    chance: Numbers
    """What knowing nothing scores, on this data set."""
    references: dict[str, Numbers]
    """Retrieval and equivariance of predictors one can do without: "identity" does nothing,
    "oracle" answers with the true target's embedding."""
    curves: dict[PartName, dict[MetricName, Curve]]
    per_class: dict[PartName, dict[MetricName, dict[str, Number]]]
    """By the class's name in the data set."""
    notes: tuple[str, ...] = ()
    predictions: PredictionsInfo | None = None
    """Null where none were written: another protocol, or a threedie from before."""


def _read_bounded(path: Path, advice: str) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ManifestError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB: no results.")
        return path.read_bytes()
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}. {advice}") from err
