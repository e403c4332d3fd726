"""The network in training: number format, memory layout, compiler, several processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from ddrs_core.models import Classifier
from ddrs_core.models.inference.device import Precision


class TrainedNetwork:
    """A :class:`~ddrs_core.training.methods.base.Learner` of one classifier.

    Args:
        classifier: what is trained, in place.
        precision: number format of the forward and backward passes; weights stay float32.
        compiled: whether torch compiles the network.
        parallel: how the classifier is wrapped for several processes.
    """

    def __init__(
        self,
        classifier: Classifier,
        precision: Precision,
        *,
        compiled: bool = False,
        parallel: Callable[[torch.nn.Module], torch.nn.Module] = lambda network: network,
    ) -> None:
        self.classifier = classifier
        self.precision = precision
        module: torch.nn.Module = classifier
        if compiled:
            module = cast(torch.nn.Module, torch.compile(classifier, dynamic=False))
        self._frozen: Callable[[Tensor], Tensor] = module  # no gradient meets another process
        self._trained: Callable[[Tensor], Tensor] = parallel(module)

    def logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] in float32 of [B, C, H, W], in training mode."""
        self.classifier.train()
        return self._evaluate(self._trained, x)

    def frozen_logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] in float32, in eval mode: batch-norm's statistics stay as they are."""
        self.classifier.eval()
        return self._evaluate(self._frozen, x)

    def _evaluate(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if self.precision == "fp32":
            return network(x)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            logits = network(x)
        return logits.float()
