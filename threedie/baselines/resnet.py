"""ResNet as SIE published it: 11,180,736 parameters for ResNet-18, without a head.

He, Zhang, Ren, Sun. Deep residual learning for image recognition. CVPR 2016.
https://arxiv.org/abs/1512.03385

What differs from torchvision's (facts read in facebookresearch/SIE 54541cf; official weights need
all of them, though most change no parameter's shape):
- the first block of every stage has a 1×1 shortcut, layer1's too (4,224 parameters more);
- strided 3×3 and the pooling are padded on the right and below only, the 7×7 by 2 and 3;
- a basic block strides in its second 3×3, not in its first;
- the last BatchNorm of each block starts at zero.
Ours takes any side. Where 32 does not divide it, the official one stops in most cases, and in some
adds maps of two sizes.

Shape suffixes: N = pictures, C = channels, H, W = pixels, D = representation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv3x3(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1:
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return Strided3x3(inputs, outputs, 3, stride=stride, bias=False)


class Strided3x3(nn.Conv2d):
    """Stride 2, padded on the right and below only."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Half the height and width, rounded up as the shortcut's are."""
        height, width = x_NCHW.shape[-2:]
        return super().forward(F.pad(x_NCHW, (0, 1 + width % 2, 0, 1 + height % 2)))


class Block(nn.Module):
    """Convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if shortcut:
            outputs = width * self.expansion
            shrink = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shrink, nn.BatchNorm2d(outputs))

    def branch(self, x_NCHW: Tensor) -> Tensor:
        """The convolutions."""
        raise NotImplementedError

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Branch plus shortcut."""
        beside = x_NCHW if self.downsample is None else self.downsample(x_NCHW)
        joined: Tensor = self.relu(self.branch(x_NCHW) + beside)
        return joined


class BasicBlock(Block):
    """Two 3×3."""

    def __init__(self, inputs: int, width: int, *, stride: int, shortcut: bool) -> None:
        super().__init__(inputs, width, stride=stride, shortcut=shortcut)
        self.conv1, self.bn1 = _conv3x3(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv3x3(width, width, stride), nn.BatchNorm2d(width)
        nn.init.zeros_(self.bn2.weight)

    def branch(self, x_NCHW: Tensor) -> Tensor:
        """The convolutions."""
        x_NCHW = self.relu(self.bn1(self.conv1(x_NCHW)))
        out: Tensor = self.bn2(self.conv2(x_NCHW))
        return out


class Bottleneck(Block):
    """1×1, 3×3, 1×1; the middle one strides."""

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int, shortcut: bool) -> None:
        super().__init__(inputs, width, stride=stride, shortcut=shortcut)
        outputs = width * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv3x3(width, width, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.bn3.weight)

    def branch(self, x_NCHW: Tensor) -> Tensor:
        """The convolutions."""
        x_NCHW = self.relu(self.bn1(self.conv1(x_NCHW)))
        x_NCHW = self.relu(self.bn2(self.conv2(x_NCHW)))
        out: Tensor = self.bn3(self.conv3(x_NCHW))
        return out


class ResNet(nn.Module):
    """Pictures (N, 3, H, W) to the mean over the last stage's pixels, (N, D)."""

    def __init__(self, block: type[Block], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.dim = 64
        self.layer1 = self._stage(block, 64, depths[0], stride=1)
        self.layer2 = self._stage(block, 128, depths[1], stride=2)
        self.layer3 = self._stage(block, 256, depths[2], stride=2)
        self.layer4 = self._stage(block, 512, depths[3], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(self, block: type[Block], width: int, depth: int, *, stride: int) -> nn.Sequential:
        layers = [block(self.dim, width, stride=stride, shortcut=True)]
        self.dim = width * block.expansion
        layers += [block(self.dim, width, stride=1, shortcut=False) for _ in range(depth - 1)]
        return nn.Sequential(*layers)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, D)."""
        x_NCHW = self.conv1(F.pad(x_NCHW, (2, 3, 2, 3)))
        x_NCHW = self.maxpool(self.relu(self.bn1(x_NCHW)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x_NCHW = stage(x_NCHW)
        return torch.flatten(F.adaptive_avg_pool2d(x_NCHW, 1), 1)


def resnet18() -> ResNet:
    """D = 512."""
    return ResNet(BasicBlock, (2, 2, 2, 2))


def resnet34() -> ResNet:
    """D = 512."""
    return ResNet(BasicBlock, (3, 4, 6, 3))


def resnet50() -> ResNet:
    """D = 2048."""
    return ResNet(Bottleneck, (3, 4, 6, 3))
