"""Training base classifiers for smoothing: four methods, each with one sigma for all images or a
sigma for each."""

from ddrs_core.training.config import BatchSummary, EpochSummary, SmoothedSummary, TrainConfig
from ddrs_core.training.evaluate import measure_accuracy, measure_certified
from ddrs_core.training.image_sigmas import SigmaSummary, SigmaTraining
from ddrs_core.training.loop import Trainer, train_steps
from ddrs_core.training.methods.gaussian import Gaussian
from ddrs_core.training.methods.registry import METHODS, get_method
from ddrs_core.training.methods.smoothadv import SmoothAdv
from ddrs_core.training.parallel import ALONE, Group, join_group, leave_group
from ddrs_core.training.recipes import recipe
