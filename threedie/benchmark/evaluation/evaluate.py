"""`evaluate`: an encoder and a data set to results.json's content, under a named protocol.

Shape suffixes: N = batch, C = 3, H, W = pixels, D = representation.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue
from torch import nn

import threedie
from threedie.benchmark.evaluation.encoder import (
    Encode,
    Encoder,
    Normalisation,
    Precision,
    choose_device,
    device_name,
    find_normalisation,
)
from threedie.benchmark.evaluation.feature_cache import cached
from threedie.benchmark.evaluation.features import Features, Progress, encode_blocks, in_memory
from threedie.benchmark.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import (
    Context,
    Outcome,
    all_view_probes,
    official_probes,
    retrieval,
    without_predictor,
)
from threedie.benchmark.evaluation.tables import Tables
from threedie.benchmark.evaluation.targets import Truth
from threedie.benchmark.reading.split import Split, open_split
from threedie.data.dataset import Dataset
from threedie.errors import ConfigError
from threedie.manifests import results
from threedie.manifests.dataset import FILE_NAME, DatasetManifest, canonical_json
from threedie.manifests.results import Results

Data = str | os.PathLike[str] | Dataset | Mapping[str, Split]


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
class _Log:
    """Notes and times of one evaluation."""

    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall clock of a block to a stage."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


def evaluate(
    encoder: Any,
    dataset: Data,
    *,
    predictor: Predictor | None = None,
    parts: Mapping[str, slice] | None = None,
    protocol: str | Protocol = "3die-v1",
    about: About | None = None,
    device: str | torch.device = "auto",
    seed: int = 0,
    size: int | None = None,
    normalise: str | Normalisation = "dataset",
    precision: Precision = "fp32",
    batch_size: int = 256,
    cache: str | os.PathLike[str] | None = None,
    probe_epochs: int | None = None,
    on_progress: Progress | None = None,
) -> Results:
    """Evaluate a frozen encoder.

    Args:
        encoder: any callable (N, 3, H, W) float to (N, D). A module is moved to the device, put in
            eval mode, and put back. Of a trained method, its `represent`, its parts and, if it has
            one, its predictor are taken.
        dataset: a path, an open data set, or {"train": Split, "val": Split}.
        predictor: moves embeddings; without one there is no retrieval.
        parts: named columns of D; "all" where nothing is given.
        protocol: a name of PROTOCOLS.
        about: name, config and checkpoint for the record.
        device: auto, cpu, cuda, cuda:N.
        seed: of everything random.
        size: side of the pictures in pixels; None as stored.
        normalise: "dataset", "imagenet", "published", "none": what the encoder was trained with.
        precision: of the encoder: fp32 or bf16.
        batch_size: pictures at a time. It changes no number but in the last digits.
        cache: folder for features; None keeps nothing. Needs an identity in `about`.
        probe_epochs: overrides the epochs of every probe, for a quick look; it is recorded.
        on_progress: is told (stage, done, of how many).

    Returns:
        All numbers, with all that is needed to judge them.

    Raises:
        ConfigError: an argument that can't be, an encoder of another form, too little memory.
        ManifestError: damaged data.

    Example:
        >>> result = evaluate(encoder, "data/demo")            # doctest: +SKIP
        >>> result.metrics["all"]["top1"].value                # doctest: +SKIP
        0.83
    """
    begun, log = time.perf_counter(), _Log()
    chosen = _protocol(protocol, probe_epochs)
    encode, parts, predictor = _unpack(encoder, parts, predictor, log)
    splits, recipe = _open(dataset)
    side = size or splits["val"].picture_size
    on = Encoder(
        encode,
        device=choose_device(device),
        normalisation=find_normalisation(
            normalise, splits["train"].pixel_mean, splits["train"].pixel_std
        ),
        precision=precision,
    )
    context = _context(
        chosen, on, splits, parts, seed=_seed(seed), size=side, progress=on_progress or _silent
    )
    if not context.live or predictor is not None:
        with log.timed("features"):
            read = _read_features(context, about or About(), cache, batch_size, log)
            context = replace(context, features=read)
    outcome = _measure(context, predictor, batch_size, log)
    tables = Tables(
        splits, edges_deg=chosen.curve_edges_deg, seed=context.seed, resamples=chosen.resamples
    )
    with log.timed("intervals"):
        for part, found in outcome.findings.items():
            tables.add(part, found)
        references = {
            who: {found.name: tables.number(found) for found in listed}
            for who, listed in outcome.references.items()
        }
    log.seconds["total"] = time.perf_counter() - begun
    return Results(
        encoder=_encoder_info(about or About(), context),
        protocol=_protocol_info(chosen, context, precision),
        dataset=_dataset_info(splits, recipe),
        seed=context.seed,
        versions=results.Environment(
            threedie=threedie.__version__,
            torch=str(torch.__version__),
            numpy=np.__version__,
            python=platform.python_version(),
        ),
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


def _measure(context: Context, predictor: Predictor | None, batch_size: int, log: _Log) -> Outcome:
    outcome = Outcome()
    _note_the_data(context, log)
    with log.timed("probes"):
        (official_probes if context.protocol.views == "one" else all_view_probes)(context, outcome)
    with log.timed("retrieval"):
        if predictor is None:
            without_predictor(outcome, "this encoder has no predictor")
        else:
            retrieval(context, predictor, outcome, batch_size)
    return outcome


def _protocol(wanted: str | Protocol, probe_epochs: int | None) -> Protocol:
    protocol = find_protocol(wanted) if isinstance(wanted, str) else wanted
    return protocol if probe_epochs is None else protocol.with_epochs(probe_epochs)


def _unpack(
    encoder: Any, parts: Mapping[str, slice] | None, predictor: Predictor | None, log: _Log
) -> tuple[Encode, Mapping[str, slice] | None, Predictor | None]:
    """What to call, and what a trained method brings along."""
    represent = getattr(encoder, "represent", None)
    if callable(represent) and isinstance(encoder, nn.Module):
        method: Any = encoder
        parts = method.parts() if parts is None else parts
        predictor = method if predictor is None else predictor
        encoder = represent
    if not callable(encoder):
        raise ConfigError(
            f"the encoder is {type(encoder).__name__}; a callable (N, 3, H, W) float to (N, D) "
            "was expected."
        )
    if predictor is not None and not getattr(predictor, "has_predictor", True):
        log.notes.append("this method has no predictor: no retrieval, no equivariance error")
        predictor = None
    return encoder, parts, predictor


def _open(dataset: Data) -> tuple[dict[str, Split], str | None]:
    """Both splits, and the recipe's name where the folder says it."""
    if isinstance(dataset, Mapping):
        missing = [name for name in ("train", "val") if name not in dataset]
        if missing:
            raise ConfigError(f"evaluation needs splits train and val; {missing[0]} is not there.")
        return {name: dataset[name] for name in ("train", "val")}, None
    if not isinstance(dataset, Dataset) and (Path(dataset) / FILE_NAME).is_file():
        dataset = Dataset(Path(dataset))
    splits = {name: open_split(dataset, name) for name in ("train", "val")}
    manifest: DatasetManifest | None = getattr(dataset, "manifest", None)
    return splits, manifest.making.recipe.name if manifest else None


