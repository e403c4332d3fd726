"""Each method's loss and gradient are those of its paper, and keep clear of the known traps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional as F

from ddrs_core.data import Dataset
from ddrs_core.errors import InvalidParameterError, UnknownNameError
from ddrs_core.models import Classifier, get_card
from ddrs_core.models.classifier import build_classifier
from ddrs_core.training import METHODS, Gaussian, SmoothAdv, get_method
from ddrs_core.training.learner import TrainedNetwork
from ddrs_core.training.methods.base import Batch, TrainingMethod
from ddrs_core.training.methods.consistency import Consistency
from ddrs_core.training.methods.macer import Macer
from ddrs_core.training.methods.smoothadv import soft_smoothed_loss

NORMAL = torch.distributions.Normal(0.0, 1.0)
LABELS = [0, 2, 1, 2]


class Plain:
    """A learner without batch-norm, whose two ways are the same; remembers what it was shown."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.trained_on: list[Tensor] = []
        self.looked_at: list[Tensor] = []

    def logits(self, x: Tensor) -> Tensor:
        self.trained_on.append(x.detach().clone())
        logits: Tensor = self.network(x)
        return logits

    def frozen_logits(self, x: Tensor) -> Tensor:
        self.looked_at.append(x.detach().clone())
        logits: Tensor = self.network(x)
        return logits


class Draws:
    """Standard normal noise [B, n, C, H, W] on demand; remembers what it gave."""

    def __init__(self, shape: tuple[int, ...], rows: int, dtype: torch.dtype = torch.float64):
        self.shape, self.rows, self.dtype = shape, rows, dtype
        self.generator = torch.Generator().manual_seed(8)
        self.given: list[Tensor] = []

    def __call__(self, copies: int) -> Tensor:
        size = (self.rows, copies, *self.shape)
        self.given.append(torch.randn(size, generator=self.generator, dtype=self.dtype))
        return self.given[-1]


