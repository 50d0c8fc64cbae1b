"""A split of pictures that are at hand, not in a data set: new views, or old ones rendered again.

Shape suffixes: N = objects, V = views, L = latent columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from threedie.benchmark.reading.encoded import EncodedSplit
from threedie.benchmark.reading.split import Split
from threedie.manifests.latents import Array


class GivenSplit(EncodedSplit):
    """Encoded pictures in memory.

    Args:
        like: a split of the data set whose pictures they resemble: pixel statistics and classes
            are its own.
        rows: which of its objects they show, in order; one may stand twice.
        latents_NVL: of the pictures.
        pictures: N lists of V files.
        bgr: their channel order.
    """

    def __init__(
        self,
        like: Split,
        rows: Sequence[int],
        latents_NVL: Array,
        pictures: Sequence[Sequence[bytes]],
        *,
        bgr: bool,
    ) -> None:
        self.name = like.name
        self.objects_N, self.labels_N = like.objects_N[list(rows)], like.labels_N[list(rows)]
        self.latents_NVL = np.asarray(latents_NVL, dtype=np.float64)
        self.n_classes = like.n_classes
        self.pixel_mean, self.pixel_std = like.pixel_mean, like.pixel_std
        digest = hashlib.sha256(self.latents_NVL.tobytes())
        for views in pictures:
            for content in views:
                digest.update(hashlib.sha256(content).digest())
        self.data_hash = digest.hexdigest()
        self.picture_size = like.picture_size
        self._bgr = bgr
        kept = [list(views) for views in pictures]
        self._fetch = lambda row, view: kept[row][view]
