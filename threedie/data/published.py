"""The published layout of 3DIEBench: `SYNSET/OBJECT/image_0.jpg … , latent_0.npy …`, file by file.

What a file may be called, what a latent file may hold, and the official numbers of its pictures.
"""

from __future__ import annotations

import functools
import io
import re

import numpy as np

from threedie.manifests.latents import Array
from threedie.manifests.splits import BROKEN_ARRAY

IMAGE = re.compile(r"image_(?P<view>0|[1-9]\d{0,5})\.(?P<format>jpg|png)")
MAX_LATENT_BYTES = 4096
N_OBJECTS = 52_472
"""Of the official archive."""
FILE_MEAN, FILE_STD = (0.5016, 0.5037, 0.5060), (0.1030, 0.0999, 0.0969)
"""Official (facebookresearch/SIE, README and scripts), over the pictures as the files have them."""


VAL_LIST, TRAIN_LIST = "val_images.npy", "train_images.npy"
_MOST_NAME_BYTES = 200


def is_safe_name(part: str) -> bool:
    """Whether a class or object may be called that: as a folder of its own it must be harmless."""
    printable = part.isprintable() and "/" not in part
    return printable and 0 < len(part.encode()) <= _MOST_NAME_BYTES and part[0] != "."


def parse_latent(content: bytes) -> Array | None:
    """A view's latents out of its file: (7,) or (10,) float64, or None for anything else.

    Taken are finite numbers in a plain .npy without a byte too many. Nothing is unpickled.
    """
    for columns in (7, 10):
        split = len(content) - 8 * columns
        if 0 < split <= MAX_LATENT_BYTES and _is_header(content[:split], columns):
            row = np.frombuffer(content, "<f8", offset=split)
            return row if np.isfinite(row).all() else None
    return None


@functools.lru_cache(maxsize=64)
def _is_header(header: bytes, columns: int) -> bool:
    """Whether this is the head of a .npy of (columns,) float64 (all files have the same one)."""
    file = io.BytesIO(header)
    try:
        if np.lib.format.read_magic(file) != (1, 0):  # type: ignore[no-untyped-call]
            return False
        found = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
    except BROKEN_ARRAY:
        return False
    return file.tell() == len(header) and found == ((columns,), False, np.dtype("<f8"))
