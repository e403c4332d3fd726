"""Wide ResNets for 32x32 images: Zagoruyko and Komodakis, "Wide Residual Networks", 2016.

Names of the weights are those of xternalz/WideResNet-pytorch, which Alfarra et al. and many others
use. Blocks are pre-activated; where the width changes, shortcut and block share the activation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ddrs_core.errors import InvalidParameterError


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.convShortcut: nn.Conv2d | None = None
        if in_channels != out_channels:
            self.convShortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active)), inplace=True))
        return out + (x if self.convShortcut is None else self.convShortcut(active))


class _Stage(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        rest = [_Block(out_channels, out_channels, 1) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(_Block(in_channels, out_channels, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class WideResNet(nn.Module):
    """WRN-depth-width without dropout; 2.2 M parameters at depth 40 and width 2; any image size.

    Raises:
        InvalidParameterError: if the depth is not 6n + 4.
    """

    def __init__(self, depth: int, width: int, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise InvalidParameterError(f"A wide ResNet has depth 6n + 4, not {depth}.")
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.block1 = _Stage(16, 16 * width, blocks, 1)
        self.block2 = _Stage(16 * width, 32 * width, blocks, 2)
        self.block3 = _Stage(32 * width, 64 * width, blocks, 2)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = F.relu(self.bn1(x), inplace=True)
        return self.fc(x.mean(dim=(2, 3)))  # [B, C, H, W] -> [B, K]