@pytest.fixture
def tiny() -> nn.Module:
    """[B, 1, 3, 4] -> logits [B, 3] in float64; quick enough for loops."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3))
    return network.double()


SIGMAS = {"0.12": [0.12] * 4, "1.00": [1.0] * 4, "one each": [0.1, 0.3, 0.5, 0.8]}


def batch_of(sigmas: list[float], epoch: float = 50.0) -> Batch:
    """Four images in float64."""
    images = torch.rand(
        (4, 1, 3, 4), generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    sigma = torch.tensor(sigmas, dtype=torch.float64)
    return Batch(images, torch.tensor(LABELS), sigma, epoch, Draws((1, 3, 4), 4))


def gradients(network: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def softmax(logits: Tensor) -> Tensor:
    """Of one vector [K], as written in textbooks."""
    powers = [torch.exp(z) for z in logits]
    return torch.stack([p / sum(powers) for p in powers])


def direct_gaussian(method: Any, network: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
    """Cohen et al. (2019), section 3.3: -log p_y(x + sigma eps)."""
    total = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(LABELS):
        x = batch.images[i] + batch.sigma[i] * noise[i, 0]
        total = total - torch.log(softmax(network(x[None])[0])[label])
    return total / len(LABELS)


def direct_attack(
    method: SmoothAdv, network: nn.Module, batch: Batch, noise: Tensor, i: int
) -> Tensor:
    """Salman et al. (2019), section 3.1, for image ``i``: ascend -log of the mean softmax."""
    x, delta = batch.images[i], torch.zeros_like(batch.images[i])
    radius = method.radius(batch.epoch)
    for _ in range(method.attack_steps):
        delta = delta.detach().requires_grad_(True)
        mean = torch.zeros((), dtype=torch.float64)
        for copy in noise[i]:
            p = softmax(network((x + delta + batch.sigma[i] * copy)[None])[0])
            mean = mean + p[LABELS[i]] / len(noise[i])
        (slope,) = torch.autograd.grad(-torch.log(mean), delta)
        delta = delta.detach() + 2 * radius / method.attack_steps * slope / slope.norm()
        delta = (x + delta).clamp(0, 1) - x
        if delta.norm() > radius:
            delta = delta * radius / delta.norm()
    return delta


def direct_smoothadv(method: Any, network: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
    """Cross-entropy of the attacked image under the noise that the attack saw."""
    total = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(LABELS):
        delta = direct_attack(method, network, batch, noise, i)
        for copy in noise[i]:
            x = batch.images[i] + delta + batch.sigma[i] * copy
            total = total - torch.log(softmax(network(x[None])[0])[label]) / len(noise[i])
    return total / len(LABELS)


def direct_macer(method: Any, network: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
    """Zhai et al. (2020), equation 14 and algorithm 1."""
    total = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(LABELS):
        logits = [network((batch.images[i] + batch.sigma[i] * copy)[None])[0] for copy in noise[i]]
        mean = sum(softmax(z) for z in logits) / len(logits)
        total = total - torch.log(mean[label])
        sharp = sum(softmax(method.beta * z) for z in logits) / len(logits)
        second, first = torch.argsort(sharp)[-2:]
        if first == label:
            gap = NORMAL.icdf(sharp[first]) - NORMAL.icdf(sharp[second])
            hinge = torch.clamp(method.gamma - gap, min=0)
            total = total + method.robustness_weight * batch.sigma[i] / 2 * hinge
    return total / len(LABELS)


def direct_consistency(method: Any, network: nn.Module, batch: Batch, noise: Tensor) -> Tensor:
    """Jeong and Shin (2020), equations 3 and 6."""
    total = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(LABELS):
        x, sigma = batch.images[i], batch.sigma[i]
        copies = [softmax(network((x + sigma * copy)[None])[0]) for copy in noise[i]]
        mean = torch.stack(copies).mean(0)
        for p in copies:
            divergence = (mean * torch.log(mean / p)).sum()
            one = -torch.log(p[label]) + method.consistency_weight * divergence
            total = total + one / len(copies)
        total = total - method.entropy_weight * (mean * torch.log(mean)).sum()
    return total / len(LABELS)


CASES: dict[str, tuple[TrainingMethod, Callable[..., Tensor]]] = {
    "gaussian": (Gaussian(), direct_gaussian),
    "smoothadv, m = 1": (SmoothAdv(0.4, attack_steps=3, copies=1), direct_smoothadv),
    "smoothadv, m = 3": (SmoothAdv(0.4, attack_steps=3, copies=3), direct_smoothadv),
    "smoothadv, T = 1": (SmoothAdv(2.0, attack_steps=1, copies=3), direct_smoothadv),
    "macer, k = 1": (Macer(copies=1, beta=3.0), direct_macer),
    "macer, k = 3": (Macer(copies=3, beta=3.0), direct_macer),
    "macer, small gamma": (Macer(copies=3, gamma=0.9, beta=8.0), direct_macer),
    "macer, lambda 0": (Macer(copies=3, robustness_weight=0.0), direct_macer),
    "consistency, m = 2": (Consistency(), direct_consistency),
    "consistency, m = 3": (Consistency(3, 4.0, 1.5), direct_consistency),
}


@pytest.mark.parametrize("sigmas", SIGMAS.values(), ids=SIGMAS)
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_those_of_the_paper(
    case: str, sigmas: list[float], tiny: nn.Module
) -> None:
    method, direct = CASES[case]
    batch = batch_of(sigmas)
    loss = method.loss(Plain(tiny), batch)
    (noise,) = batch.draw.given  # type: ignore[attr-defined]
    expected = direct(method, tiny, batch, noise)
    assert float(loss.value.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    for ours, theirs in zip(gradients(tiny, loss.value), gradients(tiny, expected), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-8)


def test_the_images_above_are_right_and_wrong_with_gaps_on_both_sides_of_gamma(
    tiny: nn.Module,
) -> None:
    batch = batch_of(SIGMAS["one each"])
    logits = tiny(batch.noisy(batch.draw(3))).detach().view(4, 3, 3)
    top, classes = (8.0 * logits).softmax(2).mean(1).topk(2)
    right = classes[:, 0] == batch.labels
    assert 0 < int(right.sum()) < 4
    gaps = (NORMAL.icdf(top[:, 0]) - NORMAL.icdf(top[:, 1]))[right]
    assert float(gaps.min()) < 0.9 < float(gaps.max())


@pytest.mark.parametrize(
    "method", [Gaussian(), SmoothAdv(attack_steps=1), Macer(copies=3), Consistency()]
)
def test_the_accuracy_is_that_of_the_noisy_images(method: TrainingMethod, tiny: nn.Module) -> None:
    batch = batch_of(SIGMAS["1.00"])
    learner = Plain(tiny)
    loss = method.loss(learner, batch)
    (seen,) = learner.trained_on
    copies = len(seen) // 4
    labels = [label for label in LABELS for _ in range(copies)]
    right = [int(tiny(x[None]).argmax()) == y for x, y in zip(seen, labels, strict=True)]
    assert float(loss.accuracy(batch.labels)) == pytest.approx(sum(right) / len(right))


def test_noise_is_scaled_by_each_image_s_own_sigma() -> None:
    batch = batch_of(SIGMAS["one each"])
    noise, shift = batch.draw(3), torch.full_like(batch.images, 0.5)
    moved = batch.noisy(noise, shift).view(4, 3, 1, 3, 4)
    for i in range(4):
        for j in range(3):
            expected = batch.images[i] + 0.5 + SIGMAS["one each"][i] * noise[i, j]
            assert torch.allclose(moved[i, j], expected)


# --- SmoothAdv ------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("epoch", [0.0, 3.9, 50.0])
def test_the_shift_stays_in_its_ball_and_the_pixels_stay_pixels(
    steps: int, epoch: float, tiny: nn.Module
) -> None:
    method = SmoothAdv(epsilon=1.5, attack_steps=steps, copies=3, attack_warmup=5.0)
    batch = batch_of(SIGMAS["0.12"], epoch)
    batch = dataclasses.replace(batch, images=batch.images.round(decimals=1))  # some 0, some 1
    shift = method.attack(Plain(tiny), batch, batch.draw(3))
    lengths = shift.flatten(1).norm(dim=1)
    assert float(lengths.max()) <= 1.5 * min(1.0, (int(epoch) + 1) / 5) + 1e-9
    assert float(lengths.min()) > 0.05
    moved = batch.images + shift
    assert float(moved.min()) >= -1e-12
    assert float(moved.max()) <= 1 + 1e-12
    assert not shift.requires_grad


def test_epsilon_grows_over_the_warm_up() -> None:
    # The authors' code: min(epsilon, (epoch + 1) * epsilon / warmup), epochs counted from 0.
    method = SmoothAdv(epsilon=0.5, attack_warmup=10.0)
    for epoch in range(30):
        assert method.radius(epoch) == pytest.approx(min(0.5, (epoch + 1) * 0.5 / 10))
        assert method.radius(epoch + 0.7) == method.radius(epoch)
    assert SmoothAdv(epsilon=0.5, attack_warmup=0.0).radius(0.0) == 0.5


@pytest.fixture(scope="module")
def attacked(model: Classifier, test_split: Dataset) -> tuple[Batch, Tensor]:
    """A batch of digits, and how SmoothAdv shifts it at the shipped classifier."""
    images, labels = test_split.tensors(range(48))
    draw = Draws((1, 8, 8), 48, torch.float32)
    batch = Batch(images, labels, torch.full((48,), 0.25), 50.0, draw)
    shift = SmoothAdv(epsilon=0.5, attack_steps=8, copies=8).attack(Plain(model), batch, draw(8))
    return batch, shift


def smoothed_loss(model: Classifier, batch: Batch, shift: Tensor) -> float:
    """-log of the mean softmax at the label over 150 fresh copies, averaged over the images."""
    generator = torch.Generator().manual_seed(99)
    noise = torch.randn((48, 150, 1, 8, 8), generator=generator)
    with torch.inference_mode():
        p = model(batch.noisy(noise, shift)).softmax(1).view(48, 150, -1).mean(1)
    return float(-p[torch.arange(48), batch.labels].log().mean())


def test_the_attack_hurts_the_smoothed_classifier_under_fresh_noise(
    model: Classifier, attacked: tuple[Batch, Tensor]
) -> None:
    batch, shift = attacked
    random = torch.randn(shift.shape, generator=torch.Generator().manual_seed(1))
    length = shift.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    random = random / random.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * length
    still, randomly, attack = (
        smoothed_loss(model, batch, s) for s in (torch.zeros_like(shift), random, shift)
    )
    assert attack > 1.5 * still
    assert attack > 1.3 * randomly


def test_softmax_is_applied_once_in_the_attack(
    model: Classifier, attacked: tuple[Batch, Tensor]
) -> None:
    """Published code takes cross-entropy of the mean softmax, which is a softmax of a softmax."""

    class Twice(Plain):
        def frozen_logits(self, x: Tensor) -> Tensor:
            return super().frozen_logits(x).softmax(1)

    batch, once = attacked
    draw = Draws((1, 8, 8), 48, torch.float32)
    twice = SmoothAdv(epsilon=0.5, attack_steps=8, copies=8).attack(Twice(model), batch, draw(8))
    assert float((once - twice).flatten(1).norm(dim=1).mean()) > 0.02
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(7.0), 0.0]])  # p = 3/4 and 1/8
    soft = soft_smoothed_loss(logits, torch.tensor([1]), 2)
    assert float(soft) == pytest.approx(-math.log((3 / 4 + 1 / 8) / 2))


def test_attack_and_loss_see_the_same_noise(tiny: nn.Module) -> None:
    batch, learner = batch_of(SIGMAS["one each"]), Plain(tiny)
    SmoothAdv(epsilon=0.4, attack_steps=3, copies=3).loss(learner, batch)
    assert len(batch.draw.given) == 1  # type: ignore[attr-defined]
    (trained,) = learner.trained_on
    assert len(learner.looked_at) == 3
    for looked in learner.looked_at:  # what differs is one shift for all copies of an image
        between = (trained - looked).view(4, 3, -1)
        assert torch.allclose(between, between[:, :1].expand_as(between), atol=1e-12)
    assert float((trained - learner.looked_at[0]).abs().max()) > 0.01


@pytest.fixture
def learner() -> TrainedNetwork:
    """An untrained network for digits, with batch-norm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        classifier = build_classifier(get_card("digits-gaussian-0.25"))
    return TrainedNetwork(classifier, "fp32")


