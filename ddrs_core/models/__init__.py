"""Base classifiers: architectures, model files, the registry, and the fast noisy forward pass."""

from ddrs_core.models.checkpoint import load_checkpoint, read_card, save_checkpoint
from ddrs_core.models.classifier import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    weights_digest,
)
from ddrs_core.models.device import (
    DeviceInfo,
    choose_precision,
    device_info,
    list_devices,
    resolve_device,
)
from ddrs_core.models.forward import NoisyForward, VoteCounts
from ddrs_core.models.noise import noise_generator
from ddrs_core.models.registry import check_fit, get_card, list_models, load_model

__all__ = [
    "Classifier",
    "DeviceInfo",
    "ModelCard",
    "NoisyForward",
    "Normalization",
    "VoteCounts",
    "build_classifier",
    "check_fit",
    "choose_precision",
    "device_info",
    "get_card",
    "list_devices",
    "list_models",
    "load_checkpoint",
    "load_model",
    "noise_generator",
    "read_card",
    "resolve_device",
    "save_checkpoint",
    "weights_digest",
]
