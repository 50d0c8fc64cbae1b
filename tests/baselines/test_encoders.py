"""Claims proved here, on encoders by name.

- Published, torchvision's, timm's and the user's own modules come as (module, D) with (N, D) out,
  without head, at the size asked for, in train mode, and their BatchNorm has seen nothing.
- Pretrained weights' mean and standard deviation are told without a download; others have none.
- Unknown names say the nearest; foreign code that fails, or gives no (N, D), is one line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from threedie.baselines import encoders
from threedie.baselines.encoders import Preprocess, build_encoder, preprocess
from threedie.errors import ConfigError, MissingExtra

OWN = """
from torch import nn
import torch
import beside

class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))

def build():
    return nn.Sequential(Mean(), nn.Linear(3, beside.WIDTH))

def pixels():
    return nn.Identity()

def number():
    return 7

def fails():
    raise ValueError("no weights at hand")

class Moody(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.change, self.calls = change, 0

    def forward(self, x):
        self.calls += 1
        out = x.mean(dim=(2, 3))
        return out if self.calls == 1 else self.change(out)

def narrower():
    return Moody(lambda out: out[:, :2])

def wider():
    return Moody(lambda out: out.double())

def forgets():
    return nn.Linear(4, 4)

A_NUMBER = 7
"""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the user's code in it."""
    (tmp_path / "my_own_encoder.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("WIDTH = 11\n")
    (tmp_path / "broken_encoder.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    for name in ("my_own_encoder", "beside", "broken_encoder"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        ("resnet18", 512),
        ("torchvision:resnet18", 512),
        ("torchvision:mobilenet_v3_small", 576),
        ("torchvision:vit_b_32", 768),
        ("timm:resnet10t", 512),
        ("timm:vit_tiny_patch16_224", 192),
    ],
)
def test_by_name(name: str, dim: int) -> None:
    module, found = build_encoder(name, size=64)
    assert found == dim
    assert module.training
    statistics = [value for key, value in module.state_dict().items() if "running_mean" in key]
    assert not any(value.any() for value in statistics)
    with torch.no_grad():
        out = module.eval()(torch.rand(2, 3, 64, 64))
    assert out.shape == (2, dim)
    if name != "resnet18":  # whose blocks all start as zero
        assert out.std() > 0


@pytest.mark.usefixtures("own_code")
def test_the_users_own() -> None:
    before = list(sys.path)
    module, dim = build_encoder("my_own_encoder:build", size=32)
    assert dim == 11
    assert isinstance(module, nn.Sequential)
    assert sys.path == before


@pytest.mark.usefixtures("own_code")
def test_what_the_users_own_gives_later_is_looked_at_too() -> None:
    pictures = torch.rand(4, 3, 8, 8)
    narrower, _ = build_encoder("my_own_encoder:narrower", size=8)
    with pytest.raises(ConfigError, match=r"gave \(4, 2\) while it ran; expected \(4, 3\)"):
        narrower(pictures)
    wider, _ = build_encoder("my_own_encoder:wider", size=8)
    assert wider(pictures).dtype == torch.float32
    assert wider(pictures.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_own_encoder:buidl", "my_own_encoder has no function 'buidl'"),
        ("my_own_encoder:A_NUMBER", "has no function 'A_NUMBER'"),
        ("my_own_encoder:number", "returned a int; an encoder must be a torch.nn.Module"),
        ("my_own_encoder:fails", "could not be built: ValueError: no weights at hand"),
        ("my_own_encoder:pixels", r"gave \(1, 3, 32, 32\) for one picture of 32 px; expected"),
        ("my_own_encoder:forgets", "fails on a picture of 32 px: RuntimeError"),
        ("broken_encoder:build", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("no_such_encoder:build", "ModuleNotFoundError: No module named 'no_such_encoder'"),
        ("restnet18", "unknown encoder 'restnet18'. Did you mean resnet18"),
        ("torchvision:resnet19", "unknown encoder 'torchvision:resnet19'. Did you mean .*resnet18"),
        ("timm:vit_tiny_patch16_225", "Did you mean .*timm:vit_tiny_patch16_224"),
        ("timm:", "unknown encoder 'timm:'"),
        ("", "unknown encoder ''"),
    ],
)
@pytest.mark.usefixtures("own_code")
def test_what_cannot_be_built_is_one_line(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        build_encoder(name, size=32)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="'resnet18' has no published weights of its own"):
        build_encoder("resnet18", pretrained=True)
    with pytest.raises(ConfigError, match="is your own code: load its weights in build"):
        build_encoder("anything:build", pretrained=True)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"threedie\[bench\]"):
        build_encoder("timm:resnet10t")


def test_preprocessing_of_pretrained_weights() -> None:
    imagenet = Preprocess((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert preprocess("torchvision:resnet50", pretrained=True) == imagenet
    assert preprocess("timm:resnet50", pretrained=True) == imagenet
    half = Preprocess((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert preprocess("timm:vit_small_patch16_224", pretrained=True) == half
    assert preprocess("timm:resnet50", pretrained=False) is None
    assert preprocess("resnet18", pretrained=True) is None


def test_a_download_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(encoders._import("timm"), "create_model", offline)
    with pytest.raises(ConfigError, match="could not be built: OSError: network is unreachable"):
        build_encoder("timm:resnet10t", pretrained=True)
