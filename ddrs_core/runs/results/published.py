"""Published figures, as reference lines beside one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CAVEAT = (
    "Published figures were made with other images, other N or alpha and other networks, so they "
    "show where a result stands but cannot be compared with it in detail."
)


@dataclass(frozen=True)
class PublishedResult:
    """Certified accuracy as published; fractions."""

    name: str
    title: str
    dataset: str
    network: str
    training: str
    sigma: float
    radii: tuple[float, ...]
    accuracy: tuple[float, ...]  # for each radius
    source: str
    acr: float | None = None  # average certified radius
    abstained: int | None = None  # images
    images: int | None = None
    n: int | None = None
    alpha: float | None = None


def list_published(dataset: str | None = None) -> list[PublishedResult]:
    """Published figures for one data set, or all of them."""
    return [result for result in _ALL if dataset in (None, result.dataset)]


_LOGS = "certification logs published under the MIT licence: 10,000 images, N0 = 100"
_MACER = "README of RuntianZ/macer (Zhai et al. 2020)"
_COHEN = "Cohen et al. 2019, ImageNet"
_TITLES = {"gaussian": "Cohen", "smoothadv": "SmoothAdv", "macer": "MACER"}


def _published(
    dataset: str,
    network: str,
    training: str,
    sigma: float,
    accuracy: tuple[float, ...],
    source: str,
    step: float = 0.25,
    **details: Any,
) -> PublishedResult:
    """Radii run from 0 in equal steps."""
    return PublishedResult(
        name=f"{dataset}-{network.lower().replace('-', '')}-{training}-{sigma:.2f}",
        title=f"{_TITLES[training]}, {network}, sigma {sigma:.2f} (published)",
        dataset=dataset,
        network=network,
        training=training,
        sigma=sigma,
        radii=tuple(step * k for k in range(len(accuracy))),
        accuracy=accuracy,
        source=source,
        **details,
    )


def _resnet20(
    training: str, acr: float, abstained: int, accuracy: tuple[float, ...]
) -> PublishedResult:
    return _published(
        "cifar10",
        "ResNet-20",
        training,
        0.5,
        accuracy,
        _LOGS,
        acr=acr,
        abstained=abstained,
        images=10_000,
        n=100_000,
        alpha=0.001,
    )


def _resnet110(
    training: str, sigma: float, acr: float, accuracy: tuple[float, ...]
) -> PublishedResult:
    return _published("cifar10", "ResNet-110", training, sigma, accuracy, _MACER, acr=acr)


def _resnet50(sigma: float, accuracy: tuple[float, ...]) -> PublishedResult:
    return _published("imagenet", "ResNet-50", "gaussian", sigma, accuracy, _COHEN, step=0.5)


_ALL = (
    _resnet20("gaussian", 0.5242, 1498, (0.670, 0.554, 0.428, 0.314, 0.220, 0.139, 0.081)),
    _resnet20("smoothadv", 0.6821, 503, (0.508, 0.470, 0.431, 0.390, 0.351, 0.316, 0.272)),
    _resnet20("macer", 0.6607, 1103, (0.630, 0.557, 0.482, 0.405, 0.326, 0.255, 0.187)),
    _resnet110("gaussian", 0.25, 0.416, (0.75, 0.60, 0.43, 0.26)),
    _resnet110("gaussian", 0.50, 0.491, (0.65, 0.54, 0.41, 0.32, 0.23, 0.15, 0.09, 0.04)),
    _resnet110(
        "gaussian", 1.00, 0.458, (0.47, 0.39, 0.34, 0.28, 0.21, 0.17, 0.14, 0.08, 0.05, 0.03)
    ),
    _resnet110("smoothadv", 0.25, 0.538, (0.74, 0.67, 0.57, 0.47)),
    _resnet110("smoothadv", 0.50, 0.709, (0.50, 0.46, 0.44, 0.40, 0.38, 0.33, 0.29, 0.23)),
    _resnet110("macer", 0.25, 0.556, (0.81, 0.71, 0.59, 0.43)),
    _resnet110("macer", 0.50, 0.726, (0.66, 0.60, 0.53, 0.46, 0.38, 0.29, 0.19, 0.12)),
    _resnet50(0.25, (0.67, 0.49, 0.0)),
    _resnet50(0.50, (0.57, 0.46, 0.37, 0.29, 0.0)),
    _resnet50(1.00, (0.44, 0.38, 0.33, 0.26, 0.19, 0.15, 0.12)),
)
