"""The options of ``train``, and the command line of a training run."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddrs_core.training import TrainConfig

SETTINGS: dict[str, tuple[type, str]] = {  # fields of TrainConfig
    "epochs": (int, "passes over the training images"),
    "batch_size": (int, "images a step, over all processes"),
    "lr": (float, "learning rate"),
    "schedule": (str, "of the learning rate: cosine, step, one-cycle or constant"),
    "warmup": (float, "epochs over which the learning rate grows from 0"),
    "momentum": (float, "of SGD"),
    "weight_decay": (float, "of SGD"),
    "clip": (float, "largest norm of the gradient; 0: any"),
    "ema": (float, "decay of a moving average of the weights, which is kept; 0: none"),
    "augmentation": (str, "none, flip, shift or flip-shift"),
    "init": (str, "model, or path of a .safetensors file, to start from"),
    "precision": (str, "auto, fp32 or bf16"),
}
METHOD_OPTIONS: dict[str, tuple[type, str]] = {  # fields of the methods
    "copies": (int, "noisy copies of an image: m of SmoothAdv, k of MACER"),
    "epsilon": (float, "SmoothAdv: l2 radius of the attack"),
    "attack_steps": (int, "SmoothAdv: steps T of the attack"),
    "attack_warmup": (float, "SmoothAdv: epochs over which epsilon grows"),
    "robustness_weight": (float, "MACER: lambda"),
    "gamma": (float, "MACER: hinge on the gap"),
    "beta": (float, "MACER: sharpness of the softmax"),
}
SIGMA_OPTIONS: dict[str, tuple[type, str]] = {  # fields of SigmaTraining, after "sigma_"
    "steps": (int, "steps K at each visit of an image"),
    "samples": (int, "noisy copies n a step"),
    "lr": (float, "step size on sigma"),
    "start": (float, "epochs before the sigmas begin to move"),
    "clamp": (float, "probabilities are kept in [c, 1 - c]"),
    "beta": (float, "logits are multiplied by it before the softmax"),
}
SIGMA_BOUNDS: dict[str, str] = {"sigma_min": "smallest sigma", "sigma_max": "largest sigma"}


def train_words(config: TrainConfig, out: Path) -> list[str]:
    """What follows ``python`` to make a model, whatever the defaults will be by then."""
    words = ["-m", "ddrs_core", "train", "--dataset", config.dataset]
    words += ["--method", config.method.name, "--sigma", str(config.sigma)]
    values: dict[str, Any] = {"architecture": config.architecture}
    values |= {name: getattr(config, name) for name in SETTINGS}
    values |= {field.name: getattr(config.method, field.name) for field in fields(config.method)}  # type: ignore[arg-type]
    if config.data_dependent is not None:
        words.append("--data-dependent")
        values |= {f"sigma_{name}": getattr(config.data_dependent, name) for name in SIGMA_OPTIONS}
        values["sigma_min"], values["sigma_max"] = config.data_dependent.bounds
    values |= {"seed": config.seed, "name": config.name}
    for name, value in values.items():
        if value != "":
            words += [flag(name), str(value)]
    if config.compile:
        words.append("--compile")
    return [*words, "--out", str(out)]


def train_command(config: TrainConfig, out: Path) -> str:
    """The command line that makes this model again."""
    return shlex.join(["python", *train_words(config, out)])


def flag(name: str) -> str:
    """The option of a field: ``batch_size`` is ``--batch-size``."""
    return f"--{name.replace('_', '-')}"
