"""What a sigma strategy is, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoisyForward
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.classifier import as_batch, as_forward
from ddrs_core.smoothing.confidence import check_sigma
from ddrs_core.smoothing.sigma.steps import DEFAULT_BUDGET, SigmaBatch, SigmaStep, SigmaTask


class StrategyConfig(Protocol):
    """One way of choosing sigma, as a frozen dataclass whose fields are its parameters."""

    name: ClassVar[str]  # as on the command line and in logs
    title: ClassVar[str]  # for people; short, so that a select box does not cut it
    fits_curve: ClassVar[bool]  # whether its steps are rounds of votes that carry a fit
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def steps(self) -> int:
        """How many steps it yields."""
        ...

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest sigma."""
        ...

    @property
    def depends_on_budget(self) -> bool:
        """Whether the choice depends on the certification to come."""
        ...

    def check(self) -> Self:
        """Raises InvalidParameterError if a parameter makes no sense."""
        ...

    def passes(self) -> float:
        """Forward passes that it costs for one image; a gradient counts as
        :data:`~ddrs_core.models.GRADIENT_PASSES`."""
        ...

    def run(self, task: SigmaTask) -> Iterator[SigmaBatch]:
        """Choose the sigmas of M images; see :func:`choose_sigmas`."""
        ...


def choose_sigmas(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    images: Tensor,
    sigma_0: Sequence[float] | Tensor,
    config: StrategyConfig,
    *,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaBatch]:
    """Choose the sigma of M images at once, each with its own noise.

    Args:
        f: base classifier [B, C, H, W] in [0, 1] -> logits [B, K], or its fast forward pass.
        images: [M, C, H, W].
        sigma_0: start of each image, [M]; not changed.
        config: the strategy and its parameters.
        seed: run seed.
        indices: image numbers, which select the noise; 0 to M - 1 when omitted.
        budget: the certification that sigma is chosen for; N, alpha and the bound matter to the
            surface and to the guard.

    Yields:
        One :class:`SigmaBatch` a step; the last one carries the chosen sigmas.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    config.check()
    forward = as_forward(f)
    forward.check_images(images)
    start = np.array([check_sigma(float(s)) for s in sigma_0])  # a copy, [M]
    numbers = list(range(len(images))) if indices is None else [int(i) for i in indices]
    if not len(images) == len(start) == len(numbers):
        raise InvalidParameterError(
            f"{counted(len(images), 'image')} with as many sigmas and indices go together, not "
            f"with {len(start)} and {len(numbers)}."
        )
    task = SigmaTask(forward, images, start, numbers, seed, budget or DEFAULT_BUDGET)
    return config.run(task)


def choose_sigma(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    sigma_0: float,
    config: StrategyConfig,
    *,
    seed: int = 0,
    index: int = 0,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaStep]:
    """:func:`choose_sigmas` for one image ``x`` [C, H, W]."""
    batches = choose_sigmas(
        f, as_batch(x), [sigma_0], config, seed=seed, indices=[index], budget=budget
    )
    return (batch.one(0) for batch in batches)
