"""An image moves by exactly the distance that is told; votes of a linear classifier are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch import Tensor, nn

from ddrs_core.models import NoisyForward
from ddrs_core.smoothing import SmoothedClassifier
from ddrs_core.smoothing.moved_votes import STEPS_IN_R, moved_votes, scale_to


class _Plane(nn.Module):
    """Class 0 below a mean brightness of .6, class 1 above."""

    def forward(self, x: Tensor) -> Tensor:
        margin = (x.flatten(1).mean(1) - 0.6) * math.sqrt(x[0].numel())
        return torch.stack([-margin, margin], dim=1)


def test_votes_fall_along_the_gradient_as_those_of_a_linear_classifier_do() -> None:
    forward, x, sigma = NoisyForward(_Plane().eval()), torch.full((1, 4, 4), 0.5), 0.25
    made = SmoothedClassifier(forward, 2).certify(x, sigma=sigma, n=2_000)
    margin = 0.1 * 4  # from the image to the plane
    assert 0 < made.radius < margin
    *_, last = moved_votes(forward, x, made)
    share = last.counts[..., 0] / last.n
    expected = ndtr((margin - last.distances) / sigma)
    assert share[0] == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(last.n))
    assert last.distances[STEPS_IN_R] == made.radius
    within = last.counts[:, : STEPS_IN_R + 1]
    assert (within.argmax(-1) == made.prediction).all()
    assert (share[1, 1:] > share[0, 1:]).all()  # chance leads nowhere near the plane


def test_a_way_out_of_the_pixel_range_goes_on_along_its_edge() -> None:
    x = torch.rand((3, 5, 5), generator=torch.Generator().manual_seed(1))
    way = torch.randn((3, 5, 5), generator=torch.Generator().manual_seed(2))
    way /= way.norm()
    for distance in (0.0, 0.3, 1.0, 2.5):
        moved = (x.double() + scale_to(x, way, distance) * way.double()).clamp(0, 1)
        assert float((moved - x.double()).norm()) == pytest.approx(distance, abs=1e-9)
    corner = scale_to(torch.zeros(1, 1, 1), -torch.ones(1, 1, 1), 1.0)
    assert np.isfinite(corner)
