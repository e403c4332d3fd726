"""Certify and predict on classifiers whose smoothed versions are known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from scipy.stats import binomtest, norm
from torch import Tensor, nn

from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, UnknownNameError
from ddrs_core.models import Classifier, NoisyForward
from ddrs_core.smoothing import (
    ABSTAIN,
    Bound,
    Certificate,
    CertificationBudget,
    SmoothedClassifier,
    ascend_sigma,
    radius_curve,
    search_sigma,
    sigma_grid,
    surface_sigma,
)
from ddrs_core.smoothing.sigma.preview import probe

AtMargin = Callable[[float], Tensor]


@pytest.mark.parametrize("sigma", [0.1, 0.25, 1.0])
def test_the_radius_tends_to_the_margin_for_every_sigma(
    line: nn.Module, at_margin: AtMargin, sigma: float
) -> None:
    margin = 1.2 * sigma
    certificate = SmoothedClassifier(line, 2).certify(at_margin(margin), sigma=sigma, n=200_000)
    assert certificate.prediction == 1
    assert 0.97 * margin < certificate.radius <= margin


@pytest.mark.slow
@pytest.mark.parametrize("bound", list(Bound))
@pytest.mark.parametrize("ratio", [0.2, 1.0])
def test_at_most_a_share_alpha_of_certificates_is_wrong(
    line: Any, at_margin: AtMargin, bound: Bound, ratio: float
) -> None:
    alpha, sigma, runs = 0.05, 0.5, 1000
    x = at_margin(ratio * sigma)
    g = SmoothedClassifier(line, 2)
    wrong = certified = 0
    for i in range(runs):
        c = g.certify(x, sigma=sigma, n0=10, n=80, alpha=alpha, seed=7, bound=bound, index=i)
        certified += not c.abstained
        wrong += not c.abstained and (c.prediction != 1 or c.radius > line.margin(x))
    assert binomtest(wrong, runs, alpha, alternative="greater").pvalue > 1e-3
    if ratio == 1.0:  # and the test is not empty: most are certified, and some are wrong
        assert certified > 0.9 * runs
        assert wrong > 0


def test_an_even_vote_is_an_abstention(line: nn.Module, at_margin: AtMargin) -> None:
    g = SmoothedClassifier(line, 2)
    c = g.certify(at_margin(0.0), sigma=0.5, n=1000)
    assert c.abstained
    assert (c.prediction, c.radius) == (ABSTAIN, 0.0)
    assert g.predict(at_margin(0.0), sigma=0.5) == ABSTAIN


def test_predict_names_the_class_on_either_side(line: nn.Module, at_margin: AtMargin) -> None:
    g = SmoothedClassifier(line, 2)
    assert g.predict(at_margin(0.5), sigma=0.5) == 1
    assert g.predict(at_margin(-0.5), sigma=0.5) == 0


def test_predict_is_wrong_with_probability_alpha_at_most(
    line: nn.Module, at_margin: AtMargin
) -> None:
    alpha, runs = 0.1, 600
    x, g = at_margin(0.01), SmoothedClassifier(line, 2)
    answers = [g.predict(x, sigma=0.5, n=50, alpha=alpha, index=i) for i in range(runs)]
    wrong = answers.count(0)
    assert binomtest(wrong, runs, alpha, alternative="greater").pvalue > 1e-3
    assert answers.count(ABSTAIN) > runs / 2


def test_the_share_of_votes_is_the_closed_form(line: nn.Module, at_margin: AtMargin) -> None:
    n, sigma, margin = 20_000, 0.5, 0.3
    c = SmoothedClassifier(line, 2).certify(at_margin(margin), sigma=sigma, n=n)
    assert binomtest(c.counts[1], n, norm.cdf(margin / sigma)).pvalue > 1e-3


@pytest.mark.parametrize("bound", list(Bound))
def test_a_certificate_is_complete(model: Classifier, test_split: Dataset, bound: Bound) -> None:
    image, label = test_split[5]
    g = SmoothedClassifier(model, 10)
    c = g.certify(
        image,
        sigma=0.25,
        n0=64,
        n=1000,
        alpha=0.01,
        seed=9,
        bound=bound,
        index=5,
        label=label,
        dataset="digits",
    )
    assert sum(c.counts) == c.n == 1000
    assert len(c.counts) == 10
    assert c.recompute_radius() == c.radius
    assert Certificate.from_dict(c.to_dict()) == c
    assert (c.n0, c.alpha, c.seed, c.index, c.label, c.sigma) == (64, 0.01, 9, 5, label, 0.25)
    assert c.model == model.card.digest
    assert c.seconds > 0
    assert c.radius <= c.radius_cap


def test_time_between_the_steps_is_not_counted(line: nn.Module, at_margin: AtMargin) -> None:
    """A run that gives way to somebody's live computation does so between two steps."""
    forward = NoisyForward(line, batch_size=100)
    steps, certificate = 0, None
    for step in SmoothedClassifier(forward, 2).certify_steps(at_margin(0.1), sigma=0.5, n=2000):
        steps, certificate = steps + 1, step.certificate
        time.sleep(0.3)
    assert certificate is not None
    assert certificate.seconds < 0.3 * steps / 2


