"""The search for x' inside a data-dependent radius, where the truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoisyForward
from ddrs_core.smoothing import AscentConfig, CertificationBudget, SearchConfig, SmoothedClassifier
from ddrs_core.smoothing.certificate import Certificate
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.memory.counterexample import (
    Confirmation,
    Counterexample,
    CounterexampleConfig,
    NotFound,
)
from ddrs_core.smoothing.memory.counterexample_search import find_counterexample
from ddrs_core.smoothing.memory.rules import Outcome

CONFIG = CounterexampleConfig(steps=25, samples=32, within=0.93)
SIGMA_0 = 0.4
GUARDED = AscentConfig(lr=0.05, steps=20, samples=16, bounds=(0.05, 1.5), beta=3.0, guard=400)


class Island(nn.Module):
    """Class 0 where the first pixel is within REACH of 1/2, class 1 elsewhere.

    Smoothed, the island is the smaller the larger the noise: around its middle a small sigma
    certifies a ball whose edge a large sigma gives to class 1.
    """

    REACH = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = 20 * (self.REACH - (x.flatten(1)[:, 0] - 0.5).abs())
        return torch.stack([s, -s], dim=1)

    @classmethod
    def share(cls, x: Tensor, sigma: float) -> float:
        """The probability of class 0, exactly."""
        s = float(x.flatten()[0]) - 0.5
        return float(norm.cdf((cls.REACH - s) / sigma) - norm.cdf((-cls.REACH - s) / sigma))


class Halves(nn.Module):
    """Linear: the smoothed class is the same at all noise levels."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = 20 * (x.flatten(1)[:, 0] - 0.4)
        return torch.stack([s, -s], dim=1)


def image(first: float) -> Tensor:
    return torch.tensor([[[first, 0.5]]])


def certified(f: nn.Module, x: Tensor, sigma: float) -> tuple[SmoothedClassifier, Certificate]:
    smoothed = SmoothedClassifier(f, 2)
    return smoothed, smoothed.certify(x, sigma=sigma, n=4000, grade=Grade.CONDITIONAL, index=3)


@pytest.mark.parametrize("strategy", [GUARDED, SearchConfig()], ids=["ascent", "search"])
@pytest.mark.parametrize("with_targets", [False, True])
def test_a_counterexample_that_exists_is_found(
    strategy: AscentConfig | SearchConfig, with_targets: bool
) -> None:
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    assert Island.share(x, SIGMA_0) > 0.5  # the guard would not have refused this sigma
    assert certificate.radius > 0.2
    edge = image(0.52 + CONFIG.within * certificate.radius)
    assert Island.share(edge, SIGMA_0) < 0.49  # so there is something to find
    targets = torch.stack([image(0.98), image(0.0)]) if with_targets else None
    steps = list(
        find_counterexample(
            smoothed,
            x,
            certificate,
            sigma_0=SIGMA_0,
            strategy=strategy,
            targets=targets,
            config=CONFIG,
            fresh_seed=7,
        )
    )
    found = steps[-1].result
    assert isinstance(found, Counterexample)
    assert all(step.result is None for step in steps[:-1])
    other, theirs = found.other, found.other_certificate
    apart = float((other.double() - x.double()).norm())
    assert found.distance.low <= apart <= found.distance.high < certificate.radius
    assert found.distance.high < found.fresh.radius
    assert other.min() >= 0
    assert other.max() <= 1
    assert (certificate.prediction, theirs.prediction) == (0, 1)
    assert Island.share(other, theirs.sigma) < 0.5  # as the truth has it
    assert Island.share(other, certificate.sigma) > 0.5  # and x's certificate did not lie
    assert (found.fresh.seed, found.other_fresh.seed) == (7, 7)
    assert (found.fresh.sigma, found.other_fresh.sigma) == (certificate.sigma, theirs.sigma)
    assert (found.fresh.prediction, found.other_fresh.prediction) == (0, 1)
    with_memory = found.with_memory()
    assert (with_memory.outcome, with_memory.prediction) == (Outcome.ADOPTED, 0)


def test_a_lucky_certificate_of_x_does_not_hide_a_counterexample() -> None:
    """Fresh noise may prove a smaller radius than the certificate of x claims; the search stays
    inside the smaller one, whatever the seed of the fresh noise is."""
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    lucky = replace(certificate, radius=1.1 * certificate.radius)
    for fresh_seed in (7, 8):
        *_, last = find_counterexample(
            smoothed,
            x,
            lucky,
            sigma_0=SIGMA_0,
            strategy=SearchConfig(),
            config=CONFIG,
            fresh_seed=fresh_seed,
        )
        assert isinstance(last.result, Counterexample)
        assert last.result.distance.high < last.result.fresh.radius < lucky.radius


def test_an_image_that_fresh_noise_does_not_certify_is_not_attacked() -> None:
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    wrong = replace(certificate, prediction=1, candidate=1)
    steps = list(
        find_counterexample(
            smoothed, x, wrong, sigma_0=SIGMA_0, strategy=GUARDED, config=CONFIG, fresh_seed=7
        )
    )
    assert isinstance(steps[-1].result, NotFound)
    assert not steps[-1].result.confirmed
    assert "no ball to search" in steps[-1].result.text
    assert {step.stage for step in steps} == {"own certificate"}


