"""The exponential moving average of a network's weights and batch statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """Follows a network from its first weights on.

    Args:
        network: what is followed.
        decay: share of the average that a step keeps; less at first, (1 + t) / (10 + t), so that
            a small average of few steps forgets the random start.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self._averaged = AveragedModel(network, use_buffers=True)
        self._averaged.n_averaged += 1  # the first weights are part of the average

    @property
    def values(self) -> dict[str, Tensor]:
        """The averaged tensors by name; batch counters are not among them."""
        state = self._averaged.module.state_dict()
        return {name: t for name, t in state.items() if t.is_floating_point()}

    def update(self, step: int) -> None:
        """Include the weights after ``step`` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        self._averaged.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self._averaged.update_parameters(self._network)

    def load(self, values: dict[str, Tensor]) -> None:
        """Continue from :attr:`values` of an earlier process."""
        self._averaged.module.load_state_dict(values, strict=False)

    def finish(self) -> None:
        """Write the average into the network."""
        with torch.no_grad():
            self._network.load_state_dict(self.values, strict=False)
