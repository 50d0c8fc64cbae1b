"""The frozen list together with the truth it is judged by, and truth.npz, which holds both.

With it predictions are judged where the pictures are not: fifteen megabytes for all of 3DIEBench's
val split. Latents are rounded to float32, and so judged, everywhere.

Shape suffixes: N = val objects, V = views, K = classes, L = latent columns.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threedie.benchmark.evaluation.frozen import FrozenList, frozen_list, list_sha256
from threedie.benchmark.evaluation.metrics import Array, Ints
from threedie.benchmark.evaluation.npz import npz
from threedie.benchmark.evaluation.tables import named_classes
from threedie.benchmark.evaluation.targets import Named, Truth, class_numbers
from threedie.errors import ManifestError
from threedie.manifests.latents import COLUMNS

FILE_NAME = "truth.npz"
_MEMBERS = ("protocol", "objects", "classes", "class_N", "latents_NVL")


@dataclass(frozen=True, kw_only=True)
class FrozenTruth:
    """A val split without its pictures."""

    protocol: str
    """Name and version, `3die-v1/1`."""
    objects: tuple[str, ...]
    classes: tuple[str, ...]
    """Of the train split, by number."""
    labels_N: Ints
    """Numbers of classes; −1 for one without train objects."""
    latents_NVL: Array

    @cached_property
    def listed(self) -> FrozenList:
        """The list."""
        return frozen_list(*self.latents_NVL.shape[:2])

    @cached_property
    def truth(self) -> Truth:
        """The targets of every view."""
        return Truth(self, np.arange(len(self.classes)))

    @cached_property
    def sha256(self) -> str:
        """The list's hash: what an entry must have been made for."""
        return list_sha256(
            self.protocol,
            self.listed,
            objects=self.objects,
            classes=self.classes,
            class_N=self.labels_N,
            latents_NVL=self.latents_NVL,
        )

    def to_bytes(self) -> bytes:
        """Content of truth.npz; the same truth gives the same bytes."""
        values = (
            np.array(self.protocol),
            np.array(self.objects),
            np.array(self.classes),
            self.labels_N.astype("<i2"),
            self.latents_NVL.astype("<f4"),
        )
        return npz(dict(zip(_MEMBERS, values, strict=True)))

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> FrozenTruth:
        """Read truth.npz.

        Raises:
            ManifestError: not one, or damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as members:
                protocol, objects, classes, labels_N, latents_NVL = (members[n] for n in _MEMBERS)
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as err:
            raise ManifestError(f"{where}: not a whole {FILE_NAME} ({err}).") from err
        if latents_NVL.ndim != 3 or latents_NVL.shape[2] < len(COLUMNS):
            raise ManifestError(f"{where}: latents have shape {latents_NVL.shape}.")
        if not len(objects) == len(labels_N) == len(latents_NVL):
            raise ManifestError(f"{where}: objects, labels and latents differ in number.")
        return cls(
            protocol=str(protocol),
            objects=tuple(objects.tolist()),
            classes=tuple(classes.tolist()),
            labels_N=labels_N.astype(np.int64),
            latents_NVL=latents_NVL.astype(np.float64),
        )


def freeze(protocol: str, train: Named, val: Named) -> FrozenTruth:
    """The frozen truth of a data set's val split.

    Args:
        protocol: name and version, `3die-v1/1`.
        train: says which classes there are, and their names.
        val: is judged.
    """
    names, _ = named_classes(train)
    rounded = np.asarray(val.latents_NVL, dtype=np.float32)
    return FrozenTruth(
        protocol=protocol,
        objects=tuple(str(name) for name in val.objects_N),
        classes=tuple(names),
        labels_N=class_numbers(val.labels_N, np.unique(train.labels_N)),
        latents_NVL=rounded.astype(np.float64),
    )
