"""A quick look at what the network answers around one image at one noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.smoothing.classifier import as_batch, as_forward
from ddrs_core.smoothing.confidence import Floats, check_sigma

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
    said, confidence = _classify(forward, x, np.array([sigma]), seed, index)
    return Probe(
        sigma,
        tuple(int(c) for c in counts),
        tuple(said[0].tolist()),
        tuple(confidence[0].tolist()),
    )


@dataclass(frozen=True, eq=False)
class ShownCopies:
    """What the network says of the shown copies at each of some noise levels."""

    sigmas: Floats  # [S]
    classes: NDArray[np.int64]  # [S, copies]
    confidence: Floats  # [S, copies]; softmax probability of that class


def copies_along(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    sigmas: Floats,
    *,
    seed: int = 0,
    index: int = 0,
) -> ShownCopies:
    """Classify the copies of ``x`` [C, H, W] that are shown at each noise level [S]."""
    return ShownCopies(sigmas, *_classify(as_forward(f), x, sigmas, seed, index))


def _classify(
    forward: NoisyForward, x: Tensor, sigmas: Floats, seed: int, index: int
) -> tuple[NDArray[np.int64], Floats]:
    """Class and confidence of each shown copy at each noise level, [S, copies]."""
    scale = torch.from_numpy(sigmas).to(torch.float32).reshape(-1, 1, 1, 1, 1)
    with torch.inference_mode():
        copies = x.to("cpu", torch.float32) + scale * shown_noise(x, seed, index)
        parts = copies.flatten(0, 1).split(forward.batch_size(x.shape))
        logits = [forward.logits(part.to(forward.device)) for part in parts]
        best = torch.cat(logits).softmax(1).max(1)
    shape = (len(sigmas), -1)
    said = best.indices.cpu().numpy().reshape(shape)
    return said, best.values.cpu().numpy().astype(np.float64).reshape(shape)