class Coin(nn.Module):
    """Class 0 close to the middle of the pixel cube; elsewhere a coin decides: class 1 with
    probability 1/2, 0 and 2 with 1/4. So far from the middle no class ever has a majority."""

    CORE = 0.8

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        weights = torch.arange(1, flat.shape[1] + 1) * 1e3 * math.sqrt(2)
        coin = (flat * weights).sum(dim=1).remainder(4.0).long()  # 0 to 3
        drawn = torch.tensor([0, 1, 1, 2])[coin.clamp(0, 3)]
        answer = torch.where((flat - 0.5).norm(dim=1) < self.CORE, 0, drawn)
        return nn.functional.one_hot(answer, 3).float() + 0 * flat[:, :1]


def test_the_probability_that_is_stated_is_kept_however_often_it_is_tried() -> None:
    """Where x' chooses a noise level at which no class has a majority, every certificate of it is
    wrong. Whoever goes on until one is confirmed finds a wrong one with a probability above
    2 alpha, but not above the one that is stated."""
    alpha, searches, tries, far = 0.2, 60, 8, 0.3
    x = torch.full((1, 8, 8), 0.5)
    smoothed = SmoothedClassifier(NoisyForward(Coin(), 3, precision="fp32"), 3)
    rng = np.random.default_rng(0)
    neighbours = x + torch.from_numpy(rng.uniform(-0.01, 0.01, (tries, 1, 8, 8))).float()
    certificate = smoothed.certify(
        x, sigma=0.05, n0=20, n=101, alpha=alpha, bound="one-sided", grade=Grade.CONDITIONAL
    )
    assert certificate.prediction == 0  # rightly: the noise, of norm 0.4, ends in the core
    selected = replace(certificate, sigma=far, prediction=1, candidate=1)
    confirmations = []
    for number in range(searches):
        confirmation = Confirmation(
            smoothed,
            x,
            replace(certificate, index=number),
            CertificationBudget.of(n0=20, n=101, alpha=alpha, bound="one-sided"),
            fresh_seed=3,
        )
        for i in range(tries):
            found = confirmation.attempt(neighbours[i], selected, far)
            if found is not None:
                assert found.confirmations == i + 1
                assert found.failure == pytest.approx(min(1.0, (2 + i) * alpha))
                assert found.other_fresh.seed == 3 + i
                confirmations.append(i + 1)
                break
    assert len(confirmations) / searches > 2 * alpha
    for k in range(1, 4):
        wrong = sum(made <= k for made in confirmations) / searches
        stated = (1 + k) * alpha
        assert wrong <= stated + 3 * math.sqrt(stated * (1 - stated) / searches)


def test_no_seed_confirms_that_was_used_before() -> None:
    """The stream of seeds passes over those of the search and of x's certificate."""
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    budget = CertificationBudget(n=100, seed=8)
    confirmation = Confirmation(smoothed, x, replace(certificate, seed=9), budget, fresh_seed=7)
    seeds = []
    for _ in range(3):
        found = confirmation.attempt(x, certificate, 0.15)
        assert found is not None
        seeds.append(found.other_fresh.seed)
    assert seeds == [7, 10, 11]
    assert found.fresh.seed == 7


def test_where_no_noise_level_matters_nothing_is_found() -> None:
    x = image(0.6)
    smoothed, certificate = certified(Halves(), x, 0.15)
    assert certificate.radius > 0.1
    *_, last = find_counterexample(
        smoothed,
        x,
        certificate,
        sigma_0=SIGMA_0,
        strategy=GUARDED,
        targets=torch.stack([image(0.1), image(0.0)]),
        config=CONFIG,
    )
    assert isinstance(last.result, NotFound)
    assert last.result.attacks == 3 * len(last.result.levels)
    assert last.result.best_share < 0.6  # the edge of the ball may come close to a draw
    assert "attacks" in last.result.text


def test_the_search_is_reproducible() -> None:
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    found = []
    for _ in range(2):
        *_, last = find_counterexample(
            smoothed, x, certificate, sigma_0=SIGMA_0, strategy=SearchConfig(), config=CONFIG
        )
        assert isinstance(last.result, Counterexample)
        found.append(last.result)
    torch.testing.assert_close(found[0].other, found[1].other, rtol=0, atol=0)
    assert found[0].other_certificate.counts == found[1].other_certificate.counts


def test_what_makes_no_sense_is_refused() -> None:
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    more = {"sigma_0": SIGMA_0, "strategy": GUARDED}
    abstention = replace(certificate, prediction=-1, radius=0.0)
    for wrong in (
        lambda: find_counterexample(smoothed, x, abstention, **more),
        lambda: find_counterexample(smoothed, x, certificate, fresh_seed=0, **more),
        lambda: find_counterexample(
            smoothed, x, certificate, config=CounterexampleConfig(steps=0), **more
        ),
        lambda: find_counterexample(
            smoothed, x, certificate, config=CounterexampleConfig(levels=()), **more
        ),
        lambda: find_counterexample(smoothed, image(math.nan), certificate, **more),
    ):
        with pytest.raises(InvalidParameterError):
            wrong()


def test_a_level_of_its_own_leaves_nothing_to_attack() -> None:
    x = image(0.52)
    smoothed, certificate = certified(Island(), x, 0.15)
    *_, last = find_counterexample(
        smoothed,
        x,
        certificate,
        sigma_0=0.15,
        strategy=GUARDED,
        config=CounterexampleConfig(levels=(1.0,)),
    )
    assert isinstance(last.result, NotFound)
    assert last.result.attacks == 0
    assert np.isfinite(last.best_share)
    assert "Nothing was tried" in last.result.text
