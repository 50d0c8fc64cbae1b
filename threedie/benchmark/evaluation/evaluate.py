"""`evaluate`: an encoder and a data set to results.json's content, under a named protocol.

Shape suffixes: N = batch, C = 3, H, W = pixels, D = representation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from threedie.benchmark.evaluation.context import Data, open_context, read_features
from threedie.benchmark.evaluation.encoder import Normalisation, Precision
from threedie.benchmark.evaluation.features import Progress
from threedie.benchmark.evaluation.findings import Given
from threedie.benchmark.evaluation.listed import MOST_CLASSES, Listed, training_seed
from threedie.benchmark.evaluation.protocols import Protocol, find_protocol
from threedie.benchmark.evaluation.record import About, Log, make_results
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import (
    Context,
    Outcome,
    all_view_probes,
    official_probes,
    retrieval,
    without_predictor,
)
from threedie.errors import ConfigError, StorageError
from threedie.manifests.results import PredictionsInfo, Results

__all__ = ["About", "evaluate"]


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
