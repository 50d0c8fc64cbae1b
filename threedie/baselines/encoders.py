"""Encoders by name: the published ResNets, torchvision's and timm's models, and the user's own.

    resnet18 | resnet34 | resnet50      as SIE published them (resnet.py)
    torchvision:resnet50                without its head
    timm:vit_small_patch16_224          without its head
    my_module:build                     calls build() of my_module.py. THIS RUNS THAT CODE.

Shape suffixes: N = pictures, D = representation.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from threedie.baselines.resnet import ResNet, resnet18, resnet34, resnet50
from threedie.errors import ConfigError, MissingExtra

PUBLISHED: dict[str, Callable[[], ResNet]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}
_HEADS = ("fc", "classifier", "heads", "head")
_DEFAULT_SIZE = 224


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What pretrained weights expect of true-RGB pictures in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def build_encoder(
    name: str, *, pretrained: bool = False, size: int | None = None
) -> tuple[nn.Module, int]:
    """A module (N, 3, size, size) float to (N, D), in train mode, and D.

    Initial weights come from torch's generator: seed it first.

    Args:
        name: see the top of this file.
        pretrained: load the weights that torchvision or timm publish (a download).
        size: pixels; needed by models that are built for one size, such as ViT (default 224).

    Raises:
        MissingExtra: torchvision or timm is not installed.
        ConfigError: unknown name (with the nearest), no such weights, the user's code fails, or
            what it builds gives no (N, D).
    """
    room, _, model = name.partition(":")
    if not model and room in PUBLISHED:
        if pretrained:
            raise ConfigError(
                f"encoder '{name}' has no published weights of its own; leave pretrained out, "
                f"use 'torchvision:{name}', or load an official checkpoint."
            )
        published = PUBLISHED[room]()
        return published, published.dim
    module = _build(room, model, name, pretrained, size)
    dim = _probe(module, name, size)
    module.register_forward_hook(partial(_checked, name, dim))
    return module.train(), dim


def _build(room: str, model: str, name: str, pretrained: bool, size: int | None) -> nn.Module:
    if not model or not room:
        _unknown(name, [*PUBLISHED, "torchvision:NAME", "timm:NAME", "your_module:function"])
    if room == "torchvision":
        return _torchvision(model, pretrained, size)
    if room == "timm":
        return _timm(model, pretrained, size)
    if pretrained:
        raise ConfigError(f"encoder '{name}' is your own code: load its weights in {model}().")
    return _own(room, model)


def preprocess(name: str, *, pretrained: bool) -> Preprocess | None:
    """Mean and standard deviation that pretrained weights expect; None: use the data set's."""
    room, _, model = name.partition(":")
    if not pretrained or room not in ("torchvision", "timm"):
        return None
    if room == "timm":
        found = _import("timm").get_pretrained_cfg(model)
        return None if found is None else Preprocess(tuple(found.mean), tuple(found.std))
    weights = _import("torchvision.models").get_model_weights(model).DEFAULT
    transform = weights.transforms()
    return Preprocess(tuple(transform.mean), tuple(transform.std))


def _torchvision(model: str, pretrained: bool, size: int | None) -> nn.Module:
    models = _import("torchvision.models")
    known = models.list_models(module=models)
    if model not in known:
        _unknown(f"torchvision:{model}", [f"torchvision:{name}" for name in known])
    options: dict[str, Any] = {"weights": "DEFAULT"} if pretrained else {}
    if size is not None and model.startswith("vit_"):
        options["image_size"] = size
    with _telling(f"torchvision:{model}"):
        built: nn.Module = models.get_model(model, **options)
    head = next((head for head in _HEADS if hasattr(built, head)), None)
    if head is None:
        raise ConfigError(
            f"encoder 'torchvision:{model}' has no head to take off (looked for {', '.join(_HEADS)}"
            "): build it in your own code and name it your_module:function."
        )
    setattr(built, head, nn.Identity())
    return built


def _timm(model: str, pretrained: bool, size: int | None) -> nn.Module:
    timm = _import("timm")
    if ":" not in model and not timm.is_model(model.partition(".")[0]):
        _unknown(f"timm:{model}", [f"timm:{name}" for name in timm.list_models()])
    options = {"pretrained": pretrained, "num_classes": 0}
    built: nn.Module
    with _telling(f"timm:{model}"):
        if size is not None:
            with contextlib.suppress(TypeError):  # models for any size take no img_size
                built = timm.create_model(model, img_size=size, **options)
                return built
        built = timm.create_model(model, **options)
    return built


def _own(module: str, function: str) -> nn.Module:
    with _working_directory_importable(), _telling(f"{module}:{function}"):
        found = getattr(importlib.import_module(module), function, None)
        if not callable(found):
            raise ConfigError(f"{module} has no function '{function}'.")
        built = found()
    if not isinstance(built, nn.Module):
        raise ConfigError(
            f"{module}:{function} returned a {type(built).__name__}; an encoder must be a "
            "torch.nn.Module that takes (N, 3, H, W) and gives (N, D)."
        )
    return built


@contextlib.contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


@contextlib.contextmanager
def _telling(name: str, what: str = "could not be built") -> Iterator[None]:
    """Whatever goes wrong inside foreign code becomes one line, with its cause."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as err:
        says = " ".join(str(err).split())
        raise ConfigError(f"encoder '{name}' {what}: {type(err).__name__}: {says}") from err


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as err:
        raise MissingExtra(package.partition(".")[0], "bench", why=str(err)) from err


def _unknown(name: str, names: list[str]) -> NoReturn:
    near = difflib.get_close_matches(name, names, n=3)
    says = f" Did you mean {' or '.join(near)}?" if near else ""
    listed = f" Known: {', '.join(names)}." if len(names) < 10 else ""
    raise ConfigError(f"unknown encoder '{name}'.{says}{listed}")


def _probe(module: nn.Module, name: str, size: int | None) -> int:
    """D, from one black picture in eval mode, so that no BatchNorm sees it."""
    side = size or _DEFAULT_SIZE
    trained = module.training
    try:
        with torch.no_grad(), _telling(name, f"fails on a picture of {side} px"):
            out = module.eval()(torch.zeros(1, 3, side, side))
    finally:
        module.train(trained)
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != 1 or not out.shape[1]:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ConfigError(
            f"encoder '{name}' gave {found} for one picture of {side} px; expected (1, D)."
        )
    return out.shape[1]


def _checked(name: str, dim: int, module: nn.Module, pictures: tuple[Tensor], out: Any) -> Any:
    """What an encoder gives later, too, is (N, D), and in no precision that the heads don't have.

    Raises:
        ConfigError: it is something else.
    """
    expected = (len(pictures[0]), dim)
    if not isinstance(out, Tensor) or tuple(out.shape) != expected:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ConfigError(f"encoder '{name}' gave {found} while it ran; expected {expected}.")
    wider = out.dtype == torch.float64 != pictures[0].dtype
    return out.float() if wider else out
