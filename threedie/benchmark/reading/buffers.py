"""Batch buffers that are used again as soon as, and never before, nobody holds them.

A fresh large buffer costs as much as decoding into it (the system must zero its pages).
"""

from __future__ import annotations

import threading
import weakref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from threedie.errors import ConfigError


class Buffers:
    """Gives uint8 tensors of one shape.

    A buffer returns when the last tensor that shares its memory is gone. Pinned ones are torch's
    own to recycle: only torch knows when an asynchronous copy to the device has ended.

    Args:
        keep: at most so many idle buffers are kept.
        pin: page-locked memory; None where there is a CUDA device.

    Raises:
        ConfigError: pinned memory without a CUDA device.
    """

    def __init__(self, *, keep: int, pin: bool | None = None) -> None:
        cuda = torch.cuda.is_available()
        if pin and not cuda:
            raise ConfigError("pinned memory was asked for, and there is no CUDA device.")
        self._pin = cuda if pin is None else pin
        self._keep, self._idle = keep, list[NDArray[np.uint8]]()
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A buffer of any content."""
        if self._pin:
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        count = int(np.prod(shape))
        with self._lock:
            fitting = [i for i, block in enumerate(self._idle) if len(block) == count]
            block = self._idle.pop(fitting[-1]) if fitting else np.empty(count, np.uint8)
        lent = block[:]  # the tensor's storage keeps this view alive, and only that
        weakref.finalize(lent, self._give_back, block).atexit = False
        return torch.from_numpy(lent).view(shape)

    def _give_back(self, block: NDArray[np.uint8]) -> None:
        # No lock: this runs wherever the last holder is dropped, also inside `take`.
        if len(self._idle) < self._keep:
            self._idle.append(block)
