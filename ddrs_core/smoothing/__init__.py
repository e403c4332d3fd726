"""The method: certify and predict by voting over noise, and choose the noise for each input."""

from ddrs_core.smoothing.attack import Attack, AttackConfig
from ddrs_core.smoothing.attack_search import attack_smoothed
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, round_down
from ddrs_core.smoothing.classifier import SmoothedClassifier
from ddrs_core.smoothing.diagnosis import Diagnosis, FailureKind, diagnose
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.sigma.ascent import AscentConfig, ascend_sigma
from ddrs_core.smoothing.sigma.base import StrategyConfig, choose_sigmas
from ddrs_core.smoothing.sigma.preview import Probe, ShownCopies, copies_along, shown_noise
from ddrs_core.smoothing.sigma.provable import Provable, other_bound, provable
from ddrs_core.smoothing.sigma.radius_curve import (
    RadiusCurve,
    compare_with_curve,
    curve_budget,
    radius_curve,
    sigma_grid,
)
from ddrs_core.smoothing.sigma.search import SearchConfig, search_sigma
from ddrs_core.smoothing.sigma.steps import CurveFit, SigmaBatch, SigmaStep
from ddrs_core.smoothing.sigma.strategies import (
    DEFAULT_PRESET,
    STRATEGIES,
    Preset,
    get_preset,
    list_presets,
)
from ddrs_core.smoothing.sigma.surface import SurfaceConfig, surface_sigma
from ddrs_core.smoothing.sigma.trace import SigmaFrame, watch_sigma
from ddrs_core.smoothing.stopping import StopAtRadii, StopAtRelativeWidth, StopRule
from ddrs_core.smoothing.voting import BatchProgress, VoteProgress
