"""`evaluate`: an encoder and a data set to results.json's content, under a named protocol.

Shape suffixes: N = batch, C = 3, H, W = pixels, D = representation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue
from torch import nn

from threedie.benchmark.evaluation.encoder import (
    Encode,
    Encoder,
    Normalisation,
    Precision,
    choose_device,
    find_normalisation,
)
from threedie.benchmark.evaluation.feature_cache import cached
from threedie.benchmark.evaluation.features import Features, Progress, encode_blocks, in_memory
from threedie.benchmark.evaluation.findings import Given
from threedie.benchmark.evaluation.listed import MOST_CLASSES, Listed, training_seed
from threedie.benchmark.evaluation.protocols import Protocol, find_protocol
from threedie.benchmark.evaluation.record import About, Log, make_results, plain
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import (
    Context,
    Outcome,
    all_view_probes,
    official_probes,
    retrieval,
    without_predictor,
)
from threedie.benchmark.evaluation.targets import Truth
from threedie.benchmark.reading.encoded import check_size
from threedie.benchmark.reading.split import Split, open_split
from threedie.data.dataset import Dataset
from threedie.errors import ConfigError, StorageError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest
from threedie.manifests.results import PredictionsInfo, Results

__all__ = ["About", "evaluate", "open_context", "read_features"]

Data = str | os.PathLike[str] | Dataset | Mapping[str, Split]


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
    predictions: Path | None = None,
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
        predictions: file for what is predicted for each row of the frozen list (predictions.npz);
            None writes none. Only a protocol that judges all views has them.
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
    log, about = Log(), about or About()
    chosen = _protocol(protocol, probe_epochs)
    if predictions is not None and chosen.views != "all":
        raise ConfigError(f"protocol {chosen.name} has no frozen list; leave out predictions.")
    context, predictor, recipe = open_context(
        encoder,
        dataset,
        protocol=chosen,
        predictor=predictor,
        parts=parts,
        device=device,
        seed=seed,
        size=size,
        normalise=normalise,
        precision=precision,
        on_progress=on_progress,
        log=log,
    )
    if not context.live or predictor is not None:
        with log.timed("features"):
            features = read_features(
                context,
                tuple(context.splits),
                identity=about.identity,
                cache=cache,
                batch_size=batch_size,
                log=log,
            )
            context = replace(context, features=features)
    outcome = Outcome()
    if predictions is not None:
        outcome.listed = _listed(context, log)
    _measure(context, outcome, predictor, batch_size, log)
    written = _write(predictions, outcome.listed, about, seed, log)
    found = make_results(context, outcome, about, recipe, log)
    return found.model_copy(update={"predictions": written})


def open_context(
    encoder: Any,
    dataset: Data,
    *,
    protocol: Protocol,
    predictor: Predictor | None = None,
    parts: Mapping[str, slice] | None = None,
    device: str | torch.device = "auto",
    seed: int = 0,
    size: int | None = None,
    normalise: str | Normalisation = "dataset",
    precision: Precision = "fp32",
    on_progress: Progress | None = None,
    log: Log,
) -> tuple[Context, Predictor | None, str | None]:
    """What stages need, before any feature is read; arguments are those of `evaluate`.

    Returns:
        The context, the predictor if there is one, and the recipe's name where the folder says it.

    Raises:
        ConfigError: an argument that can't be, or an encoder of another form.
        ManifestError: damaged data.
    """
    encode, parts, predictor = _unpack(encoder, parts, predictor, log)
    splits, recipe = _open(dataset)
    train = splits["train"]
    context = _context(
        protocol,
        Encoder(
            encode,
            device=choose_device(device),
            normalisation=find_normalisation(normalise, train.pixel_mean, train.pixel_std),
            precision=precision,
        ),
        splits,
        parts,
        seed=_seed(seed),
        size=_side(size, splits),
        progress=on_progress or _silent,
    )
    return context, predictor, recipe


def _listed(context: Context, log: Log) -> Listed | None:
    if context.n_classes > MOST_CLASSES:
        log.notes.append(f"no predictions were written: of more than {MOST_CLASSES} classes")
        return None
    return Listed(context.protocol, context.splits["train"], context.splits["val"])


def _write(
    path: Path | None, listed: Listed | None, about: About, seed: int, log: Log
) -> PredictionsInfo | None:
    """Write predictions; what can't be written is noted, for the numbers are there by now."""
    if path is None or listed is None:
        return None
    items = listed.items(
        seed=training_seed(about.config, seed), checkpoint_sha256=about.checkpoint_sha256
    )
    try:
        return listed.write(path, items)
    except StorageError as err:
        log.notes.append(f"predictions were not written: {err}")
        return None


