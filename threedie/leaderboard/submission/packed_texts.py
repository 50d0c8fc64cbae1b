"""What goes with an entry to be read: its card, its citation and its configuration.

The configuration is the run's own without what names its machine; a card and a citation that the
submitter does not give are made of what is known, and claim nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from threedie.benchmark.report.command import evaluation_command, training_command
from threedie.benchmark.report.privacy import last_name, private
from threedie.data.escape import markdown
from threedie.leaderboard.submission.submitted_runs import SubmittedRun, seeds_said
from threedie.manifests.entries import Submission
from threedie.words import plural

_WEB = re.compile(r"https?://\S+")
_BIBTEX = str.maketrans({c: f"\\{c}" for c in "#$%&_{}"} | {"\\": "/", "~": " ", "^": " "})


def config_json(runs: Sequence[SubmittedRun]) -> bytes:
    """config.json as `3die bench` has written it for the first seed, without places and secrets.

    Of somebody's own encoder it is what results.json says of it.
    """
    first = runs[0].run
    body: dict[str, Any] = {"schema_version": 1, "config": dict(first.results.encoder.config)}
    if first.record is not None:
        body = first.record.model_dump(mode="json")
    config = body["config"]
    if isinstance(config.get("data"), str):  # a relative path says something of its owner too
        config["data"] = last_name(config["data"])
    return json.dumps(private(body), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def card_md(entry: Submission, runs: Sequence[SubmittedRun]) -> str:
    """A card of what is known; its submitter may write more."""
    method, train = entry.method, training_command(runs[0].run, [one.seed for one in runs])
    title = " · ".join(filter(None, (method.name, method.variant)))
    lines = [f"# {markdown(title)}", "", "## What it is", "", _what(entry), "", "## Training", ""]
    lines += [f"- {fact}" for fact in _training(entry, runs)]
    lines += ["", "## Made again by", "", "```"]
    lines += [train] if train else []
    lines += [evaluation_command(runs[0].run), "```", ""]
    lines += ["## Known limits", "", "The submitter has written none down."]
    return "\n".join(lines) + "\n"


def cite_bib(entry: Submission) -> str:
    """A BibTeX record of the paper, else of the code, else of the entry itself."""
    method = entry.method
    where = method.paper or (method.code.url if method.code else None)
    fields = {
        "title": f"{{{method.name.translate(_BIBTEX)}}}",
        "author": f"{{{entry.submitter.name.translate(_BIBTEX)}}}",
        "year": entry.submitted[:4],
        **({"howpublished": f"\\url{{{where}}}"} if where else {}),
    }
    inner = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
    return f"@misc{{{entry.id},\n{inner}\n}}\n"


def private_lines(text: str) -> Iterator[int]:
    """Numbers of lines with a place on a machine, or a secret; web addresses may stand."""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = " ".join(_WEB.sub(" ", line)[:1500].split())
        if private(bare) != bare:
            yield number


def _what(entry: Submission) -> str:
    method, places = entry.method, []
    if method.paper:
        places.append(f"[paper]({method.paper})")
    if method.code:
        at = f" at `{method.code.commit[:12]}`" if method.code.commit else ""
        places.append(f"[code]({method.code.url}){at}")
    where = f" See its {' and '.join(places)}." if places else ""
    return f"A method of the family “{method.family}”, in the {entry.track} track.{where}"


def _training(entry: Submission, runs: Sequence[SubmittedRun]) -> Iterator[str]:
    model, data, chosen = entry.model, entry.training_data, entry.selection
    yield (
        f"Backbone {markdown(model.backbone)}, {model.dim}-d, pictures of {model.size_px} × "
        f"{model.size_px} px"
    )
    if entry.compute.epochs:
        yield plural(entry.compute.epochs, "epoch")
    if entry.compute.hours_per_run:
        device = markdown(entry.compute.device or "?")
        yield f"{entry.compute.hours_per_run:.2g} h per run on {device}"
    yield f"Seeds {seeds_said(runs)}; {plural(chosen.runs_started, 'run')} started"
    rule = f": {markdown(chosen.rule)}" if chosen.rule else ""
    yield f"Checkpoint: {chosen.how}{rule}; tuned on: {chosen.tuned_on}"
    if data.pretrained_weights:
        yield f"Begun with {markdown(data.pretrained_weights)}"
    if data.external or data.val_objects_used:
        used = [
            w
            for w, is_so in (
                ("data beside the train split", data.external),
                ("val objects", data.val_objects_used),
            )
            if is_so
        ]
        yield f"Learnt from {' and '.join(used)} too"
