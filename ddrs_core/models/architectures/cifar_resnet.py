"""ResNets for 32x32 images: He et al., "Deep Residual Learning for Image Recognition", section 4.2.

Where a block changes the number of channels, its shortcut is of option A (strided identity, padded
with zero channels, as in the paper) or of option B (a 1x1 convolution with batch-norm). The files
published with Cohen et al. 2019, SmoothAdv and MACER have option B, although their papers name the
networks after He et al. (locuslab/smoothing, code/archs/cifar_resnet.py; RuntianZ/macer, model.py).
Names of the weights are those of these files, so that they load as they are.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ddrs_core.errors import InvalidParameterError

Shortcut = Literal["pad", "projection"]  # options A and B


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch-norm beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: Shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.new_channels = out_channels - in_channels
        self.downsample: nn.Sequential | None = None
        if shortcut == "projection" and (stride != 1 or self.new_channels):
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.stride != 1 or self.new_channels:
            before = self.new_channels // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.new_channels - before))
        return F.relu(out + x)


class CifarResNet(nn.Module):
    """ResNet of depth 6n + 2 with 16, 32 and 64 channels; 0.27 M parameters at depth 20.

    Takes images of any size from 4x4.

    Raises:
        InvalidParameterError: if the depth is not 6n + 2.
    """

    def __init__(
        self, depth: int, num_classes: int = 10, in_channels: int = 3, shortcut: Shortcut = "pad"
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise InvalidParameterError(f"A CIFAR ResNet has depth 6n + 2, not {depth}.")
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, blocks, 1, shortcut)
        self.layer2 = stage(16, 32, blocks, 2, shortcut)
        self.layer3 = stage(32, 64, blocks, 2, shortcut)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))  # [B, C, H, W] -> [B, K]


def stage(
    in_channels: int, out_channels: int, blocks: int, stride: int, shortcut: Shortcut
) -> nn.Sequential:
    """Blocks of equal width, the first of which has the stride."""
    first = BasicBlock(in_channels, out_channels, stride, shortcut)
    rest = [BasicBlock(out_channels, out_channels, 1, shortcut) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
