"""npz in memory, the same bytes for the same arrays: NumPy dates every member to 1980."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file's content.

    Args:
        arrays: by name, in their order; none of objects, which would be pickled.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()
