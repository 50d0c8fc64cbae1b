"""Claims proved here, on the published ResNet.

- ResNet-18 has 11,180,736 parameters without a head (4,224 more than torchvision's), D = 512 at any
  size; state-dict names are those of torchvision and of the official code, and layer1's shortcut.
- Value and padding: equal to a plain functional reference, where the stride is in a basic block's
  second convolution and zeros are put on the right and below.
- Sides that no 32 divides halve upwards, so that no map is added to one of another size.
- Each block starts as its shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from threedie.baselines.resnet import BasicBlock, Bottleneck, resnet18, resnet34, resnet50


def reference(s: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-18 in eval mode, from the facts (facebookresearch/SIE 54541cf)."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = s[f"{name}.running_mean"], s[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{name}.weight"], s[f"{name}.bias"])

    def strided(x: Tensor, name: str, before: int, after: int) -> Tensor:
        return F.conv2d(F.pad(x, (before, after, before, after)), s[f"{name}.weight"], stride=2)

    x = F.relu(norm(strided(x, "conv1", 2, 3), "bn1"))
    x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-1e4), 3, stride=2)
    for stage in range(1, 5):
        for block in range(2):
            at = f"layer{stage}.{block}"
            inner = F.conv2d(x, s[f"{at}.conv1.weight"], padding=1)
            inner = F.relu(norm(inner, f"{at}.bn1"))
            stride = 2 if block == 0 and stage > 1 else 1
            if stride == 2:
                inner = strided(inner, f"{at}.conv2", 0, 1)
            else:
                inner = F.conv2d(inner, s[f"{at}.conv2.weight"], padding=1)
            if block == 0:
                shrunk = F.conv2d(x, s[f"{at}.downsample.0.weight"], stride=stride)
                x = norm(shrunk, f"{at}.downsample.1")
            x = F.relu(norm(inner, f"{at}.bn2") + x)
    return x.mean(dim=(2, 3))


def test_parameters_and_dimensions() -> None:
    for build, parameters, dim in (
        (resnet18, 11_180_736, 512),
        (resnet34, 21_288_896, 512),
        (resnet50, 23_508_032, 2048),
    ):
        model = build()
        assert sum(p.numel() for p in model.parameters()) == parameters
        assert model.dim == dim


def test_the_difference_to_torchvision_is_one_shortcut() -> None:
    models = pytest.importorskip("torchvision.models")
    ours, theirs = resnet18().state_dict(), models.resnet18().state_dict()
    more = {f"layer1.0.downsample.{name}" for name in _SHORTCUT}
    assert ours.keys() - theirs.keys() == more
    assert theirs.keys() - ours.keys() == {"fc.weight", "fc.bias"}
    assert all(ours[name].shape == theirs[name].shape for name in ours.keys() - more)
    learnt = ("0.weight", "1.weight", "1.bias")
    assert sum(ours[f"layer1.0.downsample.{name}"].numel() for name in learnt) == 4224


_SHORTCUT = (
    "0.weight",
    "1.weight",
    "1.bias",
    "1.running_mean",
    "1.running_var",
    "1.num_batches_tracked",
)


@pytest.mark.parametrize("size", [64, 128, 256, 65, 40, 20])
def test_output_is_one_row_per_picture(size: int) -> None:
    with torch.no_grad():
        assert resnet18().eval()(torch.zeros(1, 3, size, size)).shape == (1, 512)


@pytest.mark.parametrize("size", [64, 33])
def test_equals_the_functional_reference(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    model = resnet18().double().eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            fan = max(1, value[0].numel()) if value.ndim > 1 else 9
            value.copy_(noise.abs() + 0.5 if "running_var" in name else noise / fan**0.5)
    x = torch.randn(2, 3, size, size, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        found, expected = model(x), reference(model.state_dict(), x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("side", range(1, 9))
def test_branch_and_shortcut_halve_alike(side: int) -> None:
    for kind in (BasicBlock, Bottleneck):
        block = kind(4, 2, stride=2, shortcut=True)
        x = torch.zeros(1, 4, side, 2 * side + 1)
        expected = (-(-side // 2), side + 1)
        assert block.branch(x).shape[2:] == block(x).shape[2:] == expected


def test_memory_format_changes_nothing() -> None:
    torch.manual_seed(0)
    model, x = resnet18().eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        plain = model(x)
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        fast = model(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def test_blocks_start_as_their_shortcut() -> None:
    for model, last in ((resnet18(), "bn2"), (resnet50(), "bn3")):
        state = model.state_dict()
        names = [name for name in state if name.endswith(f"{last}.weight")]
        assert len(names) in (8, 16)
        assert not any(state[name].any() for name in names)
