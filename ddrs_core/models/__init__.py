"""Base classifiers: architectures, model files of ours and others, the registry, and the fast noisy
forward pass."""

from ddrs_core.models.architectures import list_architectures, list_torchvision_architectures
from ddrs_core.models.checkpoint import check_weights, load_checkpoint, read_card, save_checkpoint
from ddrs_core.models.classifier import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    weights_digest,
    with_card,
)
from ddrs_core.models.compatibility import (
    accepts,
    check_fit,
    check_shape,
    class_names,
    open_for_model,
)
from ddrs_core.models.importing.build import (
    Layout,
    RawCheckpoint,
    Recognition,
    describe,
    read_state,
    recognise,
)
from ddrs_core.models.importing.normalizations import list_normalizations
from ddrs_core.models.importing.proposal import Proposal, accept, propose
from ddrs_core.models.inference.cost import GRADIENT_PASSES, affordable
from ddrs_core.models.inference.device import (
    DeviceInfo,
    choose_precision,
    device_info,
    list_devices,
    resolve_device,
)
from ddrs_core.models.inference.execution import batch_size_of
from ddrs_core.models.inference.forward import NoisyForward
from ddrs_core.models.inference.journal import Journal, JournaledForward
from ddrs_core.models.inference.noise import NoiseStream, noise_generator
from ddrs_core.models.inference.votes import VoteCounts
from ddrs_core.models.registry import (
    UPLOAD_PREFIX,
    attach_model,
    get_card,
    list_models,
    load_model,
)
from ddrs_core.models.robustness import (
    NOISE_LEVELS,
    Robustness,
    find_robustness,
    measure_robustness,
    robustness_on_card,
    spread_images,
)
from ddrs_core.models.torchvision_weights import (
    download_published,
    get_published,
    is_downloaded,
    list_published,
)
from ddrs_core.models.user_models import add_model, free_name, keep_upload, remove_model

__all__ = [
    "GRADIENT_PASSES",
    "NOISE_LEVELS",
    "UPLOAD_PREFIX",
    "Classifier",
    "DeviceInfo",
    "Journal",
    "JournaledForward",
    "Layout",
    "ModelCard",
    "NoiseStream",
    "NoisyForward",
    "Normalization",
    "Proposal",
    "RawCheckpoint",
    "Recognition",
    "Robustness",
    "VoteCounts",
    "accept",
    "accepts",
    "add_model",
    "affordable",
    "attach_model",
    "batch_size_of",
    "build_classifier",
    "check_fit",
    "check_shape",
    "check_weights",
    "choose_precision",
    "class_names",
    "describe",
    "device_info",
    "download_published",
    "find_robustness",
    "free_name",
    "get_card",
    "get_published",
    "is_downloaded",
    "keep_upload",
    "list_architectures",
    "list_devices",
    "list_models",
    "list_normalizations",
    "list_published",
    "list_torchvision_architectures",
    "load_checkpoint",
    "load_model",
    "measure_robustness",
    "noise_generator",
    "open_for_model",
    "propose",
    "read_card",
    "read_state",
    "recognise",
    "remove_model",
    "resolve_device",
    "robustness_on_card",
    "save_checkpoint",
    "spread_images",
    "weights_digest",
    "with_card",
]
