"""The same seed gives the same votes as in every earlier version."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddrs_core.data import Dataset
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.smoothing import Bound, CertificationBudget, SmoothedClassifier, StopAtRadii

INDICES, SIGMAS = (3, 7, 11), (0.4, 0.6, 0.8)


@pytest.fixture(scope="module")
def smoothed() -> SmoothedClassifier:
    model = load_model("digits-gaussian-0.50", "cpu")
    return SmoothedClassifier(NoisyForward(model, precision="fp32", batch_size=256), 10)


@pytest.fixture(scope="module")
def images(test_split: Dataset) -> Tensor:
    return torch.stack([test_split[index][0] for index in INDICES])


def test_votes_of_one_image(smoothed: SmoothedClassifier, images: Tensor) -> None:
    plain = smoothed.certify(images[0], sigma=0.5, n=2000, seed=4, bound="one-sided")
    assert plain.counts == (3, 36, 36, 124, 7, 3, 0, 1780, 9, 2)
    assert plain.radius == pytest.approx(0.5557234843310361, rel=1e-12)
    assert plain.index is None
    both = smoothed.certify(images[1], sigma=0.7, n0=50, n=3000, seed=5, index=7, bound="two-sided")
    assert both.counts == (2355, 7, 73, 66, 73, 121, 119, 13, 78, 95)
    assert both.radius == pytest.approx(0.8106730499959648, rel=1e-12)


@pytest.mark.parametrize(
    ("budget", "counts"),
    [
        (
            CertificationBudget(n=1000, seed=6),
            [
                [0, 7, 7, 30, 1, 0, 0, 953, 2, 0],
                [870, 0, 14, 11, 13, 23, 26, 2, 19, 22],
                [6, 510, 23, 43, 201, 49, 16, 31, 52, 69],
            ],
        ),
        (
            CertificationBudget(n=20_000, bound=Bound.ONE_SIDED, stop=StopAtRadii(), seed=7),
            [
                [0, 8, 6, 39, 0, 0, 0, 1354, 1, 0],
                [2832, 2, 40, 32, 37, 77, 70, 6, 50, 54],
                [66, 4762, 312, 420, 1668, 366, 122, 290, 511, 571],
            ],
        ),
    ],
    ids=["fixed", "adaptive"],
)
def test_votes_of_a_batch(
    smoothed: SmoothedClassifier,
    images: Tensor,
    budget: CertificationBudget,
    counts: list[list[int]],
) -> None:
    *_, last = smoothed.certify_batch(images, sigmas=SIGMAS, budget=budget, indices=INDICES)
    assert last.counts.tolist() == counts
    assert [c.candidate for c in last.certificates] == [7, 0, 1]
    for i, certificate in enumerate(last.certificates):  # and each of them alone
        *_, alone = smoothed.certify_steps(
            images[i], sigma=SIGMAS[i], budget=budget, index=INDICES[i]
        )
        assert alone.certificate is not None
        assert list(alone.counts) == counts[i]
        assert alone.certificate.radius == certificate.radius