def digits_batch(test_split: Dataset, rows: int = 16) -> Batch:
    images, labels = test_split.tensors(range(rows))
    sigma = torch.full((rows,), 0.25)
    return Batch(images, labels, sigma, 50.0, Draws((1, 8, 8), rows, torch.float32))


def test_the_attack_moves_no_statistics_and_gives_weights_no_gradient(
    learner: TrainedNetwork, test_split: Dataset
) -> None:
    batch = digits_batch(test_split)
    before = {k: v.clone() for k, v in learner.classifier.state_dict().items()}
    shift = SmoothAdv(attack_steps=3).attack(learner, batch, batch.draw(2))
    assert float(shift.abs().max()) > 0
    assert all(torch.equal(v, before[k]) for k, v in learner.classifier.state_dict().items())
    assert all(p.grad is None for p in learner.classifier.parameters())
    with torch.no_grad():  # whatever mode the caller is in
        draw = Draws((1, 8, 8), 16, torch.float32)
        assert torch.equal(SmoothAdv(attack_steps=3).attack(learner, batch, draw(2)), shift)


@pytest.mark.parametrize(
    "method", [Gaussian(), SmoothAdv(attack_steps=2), Macer(copies=3), Consistency()]
)
def test_a_step_moves_the_statistics_once_and_all_weights_learn(
    method: TrainingMethod, learner: TrainedNetwork, test_split: Dataset
) -> None:
    method.loss(learner, digits_batch(test_split)).value.backward()
    norms = [m for m in learner.classifier.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(int(m.num_batches_tracked or 0) == 1 for m in norms)
    for name, p in learner.classifier.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().max()) > 0, name