def test_the_class_and_the_bound_see_different_noise(line: nn.Module, at_margin: AtMargin) -> None:
    steps = list(
        SmoothedClassifier(line, 2).certify_steps(at_margin(0.1), sigma=0.5, n0=500, n=500)
    )
    selected = next(s for s in reversed(steps) if s.stage == "select")
    assert selected.done == 500
    assert steps[-1].counts != selected.counts


def test_progress_ends_in_the_certificate(model: Classifier, test_split: Dataset) -> None:
    steps = list(
        SmoothedClassifier(model, 10).certify_steps(test_split[0][0], sigma=0.25, n=30_000)
    )
    assert [s.certificate is None for s in steps] == [True] * (len(steps) - 1) + [False]
    for step in steps:
        assert sum(step.counts) == step.done <= step.total
        assert step.p_low <= step.counts[step.candidate] / step.done <= step.p_high
    done = [s.done for s in steps if s.stage == "estimate"]
    assert done == sorted(set(done))
    assert done[-1] == 30_000


def test_watching_and_not_watching_give_the_same_counts(
    model: Classifier, test_split: Dataset
) -> None:
    g, x = SmoothedClassifier(model, 10), test_split[1][0]
    watched = list(g.certify_steps(x, sigma=0.25, n=5000, seed=2))[-1].certificate
    assert watched is not None
    assert watched.counts == g.certify(x, sigma=0.25, n=5000, seed=2).counts


def test_same_seed_same_counts_and_otherwise_not(model: Classifier, test_split: Dataset) -> None:
    g, x = SmoothedClassifier(model, 10), test_split[1][0]

    def counts(seed: int, index: int | None) -> tuple[int, ...]:
        return g.certify(x, sigma=0.6, n=2000, seed=seed, index=index).counts

    assert counts(1, 4) == counts(1, 4)
    assert len({counts(1, 4), counts(2, 4), counts(1, 5)}) == 3
    assert counts(1, None) == counts(1, 0)


def test_a_shared_forward_pass_gives_the_same_certificate(
    model: Classifier, test_split: Dataset
) -> None:
    x = test_split[2][0]
    alone = SmoothedClassifier(model, 10).certify(x, sigma=0.25, n=1000)
    shared = SmoothedClassifier(NoisyForward(model), 10).certify(x, sigma=0.25, n=1000)
    assert alone.counts == shared.counts
    assert alone.radius == shared.radius


def test_the_precision_is_recorded(model: Classifier, test_split: Dataset) -> None:
    for precision in ("fp32", "bf16"):
        g = SmoothedClassifier(model, 10, precision=precision)
        assert g.certify(test_split[0][0], sigma=0.25, n=100).precision == precision


def test_a_plain_function_can_be_certified() -> None:
    def f(x: Tensor) -> Tensor:
        s = x.mean(dim=(1, 2, 3))
        return torch.stack([-s, s], dim=1)

    c = SmoothedClassifier(f, 2).certify(torch.full((1, 4, 4), 0.5), sigma=0.5, n=1000)
    assert c.prediction == 1


@pytest.mark.parametrize(("n", "alpha"), [(10, 0.001), (1, 0.5), (4, 0.1)])
def test_predict_refuses_an_n_that_abstains_on_unanimous_votes(
    line: nn.Module, at_margin: AtMargin, n: int, alpha: float
) -> None:
    g, sure = SmoothedClassifier(line, 2), at_margin(1.0)
    assert binomtest(n, n).pvalue > alpha >= binomtest(n + 1, n + 1).pvalue
    with pytest.raises(InvalidParameterError, match=f"N = {n} is too small .* Use N >= {n + 1}"):
        g.predict(sure, sigma=0.1, n=n, alpha=alpha)
    assert g.predict(sure, sigma=0.1, n=n + 1, alpha=alpha) == 1


