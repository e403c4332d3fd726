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

from ddrs_core.models.architectures.cifar_resnet import stage


class AuthorsResNet18(nn.Module):
    """ResNet-18 with an ImageNet stem and no batch-norm after it; 11.18 M parameters."""

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
        self.layer1 = stage(64, 64, 2, 1, "projection")
        self.layer2 = stage(64, 128, 2, 2, "projection")
        self.layer3 = stage(128, 256, 2, 2, "projection")
        self.layer4 = stage(256, 512, 2, 2, "projection")
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 3, 2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))  # [B, C, H, W] -> [B, K]
