"""The ResNet-18 with which Alfarra et al. 2022 computed their CIFAR-10 results.

Their repository (MotasemAlfarra/Data_Dependent_Randomized_Smoothing, CIFAR10/models/resnet.py) and
their package (ddsmoothing-python 1.0, utils/resnet.py) use torchvision's ImageNet network, with its
7x7 stem of stride 2 and its pooling, but without the first batch-norm. Their forward pass also
holds the normalisation, as constants that are not in the file, and a softmax at the end. Both are
left out here: this network gives logits, and the normalisation is the classifier's.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        same = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(out)) + same)


class AuthorsResNet18(nn.Module):
    """ResNet-18 with an ImageNet stem and no batch-norm after it; 11.18 M parameters."""

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 3, 2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))  # [B, C, H, W] -> [B, K]
