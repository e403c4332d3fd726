"""LeNet for 28x28 digits, as in MACER (Zhai et al. 2020; RuntianZ/macer, model.py)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet(nn.Module):
    """Two 5x5 convolutions, each pooled, and two linear layers; 0.43 M parameters; 28x28 only."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)  # [B, C, 28, 28] -> [B, K]
