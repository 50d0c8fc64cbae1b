"""Names and values around the numbers: protocol, data, and where a run comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from threedie.benchmark.report.privacy import shown
from threedie.benchmark.report.runs import GroupReport, Run
from threedie.manifests.results import Results
from threedie.words import clock, plural

Fact = tuple[str, str]
_MODES = {
    "eval": "eval mode (running statistics)",
    "train": "train mode while probes learn (batch statistics)",
}


def protocol_facts(results: Results) -> Iterator[Fact]:
    """How the numbers of a group were measured."""
    protocol, said = results.protocol, results.protocol.settings
    yield "Protocol", shown(f"{protocol.name}, version {protocol.version}")
    yield "Changed settings", shown(", ".join(protocol.changed)) or "none"
    yield "Pictures seen", f"{shown(said.get('size', results.dataset.size))} px"
    yield "BatchNorm", shown(_MODES.get(str(said.get("batchnorm")), said.get("batchnorm", "?")))
    yield "R²", "global (one mean) and uniform (each output its own), never mixed"
    yield "Pairs", _pairs(said)
    yield "Rotation target", shown(said.get("hemisphere", "?"))
    for title, name in (("Class probe", "classification"), ("Rotation probe", "rotation")):
        yield title, _probe(said.get(name))
    yield "Normalisation", _normalisation(said.get("normalisation"))
    yield "Precision", shown(said.get("precision", "?"))
    yield "Intervals", f"95 %, {shown(said.get('resamples', '?'))} resamples of objects"


def data_facts(results: Results) -> Iterator[Fact]:
    """What the numbers of a group were measured on, as far as results.json says."""
    data = results.dataset
    yield "Recipe", shown(data.recipe or "not stated")
    yield "Hash", data.hash
    for name, split in data.splits.items():
        yield f"Objects {shown(name)}", f"{split.objects:,} (pictures {split.hash[:12]}…)"
    yield "Classes", str(data.classes)
    yield "Views of each object", str(data.views)
    yield "Pictures", f"{data.size} × {data.size} px as stored"


def run_facts(run: Run) -> Iterator[Fact]:
    """Where a run comes from."""
    results, record = run.results, run.record
    yield "Training seed", str(run.seed)
    yield "Evaluation seed", str(results.seed)
    if run.steps:
        yield "Steps", f"{run.steps[0]:,} of {run.steps[1]:,}"
    if record is not None:
        for key in ("preset", "batch_size", "precision"):
            yield key.replace("_", " ").capitalize(), shown(record.config.get(key, "?"))
        yield "Begun", shown(record.started)
        yield "Commit", shown(record.commit or "not known")
        yield "Trained with", _versions(record.versions)
    yield "Representation", f"{results.encoder.dim} numbers: {_parts(results)}"
    yield "Checkpoint (SHA-256)", results.encoder.checkpoint_sha256 or "none"
    yield "Evaluated with", _versions(results.versions.model_dump())
    yield "Device", shown(results.device)
    yield "Evaluated", shown(results.finished)
    total = results.seconds.get("total")
    yield "Time of evaluation", clock(total) if total is not None and total < 1e9 else "?"


def summary(reports: list[GroupReport]) -> str:
    """How much there is: `6 runs of 3 methods on 1 data set`, and whether it is one group."""
    runs = sum(len(report.runs) for report in reports)
    methods = sum(len(report.methods) for report in reports)
    data = len({report.group.first.dataset.hash for report in reports})
    text = f"{plural(runs, 'run')} of {plural(methods, 'method')} on {plural(data, 'data set')}."
    if len(reports) > 1:
        text += (
            f" They fall into {len(reports)} groups that differ in data or protocol: numbers of "
            "different groups can't be compared."
        )
    return text


def _pairs(said: Mapping[str, JsonValue]) -> str:
    if said.get("views") == "one":
        return "one random pair of each val object"
    return f"each val view with {shown(said.get('val_partners', '?'))} others of its object"


def _probe(found: Any) -> str:
    if not isinstance(found, Mapping):
        return "?"
    hidden = found.get("hidden") or []
    wide = "–".join(map(str, hidden)) if isinstance(hidden, list) else str(hidden)
    kind = f"MLP {wide}" if wide else "linear"
    return shown(f"{kind}, {found.get('optimizer', '?')}, {found.get('epochs', '?')} epochs")


def _normalisation(found: Any) -> str:
    if not isinstance(found, Mapping):
        return "?"
    mean, std = (found.get(key) for key in ("mean", "std"))
    return shown(f"mean {_list(mean)}, deviation {_list(std)}, {found.get('order', '?')}")


def _list(values: Any) -> str:
    return " ".join(map(str, values)) if isinstance(values, list) else "?"


def _versions(versions: Mapping[str, str]) -> str:
    return shown(", ".join(f"{name} {version}" for name, version in versions.items()), longest=300)


def _parts(results: Results) -> str:
    found = ", ".join(f"{n} {a}–{b - 1}" for n, (a, b) in results.encoder.parts.items())
    return shown(found)
