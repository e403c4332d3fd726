"""The memory page's work as jobs: a certificate, a walk, a search for a counterexample, orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st
import torch
from torch import Tensor

from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.common.model_choice import start_sigma
from ddrs_core.dashboard.memory.attempts import Charged, next_alpha
from ddrs_core.dashboard.memory.bank_snapshot import BankContent
from ddrs_core.dashboard.memory.view import FIXED, MemoryView
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import Dataset, image_digest
from ddrs_core.errors import MismatchError
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.models import ModelCard, NoisyForward, noise_generator
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    Certificate,
    CertificationBudget,
    Grade,
    SmoothedClassifier,
    StrategyConfig,
    choose_sigmas,
    get_preset,
)
from ddrs_core.smoothing.memory.arrival_order import OrderResult, replay_orders
from ddrs_core.smoothing.memory.collisions import WalkConfig, WalkProgress, from_both_ends, walk
from ddrs_core.smoothing.memory.counterexample import CounterexampleConfig, CounterexampleProgress
from ddrs_core.smoothing.memory.counterexample_search import find_counterexample, margin_gradient
from ddrs_core.store import BankCheck, BankRecord, MemoryBank

_DEVICE = "auto"
_N0 = 100
_SEARCH_N = 10_000
SEARCH = CounterexampleConfig()
_CLIMBING = ("own certificate", "attack")  # stages that count steps
SEARCH_CERTIFICATES = 1 + SEARCH.tries  # of x, and of its neighbours, with fresh noise
_MOST_TARGETS = 500
_GRADIENT_COPIES = 32


@dataclass(frozen=True)
class CertifyFrame:
    """How far the certificate of a query is; the last frame carries it."""

    done: int  # votes
    sigma: float
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Tools:
    """A bank's model and images, where both are at hand."""

    card: ModelCard
    dataset: Dataset
    forward: NoisyForward
    sigma_0: float
    strategy: StrategyConfig | None  # None: sigma_0 for all
    alpha: float  # of what is not charged to the bank
    identity: str  # in the keys of jobs; all but alpha

    @property
    def smoothed(self) -> SmoothedClassifier:
        """The classifier that votes."""
        return SmoothedClassifier(self.forward, self.card.num_classes)

    @property
    def grade(self) -> Grade:
        """What a certificate is worth before it is settled."""
        return Grade.UNCONDITIONAL if self.strategy is None else Grade.CONDITIONAL


def open_tools(context: BankContext, view: MemoryView) -> Tools:
    """What certifies images for a bank.

    Raises:
        MismatchError: if its model or its images are not here.
    """
    card, dataset = context.card, context.dataset
    if card is None:
        raise MismatchError(
            f"The model of this bank ({context.record.kind.model}) is not here, so that nothing "
            "can be certified for it. Add it in the library."
        )
    if dataset is None:
        raise MismatchError(
            f"The images of the model {card.name!r} ({card.dataset}) are not here. Add them in the "
            "library."
        )
    forward = get_forward(card.name, _DEVICE)
    sigma_0 = view.sigma or start_sigma(card, DEFAULT_PRESET)
    strategy = _strategy(view.strategy, sigma_0)
    parts = (forward.digest, str(forward.device), forward.precision, repr(sigma_0), str(strategy))
    return Tools(
        card, dataset, forward, sigma_0, strategy, next_alpha(context.record), "|".join(parts)
    )


def _strategy(name: str, sigma_0: float) -> StrategyConfig | None:
    if name == FIXED:
        return None
    return get_preset(name).at(sigma_0).check()


def certify_what(tools: Tools, x: Tensor, n: int, index: int | None) -> str:
    """What the certificate of a query depends on, but for its alpha and noise."""
    return f"certify|{tools.identity}|{image_digest(x)}|{n}|{_N0}|{index}"


def certify_request(
    tools: Tools, x: Tensor, n: int, index: int | None, charged: Charged
) -> JobRequest:
    """The certificate of a query, at a sigma that it chooses itself.

    Args:
        tools: of the bank.
        x: [C, H, W].
        n: votes.
        index: of the image where the query is one of the data set; it selects the noise.
        charged: for :func:`certify_what`.
    """

    def start() -> Iterator[CertifyFrame]:
        budget = CertificationBudget(_N0, n, charged.attempt.alpha, seed=charged.seed)
        return _certify(tools, x, index, budget)

    return JobRequest(
        f"memory-certify|{charged.identity}",
        f"certificate of a query on {tools.card.name}",
        "memory-certify",
        str(tools.forward.device),
        start,
        n,
        "vote",
        amount=lambda frame: float(frame.done),
        link="memory",
    )


def walk_request(tools: Tools, first: int, second: int, points: int, n: int) -> JobRequest:
    """Points on the way between two images, from both ends, each settled among those before."""
    a, b = tools.dataset[first][0], tools.dataset[second][0]
    config = WalkConfig(tools.sigma_0, tools.strategy, CertificationBudget(_N0, n, tools.alpha))

    def start() -> Iterator[WalkProgress]:
        return walk(tools.smoothed, a, b, from_both_ends(points), config)

    return JobRequest(
        f"memory-walk|{tools.identity}|{tools.alpha!r}|{image_digest(a)}|{image_digest(b)}"
        f"|{points}|{n}",
        f"walk from image {first} to {second} on {tools.card.name}",
        "memory-walk",
        str(tools.forward.device),
        start,
        points,
        "point",
        amount=lambda progress: float(progress.done),
        link="memory",
    )