def _context(
    protocol: Protocol,
    encoder: Encoder,
    splits: dict[str, Split],
    parts: Mapping[str, slice] | None,
    *,
    seed: int,
    size: int,
    progress: Progress,
) -> Context:
    classes_K = np.unique(splits["train"].labels_N)
    dim = _probe_width(encoder, splits["val"], size)
    return Context(
        protocol=protocol,
        encoder=encoder,
        splits=splits,
        truths={name: Truth(split, classes_K) for name, split in splits.items()},
        parts=_parts(parts, dim),
        dim=dim,
        n_classes=len(classes_K),
        device=encoder.device,
        seed=seed,
        size=size,
        on_progress=progress,
        live=protocol.batchnorm == "train" and encoder.depends_on_batch,
    )


def _probe_width(encoder: Encoder, split: Split, size: int) -> int:
    """D, from one picture in eval mode: nothing of the encoder is changed."""
    picture = np.empty((1, size, size, 3), dtype=np.uint8)
    split.read(np.zeros(1, np.int64), np.zeros(1, np.int64), size, picture)
    with encoder.kept():
        encoder.set_mode("eval")
        return encoder(torch.from_numpy(picture).permute(0, 3, 1, 2)).shape[1]


def _parts(parts: Mapping[str, slice] | None, dim: int) -> dict[str, slice]:
    """Parts as plain slices of D.

    Raises:
        ConfigError: one is empty, has a step, or reaches beyond D.
    """
    found = {}
    for name, wanted in (parts or {"all": slice(None)}).items():
        first, last, step = wanted.indices(dim)
        beyond = wanted.stop is not None and wanted.stop > dim
        if step != 1 or first >= last or beyond:
            raise ConfigError(
                f"part '{name}' is columns {wanted.start}:{wanted.stop} of a representation of "
                f"{dim}; it must be a run of them."
            )
        found[name] = slice(first, last)
    return found


