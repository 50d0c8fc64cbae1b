"""An encoder on a device: uint8 pictures in, float32 representations out.

Normalisation, channel order and precision belong to the encoder (they are what it was trained
with), and so does the mode of its BatchNorm layers, which is put back as it was found.

Shape suffixes: B = pictures, C = 3 channels, H, W = pixels, D = representation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from threedie.errors import ConfigError, ThreedieError

Precision = Literal["fp32", "bf16"]
Three = tuple[float, float, float]
Encode = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float to (B, D)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalisation:
    """What is done to pictures in 0..1 before they are encoded."""

    mean: Three
    """In the order of `order`."""
    std: Three
    order: Literal["rgb", "bgr"] = "rgb"
    """bgr: the encoder learnt from pictures whose R and B are swapped."""


NORMALISATIONS: dict[str, Normalisation] = {
    "imagenet": Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "none": Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    # The official code's constants; it reads the published JPEGs with R and B swapped.
    "published": Normalisation(
        mean=(0.5016, 0.5037, 0.5060), std=(0.1030, 0.0999, 0.0969), order="bgr"
    ),
}
"""Beside "dataset": the mean and standard deviation that the data set's manifest has."""


def find_normalisation(
    wanted: str | Normalisation, dataset_mean: Three, dataset_std: Three
) -> Normalisation:
    """By name, or as given. A channel without variance is not scaled.

    Raises:
        ConfigError: unknown.
    """
    if isinstance(wanted, Normalisation):
        return wanted
    if wanted == "dataset":
        r, g, b = (s if s > 0 else 1.0 for s in dataset_std)
        return Normalisation(mean=dataset_mean, std=(r, g, b))
    if wanted not in NORMALISATIONS:
        known = ", ".join(["dataset", *NORMALISATIONS])
        raise ConfigError(f"unknown normalisation '{wanted}'. Known: {known}.")
    return NORMALISATIONS[wanted]


def choose_device(device: str | torch.device) -> torch.device:
    """The device; "auto" is the GPU where there is one.

    Raises:
        ConfigError: no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as err:
        raise ConfigError(f"unknown device '{device}'; give auto, cpu, cuda or cuda:N.") from err
    if chosen.type not in ("cpu", "cuda"):
        raise ConfigError(f"device '{device}' is not supported; give auto, cpu, cuda or cuda:N.")
    count = torch.cuda.device_count() if chosen.type == "cuda" else 1
    if (chosen.index or 0) >= count:
        raise ConfigError(
            f"device '{device}' was asked for and there are {count} CUDA devices here. "
            "Give --device cpu, or auto."
        )
    return chosen


def device_name(device: torch.device) -> str:
    """For results.json."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"


