"""New views of val objects from a secret seed, and the control: official latents rendered again.

Both are rendered here and now by one version, so that they differ in nothing but their latents.

Shape suffixes: n = chosen objects, V = views of each, L = latent columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from threedie.benchmark.evaluation.frozen import FrozenList
from threedie.benchmark.evaluation.metrics import Ints
from threedie.benchmark.reading.given import GivenSplit
from threedie.benchmark.reading.split import Split
from threedie.data.dataset import Dataset, Sample
from threedie.errors import ConfigError
from threedie.leaderboard.levels.request import LevelRequest
from threedie.manifests.dataset import Making
from threedie.manifests.latents import Array
from threedie.render.meshes.sources import open_source
from threedie.render.rerender import drawing, making_of, planned_object
from threedie.render.sampler import sample_object
from threedie.render.worker import BLENDER

_BUILTIN = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Objects 0 … n − 1 of the split are the control, n … 2n − 1 the same ones anew."""

    split: GivenSplit
    rows_n: Ints
    """Which val objects."""
    control_nV: Ints
    """Which of their official views the control has; the first are listed ones."""


def commitment(secret_seed: int) -> str:
    """What is published at once; the seed follows, and everybody can check that it is the one."""
    return hashlib.sha256(f"threedie fresh-render {secret_seed}".encode()).hexdigest()


def draw(
    val: Split, listed: FrozenList, request: LevelRequest, *, renderer: str = BLENDER
) -> Drawn:
    """Render control and new views.

    Args:
        val: of the data set.
        listed: the board's list: its views come first into the control.
        request: with the data set, the secret seed, meshes, and how many.
        renderer: `module:class` that draws (tests give a stand-in).

    Raises:
        ConfigError: a data set that was converted or has given latents, or other meshes.
        RenderError: an object can't be rendered.
    """
    dataset = Dataset(request.data, split="val")
    making = _making(dataset, request.data)
    source = open_source(request.meshes, objects_per_class=_BUILTIN)
    if source.kind != making.source and renderer == BLENDER:
        raise ConfigError(
            f"{request.data} was made of meshes from a '{making.source}' source, this one is "
            f"'{source.kind}': give --meshes as it was given to render."
        )
    rng = np.random.Generator(np.random.PCG64(_words(request, "objects")))
    rows = np.sort(rng.permutation(len(val))[: request.objects])
    views = min(request.views, val.n_views)
    control_nV = _control_views(listed, views)[rows]
    files, latents = list[list[bytes]](), list[Array]()
    with drawing(making, source, renderer=renderer) as render:
        for number, (row, shown) in enumerate(zip(rows, control_nV, strict=True)):
            sample = dataset[int(row)]
            both = np.concatenate([sample.latents[shown], _new(sample, making, request, views)])
            files.append(render(planned_object(sample), both))
            latents.append(both)
            request.tell("new views", number + 1, len(rows))
    latents_2nVL = np.stack([two[:views] for two in latents] + [two[views:] for two in latents])
    pictures = [two[:views] for two in files] + [two[views:] for two in files]
    split = GivenSplit(
        val, [*rows, *rows], latents_2nVL, pictures, bgr=making.channel_order == "bgr"
    )
    return Drawn(split=split, rows_n=rows, control_nV=control_nV)


def _making(dataset: Dataset, folder: Path) -> Making:
    making = making_of(dataset)
    if making.latents_sha256 is not None:
        raise ConfigError(
            f"{folder} was rendered from a latents file: no law is known that new views could be "
            "drawn from."
        )
    return making


def _control_views(listed: FrozenList, views: int) -> Ints:
    """(N, V) views of every val object: the listed ones, then others in their order."""
    seen_Nk = listed.view_M.reshape(listed.n_objects, -1)
    order_NV = np.ones((listed.n_objects, listed.n_views), dtype=np.int64)
    np.put_along_axis(order_NV, seen_Nk, 0, axis=1)
    return np.asarray(np.argsort(order_NV, axis=1, kind="stable")[:, :views])


def _new(sample: Sample, making: Making, request: LevelRequest, views: int) -> Array:
    class_id, _, object_id = sample.object.partition("/")
    seed = int.from_bytes(_words(request, "latents").tobytes()[:7], "little")
    return sample_object(
        making.recipe, seed=seed, class_id=class_id, object_id=object_id, views=views
    )


def _words(request: LevelRequest, what: str) -> Ints:
    """Numbers that follow from the secret seed, and from nothing that is published."""
    digest = hashlib.sha256(f"{what} of {request.secret_seed}".encode()).digest()
    return np.frombuffer(digest, dtype="<u4").astype(np.int64)
