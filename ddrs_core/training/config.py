"""How a training run is set up and what it reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from ddrs_core.errors import require_number, unknown_name
from ddrs_core.models import Classifier
from ddrs_core.models.inference.device import PRECISIONS, choose_precision, resolve_device
from ddrs_core.parameters import Configuration, described, parameter
from ddrs_core.training.augmentation import AUGMENTATIONS
from ddrs_core.training.image_sigmas import SigmaSummary, SigmaTraining
from ddrs_core.training.methods.base import TrainingMethod
from ddrs_core.training.methods.gaussian import Gaussian
from ddrs_core.training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainConfig(Configuration):
    """One training run; see :func:`~ddrs_core.training.recipes.recipe` for good settings."""

    dataset: str = field(metadata=described("see: datasets"))
    architecture: str = field(metadata=described("default: what suits the data set"))
    method: TrainingMethod = field(default_factory=Gaussian)
    sigma: float = parameter(
        0.25,
        "training noise, where each image's own begins if data-dependent",
        above=0.0,
        below=100.0,
    )
    data_dependent: SigmaTraining | None = None
    epochs: int = parameter(90, "passes over the training images", low=1, high=100_000)
    batch_size: int = parameter(256, "images a step, over all processes", low=2)
    lr: float = parameter(0.1, "learning rate", "Learning rate", above=0.0)
    schedule: str = parameter("cosine", "of the learning rate", choices=tuple(SCHEDULES))
    warmup: float = parameter(
        0.0, "epochs over which the learning rate grows from 0", "Warm-up", low=0.0
    )
    momentum: float = parameter(0.9, "of SGD", low=0.0, below=1.0)
    weight_decay: float = parameter(1e-4, "of SGD", low=0.0)
    clip: float = parameter(0.0, "largest norm of the gradient; 0: any", low=0.0)
    ema: float = parameter(
        0.0,
        "decay of a moving average of the weights, which is kept; 0: none",
        "Moving average",
        low=0.0,
        below=1.0,
    )
    augmentation: str = parameter("none", "of the images", choices=tuple(AUGMENTATIONS))
    init: str = parameter("", "model, or path of a .safetensors file, to start from")
    precision: str = parameter(
        "auto", "of the network", "Number format", choices=("auto", *PRECISIONS)
    )
    compile: bool = parameter(False, "compile the network first (needs a C++ compiler)")
    seed: int = parameter(0, "same seed, same machine: same model", low=0, high=2**63 - 1)
    name: str = parameter("", "of the model; default: such as digits-gaussian-0.25")

    @property
    def model_name(self) -> str:
        """``digits-gaussian-0.50`` or ``digits-gaussian-ds2-0.50`` unless a name was given."""
        ds = "-ds2" if self.data_dependent is not None else ""
        return self.name or f"{self.dataset}-{self.method.name}{ds}-{self.sigma:.2f}"

    def check(self) -> Self:
        """Raises DDRSError if a number or name makes no sense, whatever the data set."""
        super().check()
        require_number("Warm-up (epochs)", self.warmup, at_most=self.epochs)
        choose_precision(self.precision, resolve_device("cpu"))
        for kind, name, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("augmentation", self.augmentation, AUGMENTATIONS),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the method with its name."""
        data = asdict(self)
        data["method"] = {"name": self.method.name, **data["method"]}
        return data


@dataclass(frozen=True)
class BatchSummary:
    """The batches since the last summary, several times a second."""

    epoch: int
    batch: int  # done in this epoch
    batches: int
    loss: float  # mean over these batches
    accuracy: float  # on their noisy images


@dataclass(frozen=True)
class SmoothedSummary:
    """A few test images after an epoch, smoothed with the run's sigma; shares of ``images``."""

    images: int
    votes: int  # of each certificate, one-sided at alpha = 0.01
    clean: float  # right without noise
    smoothed: float  # right by most votes
    radii: tuple[float, ...]
    certified: tuple[float, ...]  # right and certified at each of the radii


@dataclass(frozen=True)
class EpochSummary:
    """After one pass over the training split; the last one carries the classifier."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float  # on noisy training images
    lr: float
    seconds: float
    sigma: SigmaSummary | None = None  # data-dependent training only
    classifier: Classifier | None = None
    excluded: str = ""  # a sentence on training images that could not be used
    smoothed: SmoothedSummary | None = None  # after some epochs only

    def to_dict(self) -> dict[str, Any]:
        """A line of the training log."""
        data = asdict(replace(self, classifier=None))
        del data["classifier"]
        return data
