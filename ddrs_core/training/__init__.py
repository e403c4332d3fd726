"""Training base classifiers for smoothing."""

from ddrs_core.training.config import BatchSummary, EpochSummary, TrainConfig
from ddrs_core.training.loop import METHODS, measure_accuracy, train_steps

__all__ = [
    "METHODS",
    "BatchSummary",
    "EpochSummary",
    "TrainConfig",
    "measure_accuracy",
    "train_steps",
]
