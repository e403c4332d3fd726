"""Good settings for each data set and method: what ``train`` uses where nothing else is said.

The digits models that come with the program were trained with these; those for CIFAR-10 had fewer
epochs, as their cards say. For other data sets the settings are those of Cohen et al. 2019. What is
not published was chosen on training images.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ddrs_core.training.config import TrainConfig
from ddrs_core.training.image_sigmas import SigmaTraining
from ddrs_core.training.methods.registry import get_method

_GENERAL: dict[str, Any] = {
    "epochs": 90,
    "batch_size": 256,
    "lr": 0.1,
    "schedule": "step",
    "weight_decay": 1e-4,
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {
        "epochs": 120,
        "batch_size": 128,
        "lr": 0.1,
        "schedule": "cosine",
        "weight_decay": 5e-4,
    },
    "cifar10": {
        "epochs": 60,
        "batch_size": 128,
        "lr": 0.2,
        "schedule": "one-cycle",
        "weight_decay": 3e-4,
        "augmentation": "flip",
    },
}
_BY_METHOD: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "smoothadv"): {"epochs": 80},
    ("digits", "macer"): {"epochs": 80, "clip": 1.0, "warmup": 2.0},
    ("cifar10", "macer"): {"clip": 1.0, "warmup": 1.0},
}
_METHOD_OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "smoothadv"): {"attack_steps": 2, "attack_warmup": 5.0},
    ("digits", "macer"): {"copies": 4},
    ("digits", "consistency"): {"consistency_weight": 5.0},  # 10 learns nothing at 0.5
    ("cifar10", "smoothadv"): {"attack_steps": 4},
    ("cifar10", "macer"): {"copies": 4},
}
_BELOW, _ABOVE = 0.1, 0.125  # how far the sigmas of the training images may leave sigma_0


def recipe(
    dataset: str,
    architecture: str,
    method: str,
    sigma: float,
    *,
    data_dependent: bool = False,
    **changes: Any,
) -> TrainConfig:
    """The settings for a data set and method, with ``changes`` to fields of the configuration.

    Raises:
        UnknownNameError: if there is no such method.
    """
    settings = _SETTINGS.get(dataset, _GENERAL) | _BY_METHOD.get((dataset, method), {})
    epochs = changes.get("epochs", settings["epochs"])
    settings["warmup"] = min(settings.get("warmup", 0.0), epochs)  # also in a short run
    options = _METHOD_OPTIONS.get((dataset, method), {})
    return replace(
        TrainConfig(
            dataset=dataset,
            architecture=architecture,
            method=get_method(method)(**options),
            sigma=sigma,
            data_dependent=_sigma_training(sigma) if data_dependent else None,
            **settings,
        ),
        **changes,
    )


def _sigma_training(sigma_0: float) -> SigmaTraining:
    """Wider bounds cost accuracy: images of one class tend to the same end of them, and the
    network learns to tell the class from the noise level instead of from the image."""
    low, high = max(sigma_0 - _BELOW, 0.4 * sigma_0), sigma_0 + _ABOVE
    return SigmaTraining(bounds=(round(low, 6), round(high, 6)))