def _measure(
    context: Context, outcome: Outcome, predictor: Predictor | None, batch_size: int, log: Log
) -> None:
    _note_the_data(context, log)
    with log.timed("probes"):
        (official_probes if context.protocol.views == "one" else all_view_probes)(context, outcome)
    _note_collapse(outcome, log)
    with log.timed("retrieval"):
        if predictor is None:
            without_predictor(outcome, "this encoder has no predictor")
        else:
            retrieval(context, predictor, outcome, batch_size)


def _protocol(wanted: str | Protocol, probe_epochs: int | None) -> Protocol:
    protocol = find_protocol(wanted) if isinstance(wanted, str) else wanted
    return protocol if probe_epochs is None else protocol.with_epochs(probe_epochs)


def _unpack(
    encoder: Any, parts: Mapping[str, slice] | None, predictor: Predictor | None, log: Log
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


def read_features(
    context: Context,
    names: Sequence[str],
    *,
    identity: str | None,
    cache: str | os.PathLike[str] | None,
    batch_size: int,
    log: Log,
) -> dict[str, Features]:
    """Every view of the named splits through the encoder, or from the cache.

    Args:
        context: of `open_context`.
        names: of splits.
        identity: of the encoder, which its features are kept under; None keeps none.
        cache: folder of the cache; None keeps none.
        batch_size: pictures at a time.
        log: is told what was not cached.

    Raises:
        ConfigError: the encoder gives no numbers, or memory is short.
    """
    _batch(batch_size)
    if cache is not None and identity is None:
        log.notes.append("features were not cached: the encoder has no identity")
    found = {}
    for name in names:
        split = context.splits[name]
        rows = len(split) * split.n_views

        def compute(split: Split = split) -> Iterator[Any]:
            return encode_blocks(
                context.encoder,
                split,
                size=context.size,
                batch_size=batch_size,
                on_progress=context.on_progress,
            )

        if cache is None or identity is None:
            data_MD = in_memory(compute(), rows)
        else:
            key = _feature_key(context, identity, split)
            data_MD = cached(Path(cache), key, rows, compute, log.notes.append)
        found[name] = Features(data_MD=data_MD, n_views=split.n_views)
    return found


def _feature_key(context: Context, identity: str, split: Split) -> dict[str, JsonValue]:
    """Everything that decides features, but the size of the batch."""
    encoder = context.encoder
    return plain(
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


def _note_the_data(context: Context, log: Log) -> None:
    missing = int((context.truths["val"].class_N < 0).sum())
    if missing:
        log.notes.append(f"{missing} val objects are of classes without train objects: all misses")
    if context.live:
        log.notes.append("probes learnt from batch statistics: the backbone was in train mode")
    elif context.protocol.batchnorm == "train":
        log.notes.append(
            "the encoder has no layer that depends on the batch: its features were read once"
        )


def _note_collapse(outcome: Outcome, log: Log) -> None:
    for part, found in outcome.findings.items():
        ranks = [f.number for f in found if isinstance(f, Given) and f.name == "effective_rank"]
        if ranks and ranks[0].value is None:
            log.notes.append(f"part '{part}' is collapsed: one vector for every picture")


def _side(size: int | None, splits: Mapping[str, Split]) -> int:
    stored = min(split.picture_size for split in splits.values())
    side = stored if size is None else size
    check_size(side, stored)
    return side


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed!r}; it must be a number from 0 to 2^63 − 1.")
    return seed


def _batch(batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; it must be 1 or more.")


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""
