"""Base classifiers: architectures, model files of ours and others, the registry, and the fast noisy
forward pass."""

from ddrs_core.models.architectures import list_architectures, list_torchvision_architectures
from ddrs_core.models.checkpoint import load_checkpoint, read_card, save_checkpoint
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
from ddrs_core.models.importing.build import describe
from ddrs_core.models.importing.proposal import Proposal, accept, propose
from ddrs_core.models.importing.recognise import recognise
from ddrs_core.models.importing.sandbox import read_state
from ddrs_core.models.inference.cost import GRADIENT_PASSES, affordable
from ddrs_core.models.inference.device import (
    choose_precision,
    device_info,
    list_devices,
    resolve_device,
)
from ddrs_core.models.inference.execution import batch_size_of
from ddrs_core.models.inference.forward import NoisyForward
from ddrs_core.models.inference.journal import Journal, JournaledForward
from ddrs_core.models.inference.noise import NoiseStream, noise_generator
from ddrs_core.models.registry import UPLOAD_PREFIX, attach_model, get_card, list_models, load_model
from ddrs_core.models.robustness import (
    NOISE_LEVELS,
    Robustness,
    find_robustness,
    measure_robustness,
    spread_images,
)
from ddrs_core.models.torchvision_weights import (
    download_published,
    get_published,
    is_downloaded,
    list_published,
)
from ddrs_core.models.user_models import add_model, free_name, keep_upload, remove_model
