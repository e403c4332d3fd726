"""torchvision's published ImageNet weights: which exist, which are here, and downloading them.

The name of a file ends in the first digits of its SHA-256, by which it is checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ddrs_core import download
from ddrs_core.errors import CheckpointError, unknown_name
from ddrs_core.models.architectures.torchvision_nets import torchvision_sizes
from ddrs_core.models.classifier import Classifier, Normalization, with_card
from ddrs_core.models.importing.build import build_foreign
from ddrs_core.models.importing.read import read_here

_TOLERANCE = 0.02  # torchvision notes sizes in MB with three digits after the point


@dataclass(frozen=True)
class PublishedWeights:
    """One set of weights that torchvision offers."""

    name: str  # "torchvision-resnet50-imagenet1k_v2"
    architecture: str
    weights: str  # "IMAGENET1K_V2"
    url: str
    size_mb: float  # MiB, as torchvision notes it
    num_params: int
    accuracy: float  # top-1 on ImageNet's validation images, as published, as a fraction
    normalization: Normalization
    shape: tuple[int, int, int]  # (C, H, W)
    resize: int  # shorter side before the central crop
    categories: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Where torchvision would keep it."""
        return weights_folder() / self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """The first digits of the file's SHA-256, from its name; empty where it has none."""
        found = re.search(r"-([0-9a-f]{8,64})\.pth$", self.url)
        return found.group(1) if found else ""


def weights_folder() -> Path:
    """Where torchvision keeps downloaded weights."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def list_published() -> list[PublishedWeights]:
    """All weights of torchvision's classifiers, by name; the first call imports torchvision."""
    return list(_published().values())


def get_published(name: str) -> PublishedWeights:
    """Look published weights up by name.

    Raises:
        UnknownNameError: if there are none of that name.
    """
    if name not in _published():
        raise unknown_name("published model", name, _published())
    return _published()[name]


@lru_cache(maxsize=1)
def _published() -> dict[str, PublishedWeights]:
    from torchvision import models

    found = [
        _entry(name, weights)
        for name in models.list_models(module=models)
        for weights in models.get_model_weights(name)
        if weights.meta["categories"]  # else it has no head (VGG16's IMAGENET1K_FEATURES)
    ]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def _entry(base: str, weights: Any) -> PublishedWeights:
    preset = weights.transforms()
    side = int(preset.crop_size[0])
    architecture = f"{base}_{side}" if f"{base}_{side}" in torchvision_sizes() else base
    mean, std = tuple(preset.mean), tuple(preset.std)
    if base in ("googlenet", "inception_v3"):
        # published with transform_input: ImageNet's normalisation is turned into this one
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return PublishedWeights(
        name=f"torchvision-{base}-{weights.name.lower()}",
        architecture=architecture,
        weights=weights.name,
        url=weights.url,
        size_mb=float(weights.meta["_file_size"]),
        num_params=int(weights.meta["num_params"]),
        accuracy=float(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]) / 100,
        normalization=Normalization(mean, std),
        shape=(3, side, side),
        resize=int(preset.resize_size[0]),
        categories=tuple(weights.meta["categories"]),
    )


def is_downloaded(published: PublishedWeights) -> bool:
    """Whether the whole file is here, with the right digest; checked once per version."""
    try:
        status = published.file.stat()
    except OSError:
        return False
    if abs(status.st_size / 2**20 - published.size_mb) > max(_TOLERANCE, 0.01 * published.size_mb):
        return False
    prefix = published.sha256_prefix
    return _digest(published.file, status.st_mtime_ns, status.st_size).startswith(prefix)


@lru_cache(maxsize=256)
def _digest(path: Path, _mtime: int, _size: int) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def load_published(published: PublishedWeights) -> Classifier:
    """The published network as a frozen classifier in eval mode on the CPU.

    Raises:
        CheckpointError: if its file is not here, damaged or another one.
    """
    if not published.file.is_file():
        raise CheckpointError(
            f"The weights of {published.name} are not here. Fetch {published.url} "
            f"({published.size_mb:.0f} MB) into {published.file.parent}."
        )
    if not is_downloaded(published):
        raise CheckpointError(
            f"{published.file.name} is not the file that torchvision published: its size or its "
            "digest differs. Remove it and fetch it again."
        )
    classifier = build_foreign(
        read_here(published.file),
        published.architecture,
        num_classes=len(published.categories),
        normalization=published.normalization,
        name=published.name,
        dataset="imagenet",
    )
    return with_card(
        classifier,
        shape=published.shape,
        method="standard",
        sigma=0.0,
        licence="BSD-3-Clause",
        origin=f"torchvision, {published.weights}",
    )


def download_published(published: PublishedWeights) -> Iterator[download.DownloadProgress]:
    """Fetch the file, resuming where an earlier attempt stopped; nothing where it is here.

    Raises:
        DownloadError: if the server cannot be reached or what comes is another file.
    """
    target = published.file
    if target.exists() and not is_downloaded(published):
        target.unlink()  # damaged: its name tells its digest
    yield from download.download(
        published.url, target, digest=published.sha256_prefix, algorithm="sha256"
    )
