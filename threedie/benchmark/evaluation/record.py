"""The record around the numbers: what was evaluated, on what, how, by which versions, in what time.

results.json is made of this and of the tables.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue

import threedie
from threedie.benchmark.evaluation.encoder import device_name
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.evaluation.stages import Context, Outcome
from threedie.benchmark.evaluation.tables import Tables
from threedie.benchmark.reading.split import Split
from threedie.errors import ConfigError
from threedie.manifests import results
from threedie.manifests.dataset import canonical_json
from threedie.manifests.results import Results


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What is evaluated, for the record; and what its features are cached under."""

    name: str = "encoder"
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of what made it."""
    checkpoint_sha256: str | None = None
    key: str | None = None
    """Identity of the encoder where there is no checkpoint; see `features.fingerprint`."""

    @property
    def identity(self) -> str | None:
        """What tells its features from another encoder's; None: they are not kept on disk."""
        return self.checkpoint_sha256 or self.key


@dataclass(slots=True)
class Log:
    """Notes and times of one evaluation."""

    notes: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall clock of a block to a stage."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


def make_results(
    context: Context, outcome: Outcome, about: About, recipe: str | None, log: Log
) -> Results:
    """All numbers with their intervals, and the record around them."""
    protocol = context.protocol
    tables = Tables(
        context.splits,
        edges_deg=protocol.curve_edges_deg,
        seed=context.seed,
        resamples=protocol.resamples,
    )
    with log.timed("intervals"):
        for part, found in outcome.findings.items():
            tables.add(part, found)
        references = {
            who: {found.name: tables.number(found) for found in listed}
            for who, listed in outcome.references.items()
        }
    log.seconds["total"] = time.perf_counter() - log.begun
    return Results(
        encoder=encoder_info(about, context),
        protocol=_protocol_info(context),
        dataset=dataset_info(context.splits, recipe),
        seed=context.seed,
        versions=environment(),
        device=device_name(context.device),
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds={stage: round(value, 3) for stage, value in log.seconds.items()},
        metrics=tables.metrics,
        chance=outcome.chance,
        references=references,
        curves=tables.curves,
        per_class=tables.per_class,
        notes=tuple(dict.fromkeys(log.notes)),
    )


def environment() -> results.Environment:
    """The versions that ran."""
    return results.Environment(
        threedie=threedie.__version__,
        torch=str(torch.__version__),
        numpy=np.__version__,
        python=platform.python_version(),
    )


def encoder_info(about: About, context: Context) -> results.EncoderInfo:
    """What was measured."""
    return results.EncoderInfo(
        name=about.name,
        config=plain(about.config),
        checkpoint_sha256=about.checkpoint_sha256,
        dim=context.dim,
        parts={name: (part.start, part.stop) for name, part in context.parts.items()},
    )


def _protocol_info(context: Context) -> results.ProtocolInfo:
    protocol = context.protocol
    settings = plain(protocol.settings())
    own = PROTOCOLS.get(protocol.name)
    official = plain(own.settings()) if own else {}
    used: dict[str, object] = {
        "size": context.size,
        "normalisation": asdict(context.encoder.normalisation),
        "precision": context.encoder.precision,
    }
    return results.ProtocolInfo(
        name=protocol.name,
        version=protocol.version,
        settings={**settings, **plain(used)},
        changed=tuple(k for k, v in settings.items() if official.get(k, v) != v),
    )


def dataset_info(splits: Mapping[str, Split], recipe: str | None) -> results.DatasetInfo:
    """What it was measured on."""
    hashes = {name: split.data_hash for name, split in splits.items()}
    labels = np.concatenate([split.labels_N for split in splits.values()])
    return results.DatasetInfo(
        hash=hashlib.sha256(canonical_json(hashes)).hexdigest(),
        recipe=recipe,
        size=splits["val"].picture_size,
        views=splits["val"].n_views,
        splits={
            name: results.SplitInfo(objects=len(split), hash=split.data_hash)
            for name, split in splits.items()
        },
        classes=len(np.unique(labels)),
    )


def plain(value: Mapping[str, Any]) -> dict[str, JsonValue]:
    """As JSON has it: lists for tuples.

    Raises:
        ConfigError: something that JSON does not have.
    """
    try:
        found: dict[str, JsonValue] = json.loads(json.dumps(value, allow_nan=False, default=str))
    except ValueError as err:
        raise ConfigError(f"the config holds what results can't: {err}.") from err
    return found
