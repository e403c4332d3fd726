"""The base classifier f: normalisation first, then a network, with the card that describes it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ddrs_core.errors import CheckpointError
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.inference.device import Precision


@dataclass(frozen=True)
class Normalization:
    """Per-channel affine map ``(x - mean) / std`` of pixels in [0, 1]."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class ModelCard:
    """Everything that is known about a trained model; stored as JSON beside its weights."""

    name: str
    architecture: str
    dataset: str
    num_classes: int
    shape: tuple[int, int, int]  # (C, H, W) of the input
    normalization: Normalization = Normalization()
    method: str = "unknown"  # training method
    sigma: float | None = None  # training noise; None: unknown, 0: none
    accuracy: dict[str, float] = field(default_factory=dict)  # "clean", "noise 0.25", ...
    certified: dict[str, Any] = field(default_factory=dict)  # by a small protocol that it names
    precision: Precision = "fp32"  # lowest precision in which it was checked
    seed: int | None = None
    training: dict[str, Any] = field(default_factory=dict)  # all settings of the training run
    log_digest: str = ""  # SHA-256 of the training log, 16 hex digits
    command: str = ""
    machine: str = ""
    digest: str = ""
    parameters: int = 0
    licence: str = "MIT"
    origin: str = ""  # whose work it is and in which file it came; empty: trained with this program

    @property
    def trained_with_noise(self) -> bool | None:
        """Whether noise was added in training; None where it is unknown."""
        return None if self.sigma is None else self.sigma > 0

    @property
    def own_noise_accuracy(self) -> float | None:
        """Accuracy under the noise that the model was trained with; None where not measured."""
        return self.accuracy.get(f"noise {self.sigma:.2f}") if self.sigma else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelCard:
        """Rebuild a card from :meth:`to_dict` data.

        Raises:
            CheckpointError: if a field is missing, unknown or of the wrong kind.
        """
        try:
            norm = data.get("normalization", {})
            mean, std = norm.get("mean", (0.0,)), norm.get("std", (1.0,))
            normalization = Normalization(tuple(mean), tuple(std))
            channels, height, width = (int(v) for v in data["shape"])
            card = cls(
                **{**data, "normalization": normalization, "shape": (channels, height, width)}
            )
            _check_card(card)
            return card
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"The model card is not usable: {error}.") from None


def _check_card(card: ModelCard) -> None:
    """Raises ValueError unless the fields that the program computes with can be computed with."""
    for value, kind, name in (
        (card.name, str, "name"),
        (card.architecture, str, "architecture"),
        (card.dataset, str, "dataset"),
        (card.num_classes, int, "num_classes"),
        (card.accuracy, dict, "accuracy"),
        (card.certified, dict, "certified"),
        (card.digest, str, "digest"),
        (card.method, str, "method"),
        (card.origin, str, "origin"),
        (card.training, dict, "training"),
        (card.log_digest, str, "log_digest"),
        (card.parameters, int, "parameters"),
        (card.sigma or 0.0, (int, float), "sigma"),
    ):
        if not isinstance(value, kind):
            raise ValueError(f"{name} should not be {str(value)[:40]!r}")
    if not all(isinstance(share, (int, float)) for share in card.accuracy.values()):
        raise ValueError("accuracy should hold numbers")
    if found := card.certified:
        shares = [*found["radii"], *found["accuracy"]]
        shares += [found[name] for name in ("images", "n", "alpha", "sigma")]
        if not all(isinstance(share, (int, float)) for share in shares) or not found["bound"]:
            raise ValueError("certified should hold numbers, and the name of a bound")
        if len(found["radii"]) != len(found["accuracy"]):
            raise ValueError("certified should hold an accuracy for each radius")
    if not 2 <= card.num_classes <= 10**6 or not all(1 <= v <= 10**5 for v in card.shape):
        raise ValueError(f"{card.num_classes} classes and shape {list(card.shape)} cannot be")
    norm = card.normalization
    if not all(math.isfinite(v) for v in norm.mean + norm.std) or min(norm.std) <= 0:
        raise ValueError("the normalization needs finite means and standard deviations above 0")
    if {len(norm.mean), len(norm.std)} - {1, card.shape[0]}:
        raise ValueError(f"the normalization does not fit {card.shape[0]} channels")


class Classifier(nn.Module):
    """f: [B, C, H, W] in [0, 1] -> logits [B, K]. Noise is added *before* the normalisation."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.card = card
        norm = card.normalization
        self.register_buffer("mean", torch.tensor(norm.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(norm.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def build_classifier(card: ModelCard) -> Classifier:
    """A freshly initialised classifier of the card's architecture; random numbers come from the
    global generator, as everywhere in torch.

    Raises:
        UnknownNameError: if the architecture is unknown.
    """
    network = get_architecture(card.architecture).build(card.num_classes, card.shape[0])
    classifier = Classifier(network, card)
    return with_card(classifier, digest=weights_digest(classifier.network))


def with_card(classifier: Classifier, **changes: Any) -> Classifier:
    """Put a changed card on the classifier, in place, with its parameters counted."""
    parameters = sum(p.numel() for p in classifier.network.parameters())
    classifier.card = replace(classifier.card, parameters=parameters, **changes)
    return classifier


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers with their names, as 16 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        data = tensor.detach().to("cpu").contiguous()
        digest.update(f"{name}:{data.dtype}:{tuple(data.shape)}".encode())
        digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