def search_identity(tools: Tools, index: int) -> str:
    """What a search for a counterexample depends on, but for its alpha and noise.

    Raises:
        MismatchError: if there is nothing to search for.
    """
    if tools.strategy is None:
        raise MismatchError(
            "With one sigma for all there is no gap to find: choose a strategy that gives every "
            "image its own."
        )
    # The bank stores a digest of this text, so it stays as earlier versions wrote it.
    return (
        f"hunt|{tools.identity}|{image_digest(tools.dataset[index][0])}|{_SEARCH_N}|{_N0}|{index}"
    )


def search_request(tools: Tools, index: int, charged: Charged) -> JobRequest:
    """The search for an image inside the ball of another that gets another class; what is
    ``charged`` are the certificates with fresh noise."""
    x = tools.dataset[index][0]

    def start() -> Iterator[CounterexampleProgress]:
        return _search_steps(tools, x, index, charged)

    return JobRequest(
        f"memory-search|{charged.identity}",
        f"counterexample to image {index} on {tools.card.name}",
        "memory-search",
        str(tools.forward.device),
        start,
        SEARCH.steps,
        "attack step",
        amount=lambda p: float(p.done if p.stage in _CLIMBING else SEARCH.steps),
        link="memory",
    )


def orders_request(content: BankContent, fingerprint: str, shuffles: int) -> JobRequest:
    """The bank's certificates in many orders of arrival."""
    balls = content.balls
    classes, radii = [b.claimed for b in balls], [b.claimed_radius for b in balls]

    def start() -> Iterator[OrderResult]:
        return replay_orders(content.between, classes, radii, shuffles=shuffles)

    return JobRequest(
        f"memory-orders|{fingerprint}|{len(balls)}|{shuffles}",
        "orders of arrival",
        "memory-orders",
        "orders",
        start,
        shuffles + 1,
        "order",
        link="memory",
    )


def check_request(bank: MemoryBank, record: BankRecord) -> JobRequest:
    """The proof from its images that no two balls of a bank overlap, as it stands now."""

    def start() -> Iterator[BankCheck]:
        check = bank.check()
        check.require()
        yield check

    return JobRequest(
        f"memory-check|{record.id}|{record.fingerprint}",
        f"check of {record.name}",
        "memory-check",
        "checks",
        start,
        1.0,
        "check",
        link="memory",
        anew=True,
    )


def outward_gradient(tools: Tools, x: Tensor) -> Tensor:
    """The direction [C, H, W] in which the class at an image loses most, at sigma_0."""
    return _cached_gradient(f"{tools.identity}|{image_digest(x)}", tools, x)


@st.cache_data(max_entries=64, show_spinner=False)
def _cached_gradient(key: str, _tools: Tools, _x: Tensor) -> Tensor:
    forward, sigma = _tools.forward, _tools.sigma_0
    sigmas = torch.tensor([sigma], dtype=torch.float64)
    generator = noise_generator(0, 0, "outward votes", forward.device)
    votes = forward.votes(_x[None], sigmas, _N0, [generator])
    noise = torch.empty((2, _GRADIENT_COPIES, *_x.shape))
    noise.normal_(generator=noise_generator(0, 0, "outward slope"))
    gradient, _ = margin_gradient(
        forward, _x[None], torch.tensor([[sigma, sigma]]), noise, int(votes.argmax())
    )
    return gradient[0]


def find_job(request: JobRequest) -> Job | None:
    """This visitor's job for a request, if there is one."""
    return get_manager().find(request.key, visitor())


def start_job(request: JobRequest) -> NoReturn:
    """Start a job, which the page is drawn again for; earlier ones of its kind are forgotten."""
    manager, me = get_manager(), visitor()
    job = manager.submit(request, me)
    for old in manager.jobs(me):
        if old.request.kind == request.kind and old is not job:
            manager.drop(old)
    redraw()


def _certify(
    tools: Tools, x: Tensor, index: int | None, budget: CertificationBudget
) -> Iterator[CertifyFrame]:
    sigma, number = tools.sigma_0, index or 0
    if tools.strategy is not None:
        for batch in choose_sigmas(
            tools.forward,
            x[None],
            [sigma],
            tools.strategy,
            indices=[number],
            budget=budget,
        ):
            sigma = float(batch.sigma[0] if batch.chosen is None else batch.chosen[0])
            yield CertifyFrame(0, sigma)
    for votes in tools.smoothed.certify_steps(
        x,
        sigma=sigma,
        budget=budget,
        grade=tools.grade,
        index=index,
        label=None if index is None else tools.dataset.label(index),
        dataset=None if index is None else tools.dataset.info.name,
    ):
        done = votes.done if votes.stage == "estimate" else 0
        yield CertifyFrame(done, sigma, votes.certificate)


def _search_steps(
    tools: Tools, x: Tensor, index: int, charged: Charged
) -> Iterator[CounterexampleProgress]:
    assert tools.strategy is not None  # see search_identity
    certificate = None
    budget = CertificationBudget(_N0, _SEARCH_N, charged.attempt.alpha)
    for frame in _certify(tools, x, index, budget):
        yield CounterexampleProgress("own certificate", 0, SEARCH.steps, 0.0)
        certificate = frame.certificate
    assert certificate is not None
    yield from find_counterexample(
        tools.smoothed,
        x,
        certificate,
        sigma_0=tools.sigma_0,
        strategy=tools.strategy,
        targets=_targets(tools.dataset, certificate.prediction),
        config=SEARCH,
        fresh_seed=charged.seed,
    )


def _targets(dataset: Dataset, prediction: int) -> Tensor:
    """Images of other classes, spread over the data set."""
    others = (dataset.labels != prediction).nonzero()[0]
    step = max(1, len(others) // _MOST_TARGETS)
    return dataset.read([int(i) for i in others[::step][:_MOST_TARGETS]]).images
