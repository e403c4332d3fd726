"""The end of a training run: the model is rounded, measured on the test split and saved."""

from __future__ import annotations

import torch

from ddrs_core.models import Classifier, device_info, save_checkpoint, weights_digest
from ddrs_core.models.checkpoint import round_weights
from ddrs_core.models.classifier import with_card
from ddrs_core.models.inference.device import Precision
from ddrs_core.runs.training.files import TrainingFiles
from ddrs_core.runs.training.log import log_digest
from ddrs_core.training import TrainConfig, measure_accuracy

MEASURED_SIGMAS = (0.12, 0.25, 0.50)
MEASURED_COPIES = 5
TOLERANCE = 0.005  # of accuracy, at which a model counts as fit for a coarser number format


def measure_and_save(
    classifier: Classifier, config: TrainConfig, files: TrainingFiles, command: str
) -> None:
    """Measure the classifier and write it with its card."""
    device = next(classifier.parameters()).device
    wanted = {f"{sigma:.2f}": sigma for sigma in (*MEASURED_SIGMAS, config.sigma)}
    measured = tuple(sorted(wanted.values()))
    copies, dataset = MEASURED_COPIES, config.dataset
    round_where_harmless(classifier, dataset, config.sigma)
    accuracy = measure_accuracy(classifier, dataset, measured, copies=copies, precision="fp32")
    with_card(
        classifier,
        accuracy=accuracy,
        precision=lowest_precision(classifier, dataset, accuracy, measured, copies=copies),
        command=command,
        machine=f"{device_info(str(device)).title}, torch {torch.__version__}",
        log_digest=log_digest(files.log),
    )
    save_checkpoint(classifier, files.folder)
    files.state.unlink(missing_ok=True)


def round_where_harmless(classifier: Classifier, dataset: str, sigma: float) -> None:
    """Round the weights to half precision unless that costs accuracy under noise ``sigma``; files
    are then half as large. It is the rounded classifier that is measured and certified."""
    exact = {name: t.clone() for name, t in classifier.network.state_dict().items()}
    before = measure_accuracy(classifier, dataset, (sigma,), copies=1, precision="fp32")
    if not before:
        return
    round_weights(classifier)
    after = measure_accuracy(classifier, dataset, (sigma,), copies=1, precision="fp32")
    if any(after[name] < before[name] - TOLERANCE for name in before):
        classifier.network.load_state_dict(exact)
        with_card(classifier, digest=weights_digest(classifier.network))


def lowest_precision(
    classifier: Classifier,
    dataset: str,
    accuracy: dict[str, float],
    sigmas: tuple[float, ...],
    *,
    copies: int = 10,
) -> Precision:
    """``bf16`` if every accuracy in that format is within 0.5 points of fp32's, else ``fp32``."""
    lower = measure_accuracy(classifier, dataset, sigmas, copies=copies, precision="bf16")
    near = all(abs(lower[name] - accuracy[name]) <= TOLERANCE for name in accuracy)
    return "bf16" if near and accuracy else "fp32"
