"""Fields of configurations: their limits are stated once, and hold for every value."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.parameters import Configuration, parameters_of, with_values
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.smoothing import CertificationBudget, StopAtRadii
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.memory.counterexample import CounterexampleConfig
from ddrs_core.smoothing.sigma.strategies import STRATEGIES
from ddrs_core.training import SigmaTraining, TrainConfig
from ddrs_core.training.methods.registry import METHODS

CONFIGURATIONS: list[Any] = [
    *(kind() for kind in (*STRATEGIES.values(), *METHODS.values())),
    CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.5),
    CounterexampleConfig(),
    LookSchedule(1000),
    SigmaTraining(),
    StopAtRadii(),
    TrainConfig("digits", "digits_cnn"),
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: type(config).__name__)
def test_values_outside_the_limits_are_refused_by_name(config: Any) -> None:
    assert config.check() is config
    for name, about in parameters_of(config).items():
        wrong = [] if about.low is None else [about.low - 1]
        wrong += [] if about.high is None else [about.high + 1]
        wrong += [limit for limit in (about.above, about.below) if limit is not None]
        wrong += [math.nan, math.inf] if about.kind in (int, float) else []
        for value in wrong:
            changed = with_values(config, {name: (value,) if about.many else value})
            with pytest.raises(InvalidParameterError, match=f"^{about.label} must"):
                changed.check()


def test_the_two_numbers_of_a_pair_ascend() -> None:
    for bounds in ((0.5, 0.5), (0.6, 0.5)):
        with pytest.raises(InvalidParameterError, match="Smallest sigma"):
            SigmaTraining(bounds=bounds).check()


def test_configurations_within_one_are_checked() -> None:
    run = CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.5)
    assert isinstance(run.budget, Configuration)
    for budget in (CertificationBudget(alpha=2.0), CertificationBudget(stop=StopAtRadii(()))):
        with pytest.raises(InvalidParameterError):
            replace(run, budget=budget).check()
