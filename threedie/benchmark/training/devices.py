"""The machine: what `auto` means, what it does not have, its threads, its memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace

import torch

from threedie.benchmark.training.config import RunConfig
from threedie.errors import ConfigError

_NO_MEMORY = ("can't allocate memory", "not enough memory", "std::bad_alloc")


def settle(config: RunConfig) -> RunConfig:
    """The config with a concrete device and precision.

    Raises:
        ConfigError: CUDA asked for and absent, a precision that the device does not compute in, or
            more threads than cores, which would wait for each other for ever.
    """
    cores = os.cpu_count() or config.threads
    if config.threads > cores:
        raise ConfigError(f"threads is {config.threads}; this machine has {cores} cores.")
    cuda = torch.cuda.is_available()
    if config.device == "cuda" and not cuda:
        raise ConfigError(
            "device is cuda, and torch finds no CUDA device here. Use --device cpu, or see "
            "`3die doctor`."
        )
    device = config.device if config.device != "auto" else ("cuda" if cuda else "cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if computes_in_bf16(device) else "32"
    if precision == "16" and device == "cpu":
        raise ConfigError("precision is 16, and a CPU has no float16; use bf16 or 32.")
    if precision == "bf16" and device == "cuda" and not computes_in_bf16(device):
        raise ConfigError("precision is bf16, and this GPU has none; use 16 or 32.")
    return replace(config, device=device, precision=precision)


def computes_in_bf16(device: str) -> bool:
    """Whether bfloat16 is done by the hardware; emulated, it is slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has("_is_avx512_bf16_supported") or _cpu_has("_is_amx_tile_supported")


def _cpu_has(question: str) -> bool:
    ask = getattr(torch.cpu, question, None)  # private: older and other builds lack some
    return bool(ask()) if callable(ask) else False


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads while the block runs; 0 leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def memory_explained(config: RunConfig, ranks: int) -> Iterator[None]:
    """Say which batch size to try when memory does not suffice.

    Raises:
        ConfigError: in place of torch's error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as err:
        short = isinstance(err, MemoryError | torch.cuda.OutOfMemoryError)
        if not short and not any(words in str(err) for words in _NO_MEMORY):
            raise
        smaller = max(ranks, config.batch_size // 2 // ranks * ranks)
        raise ConfigError(
            f"out of memory on {config.device} with {config.batch_size} pairs of {config.size} px "
            f"a step, precision {config.precision}. Try --set batch_size={smaller} (in a new "
            "folder: it is another run)."
        ) from err
