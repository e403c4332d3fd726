"""What a certification run is filled with: something that is over in minutes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ddrs_core.dashboard.common import model_choice
from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.data import get_dataset_info, load_dataset
from ddrs_core.models import ModelCard, affordable
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.cost import expected_votes_of_all
from ddrs_core.smoothing import DEFAULT_PRESET, CertificationBudget, StopAtRadii, get_preset

_SECONDS = 180.0  # by an optimistic guess of the speed
_SIZES = ((100_000, 500), (100_000, 200), (100_000, 100), (10_000, 100), (10_000, 50), (1_000, 20))


@dataclass(frozen=True)
class Size:
    """How much to certify: N, every ``skip``-th image, at most ``limit`` of them."""

    n: int
    skip: int
    limit: int | None


def default_model(dataset: str, judged: Sequence[ModelCard]) -> ModelCard | None:
    """The model that a data set is first certified with; None where none knows its classes."""
    if not judged:
        return None
    card = model_choice.default_model(get_dataset_info(dataset))
    return card if card in judged else judged[0]


def default_size(dataset: str, model: str, device: str, split: str) -> Size:
    """The largest of some usual sizes that a fixed and a data-dependent run get through in
    minutes, as far as can be told without measuring."""
    forward = get_forward(model, device)
    assert forward.shape is not None
    images = len(load_dataset(dataset, split))
    fits = affordable(forward, forward.shape, 10**12, _SECONDS, 1)
    fixed = CertifyConfig(dataset, model, Method.FIXED, 0.25)
    own = replace(fixed, method=Method.DS, strategy=get_preset(DEFAULT_PRESET).at(0.25))
    for n, wanted in _SIZES:
        count = min(wanted, images)
        budget = CertificationBudget(n=n, stop=StopAtRadii())
        both = [replace(config, budget=budget) for config in (fixed, own)]
        if expected_votes_of_all(both, count) <= fits:
            break
    skip = max(1, images // count)
    return Size(n, skip, count if -(-images // skip) > count else None)
