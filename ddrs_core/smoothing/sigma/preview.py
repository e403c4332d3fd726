"""A quick look at what the network answers around one image at one noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.smoothing.classifier import as_batch, as_forward
from ddrs_core.smoothing.confidence import check_sigma

COPIES = 8  # noisy copies that are shown


@dataclass(frozen=True)
class Probe:
    """Votes at one sigma, for looking at; never part of a certificate."""

    sigma: float
    counts: tuple[int, ...]  # [K]
    copies: tuple[int, ...]  # class of each shown noisy copy
    confidence: tuple[float, ...]  # softmax probability of that class


def shown_noise(x: Tensor, seed: int, index: int, copies: int = COPIES) -> Tensor:
    """The noise vectors [copies, C, H, W] of the shown copies; the same at every sigma."""
    generator = noise_generator(seed, index, "shown")
    return torch.empty((copies, *x.shape)).normal_(generator=generator)


def probe(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    sigma: float,
    samples: int = 200,
    seed: int = 0,
    index: int = 0,
) -> Probe:
    """Count ``samples`` votes at ``sigma`` and classify the copies that are shown.

    The noise vectors do not depend on sigma, so that probes along a trajectory move smoothly.
    """
    forward = as_forward(f)
    sigma = check_sigma(sigma)
    generator = noise_generator(seed, index, "probe", forward.device)
    counts = forward.votes(as_batch(x), torch.tensor([sigma]), samples, [generator])[0]
    with torch.inference_mode():
        shown = x.to("cpu", torch.float32) + sigma * shown_noise(x, seed, index)
        parts = shown.to(forward.device).split(forward.batch_size(x.shape))
        best = torch.cat([forward.logits(part) for part in parts]).softmax(1).max(1)
    return Probe(
        sigma,
        tuple(int(c) for c in counts),
        tuple(int(c) for c in best.indices.cpu()),
        tuple(float(p) for p in best.values.cpu()),
    )
