"""submission.json from what its submitter declares and what the runs say.

Everything that is missing or wrong is told at once, by the option that says it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from threedie.baselines import METHODS
from threedie.leaderboard.submission.submitted_runs import SubmittedRun
from threedie.manifests.dataset import in_words
from threedie.manifests.entries import MethodInfo, Selection, Submission
from threedie.manifests.results import Results

LAST_EPOCH = "last-epoch"
FAMILIES: tuple[str, ...] = get_args(MethodInfo.model_fields["family"].annotation)
TUNED_ON: tuple[str, ...] = get_args(Selection.model_fields["tuned_on"].annotation)
_FAMILY = {
    **dict.fromkeys(("sie", "sen", "equimod", "equimod_vicreg", "augself"), "equivariant"),
    **dict.fromkeys(("simclr", "vicreg"), "invariant"),
    "supervised": "supervised",
    "untrained": "other",
}
"""By the module of baselines that a method is in."""
_LINE = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What only the submitter knows. None: not said."""

    name: str | None = None
    contact: str | None = None
    """`Name <address>`, or an address alone."""
    code: str | None = None
    commit: str | None = None
    paper: str | None = None
    variant: str | None = None
    family: str | None = None
    track: str = "closed"
    slug: str | None = None
    runs_started: int | None = None
    tuned_on: str | None = None
    selection: str = LAST_EPOCH
    """Or the rule by which the checkpoint was chosen."""
    pretrained_weights: str | None = None
    external: bool = False
    val_objects_used: bool = False
    weights_url: str | None = None
    """Address of the checkpoints; `{seed}` stands for the seed."""
    affiliated: bool = False

    @property
    def id(self) -> str | None:
        """The slug, or one made of name and variant."""
        named = f"{self.name or 'unnamed'} {self.variant or ''}"  # a missing name is told once
        return self.slug or slug_of(named)


@dataclass(frozen=True, slots=True)
class _Option:
    says: str
    missing: str
    stand_in: Any
    """A value that passes, so that what hangs on several fields is checked too."""


_OPTIONS = {
    "id": _Option("--id", "3 to 40 of a-z, 0-9 and -: the entry's folder and page", "entry"),
    "method.name": _Option("--name", "the method's name as it will stand in the table", "x"),
    "method.variant": _Option("--variant", "", None),
    "method.family": _Option("--family", f"one of {', '.join(FAMILIES)}", "other"),
    "method.paper": _Option("--paper", "", None),
    "method.code": _Option("--code", "", None),
    "method.code.url": _Option("--code", "the address of the public code", "https://a.bc"),
    "method.code.commit": _Option("--commit", "all 40 digits of a commit", None),
    "track": _Option("--track", "closed or open", "open"),
    "submitter.name": _Option("--contact", "", "x"),
    "submitter.contact": _Option("--contact", "whom to ask: 'Name <name@host.org>'", "a@b.cd"),
    "selection.runs_started": _Option(
        "--runs-started",
        "how many runs were started with the final settings, failed and left out ones too",
        10_000,
    ),
    "selection.tuned_on": _Option(
        "--tuned-on", f"what settings were chosen on: {', '.join(TUNED_ON)}", "nothing"
    ),
    "selection.rule": _Option("--selection", "", "x"),
    "training_data.pretrained_weights": _Option("--pretrained-weights", "", None),
    "runs.*.weights.url": _Option("--weights-url", "", None),
    "model.backbone": _Option("the runs' encoder", "", "x"),
}
_NUMBER = re.compile(r"\.\d+\.")
_SPACE = re.compile(r"[^a-z0-9]+")
_NAMED = re.compile(r"\s*(?P<name>\S.*?)\s*<(?P<address>[^<>]+)>\s*")


def slug_of(text: str) -> str | None:
    """`sie-ours` of `SIE (ours)`; None where too little is left."""
    letters = unicodedata.normalize("NFKD", text).lower()
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    made = _SPACE.sub("-", plain).strip("-")[:40].strip("-")
    return made if len(made) >= 3 else None


def submission(
    declared: Declared, runs: Sequence[SubmittedRun], today: str
) -> tuple[Submission | None, list[str]]:
    """The submission, or what is missing for it.

    Args:
        declared: by the submitter.
        runs: of one method; at least one.
        today: yyyy-mm-dd.

    Returns:
        The submission and no lines, or None and a line for everything that is missing or wrong.
    """
    body = _body(declared, runs, today)
    problems: list[str] = []
    for _ in range(3):  # what hangs on several fields is looked at once each of them is good
        try:
            found = Submission.model_validate(body)
            return (None, problems) if problems else (found, [])
        except ValidationError as err:
            problems += [line for line in _told(err, body) if line not in problems]
    return None, problems


