"""Normalisations: the published constants, and finding the one that a network was trained with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, UnknownNameError
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.importing.normalizations import (
    Trial,
    get_normalization,
    is_near_chance,
    list_normalizations,
    try_normalizations,
    usual_normalization,
)
from ddrs_core.models.importing.sniff import Layout


class Nearest(nn.Module):
    """The class whose template is nearest, where a wrong scale of the input matters."""

    def __init__(self, templates: Tensor) -> None:
        super().__init__()
        self.register_buffer("templates", templates.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(x.flatten(1), self.templates)


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    templates = 0.5 + 0.03 * torch.randn((10, 3, 8, 8), generator=generator)
    templates += 0.3 * torch.rand((10, 1, 1, 1), generator=generator) - 0.15
    labels = torch.arange(200) % 10
    noise = 0.02 * torch.randn((200, 3, 8, 8), generator=generator)
    return templates, (templates[labels] + noise).clamp(0, 1), labels


@pytest.mark.parametrize("name", list_normalizations(3))
def test_the_right_normalisation_is_found(
    name: str, pictures: tuple[Tensor, Tensor, Tensor]
) -> None:
    templates, images, labels = pictures
    norm = get_normalization(name, 3)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (norm.mean, norm.std))
    network = Nearest((templates - mean) / std)
    trials = try_normalizations(network, (3, 8, 8), images, labels, sigmas=(0.0, 0.1))
    best = max(t.accuracy for t in trials)
    assert trials[0].accuracy == best
    assert trials[0].name == name
    assert len(trials) == len(list_normalizations(3))
    assert [t.accuracy for t in trials] == sorted((t.accuracy for t in trials), reverse=True)


def test_a_network_trained_on_digits() -> None:
    """A real one: trained for a moment on real images with pixels in [-1, 1]."""
    images, labels = load_dataset("digits", "train").tensors(range(600))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            F.cross_entropy(network((images - 0.5) / 0.5), labels).backward()
            optimizer.step()
    trials = try_normalizations(network, (1, 8, 8), images, labels)
    half = next(t for t in trials if t.name == "half")
    assert half.accuracy == trials[0].accuracy > 0.95
    assert half.loss == min(t.loss for t in trials)
    assert not is_near_chance(half, 10)


def test_the_file_s_own_normalisation_can_take_part(
    pictures: tuple[Tensor, Tensor, Tensor],
) -> None:
    templates, images, labels = pictures
    own = Normalization((0.9, 0.1, 0.4), (0.05, 3.0, 0.7))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (own.mean, own.std))
    network = Nearest((templates - mean) / std)
    best = try_normalizations(network, (3, 8, 8), images, labels, extra=own)[0]
    assert (best.name, best.normalization, best.images) == ("file", own, 200)


def test_the_network_stays_as_it_was(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    templates, images, labels = pictures
    network = nn.Sequential(nn.BatchNorm2d(3), Nearest(templates)).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    first = try_normalizations(network, (3, 8, 8), images, labels, sigmas=(0.25,), seed=4)
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert try_normalizations(network, (3, 8, 8), images, labels, sigmas=(0.25,), seed=4) == first


@pytest.mark.parametrize(
    ("correct", "images", "classes", "chance"),
    [
        (100, 1000, 10, True),
        (0, 100, 10, True),
        (10, 50, 10, True),  # P(X >= 10) = 0.024
        (13, 50, 10, True),  # P(X >= 13) = 0.0010046
        (14, 50, 10, False),  # P(X >= 14) = 0.0003
        (50, 100, 2, True),
        (66, 100, 2, False),  # P(X >= 66) = 0.0009
        (3, 64, 1000, False),
        (1, 1, 10, True),
        (2, 2, 10, True),
    ],
)
def test_near_chance_is_the_binomial_tail(
    correct: int, images: int, classes: int, chance: bool
) -> None:
    trial = Trial("none", Normalization(), correct / images, 1.0, images)
    assert is_near_chance(trial, classes) is chance


@pytest.mark.parametrize(
    ("layout", "shape", "name"),
    [
        (Layout.COHEN, (3, 32, 32), "cifar"),
        (Layout.COHEN, (3, 224, 224), "imagenet"),
        (Layout.MACER, (3, 32, 32), "none"),
        (Layout.MACER, (1, 28, 28), "none"),
        (Layout.AUTHORS, (3, 32, 32), "cifar"),
        (Layout.PLAIN, (3, 299, 299), "imagenet"),
        (Layout.PLAIN, (1, 8, 8), "digits"),
        (Layout.PLAIN, (4, 32, 32), "none"),
    ],
)
def test_what_is_usual(layout: Layout, shape: tuple[int, int, int], name: str) -> None:
    found, normalization = usual_normalization(layout, shape)
    assert found == name
    assert len(normalization.mean) in (1, shape[0])


def test_published_constants() -> None:
    assert get_normalization("cifar", 3).std == (0.2023, 0.1994, 0.2010)
    assert get_normalization("imagenet", 3).mean == (0.485, 0.456, 0.406)
    x = torch.tensor([0.0, 0.5, 1.0])
    half = get_normalization("half", 1)
    assert ((x - half.mean[0]) / half.std[0]).tolist() == [-1, 0, 1]
    images, _ = load_dataset("digits", "train").tensors(range(1000))
    digits = get_normalization("digits", 1)
    assert float(images.mean()) == pytest.approx(digits.mean[0], abs=0.01)
    assert float(images.std()) == pytest.approx(digits.std[0], abs=0.01)


def test_unknown_names_and_wrong_images(pictures: tuple[Tensor, Tensor, Tensor]) -> None:
    templates, images, labels = pictures
    with pytest.raises(UnknownNameError, match="cifar"):
        get_normalization("cifar10", 3)
    network = Nearest(templates)
    for shape, x, y, sigmas, error in (
        ((1, 8, 8), images, labels, (0.0,), MismatchError),
        ((3, 8, 8), images, labels[:5], (0.0,), MismatchError),
        ((3, 8, 8), images[:0], labels[:0], (0.0,), InvalidParameterError),
        ((3, 8, 8), images, labels, (), InvalidParameterError),
    ):
        with pytest.raises(error) as raised:
            try_normalizations(network, shape, x, y, sigmas)
        assert isinstance(raised.value, DDRSError)