def _read_features(
    context: Context,
    about: About,
    cache: str | os.PathLike[str] | None,
    batch_size: int,
    log: _Log,
) -> dict[str, Features]:
    if cache is not None and about.identity is None:
        log.notes.append("features were not cached: the encoder has no identity")
    found = {}
    for name, split in context.splits.items():
        rows = len(split) * split.n_views

        def compute(split: Split = split) -> Iterator[Any]:
            return encode_blocks(
                context.encoder,
                split,
                size=context.size,
                batch_size=batch_size,
                on_progress=context.on_progress,
            )

        if cache is None or about.identity is None:
            data_MD = in_memory(compute(), rows)
        else:
            key = _feature_key(context, about.identity, split)
            data_MD = cached(Path(cache), key, rows, compute, log.notes.append)
        found[name] = Features(data_MD=data_MD, n_views=split.n_views)
    return found


def _feature_key(context: Context, identity: str, split: Split) -> dict[str, JsonValue]:
    """Everything that decides features, but the size of the batch."""
    encoder = context.encoder
    return _plain(
        {
            "encoder": identity,
            "data": split.data_hash,
            "objects": len(split),
            "views": split.n_views,
            "size": context.size,
            "normalisation": asdict(encoder.normalisation),
            "precision": encoder.precision,
            "batchnorm": "eval",
            "dim": context.dim,
        }
    )


def _note_the_data(context: Context, log: _Log) -> None:
    missing = int((context.truths["val"].class_N < 0).sum())
    if missing:
        log.notes.append(f"{missing} val objects are of classes without train objects: all misses")
    if context.live:
        log.notes.append("probes learnt from batch statistics: the backbone was in train mode")
    elif context.protocol.batchnorm == "train":
        log.notes.append(
            "the encoder has no layer that depends on the batch: its features were read once"
        )


def _encoder_info(about: About, context: Context) -> results.EncoderInfo:
    return results.EncoderInfo(
        name=about.name,
        config=_plain(dict(about.config)),
        checkpoint_sha256=about.checkpoint_sha256,
        dim=context.dim,
        parts={name: (part.start, part.stop) for name, part in context.parts.items()},
    )


def _protocol_info(
    protocol: Protocol, context: Context, precision: Precision
) -> results.ProtocolInfo:
    settings = _plain(protocol.settings())
    own = PROTOCOLS.get(protocol.name)
    official = _plain(own.settings()) if own else {}
    used: dict[str, object] = {
        "size": context.size,
        "normalisation": asdict(context.encoder.normalisation),
        "precision": precision,
    }
    return results.ProtocolInfo(
        name=protocol.name,
        version=protocol.version,
        settings={**settings, **_plain(used)},
        changed=tuple(k for k, v in settings.items() if official.get(k, v) != v),
    )


def _dataset_info(splits: Mapping[str, Split], recipe: str | None) -> results.DatasetInfo:
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


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed!r}; it must be a number from 0 to 2^63 − 1.")
    return seed


def _plain(value: Mapping[str, Any]) -> dict[str, JsonValue]:
    """As JSON has it: lists for tuples.

    Raises:
        ConfigError: something that JSON does not have.
    """
    try:
        found: dict[str, JsonValue] = json.loads(json.dumps(value, allow_nan=False, default=str))
    except ValueError as err:
        raise ConfigError(f"the config holds what results can't: {err}.") from err
    return found


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""