def _told(err: ValidationError, body: dict[str, Any]) -> list[str]:
    """A line per option; in `body` a stand-in takes the place of each value that is not good."""
    lines: dict[str, str] = {}
    for one in err.errors(include_url=False):
        if one["loc"] == ("runs",) and body["runs"]:
            continue  # none of them is good: each is told
        place = ".".join(str(part) for part in one["loc"])
        general = _NUMBER.sub(".*.", place)  # one option says it of all runs
        option = _OPTIONS.get(general)
        if option is None:
            message = in_words(one)
            lines.setdefault(place, f"{place}: {message}." if place else f"{message}.")
            continue
        lines.setdefault(general, _line(general, option, one, body))
        _put(body, one["loc"], option.stand_in)
    return list(lines.values())


def _line(place: str, option: _Option, one: ErrorDetails, body: dict[str, Any]) -> str:
    """What is missing or wrong, by the option that says it."""
    found, name = one["input"], body["method"]["name"]
    if found is None and place == "id" and name is not None:
        return f"no id can be made of --name {name!r:.80}; give --id: {option.missing}."
    if found is None and option.missing:
        return f"{option.says} is missing: {option.missing}."
    expected = option.missing if one["type"] == "string_pattern_mismatch" else ""
    return f"{option.says} is {found!r:.80}: {expected or in_words(one)}."


def _put(body: dict[str, Any], place: Sequence[str | int], value: Any) -> None:
    inner: Any = body
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value


def _body(declared: Declared, runs: Sequence[SubmittedRun], today: str) -> dict[str, Any]:
    results = runs[0].run.results
    splits = results.dataset.splits
    return {
        "schema_version": 1,
        "id": declared.id,
        "submitted": today,
        "track": declared.track,
        "method": _method(declared, results),
        "protocol": {"name": results.protocol.name, "version": results.protocol.version},
        "dataset": {
            "train_hash": splits["train"].hash,
            "val_hash": splits["val"].hash,
            "list_sha256": runs[0].items.about.list_sha256,
        },
        "training_data": {
            "external": declared.external,
            "val_objects_used": declared.val_objects_used,
            "pretrained_weights": declared.pretrained_weights,
        },
        "model": _model(results),
        "compute": _compute(runs),
        "runs": [_run(one, declared) for one in runs],
        "selection": _selection(declared),
        "submitter": _submitter(declared),
        "agrees_rules": "1",
    }


def _method(declared: Declared, results: Results) -> dict[str, Any]:
    known = METHODS.get(results.encoder.name)
    family = declared.family or (_FAMILY.get(known.home.partition(":")[0]) if known else None)
    code = None
    if declared.code is not None or declared.commit is not None:
        code = {"url": declared.code, "commit": declared.commit}
    return {
        "name": declared.name,
        "variant": declared.variant,
        "family": family,
        "paper": declared.paper,
        "code": code,
    }


def _model(results: Results) -> dict[str, Any]:
    encoder = results.encoder
    return {
        "backbone": str(encoder.config.get("encoder") or encoder.name)[:_LINE],
        "dim": encoder.dim,
        "parts": dict(encoder.parts),
        "size_px": results.protocol.settings.get("size") or results.dataset.size,
    }


def _compute(runs: Sequence[SubmittedRun]) -> dict[str, Any]:
    config = runs[0].run.results.encoder.config
    hours = [one.hours for one in runs if one.hours is not None]
    epochs = config.get("epochs") if not config.get("pairs") else None
    return {
        "device": runs[0].run.results.device[:_LINE] or None,
        "epochs": epochs if isinstance(epochs, int) else None,
        "hours_per_run": round(sum(hours) / len(hours), 4) if hours else None,
    }


def _run(one: SubmittedRun, declared: Declared) -> dict[str, Any]:
    weights = None
    if one.weights is not None:
        url = declared.weights_url and declared.weights_url.replace("{seed}", str(one.seed))
        weights = {"url": url, "bytes": one.weights.bytes, "sha256": one.weights.sha256}
    return {
        "seed": one.seed,
        "predictions": {
            "path": f"runs/{one.seed}/predictions.npz",
            "bytes": len(one.packed),
            "sha256": one.sha256,
        },
        "checkpoint_sha256": one.run.results.encoder.checkpoint_sha256,
        "weights": weights,
    }


def _selection(declared: Declared) -> dict[str, Any]:
    last = declared.selection == LAST_EPOCH
    return {
        "how": LAST_EPOCH if last else "fixed-rule",
        "rule": None if last else declared.selection,
        "runs_started": declared.runs_started,
        "tuned_on": declared.tuned_on,
    }


def _submitter(declared: Declared) -> dict[str, Any]:
    named = _NAMED.fullmatch(declared.contact or "")
    name, address = (named["name"], named["address"]) if named else (declared.contact,) * 2
    return {
        "name": name if name is not None else "x",  # told once, of the address
        "contact": address,
        "affiliated_with_maintainers": declared.affiliated,
    }


def stands_for(path: Path) -> bool:
    """Whether a folder is an entry that was packed before, and no run."""
    return (path / "submission.json").is_file()
