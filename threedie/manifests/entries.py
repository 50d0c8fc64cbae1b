"""submission.json: who submits which method, for which protocol and data, and with which files.

It is somebody's file: every text is bounded and of one line, every address is https, every number
has its unit in its name, and unknown fields are refused. It holds no measured number but those of
`reported`, which are context and are never ranked.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from threedie.errors import ManifestError
from threedie.manifests.dataset import Count, Model, Sha256, parse_json, validated
from threedie.manifests.results import MetricName, PartName

FILE_NAME = "submission.json"
MAX_BYTES = 64 * 2**10
MOST_RUNS, RANKED_RUNS = 20, 3
RULES = "1"
"""Version of the rules that a submitter agrees to."""


_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and signs of other categories that show nothing."""
_MOST_MARKS = 2
"""On one letter; more of them run over the lines above and below."""


def _one_line(text: str) -> str:
    bad = [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
    if bad:
        raise ValueError(f"holds the control sign U+{ord(bad[0]):04X}; one plain line is expected")
    if blank := [c for c in text if c in _BLANK]:
        raise ValueError(f"holds the blank sign U+{ord(blank[0]):04X}")
    marks = "".join("m" if unicodedata.category(c) in ("Mn", "Me") else " " for c in text)
    if marks.startswith("m") or "m" * (_MOST_MARKS + 1) in marks:
        raise ValueError(f"holds marks on nothing, or more than {_MOST_MARKS} on one letter")
    if text != text.strip():
        raise ValueError("begins or ends with a space")
    return text


def _https(text: str) -> str:
    try:
        parts = urlsplit(_one_line(text))
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        raise ValueError(f"is no address ({err})") from err
    if parts.scheme != "https":
        raise ValueError(f"has scheme '{parts.scheme[:20]}'; https:// is expected")
    if "." not in host or port is not None or "@" in parts.netloc or not text.isascii():
        raise ValueError("must be https://host.domain/…, in ASCII, with neither port nor user")
    if any(c in text for c in " \"'<>\\`{}|^"):
        raise ValueError("holds a sign that no address has; write it as %XX")
    return text


def _contact(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+", text):
        try:
            return _https(text)
        except ValueError as err:
            raise ValueError("is neither an e-mail address nor an https:// address") from err
    return text


def _a_day(text: str) -> str:
    date.fromisoformat(text)
    return text


Line = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
Url = Annotated[str, Field(max_length=300), AfterValidator(_https)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$")]
"""An entry's id: the name of its folder, and of its page."""
Date = Annotated[str, Field(pattern=r"^20\d\d-[01]\d-[0-3]\d$"), AfterValidator(_a_day)]
Contact = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_contact)]


class Code(Model):
    """Public code."""

    url: Url
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None


class MethodInfo(Model):
    """What is submitted."""

    name: Line
    """The same for all variants of one method: its page lists them."""
    variant: Line | None = None
    family: Literal["equivariant", "invariant", "supervised", "other"]
    paper: Url | None = None
    code: Code | None = None


class ProtocolRef(Model):
    """Which protocol its predictions are of."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]
    version: Annotated[int, Field(ge=1)]


class DatasetRef(Model):
    """Which data: hashes as results.json has them."""

    train_hash: Sha256
    val_hash: Sha256
    list_sha256: Sha256
    """Of the frozen list (benchmark.evaluation.frozen)."""


class TrainingData(Model):
    """What was learnt from."""

    external: bool
    """Anything but the train split."""
    val_objects_used: bool
    """For training, selection or statistics; the closed track forbids it."""
    pretrained_weights: Line | None = None


class ModelInfo(Model):
    """The network."""

    backbone: Line
    params: Count | None = None
    """Of what is used at test time."""
    dim: Annotated[int, Field(ge=1, le=65536)]
    parts: Annotated[dict[PartName, tuple[Count, Count]], Field(min_length=1, max_length=3)]
    """First and one past the last column of each part; "all" is always there."""
    size_px: Annotated[int, Field(ge=8, le=4096)]


class Compute(Model):
    """What it cost; nothing is ranked by it."""

    device: Line | None = None
    epochs: Count | None = None
    hours_per_run: Annotated[float, Field(ge=0, le=1e6)] | None = None


class FileRef(Model):
    """A file of the entry."""

    path: Annotated[str, Field(pattern=r"^runs/\d{1,9}/predictions\.npz$")]
    bytes: Count
    sha256: Sha256


class Artefact(Model):
    """A file elsewhere, which a deeper level of verification needs."""

    url: Url | None = None
    bytes: Count
    sha256: Sha256


class RunInfo(Model):
    """One training run."""

    seed: Annotated[int, Field(ge=0, lt=10**9)]
    predictions: FileRef
    checkpoint_sha256: Sha256 | None = None
    weights: Artefact | None = None
    features: Artefact | None = None


class Selection(Model):
    """Which runs and checkpoints were taken."""

    how: Literal["last-epoch", "fixed-rule"]
    rule: Line | None = None
    """Fixed beforehand, on train data."""
    runs_started: Annotated[int, Field(ge=1, le=10000)]
    """With the final configuration, failed and left out ones included."""
    tuned_on: Literal["nothing", "train-holdout", "other-data"]


class Reported(Model):
    """What a paper says: shown as reported, never ranked."""

    source: Line
    values: Annotated[dict[MetricName, float], Field(min_length=1, max_length=32)]


class Submitter(Model):
    """Whom to ask."""

    name: Line
    contact: Contact
    """An e-mail address or an https address."""
    affiliated_with_maintainers: bool = False


class Submission(Model):
    """submission.json."""

    schema_version: Literal[1] = 1
    id: Slug
    submitted: Date
    track: Literal["closed", "open"]
    method: MethodInfo
    protocol: ProtocolRef
    dataset: DatasetRef
    training_data: TrainingData
    model: ModelInfo
    compute: Compute = Compute()
    runs: Annotated[tuple[RunInfo, ...], Field(min_length=1, max_length=MOST_RUNS)]
    selection: Selection
    reported: Reported | None = None
    submitter: Submitter
    agrees_rules: Literal["1"]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        seeds = [run.seed for run in self.runs]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"runs: seeds are {seeds}; each can stand once")
        wrong = [
            r.predictions.path for r in self.runs if r.predictions.path.split("/")[1] != str(r.seed)
        ]
        if wrong:
            raise ValueError(f"runs: {wrong[0]} does not lie in the folder of its seed")
        if self.selection.runs_started < len(self.runs):
            raise ValueError(
                f"selection.runs_started is {self.selection.runs_started}, but {len(self.runs)} "
                "runs are submitted"
            )
        if (self.selection.how == "fixed-rule") != (self.selection.rule is not None):
            raise ValueError("selection.rule says the rule of 'fixed-rule', and of nothing else")
        if self.model.parts.get("all") != (0, self.model.dim):
            raise ValueError(f"model.parts: 'all' is not there as (0, {self.model.dim})")
        for part, (first, last) in self.model.parts.items():
            if not first < last <= self.model.dim:
                raise ValueError(f"model.parts: '{part}' is not within 0 to {self.model.dim}")
        closed_breaks = self.training_data.external or self.training_data.val_objects_used
        if self.track == "closed" and (closed_breaks or self.training_data.pretrained_weights):
            raise ValueError(
                "track is 'closed', but training_data says other data, val objects or pretrained "
                "weights; that is the open track"
            )
        return self


def parse_submission(content: bytes, where: str) -> Submission:
    """Read submission.json.

    Args:
        content: the file, not trusted.
        where: its name, for messages.

    Raises:
        ManifestError: too large, not JSON, too deep, another schema, a wrong field (named).
    """
    if len(content) > MAX_BYTES:
        raise ManifestError(f"{where}: {len(content)} bytes; {MAX_BYTES} at most are allowed.")
    body = parse_json(content, where)
    version = body.get("schema_version", 1)
    if type(version) is not int:  # `true` equals 1
        raise ManifestError(f"{where}: schema_version is {version!r}; 1 is expected.")
    return validated(Submission, body, Path(where))