class Encoder:
    """Any callable as an encoder of uint8 batches.

    Args:
        encode: (B, 3, H, W) float to (B, D). A module, or the method of one, is moved to the device
            and stays there; its mode is put back by `mode`.
        device: where.
        normalisation: what it was trained with.
        precision: bf16 runs it under autocast; representations are float32 either way.

    Raises:
        ConfigError: no such precision.
    """

    def __init__(
        self,
        encode: Encode,
        *,
        device: torch.device,
        normalisation: Normalisation,
        precision: Precision = "fp32",
    ) -> None:
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ConfigError(f"unknown precision '{precision}' of the encoder. Known: {known}.")
        self.device, self.normalisation, self.precision = device, normalisation, precision
        self._encode, self._dim = encode, 0
        self.module = _module_of(encode)
        if self.module is not None:
            self.module.to(device)
        self._mean, self._std = (
            255 * torch.tensor(three, device=device).view(1, 3, 1, 1)
            for three in (normalisation.mean, normalisation.std)
        )

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 in true RGB to (B, D) float32 on the device, without gradients.

        Raises:
            ConfigError: the encoder fails, what comes out is no (B, D) or has another D than
                before, or memory is short.
        """
        with torch.no_grad(), memory_for("pictures", "batch_size", len(images_BCHW)):
            on_device = images_BCHW.to(self.device, non_blocking=True)
            if self.normalisation.order == "bgr":
                on_device = on_device.flip(1)
            half = torch.autocast(
                self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
            )
            with half, _told(images_BCHW):
                out: Any = self._encode((on_device.float() - self._mean) / self._std)
        rows_BD = _checked(out, len(images_BCHW)).float()
        if self._dim not in (0, rows_BD.shape[1]):
            raise ConfigError(
                f"the encoder gave {rows_BD.shape[1]} numbers a picture, and {self._dim} before: "
                "its width must not change."
            )
        self._dim = rows_BD.shape[1]
        return rows_BD

    @property
    def depends_on_batch(self) -> bool:
        """Whether in train mode a picture's representation depends on its batch or on chance."""
        return self.module is not None and any(map(_is_moody, self.module.modules()))

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Afterwards, modes and buffers (BatchNorm's running statistics) are as they were."""
        modules = list(self.module.modules()) if self.module is not None else []
        modes = [module.training for module in modules]
        buffers = list(self.module.buffers()) if self.module is not None else []
        values = [buffer.clone() for buffer in buffers]
        try:
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            with torch.no_grad():
                for buffer, value in zip(buffers, values, strict=True):
                    buffer.copy_(value)

    def set_mode(self, mode: Literal["train", "eval"]) -> None:
        """Of the module, if it is one."""
        if self.module is not None:
            self.module.train(mode == "train")


_SHORT = ("out of memory", "allocate memory", "alloc_failed")


@contextlib.contextmanager
def memory_for(what: str, setting: str, value: int) -> Iterator[None]:
    """Turn a failing allocation into one line that says what to make smaller.

    Raises:
        ConfigError: memory is short.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as err:  # torch's OutOfMemoryError is a RuntimeError
        if not _is_short(err):
            raise
        smaller = max(1, value // 2)
        raise ConfigError(
            f"out of memory with {what} at {setting}={value}: try {setting}={smaller}."
        ) from err


def _is_short(err: Exception) -> bool:
    return isinstance(err, MemoryError) or any(words in str(err).lower() for words in _SHORT)


@contextlib.contextmanager
def _told(images_BCHW: Tensor) -> Iterator[None]:
    """Whatever goes wrong inside the encoder, which is anybody's code, becomes one line."""
    try:
        yield
    except ThreedieError:
        raise
    except Exception as err:
        if _is_short(err):
            raise
        raise ConfigError(
            f"the encoder fails on pictures of shape {tuple(images_BCHW.shape)}: "
            f"{type(err).__name__}: {' '.join(str(err).split())[:300]}. (--debug shows where.)"
        ) from err


def _module_of(encode: Encode) -> nn.Module | None:
    for candidate in (encode, getattr(encode, "__self__", None)):
        if isinstance(candidate, nn.Module):
            return candidate
    return None


def _is_moody(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return True
    chance = [getattr(module, name, 0.0) for name in ("p", "drop_prob")]
    return "Drop" in type(module).__name__ and any(isinstance(p, float) and p > 0 for p in chance)


def _checked(out: Any, count: int) -> Tensor:
    if (
        not isinstance(out, Tensor)
        or out.shape[:1] != (count,)
        or out.ndim != 2
        or out.is_complex()
        or not out.shape[1]
    ):
        found = (
            f"{out.dtype} of shape {tuple(out.shape)}"
            if isinstance(out, Tensor)
            else type(out).__name__
        )
        raise ConfigError(
            f"the encoder gave {found} for {count} pictures; a real tensor ({count}, D) was "
            "expected. Pool or flatten its output."
        )
    return out


def finite(block_BD: np.ndarray[Any, Any], where: Callable[[int], str]) -> None:
    """Refuse representations that are no numbers.

    Args:
        block_BD: some rows.
        where: names the picture of a row.

    Raises:
        ConfigError: NaN or infinity; names the first picture.
    """
    bad = np.flatnonzero(~np.isfinite(block_BD).all(axis=1))
    if len(bad):
        raise ConfigError(
            f"the encoder gives NaN or infinity for {where(int(bad[0]))} ({len(bad)} of "
            f"{len(block_BD)} pictures of that batch). Its weights or its normalisation are broken."
        )
