"""Weights that the official SIE code saved, loaded under their own names or refused.

What it writes (facts read in facebookresearch/SIE 54541cf, main.py):
- `model.pth`: {"epoch", "model", "optimizer"}; names in "model" start with `module.` (DDP), then
  `backbone.`, `projector.`, `projector_inv.`, `projector_equi.`, `predictor.`, and `evaluator.`,
  which holds the probes that ran beside the training. Those are left out here, and listed.
- `final_weights.pth`: the backbone's state dict alone, without any prefix.

Nothing is unpickled but tensors and plain containers. A name too many, too few or of another shape
is an error: the official scripts went on with random weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from threedie.baselines.method import Method
from threedie.errors import ConfigError, ManifestError

State = dict[str, Tensor]
PROBES = "evaluator."
HEADS = ("projector.", "projector_inv.", "projector_equi.", "predictor.")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was taken from a checkpoint, and what was left."""

    epoch: int | None
    """Epochs trained, where the file says."""
    ignored: tuple[str, ...]
    """Names that were left out on purpose: probes, and heads where only a backbone was asked."""


def load_method(method: Method, path: Path | str) -> Loaded:
    """Load an official `model.pth`: backbone, projectors and predictor.

    Raises:
        ConfigError: no such file, or one that holds a backbone only.
        ManifestError: not a checkpoint, code in it, or names and shapes that differ.
    """
    state, epoch = _read(Path(path))
    if not any(name.startswith("backbone.") for name in state):
        raise ConfigError(
            f"{path} holds a backbone alone (final_weights.pth); the method's heads are in "
            "model.pth. To evaluate the backbone, give it as an encoder's weights."
        )
    wanted = {name: kept for name, kept in state.items() if not name.startswith(PROBES)}
    _load(method, wanted, Path(path))
    return Loaded(epoch, tuple(sorted(set(state) - set(wanted))))


def load_backbone(backbone: nn.Module, path: Path | str) -> Loaded:
    """Load the backbone of an official `model.pth`, or a `final_weights.pth`.

    Raises:
        ConfigError: no such file.
        ManifestError: not a checkpoint, code in it, or names and shapes that differ.
    """
    state, epoch = _read(Path(path))
    left: tuple[str, ...] = ()
    if any(name.startswith("backbone.") for name in state):
        left = tuple(sorted(name for name in state if name.startswith((PROBES, *HEADS))))
        state = {name.removeprefix("backbone."): state[name] for name in state.keys() - set(left)}
    _load(backbone, state, Path(path))
    return Loaded(epoch, left)


def _read(path: Path) -> tuple[State, int | None]:
    """The model's state without DDP's prefix, and the epoch if there is one."""
    content = _unpickle(path)
    epoch = None
    if isinstance(content, dict) and isinstance(content.get("model"), Mapping):
        epoch = content.get("epoch")
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise ManifestError(f"{path} holds no state dict; expected model.pth or final_weights.pth.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ManifestError(
                f"{path} is no official checkpoint: '{name}' is a {type(value).__name__}, "
                "expected tensors by name."
            )
    ddp = all(name.startswith("module.") for name in content)
    state = {name.removeprefix("module.") if ddp else name: v for name, v in content.items()}
    return state, epoch if isinstance(epoch, int) else None


def _unpickle(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"no checkpoint at {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of an old pickle is no news here
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:  # a damaged or hostile file may raise anything
        if type(err).__name__ == "UnpicklingError":
            raise ManifestError(
                f"{path} holds more than tensors (a pickle with code, or no checkpoint at all); it "
                "is not loaded, because loading it would run that code."
            ) from err
        why = f"{type(err).__name__}: {_first_line(err)}"
        raise ManifestError(f"{path} cannot be read as a checkpoint: {why}") from err


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]


def _load(module: nn.Module, state: State, path: Path) -> None:
    own = module.state_dict()
    faults = [f"{name} is missing, expected {_shape(own[name])}" for name in own.keys() - state]
    faults += [f"{name} is unknown, found {_shape(state[name])}" for name in state.keys() - own]
    faults += [
        f"{name} is {_shape(state[name])}, expected {_shape(own[name])}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ManifestError(
            f"{path} is of another architecture: {'; '.join(sorted(faults)[:_SHOWN])}{more}. "
            "Check the method, the backbone and its widths."
        )
    broken = sorted(name for name, value in state.items() if not bool(torch.isfinite(value).all()))
    if broken:
        raise ManifestError(f"{path} holds numbers that are not finite, in {broken[0]}.")
    module.load_state_dict(state)


def _shape(value: Tensor) -> tuple[int, ...]:
    return tuple(value.shape)
