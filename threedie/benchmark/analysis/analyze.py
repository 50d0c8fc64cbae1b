"""`analyze`: a trained method and a data set to analysis.json's content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from threedie.benchmark.analysis import laws
from threedie.benchmark.analysis.factors import factor_matrix
from threedie.benchmark.analysis.look import Looked, look, nothing
from threedie.benchmark.analysis.turns import turned_axes
from threedie.benchmark.evaluation.context import Data, open_context, read_features
from threedie.benchmark.evaluation.encoder import Normalisation, device_name
from threedie.benchmark.evaluation.features import Progress
from threedie.benchmark.evaluation.protocols import find_protocol
from threedie.benchmark.evaluation.record import (
    About,
    Log,
    dataset_info,
    encoder_info,
    environment,
)
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import Context
from threedie.benchmark.evaluation.targets import judged_pairs
from threedie.manifests.analysis import Analysis, Axis, Settings
from threedie.manifests.results import Results

_PROTOCOL = "3die-v1"
_ZERO = 1e-12
NO_PREDICTOR = "this method has no predictor"


def analyze(
    method: Any,
    dataset: Data,
    *,
    predictor: Predictor | None = None,
    parts: Mapping[str, slice] | None = None,
    about: About | None = None,
    known: Results | None = None,
    axes: Sequence[Axis] | None = None,
    angles: int = 24,
    shown: int = 8,
    probes: bool = True,
    device: str = "auto",
    seed: int = 0,
    size: int | None = None,
    normalise: str | Normalisation = "dataset",
    batch_size: int = 256,
    cache: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
) -> Analysis:
    """Look at what a trained method's predictor does to its embeddings.

    Args:
        method: as `evaluate` takes it; without a predictor only factors are scored.
        dataset: as `evaluate` takes it; val is looked at, train only by probes.
        predictor: where the method does not bring its own.
        parts: named columns of the representation, likewise.
        about: name, config and checkpoint for the record.
        known: results of an evaluation; taken where they are of this checkpoint and data set.
        axes: to turn about; None: those that the data set turns about.
        angles: steps of a whole turn.
        shown: objects whose views are listed for pictures.
        probes: whether factors that `known` does not have are probed.
        device: auto, cpu, cuda, cuda:N.
        seed: of everything drawn.
        size: side of the pictures in pixels; None as stored.
        normalise: what the encoder was trained with.
        batch_size: pictures at a time.
        cache: folder for features.
        on_progress: is told (stage, done, of how many).

    Returns:
        All numbers, with what bounded them.

    Raises:
        ConfigError: an argument that can't be, a predictor of another form, too little memory.
        ManifestError: damaged data.
    """
    log, about = Log(), about or About()
    context, predictor, recipe = open_context(
        method,
        dataset,
        protocol=find_protocol(_PROTOCOL),
        predictor=predictor,
        parts=parts,
        device=device,
        seed=seed,
        size=size,
        normalise=normalise,
        on_progress=on_progress,
        log=log,
    )
    data = dataset_info(context.splits, recipe)
    known = _of_this(known, about, data.hash, log)
    names = (*(("val",) if predictor or probes else ()), *(("train",) if probes else ()))
    features = read_features(
        context, names, identity=about.identity, cache=cache, batch_size=batch_size, log=log
    )
    context = replace(context, features=features)
    axes = _axes(context, axes, log)
    looked: Looked | None = None
    if predictor is not None:
        looked = look(context, predictor, axes=axes, angles=angles, shown=shown, log=log)
    found = Analysis(
        encoder=encoder_info(about, context),
        dataset=data,
        predictor=looked.info if looked else None,
        settings=Settings(
            objects=looked.objects if looked else 0,
            of_objects=len(context.splits["val"]),
            moves=laws.TRIPLES,
            angles=angles,
            axes=tuple(axes),
            probes=probes,
        ),
        seed=seed,
        versions=environment(),
        device=device_name(context.device),
        numbers=looked.numbers if looked else nothing(NO_PREDICTOR),
        sweeps=looked.sweeps if looked else (),
        spectra=looked.spectra if looked else (),
        factors=factor_matrix(context, known, probe=probes),
        shown=looked.shown if looked else (),
        notes=tuple(dict.fromkeys(log.notes)),
    )
    return settled(found)


def settled(found: Analysis) -> Analysis:
    """With what was computed here at nine digits, so that the same seed gives the same bytes.

    The last digits of sums and sines hang on where in memory their numbers happen to lie.
    """
    body = found.model_dump()
    for field in ("numbers", "sweeps", "spectra"):
        body[field] = _rounded(body[field])
    return Analysis.model_validate(body)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_rounded, value))
    if isinstance(value, float):
        return float(f"{value:.9g}") if abs(value) > _ZERO else 0.0
    return value


def _axes(context: Context, axes: Sequence[Axis] | None, log: Log) -> tuple[Axis, ...]:
    """Those that are asked for, or those that the data set turns about."""
    truth = context.truths["val"]
    if truth.n_views < 2:
        return tuple(axes or ())
    pairs = judged_pairs(truth.n_objects, truth.n_views, 1, context.seed)
    turned = turned_axes(truth.relative(pairs, "scipy"))
    unseen = [axis for axis in axes or () if axis not in turned]
    if unseen:
        log.notes.append(
            f"this data set never turns about {', '.join(unseen)}: no view has what is asked there"
        )
    return turned if axes is None else tuple(dict.fromkeys(axes))


def _of_this(known: Results | None, about: About, data_hash: str, log: Log) -> Results | None:
    """Results, if they are of this checkpoint, data set and protocol."""
    if known is None:
        return None
    own = (known.encoder.checkpoint_sha256, known.dataset.hash, known.protocol.name)
    if own == (about.checkpoint_sha256, data_hash, _PROTOCOL) and not known.protocol.changed:
        return known
    log.notes.append(
        "results.json is of another checkpoint, data set or protocol: its scores were not taken"
    )
    return None
