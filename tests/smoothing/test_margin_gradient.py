"""The gradient that attacks follow, against its closed form."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ddrs_core.models import NoisyForward
from ddrs_core.smoothing.margin_gradient import margin_gradient, nearest_inside


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        s = 20 * (x.flatten(1)[:, 0] - 0.4)
        return torch.stack([s, -s], dim=1)


def test_the_gradient_is_that_of_the_closed_form() -> None:
    """For two classes with logits +-20 s, log E_1 - log E_0 falls as s grows, and the other way
    round where class 1 is held."""
    forward = NoisyForward(Halves().eval(), 2)
    noise = torch.randn((2, 4000, 1, 1, 2), generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([[0.2, 0.4]] * 2, dtype=torch.float64)
    points = torch.tensor([[[[0.6, 0.5]]]] * 2)
    gradient, other = margin_gradient(forward, points, levels, noise, torch.tensor([0, 1]))
    s = 0.2
    wanted = -sum(
        norm.pdf(s / t) / t * (1 / norm.cdf(s / t) + 1 / norm.cdf(-s / t)) for t in (0.2, 0.4)
    )
    assert gradient[:, 0, 0, 0].tolist() == pytest.approx([wanted, -wanted], rel=0.1)
    assert gradient[:, 0, 0, 1].tolist() == [0, 0]
    expected = [norm.cdf(-s / 0.2), norm.cdf(s / 0.2)]
    assert other.tolist() == pytest.approx(expected, abs=0.02)


def test_points_are_moved_into_ball_and_pixels() -> None:
    base = torch.tensor([[[0.9, 0.5]]])
    points = torch.tensor([[[[1.5, 0.5]]], [[[0.9, 0.55]]], [[[0.9, -3.0]]]])
    inside = nearest_inside(points, base, 0.2)
    wanted = torch.tensor([[[[1.0, 0.5]]], [[[0.9, 0.55]]], [[[0.9, 0.3]]]])
    torch.testing.assert_close(inside, wanted)
