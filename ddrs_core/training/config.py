"""How a training run is set up and what it reports."""

from __future__ import annotations

from dataclasses import dataclass

from ddrs_core.models import Classifier


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults suit the digits."""

    dataset: str
    architecture: str
    method: str
    sigma: float
    epochs: int = 120
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    name: str = ""  # of the model; made from the other fields when empty

    @property
    def model_name(self) -> str:
        """``digits-gaussian-0.50`` unless a name was given."""
        return self.name or f"{self.dataset}-{self.method}-{self.sigma:.2f}"


@dataclass(frozen=True)
class BatchSummary:
    """After one step of the weights."""

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float  # on the noisy images of this batch


@dataclass(frozen=True)
class EpochSummary:
    """After one pass over the training split; the last one carries the classifier."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float  # on noisy training images
    lr: float
    seconds: float
    classifier: Classifier | None = None
