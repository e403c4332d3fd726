"""What a certification will cost on this machine, from a measured rate of votes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.runs.certify.config import CertifyConfig, shared_votes

_ADAPTIVE_SHARE = 0.12  # of N: 0.10 on the published ResNet-20 log, a little more on others
_MEASURE_SECONDS = 0.6
_FIRST_VOTES = 256


def measure_rate(forward: NoisyForward, shape: Sequence[int]) -> float:
    """Votes a second on images of shape [C, H, W], measured for about half a second.

    Raises:
        DDRSError: if the network does not take such images.
    """
    image = torch.full((1, *shape), 0.5)
    sigmas = torch.tensor([0.25])
    n, rate = _FIRST_VOTES, 0.0
    ends = time.perf_counter() + _MEASURE_SECONDS
    while time.perf_counter() < ends:
        generator = noise_generator(0, 0, "cost", forward.device)
        started = time.perf_counter()
        forward.votes(image, sigmas, n, [generator])
        rate = n / max(time.perf_counter() - started, 1e-9)
        n = max(n, min(1 << 20, int(rate * _MEASURE_SECONDS / 3)))
    return rate


def expected_votes_of_all(configs: Sequence[CertifyConfig], images: int) -> float:
    """Forward passes that all settings of a run take together, about."""
    takers = shared_votes(configs)
    return sum(expected_votes(c, images) for i, c in enumerate(configs) if i not in takers)


def expected_votes(config: CertifyConfig, images: int) -> float:
    """Forward passes that a run over so many images will take, about. The share that an adaptive
    run needs is that of published runs."""
    budget = config.budget
    n = budget.n if budget.stop is None else max(_ADAPTIVE_SHARE * budget.n, 512)
    chosen = config.strategy.passes() if config.strategy is not None else 0.0
    return images * (budget.n0 + n + chosen)
