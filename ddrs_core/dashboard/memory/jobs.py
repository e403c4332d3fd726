"""The memory page's work as jobs: a certificate, a walk, a search for a counterexample, orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn
from urllib.parse import urlencode

import streamlit as st
from torch import Tensor

from ddrs_core.dashboard.common.bank_content import BankContent
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.memory.attempts import Charged, charge
from ddrs_core.dashboard.memory.bank_certifier import (
    N0,
    BankCertifier,
    CertifyFrame,
    certificate_frames,
)
from ddrs_core.dashboard.memory.view import current_view
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import Dataset, image_digest
from ddrs_core.errors import DDRSError, MismatchError
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.smoothing import CertificationBudget
from ddrs_core.smoothing.memory.arrival_order import OrderResult, replay_orders
from ddrs_core.smoothing.memory.collisions import WalkConfig, WalkProgress, from_both_ends, walk
from ddrs_core.smoothing.memory.counterexample import CounterexampleConfig, CounterexampleProgress
from ddrs_core.smoothing.memory.counterexample_search import find_counterexample
from ddrs_core.store import BankCheck, BankRecord, MemoryBank

_SEARCH_N = 10_000
SEARCH = CounterexampleConfig()
_CLIMBING = ("own certificate", "attack")  # stages that count steps
SEARCH_CERTIFICATES = 1 + SEARCH.tries  # of x, and of its neighbours, with fresh noise
_MOST_TARGETS = 500


def certify_what(certifier: BankCertifier, x: Tensor, n: int, index: int | None) -> str:
    """What the certificate of a query depends on, but for its alpha and noise."""
    return f"certify|{certifier.identity}|{image_digest(x)}|{n}|{N0}|{index}"


def certify_request(
    certifier: BankCertifier, x: Tensor, n: int, index: int | None, charged: Charged
) -> JobRequest:
    """The certificate of a query, at a sigma that it chooses itself.

    Args:
        certifier: of the bank.
        x: [C, H, W].
        n: votes.
        index: of the image where the query is one of the data set; it selects the noise.
        charged: for :func:`certify_what`.
    """

    def start() -> Iterator[CertifyFrame]:
        alpha, bound = charged.attempt.alpha, certifier.bound
        budget = CertificationBudget(N0, n, alpha, bound, seed=charged.seed)
        return certificate_frames(certifier, x, index, budget)

    return JobRequest(
        f"memory-certify|{charged.identity}",
        f"certificate of a query on {certifier.card.name}",
        "memory-certify",
        str(certifier.forward.device),
        start,
        n,
        "vote",
        amount=lambda frame: float(frame.done),
        link=_link(),
    )


def walk_request(
    certifier: BankCertifier, first: int, second: int, points: int, n: int
) -> JobRequest:
    """Points on the way between two images, from both ends, each settled among those before."""
    a, b = certifier.dataset[first][0], certifier.dataset[second][0]
    budget = CertificationBudget(N0, n, certifier.alpha, certifier.bound)
    config = WalkConfig(certifier.sigma_0, certifier.strategy, budget)

    def start() -> Iterator[WalkProgress]:
        return walk(certifier.smoothed, a, b, from_both_ends(points), config)

    return JobRequest(
        f"memory-walk|{certifier.identity}|{certifier.alpha!r}|{image_digest(a)}|{image_digest(b)}"
        f"|{points}|{n}",
        f"walk from image {first} to {second} on {certifier.card.name}",
        "memory-walk",
        str(certifier.forward.device),
        start,
        points,
        "point",
        amount=lambda progress: float(progress.done),
        link=_link(),
    )


def search_identity(certifier: BankCertifier, index: int) -> str:
    """What a search for a counterexample depends on, but for its alpha and noise.

    Raises:
        MismatchError: if there is nothing to search for.
    """
    if certifier.strategy is None:
        raise MismatchError(
            "With one sigma for all there is no gap to find: choose a strategy that gives every "
            "image its own."
        )
    # The bank stores a digest of this text, so it stays as earlier versions wrote it.
    image = image_digest(certifier.dataset[index][0])
    return f"hunt|{certifier.identity}|{image}|{_SEARCH_N}|{N0}|{index}"


def search_request(certifier: BankCertifier, index: int, charged: Charged) -> JobRequest:
    """The search for an image inside the ball of another that gets another class; what is
    ``charged`` are the certificates with fresh noise."""
    x = certifier.dataset[index][0]

    def start() -> Iterator[CounterexampleProgress]:
        return _search_steps(certifier, x, index, charged)

    return JobRequest(
        f"memory-search|{charged.identity}",
        f"counterexample to image {index} on {certifier.card.name}",
        "memory-search",
        str(certifier.forward.device),
        start,
        SEARCH.steps,
        "attack step",
        amount=lambda p: float(p.done if p.stage in _CLIMBING else SEARCH.steps),
        link=_link(),
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
        link=_link(),
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
        link=_link(),
        rerun=True,
    )


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


def start_charged(
    context: BankContext, what: str, request: Callable[[Charged], JobRequest], count: int = 1
) -> None:
    """Charge certificates to the visitor's copy of a bank, and start the job that makes them."""
    try:
        charged = charge(context, what, count)
    except DDRSError as error:
        show_error(error)
        return
    start_job(request(charged))


def show_job_buttons(
    label: str, icon: str, job: Job | None, start: Callable[[], None], cancel_key: str
) -> None:
    """A button that starts a job, and one that cancels it."""
    busy = job is not None and not job.state.is_over
    if st.button(label, type="primary", icon=f":material/{icon}:", disabled=busy):
        start()
    if st.button("Cancel", icon=":material/stop:", disabled=not busy, key=cancel_key):
        if job is not None:  # else it has given way to another meanwhile
            job.cancel()
        redraw()


def _search_steps(
    certifier: BankCertifier, x: Tensor, index: int, charged: Charged
) -> Iterator[CounterexampleProgress]:
    assert certifier.strategy is not None  # see search_identity
    certificate = None
    budget = CertificationBudget(N0, _SEARCH_N, charged.attempt.alpha, certifier.bound)
    for frame in certificate_frames(certifier, x, index, budget):
        yield CounterexampleProgress("own certificate", 0, SEARCH.steps, 0.0)
        certificate = frame.certificate
    assert certificate is not None
    yield from find_counterexample(
        certifier.smoothed,
        x,
        certificate,
        sigma_0=certifier.sigma_0,
        strategy=certifier.strategy,
        targets=_targets(certifier.dataset, certificate.prediction),
        config=SEARCH,
        fresh_seed=charged.seed,
    )


def _targets(dataset: Dataset, prediction: int) -> Tensor:
    """Images of other classes, spread over the data set."""
    others = (dataset.labels != prediction).nonzero()[0]
    step = max(1, len(others) // _MOST_TARGETS)
    return dataset.read([int(i) for i in others[::step][:_MOST_TARGETS]]).images


def _link() -> str:
    return "memory?" + urlencode(current_view().to_query())
