"""The exponential moving average of a network's weights and batch statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Follows a network; a small average of few steps forgets its random start.

    Args:
        network: what is followed.
        decay: share of the average that a step keeps; fewer at first, (1 + t) / (10 + t).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._network = network
        self.values = {name: t.detach().clone() for name, t in self._followed().items()}

    def update(self, step: int) -> None:
        """Take the weights after ``step`` steps in."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            now = self._followed()
            averaged = [self.values[name] for name in now]
            get_ema_multi_avg_fn(decay)(averaged, list(now.values()), step)

    def copy_to(self, network: nn.Module) -> None:
        """Write the average into a network of the same architecture."""
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if name in self.values:
                    tensor.copy_(self.values[name])

    def _followed(self) -> dict[str, Tensor]:
        state = self._network.state_dict()
        return {name: t for name, t in state.items() if t.is_floating_point()}