# --- MACER ----------------------------------------------------------------------------------


def macer_of(
    logits: Tensor, labels: list[int], sigma: float = 0.25, **options: Any
) -> tuple[float, Tensor]:
    """MACER's loss of logits [B * k, K], and its gradient with respect to them."""
    logits = logits.clone().requires_grad_(True)
    sigmas = torch.full((len(labels),), sigma)
    loss = Macer(**options).objective(logits, torch.tensor(labels), sigmas)
    (gradient,) = torch.autograd.grad(loss, logits)
    return float(loss.detach()), gradient


def from_p(*p: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Logits [K] whose softmax is ``p``."""
    return torch.tensor(p, dtype=dtype).log()


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0, 1e4, 1e30])
@pytest.mark.parametrize("right", [0, 1, 4])
def test_macer_is_finite_whatever_is_right(right: int, scale: float) -> None:
    logits = torch.randn((4 * 3, 5), generator=torch.Generator().manual_seed(3)) * scale
    mean = logits.view(4, 3, 5)
    mean += scale * 20 * F.one_hot(torch.arange(4), 5)[:, None]  # all copies agree
    labels = [i if i < right else (i + 1) % 5 for i in range(4)]
    loss, gradient = macer_of(logits, labels, copies=3)
    assert math.isfinite(loss)
    assert bool(gradient.isfinite().all())


def test_macer_without_a_right_image_is_cross_entropy() -> None:
    logits = torch.stack([from_p(0.7, 0.2, 0.1), from_p(0.1, 0.6, 0.3)])
    loss, gradient = macer_of(logits, [1, 2], copies=1, beta=1.0)
    assert loss == pytest.approx(-(math.log(0.2) + math.log(0.3)) / 2)
    expected = torch.tensor([[0.7, -0.8, 0.1], [0.1, 0.6, -0.7]], dtype=torch.float64) / 2
    assert torch.allclose(gradient, expected)


def test_saturated_images_ask_for_nothing() -> None:
    logits = torch.tensor([[40.0, 0.0, 0.0], [0.0, 40.0, 0.0]])
    loss, gradient = macer_of(logits, [0, 1], copies=1)
    assert loss == pytest.approx(0.0, abs=1e-6)
    assert float(gradient.abs().max()) < 1e-6


def test_beta_sharpens_the_robustness_term_and_nothing_else() -> None:
    logits = torch.stack([from_p(0.5, 0.3, 0.2), from_p(0.2, 0.4, 0.4)])
    plain = [macer_of(logits, [0, 0], copies=1, robustness_weight=0.0, beta=b) for b in (1.0, 4.0)]
    assert plain[0][0] == plain[1][0]
    assert torch.equal(plain[0][1], plain[1][1])
    for beta in (1.0, 4.0):
        p = torch.tensor([0.5, 0.3, 0.2]).double() ** beta
        p /= p.sum()
        gap = norm.ppf(float(p[0])) - norm.ppf(float(p[1]))
        expected = plain[0][0] + 12 * 0.25 / 2 * (8 - gap) / 2
        loss, _ = macer_of(logits, [0, 0], copies=1, beta=beta)
        assert loss == pytest.approx(expected, rel=1e-6)


def test_gamma_bounds_the_gap_and_not_the_radius() -> None:
    p = (float(norm.cdf(2.5)), float(norm.cdf(-2.5)))  # the gap is 5, the radius 0.625
    logits = from_p(*p)[None]
    entropy = -math.log(p[0])
    shut, slope = macer_of(logits, [0], copies=1, beta=1.0, gamma=4.0)
    assert shut == pytest.approx(entropy, rel=1e-6)
    loss, steeper = macer_of(logits, [0], copies=1, beta=1.0, gamma=8.0)
    assert loss == pytest.approx(entropy + 12 * 0.25 / 2 * (8 - 5), rel=1e-6)
    assert float(steeper[0, 0]) < float(slope[0, 0])  # the right logit is pushed up harder


def test_the_robustness_term_is_divided_by_the_batch_and_not_by_the_right_ones() -> None:
    logits = torch.stack([from_p(0.6, 0.4), *[from_p(0.3, 0.7)] * 3])  # labels 0: one of 4 right
    options: dict[str, Any] = {"copies": 1, "beta": 1.0}
    with_it, _ = macer_of(logits, [0, 0, 0, 0], **options)
    without, _ = macer_of(logits, [0, 0, 0, 0], robustness_weight=0.0, **options)
    gap = 2 * norm.ppf(0.6)
    assert with_it - without == pytest.approx(12 * 0.25 / 2 * (8 - gap) / 4, rel=1e-6)


def test_the_mean_is_taken_over_probabilities() -> None:
    logits = torch.stack([from_p(0.9, 0.1), from_p(0.5, 0.5)])  # two copies of one image
    loss, _ = macer_of(logits, [0], copies=2, robustness_weight=0.0)
    assert loss == pytest.approx(-math.log(0.7), rel=1e-6)


# --- Consistency ----------------------------------------------------------------------------


def consistency_of(logits: Tensor, labels: list[int], **options: Any) -> float:
    return float(Consistency(**options).objective(logits, torch.tensor(labels)))


def test_copies_with_one_answer_diverge_by_nothing() -> None:
    logits = torch.stack([*[from_p(0.7, 0.2, 0.1)] * 3, *[from_p(0.1, 0.6, 0.3)] * 3])
    entropies = [-sum(p * math.log(p) for p in q) for q in ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3))]
    expected = -(math.log(0.7) + math.log(0.3)) / 2 + 0.5 * sum(entropies) / 2
    for weight in (0.0, 10.0, 1e4):
        found = consistency_of(logits, [0, 2], copies=3, consistency_weight=weight)
        assert found == pytest.approx(expected, rel=1e-9)


def test_two_copies_that_differ_in_closed_form() -> None:
    p, q = 0.9, 0.5
    logits = torch.stack([from_p(p, 1 - p), from_p(q, 1 - q)])
    mean = ((p + q) / 2, 1 - (p + q) / 2)
    entropy = -sum(m * math.log(m) for m in mean)
    ours = [m * math.log(m / r) for r in (p, q) for m, r in zip(mean, (r, 1 - r), strict=True)]
    expected = -(math.log(p) + math.log(q)) / 2 + 20 * sum(ours) / 2 + 0.3 * entropy
    found = consistency_of(logits, [0], consistency_weight=20.0, entropy_weight=0.3)
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_gradient_of_consistency_is_that_of_finite_differences() -> None:
    logits = torch.randn((6, 4), generator=torch.Generator().manual_seed(2)).double()
    objective, labels = Consistency(copies=3).objective, torch.tensor([1, 3])
    assert torch.autograd.gradcheck(
        lambda z: objective(z, labels), logits.clone().requires_grad_(True)
    )


@pytest.mark.parametrize("scale", [0.0, 50.0, 1e4, 1e30])
def test_consistency_is_finite_however_sure_the_network_is(scale: float) -> None:
    logits = torch.randn((12, 5), generator=torch.Generator().manual_seed(3)) * scale
    logits.requires_grad_(True)
    loss = Consistency(copies=3).objective(logits, torch.tensor([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool(loss.isfinite())
    assert bool(gradient.isfinite().all())


# --- All ------------------------------------------------------------------------------------


def test_the_defaults_are_the_published_ones() -> None:
    macer = Macer()
    assert (macer.copies, macer.robustness_weight, macer.gamma, macer.beta) == (16, 12.0, 8.0, 16.0)
    attack = SmoothAdv()
    assert (attack.epsilon, attack.attack_steps, attack.attack_warmup) == (64 / 255, 10, 10.0)
    one = Consistency()
    assert (one.copies, one.consistency_weight, one.entropy_weight) == (2, 10.0, 0.5)


@pytest.mark.parametrize(
    "method",
    [
        SmoothAdv(epsilon=0.0),
        SmoothAdv(epsilon=math.nan),
        SmoothAdv(attack_steps=0),
        SmoothAdv(copies=0),
        SmoothAdv(attack_warmup=-1.0),
        Consistency(copies=1),
        Consistency(consistency_weight=-1.0),
        Macer(copies=0),
        Macer(gamma=0.0),
        Macer(beta=0.0),
        Macer(robustness_weight=-1.0),
        Macer(robustness_weight=math.inf),
        Macer(copies=1.5),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_hyper_parameters_that_make_no_sense(method: TrainingMethod) -> None:
    with pytest.raises(InvalidParameterError):
        method.check()


def test_methods_are_found_by_name() -> None:
    for name, kind in METHODS.items():
        assert get_method(name) is kind
        assert kind().name == name
        kind().check()
    with pytest.raises(UnknownNameError, match="'macer'"):
        get_method("maser")
