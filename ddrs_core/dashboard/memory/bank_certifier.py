"""What certifies images for a bank: its model, its images, and the choice of sigma."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st
import torch
from torch import Tensor

from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.common.model_choice import start_sigma
from ddrs_core.dashboard.memory.attempts import next_alpha
from ddrs_core.dashboard.memory.view import FIXED, MemoryView
from ddrs_core.data import Dataset, image_digest
from ddrs_core.errors import MismatchError
from ddrs_core.models import ModelCard, NoisyForward, noise_generator
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    Bound,
    Certificate,
    CertificationBudget,
    Grade,
    SmoothedClassifier,
    StrategyConfig,
    choose_sigmas,
    get_preset,
)
from ddrs_core.smoothing.margin_gradient import margin_gradient

_DEVICE = "auto"
N0 = 100
_GRADIENT_COPIES = 32


@dataclass(frozen=True)
class CertifyFrame:
    """How far the certificate of a query is; the last frame carries it."""

    done: int  # votes
    sigma: float
    certificate: Certificate | None = None


@dataclass(frozen=True)
class BankCertifier:
    """A bank's model and images, and how sigma is chosen."""

    card: ModelCard
    dataset: Dataset
    forward: NoisyForward
    sigma_0: float
    strategy: StrategyConfig | None  # None: sigma_0 for all
    alpha: float  # of what is not charged to the bank
    bound: Bound
    identity: str  # in the keys of jobs; all but alpha

    @property
    def smoothed(self) -> SmoothedClassifier:
        """The classifier that votes."""
        return SmoothedClassifier(self.forward, self.card.num_classes)

    @property
    def grade(self) -> Grade:
        """What a certificate is worth before it is settled."""
        return Grade.UNCONDITIONAL if self.strategy is None else Grade.CONDITIONAL


def open_certifier(context: BankContext, view: MemoryView) -> BankCertifier:
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
    parts = [forward.digest, str(forward.device), forward.precision, repr(sigma_0), str(strategy)]
    bound = Bound(view.bound)
    if bound is not Bound.ONE_SIDED:  # earlier versions, which had no other, wrote none
        parts.append(bound.value)
    alpha, identity = next_alpha(context.record), "|".join(parts)
    return BankCertifier(card, dataset, forward, sigma_0, strategy, alpha, bound, identity)


def _strategy(name: str, sigma_0: float) -> StrategyConfig | None:
    if name == FIXED:
        return None
    return get_preset(name).at(sigma_0).check()


def outward_gradient(certifier: BankCertifier, x: Tensor) -> Tensor:
    """The direction [C, H, W] in which the class at an image loses most, at sigma_0."""
    return _cached_gradient(f"{certifier.identity}|{image_digest(x)}", certifier, x)


@st.cache_data(max_entries=64, show_spinner=False)
def _cached_gradient(key: str, _certifier: BankCertifier, _x: Tensor) -> Tensor:
    forward, sigma = _certifier.forward, _certifier.sigma_0
    sigmas = torch.tensor([sigma], dtype=torch.float64)
    generator = noise_generator(0, 0, "outward votes", forward.device)
    votes = forward.votes(_x[None], sigmas, N0, [generator])
    noise = torch.empty((1, 2 * _GRADIENT_COPIES, *_x.shape))
    noise.normal_(generator=noise_generator(0, 0, "outward slope"))
    held = torch.from_numpy(votes.argmax(axis=1))
    gradient, _ = margin_gradient(forward, _x[None], sigmas[None], noise, held)
    return gradient[0]


def certificate_frames(
    certifier: BankCertifier, x: Tensor, index: int | None, budget: CertificationBudget
) -> Iterator[CertifyFrame]:
    sigma, number = certifier.sigma_0, index or 0
    if certifier.strategy is not None:
        for batch in choose_sigmas(
            certifier.forward, x[None], [sigma], certifier.strategy, indices=[number], budget=budget
        ):
            sigma = float(batch.sigma[0] if batch.chosen is None else batch.chosen[0])
            yield CertifyFrame(0, sigma)
    for votes in certifier.smoothed.certify_steps(
        x,
        sigma=sigma,
        budget=budget,
        grade=certifier.grade,
        index=index,
        label=None if index is None else certifier.dataset.label(index),
        dataset=None if index is None else certifier.dataset.info.name,
    ):
        done = votes.done if votes.stage == "estimate" else 0
        yield CertifyFrame(done, sigma, votes.certificate)
