"""Every training image's own sigma moves as Algorithm 1 says, and only when its image is seen."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ddrs_core.data import load_dataset
from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoisyForward, get_card, noise_generator
from ddrs_core.models.classifier import build_classifier
from ddrs_core.smoothing import AscentConfig, ascend_sigma, choose_sigmas
from ddrs_core.training import (
    BatchSummary,
    EpochSummary,
    Gaussian,
    SigmaSummary,
    SigmaTraining,
    TrainConfig,
    Trainer,
)
from ddrs_core.training.image_sigmas import ImageSigmas
from ddrs_core.training.learner import TrainedNetwork
from ddrs_core.training.methods.base import Batch, Learner, Loss

CPU = torch.device("cpu")


class Frozen:
    """A learner that is only looked at."""

    def __init__(self, f: Any) -> None:
        self.f = f

    def logits(self, x: Tensor) -> Tensor:
        raise AssertionError("The sigma search trains nothing.")

    def frozen_logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.f(x)
        return logits


class Streams:
    """Noise as ``choose_sigmas`` draws it: one generator an image, of stage "sigma"."""

    def __init__(self, rows: int, shape: tuple[int, ...], seed: int = 0) -> None:
        self.shape = shape
        self.generators = [noise_generator(seed, i, "sigma") for i in range(rows)]

    def __call__(self, copies: int) -> Tensor:
        size = (copies, *self.shape)
        return torch.stack([torch.empty(size).normal_(generator=g) for g in self.generators])


def move(
    config: SigmaTraining, f: Any, images: Tensor, sigma: Tensor | float, epoch: float = 9.0
) -> Tensor:
    """The sigmas [B] after one visit."""
    rows = len(images)
    sigmas = torch.full((rows,), sigma) if isinstance(sigma, float) else sigma
    labels = torch.zeros(rows, dtype=torch.int64)
    batch = Batch(images, labels, sigmas, epoch, Streams(rows, tuple(images.shape[1:])))
    return ImageSigmas(config, rows, 0.25, CPU).moved(Frozen(f), batch)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("clamp", [0.001, 0.02])
def test_a_visit_is_the_ascent_of_algorithm_1(
    network: nn.Module, images: Tensor, samples: int, clamp: float
) -> None:
    config = SigmaTraining(steps=6, samples=samples, lr=0.05, clamp=clamp, bounds=(0.05, 1.0))
    starts = torch.tensor([0.25, 0.5, 0.125, 0.75, 0.25])
    ours = move(config, network, images, starts)
    ascent = AscentConfig(lr=0.05, steps=6, samples=samples, clamp=clamp, bounds=(0.05, 1.0))
    forward = NoisyForward(network, 5, precision="fp32")
    *_, last = choose_sigmas(forward, images, starts, ascent)
    assert last.chosen is not None
    assert ours.numpy() == pytest.approx(last.chosen, abs=1e-5)
    assert float((ours - starts).abs().min()) > 1e-3
    *_, one = ascend_sigma(
        forward,
        images[0],
        sigma_0=0.25,
        lr=0.05,
        steps=6,
        samples=samples,
        clamp=clamp,
        bounds=(0.05, 1.0),
    )
    assert float(ours[0]) == pytest.approx(one.chosen, abs=1e-5)


def test_a_visit_is_the_ascent_written_out(network: nn.Module, images: Tensor) -> None:
    """dR/dsigma by central differences in float64, image by image, copy by copy."""
    network, images = network.double(), images.double()
    c, lr, beta = 0.01, 0.03, 2.0
    streams = Streams(5, (3, 8, 8))
    noise = [streams(4).double() for _ in range(3)]

    def radius(i: int, sigma: float, copies: Tensor) -> float:
        mean = sum((beta * network((images[i] + sigma * e)[None])[0]).softmax(0) for e in copies)
        second, first = sorted((mean / len(copies)).clamp(c, 1 - c).tolist())[-2:]
        return sigma / 2 * float(norm.ppf(first) - norm.ppf(second))

    expected = []
    for i in range(5):
        sigma, h = 0.5, 1e-5
        for step in noise:
            gradient = (radius(i, sigma + h, step[i]) - radius(i, sigma - h, step[i])) / (2 * h)
            sigma = min(max(sigma + lr * gradient, 0.05), 1.0)
        expected.append(sigma)

    class Double(Streams):
        def __call__(self, copies: int) -> Tensor:
            return super().__call__(copies).double()

    config = SigmaTraining(steps=3, samples=4, lr=lr, clamp=c, beta=beta, bounds=(0.05, 1.0))
    sigma_0 = torch.full((5,), 0.5, dtype=torch.float64)
    batch = Batch(images, torch.zeros(5), sigma_0, 0.0, Double(5, (3, 8, 8)))
    ours = ImageSigmas(config, 5, 0.5, CPU).moved(Frozen(network), batch)
    assert ours.tolist() == pytest.approx(expected, abs=1e-6)
    assert sigma_0.tolist() == [0.5] * 5  # nothing is written into it


def probit(w: Tensor) -> Any:
    """f with softmax (Phi(s), Phi(-s)) for s = <w, x>: under noise the mean softmax is
    Phi(s / sqrt(1 + sigma^2 |w|^2)), so that R(sigma) = sigma s / sqrt(1 + sigma^2 |w|^2)."""

    def f(x: Tensor) -> Tensor:
        s = x.flatten(1).double() @ w
        return torch.stack([torch.special.log_ndtr(s), torch.special.log_ndtr(-s)], 1)

    return f


@pytest.mark.parametrize("sigma", [0.25, 1.0])
@pytest.mark.parametrize("score", [0.3, -0.8])
def test_the_gradient_of_a_linear_probit_classifier_is_the_closed_form(
    score: float, sigma: float
) -> None:
    w = torch.tensor([1.0, -2.0, 0.5, 1.5], dtype=torch.float64)
    x = (w * score / w.square().sum()).float().view(1, 1, 2, 2)
    config = SigmaTraining(steps=1, samples=100_000, lr=0.1, clamp=1e-6, bounds=(0.01, 9.0))
    gradient = (float(move(config, probit(w), x, sigma)) - sigma) / 0.1
    spread = 1 + sigma**2 * float(w.square().sum())
    assert gradient == pytest.approx(abs(score) / spread**1.5, abs=0.01)


def test_the_gradient_of_a_linear_softmax_is_the_closed_form() -> None:
    """With p_1(x) = <w, x> and the mean noise e: E = p_1 + sigma <w, e>, R = sigma Phi^-1(E)."""
    w = torch.tensor([0.2, 0.1, 0.3, 0.1], dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        p = x.flatten(1).double() @ w
        return torch.stack([p, 1 - p], 1).clamp_min(1e-12).log()

    x, sigma = torch.full((1, 1, 2, 2), 0.9), 0.125
    along = float(Streams(1, (1, 2, 2))(5).double().mean(1).flatten() @ w)
    score = norm.ppf(0.9 * 0.7 + sigma * along)
    expected = score + sigma * along / norm.pdf(score)
    config = SigmaTraining(steps=1, samples=5, lr=0.01, clamp=1e-6, bounds=(0.01, 9.0))
    gradient = (float(move(config, f, x, sigma)) - sigma) / 0.01
    assert gradient == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("clamp", "climb"), [(0.02, 2.054), (0.001, 3.090)])
def test_where_the_clamp_saturates_sigma_climbs_as_published(clamp: float, climb: float) -> None:
    def sure(x: Tensor) -> Tensor:
        return torch.stack([50 + 0 * x.flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)

    config = SigmaTraining(steps=10, samples=2, lr=0.01, clamp=clamp, bounds=(0.1, 5.0))
    moved = move(config, sure, torch.rand(3, 1, 2, 2), 0.25)
    assert moved.tolist() == pytest.approx([0.25 + 10 * climb * 0.01] * 3, abs=1e-4)


def test_logits_that_overflowed_leave_sigma_alone() -> None:
    moved = move(SigmaTraining(), lambda x: x.flatten(1) * math.inf, torch.rand(2, 1, 2, 2), 0.5)
    assert moved.tolist() == [0.5, 0.5]


def test_the_bounds_hold_by_projection(network: nn.Module, images: Tensor) -> None:
    start = torch.tensor([0.25, 0.5, 0.125, 0.75, 0.25])
    free = move(SigmaTraining(bounds=(1e-6, 1e6)), network, images, start)
    tight = (0.2, 0.4)
    bound = move(SigmaTraining(bounds=tight), network, images, start)
    assert bound.tolist() == pytest.approx(free.clamp(*tight).tolist(), abs=1e-9)
    wild = move(SigmaTraining(lr=99.0, steps=3, bounds=tight), network, images, start)
    assert set(wild.tolist()) <= set(tight)


def test_before_the_start_nothing_moves(network: nn.Module, images: Tensor) -> None:
    config = SigmaTraining(start=2.5)
    for epoch, moves in ((0.0, False), (2.49, False), (2.5, True), (7.0, True)):
        moved = move(config, network, images, 0.5, epoch)
        assert bool((moved != 0.5).all()) is moves


def test_the_search_leaves_network_and_weights_alone() -> None:
    with torch.random.fork_rng(devices=[]):
        classifier = build_classifier(get_card("digits-gaussian-0.25"))
    learner = TrainedNetwork(classifier, "fp32")
    learner.logits(torch.rand(8, 1, 8, 8))  # in training mode
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    images, labels = load_dataset("digits", "train").tensors(range(16))
    batch = Batch(images, labels, torch.full((16,), 0.25), 1.0, Streams(16, (1, 8, 8)))
    with torch.no_grad():
        moved = ImageSigmas(SigmaTraining(steps=3), 16, 0.25, CPU).moved(learner, batch)
    assert bool((moved != 0.25).all())
    assert not moved.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in classifier.state_dict().items())
    assert all(p.grad is None for p in classifier.parameters())


# --- In a run -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Watched(Gaussian):
    """Gaussian augmentation that remembers the batches."""

    seen: ClassVar[list[Batch]] = []

    def loss(self, learner: Learner, batch: Batch) -> Loss:
        self.seen.append(batch)
        return super().loss(learner, batch)


RUN = TrainConfig(
    "digits",
    "digits_cnn",
    Watched(),
    0.25,
    SigmaTraining(),
    epochs=3,
    batch_size=256,
    precision="fp32",
)


@dataclasses.dataclass(frozen=True)
class Visit:
    """What one batch did to the sigmas of all training images."""

    found: Batch  # as the sigma search found it
    batch: Batch  # as the weights learnt from it
    before: Tensor  # [M]
    after: Tensor  # [M]

    @property
    def images(self) -> list[int]:
        """Which training images it held."""
        return [NUMBER[image.numpy().tobytes()] for image in self.batch.images]


TRAIN = load_dataset("digits", "train")
NUMBER = {image.numpy().tobytes(): i for i, image in enumerate(TRAIN.tensors()[0])}


def run(config: TrainConfig) -> tuple[Trainer, list[Visit], list[EpochSummary]]:
    Watched.seen.clear()
    trainer = Trainer(config, CPU)
    assert trainer.sigmas is not None
    before = trainer.sigmas.values.clone()
    search, found = trainer.sigmas.moved, []

    def watched(learner: Learner, batch: Batch) -> Tensor:
        found.append(batch)
        return search(learner, batch)

    trainer.sigmas.moved = watched  # type: ignore[method-assign]
    visits, epochs = [], []
    for step in trainer.steps(report_seconds=0.0):
        if isinstance(step, BatchSummary):
            after = trainer.sigmas.values.clone()
            visits.append(Visit(found[-1], Watched.seen[-1], before, after))
            before = after
        else:
            epochs.append(step)
    return trainer, visits, epochs


@pytest.fixture(scope="module")
def whole() -> tuple[Trainer, list[Visit], list[EpochSummary]]:
    return run(RUN)


Run = tuple[Trainer, list[Visit], list[EpochSummary]]


def test_all_start_at_sigma_and_the_images_differ(whole: Run) -> None:
    assert len(NUMBER) == len(TRAIN)  # so that an image tells its number
    assert set(whole[1][0].before.tolist()) == {0.25}


def test_only_the_images_of_a_batch_move(whole: Run) -> None:
    for visit in whole[1]:
        moved = (visit.after != visit.before).nonzero().flatten().tolist()
        assert set(moved) <= set(visit.images)
        assert len(moved) > 0.9 * len(visit.images)


def test_the_weights_learn_at_the_new_sigma(whole: Run) -> None:
    for visit in whole[1]:
        assert torch.equal(visit.batch.sigma, visit.after[visit.images].float())


def test_sigmas_are_carried_from_epoch_to_epoch(whole: Run) -> None:
    visits = whole[1]
    batches = len(TRAIN) // 256
    assert len(visits) == 3 * batches
    for earlier, later in pairwise(visits):
        assert torch.equal(earlier.after, later.before)
    for visit in visits:  # each image goes on where it was, after the first epoch elsewhere
        assert torch.equal(visit.found.sigma, visit.before[visit.images].float())
    for visit in visits[batches:]:
        assert float((visit.found.sigma != 0.25).float().mean()) > 0.9


def test_the_loss_never_sees_the_noise_of_the_search(whole: Run) -> None:
    for visit in whole[1]:
        assert visit.found.draw is visit.batch.draw  # one stream, so each draw is fresh
        first, second = visit.batch.draw(1), visit.batch.draw(1)
        assert not torch.equal(first, second)


def test_the_summary_describes_all_images(whole: Run) -> None:
    trainer, _, epochs = whole
    assert trainer.sigmas is not None
    values = trainer.sigmas.values.numpy()
    summaries = [e.sigma for e in epochs]
    assert all(isinstance(s, SigmaSummary) for s in summaries)
    last = summaries[-1]
    assert last is not None
    for summary in summaries:
        assert summary is not None
        assert sum(summary.counts) == len(TRAIN)
        assert summary.edges == last.edges
    assert (last.edges[0], last.edges[-1]) == pytest.approx((0.1, 1.0))
    assert len(last.edges) == len(last.counts) + 1
    assert np.allclose(np.diff(last.edges), np.diff(last.edges)[0])
    assert last.mean == pytest.approx(values.mean())
    low = [s for _, s in last.moved if s < np.median(values)]
    high = [s for _, s in last.moved if s > np.median(values)]
    assert sorted(low) == sorted(values)[: len(low)]
    assert sorted(high) == sorted(values)[-len(high) :]
    assert min(len(low), len(high)) >= 4
    assert all(values[i] == s for i, s in last.moved)


@pytest.mark.parametrize("sigma", [0.25, 0.12])  # 0.12 is no float32
def test_until_the_start_the_summary_shows_no_movement(sigma: float) -> None:
    late = dataclasses.replace(RUN, sigma=sigma, data_dependent=SigmaTraining(start=1.0), epochs=2)
    trainer = Trainer(late, CPU)
    first, second = [
        s.sigma for s in trainer.steps(report_seconds=9.0) if isinstance(s, EpochSummary)
    ]
    assert first is not None
    assert second is not None
    assert first.moved == ()
    assert first.mean == pytest.approx(sigma, abs=1e-6)
    assert max(first.counts) == len(TRAIN)
    assert len(second.moved) > 8
    assert trainer.sigmas is not None
    assert float(trainer.sigmas.values.min()) >= 0.1


def test_an_image_on_the_outermost_edge_is_counted() -> None:
    sigmas = ImageSigmas(SigmaTraining(bounds=(0.1, 0.3)), 4, 0.2, CPU)
    sigmas.values[:] = torch.tensor([0.1, 0.3, 0.3 + 1e-12, 0.1 - 1e-12], dtype=torch.float64)
    counts = sigmas.summary(0.2).counts
    assert (counts[0], counts[-1], sum(counts)) == (2, 2, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"samples": 0},
        {"lr": 0.0},
        {"lr": math.nan},
        {"start": -1.0},
        {"clamp": 0.0},
        {"clamp": 0.5},
        {"beta": 0.0},
        {"bounds": (0.5, 0.5)},
        {"bounds": (0.0, 1.0)},
        {"bounds": (0.1, math.inf)},
    ],
    ids=str,
)
def test_numbers_that_make_no_sense(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(RUN, data_dependent=SigmaTraining(**changes))
    with pytest.raises(InvalidParameterError):
        config.check()
