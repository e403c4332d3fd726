"""Stochastic gradient descent without the import of torch's compiler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """SGD with Nesterov momentum and weight decay, by torch's own arithmetic.

    ``torch.optim.SGD`` does the same, but imports torch's compiler to tell it what to leave alone.
    That takes as long as to import torch, for every run that is started.

    Args:
        parameters: the weights, changed in place.
        momentum: 0 for none.
        weight_decay: what is added to the gradient, in units of the weights.
    """

    def __init__(self, parameters: Iterable[Tensor], momentum: float, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._momentum, self._weight_decay = momentum, weight_decay
        self._buffers: list[Tensor | None] = [None] * len(self._parameters)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move the weights that have a gradient."""
        moved = [i for i, weight in enumerate(self._parameters) if weight.grad is not None]
        buffers = [self._buffers[i] for i in moved]
        sgd(
            [self._parameters[i] for i in moved],
            [grad for i in moved if (grad := self._parameters[i].grad) is not None],
            buffers,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self._momentum > 0,
            maximize=False,
        )
        for i, buffer in zip(moved, buffers, strict=True):
            self._buffers[i] = buffer

    def state(self) -> dict[int, dict[str, Tensor]]:
        """What :meth:`load` needs, as in the state of ``torch.optim.SGD``; not copied."""
        return {i: {"momentum_buffer": b} for i, b in enumerate(self._buffers) if b is not None}

    def load(self, state: Mapping[int, Mapping[str, Any]]) -> None:
        """Go on where another one was; the state is copied."""
        for i, weight in enumerate(self._parameters):
            buffer = state.get(i, {}).get("momentum_buffer")
            self._buffers[i] = None if buffer is None else buffer.to(weight, copy=True)
