"""A small network that is trained on points of the plane in about a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.plane.cells import CellClassifier
from ddrs_core.smoothing.plane.points import PlanePoints

_SCALE = 6.0  # the window becomes [-3, 3] before the first layer
_LR = 0.02
_MARGIN = 4.5  # the cells reach this many sigmas beyond the window
_BATCH = 1 << 17


@dataclass(frozen=True)
class PlaneConfig(Configuration):
    """How the network is built and trained."""

    width: int = parameter(
        32, "neurons in each of the two hidden layers", "Neurons", low=2, high=64
    )
    noise: float = parameter(
        0.0, "standard deviation of the noise in training", "Training noise", low=0.0, high=0.5
    )
    steps: int = parameter(600, "steps of Adam on all points", "Steps", low=1, high=3000)
    seed: int = parameter(0, "seed of weights and noise", "Seed", low=0, high=9999)


def train_network(points: PlanePoints, config: PlaneConfig) -> nn.Sequential:
    """A network for images of two pixels [B, 1, 1, 2] -> logits [B, K], in eval mode.

    The same points and configuration give the same network on the same machine.

    Raises:
        InvalidParameterError: for a configuration that makes no sense.
    """
    config.check()
    generator = torch.Generator().manual_seed(config.seed)
    sizes = (2, config.width, config.width, points.num_classes)
    layers: list[nn.Module] = [nn.Flatten()]
    for rows, columns in zip(sizes[1:], sizes[:-1], strict=True):
        layer = nn.Linear(columns, rows)
        with torch.no_grad():
            layer.weight.normal_(0, (1 / columns) ** 0.5, generator=generator)
            layer.bias.uniform_(-1, 1, generator=generator)
        layers += [layer, nn.Tanh()]
    network = nn.Sequential(*layers[:-1])
    _learn(network, points, config, generator)
    with torch.no_grad():  # the scaling of the window becomes part of the first layer
        first = network[1]
        assert isinstance(first, nn.Linear)
        first.bias.sub_(0.5 * _SCALE * first.weight.sum(dim=1))
        first.weight.mul_(_SCALE)
    return network.eval().requires_grad_(False)


def _learn(
    network: nn.Sequential, points: PlanePoints, config: PlaneConfig, generator: torch.Generator
) -> None:
    x = torch.from_numpy((points.x - 0.5) * _SCALE).float()
    labels = torch.from_numpy(points.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LR, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    noise = torch.zeros_like(x)
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(config.steps):
            if config.noise:
                noise.normal_(0, config.noise * _SCALE, generator=generator)
            loss = F.cross_entropy(network(x + noise), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def class_cells(
    network: nn.Module, num_classes: int, largest_sigma: float, cells: int = 192
) -> CellClassifier:
    """The network's classes on square cells, ``cells`` of them across the window and as fine
    beyond it, as far as noise of ``largest_sigma`` reaches."""
    margin = int(np.ceil(_MARGIN * largest_sigma * cells))
    n = cells + 2 * margin
    centres = torch.arange(n, dtype=torch.float32).add_(0.5 - margin).div_(cells)
    classes = np.empty((n, n), dtype=np.uint8)
    rows = max(1, _BATCH // n)
    with torch.inference_mode():
        for i in range(0, n, rows):
            y, x = torch.meshgrid(centres[i : i + rows], centres, indexing="ij")
            found = network(torch.stack([x, y], dim=-1).view(-1, 1, 1, 2)).argmax(dim=1)
            classes[i : i + rows] = found.view(-1, n).numpy()
    return CellClassifier(classes, -margin / cells, 1 + margin / cells, num_classes)
