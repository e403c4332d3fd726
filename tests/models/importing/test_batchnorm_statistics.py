"""Normalisation and training noise, read off a network's first batch-norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddrs_core.data import Dataset
from ddrs_core.models import Normalization, load_model
from ddrs_core.models.importing.batchnorm_statistics import fit_statistics
from ddrs_core.models.importing.normalizations import list_normalizations


@pytest.fixture(scope="module")
def digits(test_split: Dataset) -> Tensor:
    return test_split.tensors(range(0, 500, 2))[0]


@pytest.mark.parametrize(("name", "sigma"), [("0.25", 0.25), ("0.50", 0.5)])
def test_the_training_noise_of_the_shipped_models(name: str, sigma: float, digits: Tensor) -> None:
    classifier = load_model(f"digits-gaussian-{name}", "cpu")
    fit = fit_statistics(classifier.network, classifier.card.normalization, digits)
    assert fit is not None
    assert fit.sigma == pytest.approx(sigma, rel=0.05)
    assert fit.mismatch < 0.01
    for other, normalization in list_normalizations(1).items():
        if other != "digits":
            wrong = fit_statistics(classifier.network, normalization, digits)
            assert wrong is not None
            assert wrong.mismatch > 3 * fit.mismatch


@pytest.mark.parametrize("sigma", [0.0, 0.12, 1.0])
def test_statistics_that_are_exactly_those_of_noisy_images(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((400, 3, 8, 8), generator=generator)
    norm = Normalization((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16, momentum=None))
        network.append(nn.ReLU())
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (norm.mean, norm.std))
    noisy = images + sigma * torch.randn(images.shape, generator=generator)
    with torch.no_grad():
        network.train()((noisy - mean) / std)
    fit = fit_statistics(network.eval(), norm, images)
    assert fit is not None
    assert fit.mismatch < 1e-3
    assert fit.sigma == pytest.approx(sigma, abs=0.02, rel=0.03)


def test_networks_that_begin_otherwise_tell_nothing(digits: Tensor) -> None:
    norm = Normalization()
    for network in (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3)),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
    ):
        assert fit_statistics(network.eval(), norm, digits) is None
