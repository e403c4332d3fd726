"""A small change of an image that changes the answer of a classifier without noise.

Moosavi-Dezfooli, Fawzi, Frossard: "DeepFool: a simple and accurate method to fool deep neural
networks" (CVPR 2016), with pixels kept in [0, 1]. Attacks on the smoothed classifier are in
:mod:`~ddrs_core.smoothing.attack_search`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEPS = 50
_OVERSHOOT = 0.02
_BISECTIONS = 30
_TINY = 1e-12
_ROWS = 2048  # points that are judged at once


def nearest_change(network: nn.Module, image: Tensor) -> Tensor | None:
    """A change after which the network gives another class, just beyond the border.

    Each step goes to the nearest border of the network's linear approximation; the change that is
    found is then shortened along its own line.

    Args:
        network: gives logits [1, K]; in evaluation mode.
        image: [C, H, W], pixels in [0, 1].

    Returns:
        The change [C, H, W], whose sum with the image has pixels in [0, 1]; None where no step
        reached another class, which proves nothing.
    """
    held = int(network(image[None]).argmax())
    point = image.clone()
    for _ in range(_STEPS):
        point = (image + (1 + _OVERSHOOT) * (_step(network, point, held) + point - image)).clamp(
            0, 1
        )
        if int(network(point[None]).argmax()) != held:
            return _shortened(network, image, point - image, held)
    return None


def _step(network: nn.Module, point: Tensor, held: int) -> Tensor:
    """The shortest way from a point to a border of the linear approximation there."""
    with torch.no_grad():
        values = network(point[None])[0]
    copies = point.detach().expand(len(values), *point.shape).clone().requires_grad_(True)
    with torch.enable_grad():  # a copy for the gradient of each logit, all in one pass
        (gradients,) = torch.autograd.grad(network(copies).diagonal().sum(), copies)
    normals = (gradients - gradients[held]).flatten(1)  # [K, C * H * W]
    lengths, gaps = normals.norm(dim=1).clamp_min(_TINY), (values[held] - values).abs()
    far = (gaps / lengths).index_fill(0, torch.tensor([held]), torch.inf)
    nearest = int(far.argmin())
    return (normals[nearest] * gaps[nearest] / lengths[nearest] ** 2).view_as(point)


def _shortened(network: nn.Module, image: Tensor, change: Tensor, held: int) -> Tensor:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if int(network((image + middle * change)[None]).argmax()) == held:
            low = middle
        else:
            high = middle
    return high * change


def confidences_along(
    network: nn.Module, image: Tensor, directions: Tensor, sizes: Tensor
) -> Tensor:
    """Softmax outputs [D, S, K] at ``image + size * direction``.

    Args:
        network: gives logits; in evaluation mode.
        image: [C, H, W].
        directions: [D, C, H, W].
        sizes: [S].
    """
    points = image + sizes[:, None, None, None] * directions[:, None]  # [D, S, C, H, W]
    with torch.no_grad():
        found = [network(part).softmax(1) for part in points.flatten(0, 1).split(_ROWS)]
    return torch.cat(found).unflatten(0, (len(directions), len(sizes)))
