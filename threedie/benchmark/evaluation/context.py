"""What an evaluation's stages need: an encoder, a data set's splits and truths, and the features.

Shape suffixes: N = batch, C = 3, H, W = pixels, D = representation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
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
from threedie.benchmark.evaluation.protocols import Protocol
from threedie.benchmark.evaluation.record import Log, plain
from threedie.benchmark.evaluation.retrieval import Predictor
from threedie.benchmark.evaluation.stages import (
    Context,
)
from threedie.benchmark.evaluation.targets import Truth
from threedie.benchmark.reading.encoded import check_size
from threedie.benchmark.reading.split import Split, open_split
from threedie.data.dataset import Dataset
from threedie.errors import ConfigError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest

Data = str | os.PathLike[str] | Dataset | Mapping[str, Split]


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
