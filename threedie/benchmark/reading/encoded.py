"""What all random-access splits share: decoding encoded pictures into a buffer.

Shape suffixes: N = objects of the split, V = views, L = 7 or 10 latent columns, B = pictures asked
for, H, W = pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from threedie.benchmark.reading.memory import Fetch
from threedie.benchmark.reading.pictures import Picture, decode_into
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.latents import Array

Rows = NDArray[np.int64]
Three = tuple[float, float, float]


class EncodedSplit:
    """A split whose pictures are files or parts of files; subclasses fill in the fields.

    Thread-safe. Fields as in `split.Split`.
    """

    name: str
    objects_N: NDArray[np.str_]
    labels_N: NDArray[np.int64]
    latents_NVL: Array
    n_classes: int
    pixel_mean: Three
    pixel_std: Three
    data_hash: str
    picture_size: int
    _bgr: bool
    _fetch: Fetch
    """Not a method of the split: that would be a cycle, and files would stay open."""

    def __len__(self) -> int:
        return len(self.objects_N)

    @property
    def n_views(self) -> int:
        """V."""
        return self.latents_NVL.shape[1]

    def encoded(self, row: int, view: int) -> bytes:
        """A picture's file as it is stored (its channel order too)."""
        return self._fetch(row, view)

    def read(
        self, rows_B: Sequence[int] | Rows, views_B: Sequence[int] | Rows, size: int, out: Picture
    ) -> None:
        """Decode B pictures into a buffer.

        Args:
            rows_B: object of each.
            views_B: view of each.
            size: wanted side in pixels, at most `picture_size`.
            out: (B, size, size, 3) uint8, C-contiguous; filled in true RGB.

        Raises:
            ConfigError: a larger size than the stored one.
            ManifestError: a damaged picture or shard; names the object and the view.
        """
        check_size(size, self.picture_size)
        for i, (row, view) in enumerate(zip(rows_B, views_B, strict=True)):
            content = self.encoded(int(row), int(view))
            try:
                decode_into(content, out[i], side=self.picture_size, bgr=self._bgr)
            except ManifestError as err:
                raise ManifestError(f"{self.objects_N[row]}, view {view}: {err}") from err


def check_size(size: int, picture_size: int) -> None:
    """Refuse to enlarge pictures.

    Raises:
        ConfigError: smaller than a pixel or larger than stored.
    """
    if not 1 <= size <= picture_size:
        raise ConfigError(
            f"pictures of {size} pixels were asked for; the data set's have {picture_size}. "
            f"Give a size of 1 … {picture_size}: enlarging adds no detail and costs time."
        )