class SometimesNaN(nn.Module):
    """NaN for a share of all noisy copies, in the logit of the last of three classes."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.above = float(norm.ppf(1 - share))

    def forward(self, x: Tensor) -> Tensor:
        s = x[:, 0, 0, 0]
        broken = (s - 0.5) / 0.25 > self.above
        return torch.stack([s, -s, torch.where(broken, math.nan, -1.0) * s], dim=1)


@pytest.mark.parametrize("share", [1.0, 0.01])
@pytest.mark.parametrize("kind", ["module", "function"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda f, x: SmoothedClassifier(f, 3).certify(x, sigma=0.25, n=1000),
        lambda f, x: SmoothedClassifier(f, 3).predict(x, sigma=0.25),
        lambda f, x: list(radius_curve(f, x, sigma_grid(0.2, 0.3, 3))),
        lambda f, x: probe(f, x, sigma=0.25),
        lambda f, x: list(ascend_sigma(f, x, sigma_0=0.25, steps=5, samples=200)),
        lambda f, x: list(search_sigma(f, x, sigma_0=0.25)),
        lambda f, x: list(surface_sigma(f, x, sigma_0=0.25)),
    ],
    ids=["certify", "predict", "curve", "probe", "ascent", "search", "surface"],
)
def test_a_network_that_answers_nan_is_an_error_in_words(ask: Any, kind: str, share: float) -> None:
    module = SometimesNaN(share).eval()
    f = module if kind == "module" else module.forward
    with pytest.raises(MismatchError, match="NaN"):
        ask(f, torch.full((1, 2, 2), 0.5))


def test_certificates_record_the_class_without_noise() -> None:
    def f(x: Tensor) -> Tensor:  # class 1 in a band so thin that noise leaves it
        s = x.mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(s), 0.01 - (s - 0.5).abs()], dim=1)

    images = torch.stack([torch.full((1, 2, 2), value) for value in (0.2, 0.5, 0.8, 0.505)])
    steps = SmoothedClassifier(f, 2).certify_batch(
        images, sigmas=[0.5] * 4, budget=CertificationBudget(n=1000)
    )
    *_, last = steps
    assert [c.clean for c in last.certificates] == [0, 1, 0, 1]
    assert [c.prediction for c in last.certificates] == [0] * 4


def test_tensors_of_the_caller_stay(network: nn.Module, image: Tensor) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    kept = image.clone()
    flags = [p.requires_grad for p in network.parameters()]
    g = SmoothedClassifier(network, 5)
    g.certify(image, sigma=0.25, n=500)
    g.predict(image, sigma=0.25)
    assert torch.equal(image, kept)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert [p.requires_grad for p in network.parameters()] == flags
    assert not network.training


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma": 0.0},
        {"sigma": -1.0},
        {"sigma": math.nan},
        {"sigma": math.inf},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": math.nan},
        {"n": 9},  # too few for alpha = 0.001
        {"n": 10, "bound": "two-sided"},
        {"n0": 0},
        {"n": 0},
    ],
)
def test_parameters_that_make_no_sense(network: nn.Module, image: Tensor, wrong: dict) -> None:
    g = SmoothedClassifier(network, 5)
    with pytest.raises(InvalidParameterError):
        g.certify_steps(image, **{"sigma": 0.25, "n": 100, **wrong})  # at once, not at next()


def test_images_that_make_no_sense(model: Classifier, test_split: Dataset) -> None:
    g, x = SmoothedClassifier(model, 10), test_split[0][0]
    for wrong in (x[0], x[None], torch.zeros(3, 8, 8), torch.zeros(1, 28, 28)):
        with pytest.raises(MismatchError, match="shape"):
            g.certify(wrong, sigma=0.25)
    for value in (math.nan, math.inf):
        broken = x.clone()
        broken[0, 3, 3] = value
        with pytest.raises(InvalidParameterError, match="finite"):
            g.certify(broken, sigma=0.25)


def test_a_wrong_number_of_classes_is_an_error(network: nn.Module, image: Tensor) -> None:
    with pytest.raises(MismatchError, match="classes"):
        SmoothedClassifier(network, 3).certify(image, sigma=0.25)


def test_errors_leave_the_classifier_usable(network: nn.Module, image: Tensor) -> None:
    g = SmoothedClassifier(network, 5)
    with pytest.raises(DDRSError):
        g.certify(image, sigma=-1)
    assert sum(g.certify(image, sigma=0.1, n=100).counts) == 100


def test_unknown_bounds_and_grades(network: nn.Module, image: Tensor) -> None:
    g = SmoothedClassifier(network, 5)
    with pytest.raises(UnknownNameError, match="one-sided"):
        g.certify_steps(image, sigma=0.25, bound="one-side")
    with pytest.raises(UnknownNameError, match="unconditional"):
        g.certify_steps(image, sigma=0.25, grade="unconditioned")


def test_a_single_class_and_other_shapes_are_no_classifier(image: Tensor) -> None:
    for f in (lambda x: x.flatten(1)[:, :1], lambda x: x.mean(dim=(1, 2, 3))):
        g = SmoothedClassifier(f, 2)
        for call in (g.certify, g.predict, partial(probe, f)):
            with pytest.raises(MismatchError, match="logits"):
                call(image, sigma=0.25)
        with pytest.raises(MismatchError, match="logits"):
            next(ascend_sigma(f, image, sigma_0=0.25))


def test_images_of_the_wrong_scale_are_refused_before_anything_runs(
    network: nn.Module, image: Tensor
) -> None:
    g = SmoothedClassifier(network, 5)
    for wrong in (image * 255, image * 2 - 1, (image * 255).byte()):
        for start in (g.certify_steps, g.predict, g.certify):
            with pytest.raises(InvalidParameterError, match=r"\[0, 1\]"):
                start(wrong, sigma=0.25)
