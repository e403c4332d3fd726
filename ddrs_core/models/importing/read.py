"""What kinds of files there are, and what is known of one that has been read.

Layouts as their own code writes them:

- Cohen et al. 2019 (locuslab/smoothing, code/train.py) and SmoothAdv: ``epoch``, ``arch``,
  ``state_dict``, ``optimizer``; the network is the second part of ``Sequential(normalize, net)``,
  so names begin with ``1.``, or with ``1.module.`` for ImageNet. The normalisation is not in it.
- MACER (RuntianZ/macer, main.py): ``net``, ``epoch``.
- Alfarra et al. 2022 (CIFAR10/train_macer.py): ``epoch``, ``state_dict``, ``optimizer_param``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from ddrs_core.models.classifier import Normalization


class Layout(StrEnum):
    """Who writes files like this."""

    COHEN = "Cohen / SmoothAdv"
    MACER = "MACER"
    AUTHORS = "data-dependent smoothing (paper's authors)"
    LIGHTNING = "PyTorch Lightning"
    WRAPPED = "state dict with other entries"
    PLAIN = "plain state dict"
    SAFETENSORS = "safetensors"
    OURS = "ours"


@dataclass(frozen=True)
class RawCheckpoint:
    """Weights as they were found in a file, on the CPU, in float32."""

    name: str  # of the file
    layout: Layout
    state: dict[str, Tensor]  # without prefix and without a normalisation layer
    prefix: str = ""  # what was in front of every name
    arch_hint: str = ""  # the file's own "arch" entry
    epoch: int | None = None
    entry: str = ""  # where in the file they are; empty: they are the file
    extras: tuple[str, ...] = ()  # names of the other entries, and of other weights
    normalization: Normalization | None = None  # None: not in the file
    notes: tuple[str, ...] = ()
    size: int = 0  # bytes
