"""How long forward passes take, by an assumed speed of the device.

Nothing is measured here, so that plans are the same in every run on a machine; measured rates are
in :mod:`ddrs_core.runs.cost`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ddrs_core.models.inference.forward import NoisyForward

# Reached by ResNet-20 at 32 and ResNet-50 at 224 pixels, in fp32, on AVX2 cores; a mid-range GPU.
_SPEED = {"cpu": 4e10, "cuda": 1e13}  # operations a second, for each thread of a processor


# A gradient of one sample costs so many forward passes, its own one included: the backward pass
# needs no gradients of weights, but the forward pass runs in fp32 and keeps its activations.
GRADIENT_PASSES = 3.0


def affordable(
    forward: NoisyForward, shape: Sequence[int], wanted: int, seconds: float, at_least: int
) -> int:
    """How many samples of shape [C, H, W], of ``wanted``, take about ``seconds`` at most.

    The speed of the device is assumed and not measured, so that the answer is the same in every
    run on a machine. It is never below ``at_least`` (unless fewer are wanted), and ``wanted`` for
    a network whose operations are unknown.
    """
    one = pass_seconds(forward, shape)
    return min(wanted, max(at_least, int(seconds / one))) if one else wanted


def pass_seconds(forward: NoisyForward, shape: Sequence[int]) -> float:
    """Assumed seconds of the forward pass of one image [C, H, W]; 0 where its operations are
    unknown."""
    return forward.flops(shape) / assumed_speed(forward.device)


def assumed_speed(device: torch.device) -> float:
    """Floating-point operations a second that a device is taken to reach."""
    if device.type == "cuda":
        return _SPEED["cuda"]
    return _SPEED["cpu"] * torch.get_num_threads()
