"""The attack on a classifier without noise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddrs_core.smoothing.deepfool import confidences_along, nearest_change


def linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double().eval()


@pytest.mark.parametrize("seed", range(5))
def test_of_a_linear_classifier_it_is_the_distance_to_the_nearest_border(seed: int) -> None:
    network = linear(seed)
    image = torch.full((3, 2, 2), 0.5, dtype=torch.float64)
    with torch.no_grad():
        logits = network(image[None])[0]
    weight = network[1].weight.detach()
    held = int(logits.argmax())
    distances = [
        float((logits[held] - logits[k]) / (weight[held] - weight[k]).norm())
        for k in range(4)
        if k != held
    ]
    change = nearest_change(network, image)
    assert change is not None
    assert min(distances) < 0.5  # the box of pixels does not matter
    assert float(change.norm()) == pytest.approx(min(distances), rel=1e-5)


def test_where_nothing_is_found_it_says_so() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([1.0, 0.0]))
    assert nearest_change(network, torch.zeros(1, 2, 2)) is None


def test_confidences_are_those_of_the_points_one_by_one() -> None:
    network, image = linear(0), torch.rand(3, 2, 2, dtype=torch.float64)
    directions = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    found = confidences_along(network, image, directions, torch.tensor([0.0, 0.7]).double())
    alone = network((image + 0.7 * directions[1])[None]).softmax(1)[0]
    torch.testing.assert_close(found[1, 1], alone)
