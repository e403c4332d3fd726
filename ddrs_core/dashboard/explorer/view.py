"""All choices of the explorer as one value, and its way into the URL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Unpack

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.common.model_choice import default_model, start_sigma
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.data import Dataset, DatasetInfo, get_dataset_info, is_picture_name
from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import (
    ModelCard,
    affordable,
    check_shape,
    get_card,
    open_for_model,
    resolve_device,
)
from ddrs_core.parameters import values_of, with_values
from ddrs_core.smoothing import DEFAULT_PRESET, CertificationBudget, StrategyConfig, get_preset
from ddrs_core.smoothing.budget import BudgetNumbers
from ddrs_core.smoothing.confidence import check_sigma

FORM = Form(keys.EXPLORER, limited=True)  # the widgets that show a view
PARAMETERS = FORM.part("parameter_")  # those of its strategy
OPENING = "digits", 193  # the data set and the image where the explorer opens
DEFAULT_N, DEFAULT_N_SLOW = 10_000, 1_000  # the latter where a network is slow on this device
_PATIENCE = 120.0  # seconds for a certificate
AUTO_PACE = "auto"  # a run takes about three seconds, or longer where it has many steps
PACES: dict[str, float] = {"max": math.inf, "30": 30.0, "10": 10.0, "3": 3.0, "1": 1.0}
COVERS = ("", "start", "answer", "hand")
MAX_N = 1_000_000
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class ExplorerView:
    """What the explorer looks at and how."""

    dataset: str
    model: str
    device: str
    index: int
    preset: str
    config: StrategyConfig
    sigma_0: float
    budget: CertificationBudget  # certifies at either noise level; its seed is that of everything
    label: int | None = None  # of a visitor's own picture, where they told; a class of the model
    pace: str = AUTO_PACE  # or one of PACES, steps a second at which a run is shown
    hand: float | None = None  # a noise level of the visitor's own that is to be certified
    cover: str = ""  # one of COVERS: the level whose certificate is looked into

    @property
    def data(self) -> Dataset:
        """The images in the model's shape, with the model's classes."""
        return open_for_model(self.dataset, self.card)

    @property
    def info(self) -> DatasetInfo:
        """The description of :attr:`data`."""
        return self.data.info

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return get_card(self.model)

    @property
    def is_picture(self) -> bool:
        """Whether a visitor's own picture is looked at."""
        return is_picture_name(self.dataset)

    @property
    def true_label(self) -> int | None:
        """The image's class among the model's; None where nobody knows."""
        return self.label if self.is_picture else self.data.label(self.index)

    @property
    def speed(self) -> float:
        """Steps a second at which a run is shown, at most; infinite where it has no limit."""
        return PACES[self.pace] if self.pace in PACES else min(30.0, self.config.steps / 3)

    def check(self) -> ExplorerView:
        """Raises DDRSError if parts do not exist, do not fit, or make no sense."""
        check_shape(self.card, get_dataset_info(self.dataset))
        self.data.check_index(self.index)
        if self.label is not None and not 0 <= self.label < self.card.num_classes:
            raise InvalidParameterError(
                f"Model {self.model!r} knows classes 0 to {self.card.num_classes - 1}, "
                f"so the label cannot be {self.label}."
            )
        resolve_device(self.device)
        check_sigma(self.sigma_0)
        if self.hand is not None:
            check_sigma(self.hand)
        self.config.check()
        self.budget.check()
        return self

    def with_budget(self, **numbers: Unpack[BudgetNumbers]) -> ExplorerView:
        """The view with other numbers of the budget."""
        return replace(self, budget=CertificationBudget.of(self.budget, **numbers))

    def to_query(self) -> dict[str, str]:
        """The view as query parameters; strategy parameters only where they leave the preset."""
        query = {
            "dataset": self.dataset,
            "model": self.model,
            "device": self.device,
            "image": str(self.index),
            "preset": self.preset,
            "sigma0": repr(self.sigma_0),
            "seed": str(self.budget.seed),
            "n": str(self.budget.n),
            "n0": str(self.budget.n0),
            "alpha": repr(self.budget.alpha),
            "bound": self.budget.bound.value,
            "pace": self.pace,
        }
        if self.is_picture and self.label is not None:
            query["label"] = str(self.label)
        if self.hand is not None:
            query["hand"] = repr(self.hand)
        if self.cover:
            query["cover"] = self.cover
        changes = get_preset(self.preset).changes(self.config, self.sigma_0)
        return query | {k: repr(v) for k, v in changes.items()}


def default_view(dataset: str | None = None, model: str | None = None) -> ExplorerView:
    """Where the explorer opens: an image of the digits, which every machine has; or the first image
    of the data set that is named, with its default model unless told otherwise.

    Raises:
        DDRSError: if there is no such data set or model, or no model for the data set.
    """
    info = get_dataset_info(dataset or OPENING[0])
    card = get_card(model) if model else default_model(info)
    preset = get_preset(DEFAULT_PRESET)
    sigma_0 = start_sigma(card, preset.name)
    return ExplorerView(
        dataset=info.name,
        model=card.name,
        device="auto",
        index=0 if dataset else OPENING[1],
        preset=preset.name,
        config=preset.at(sigma_0),
        sigma_0=sigma_0,
        budget=CertificationBudget(n=default_n(card.name, "auto")),
    )


def default_n(model: str, device: str) -> int:
    """Samples for a certificate that take seconds rather than minutes on this device."""
    forward = get_forward(model, device)
    assert forward.shape is not None
    fits = affordable(forward, forward.shape, DEFAULT_N, _PATIENCE, DEFAULT_N_SLOW)
    return DEFAULT_N if fits == DEFAULT_N else DEFAULT_N_SLOW


def with_parameters(config: StrategyConfig, changes: Mapping[str, float]) -> StrategyConfig:
    """Change numbers of a configuration, those that it has; whole numbers stay whole."""
    usual = values_of(config)
    numbers: dict[str, float] = {}
    for name, value in changes.items():
        if name in usual:
            whole = isinstance(usual[name], int) and float(value).is_integer()
            numbers[name] = int(value) if whole else float(value)
    return with_values(config, numbers)


def started_at(view: ExplorerView, sigma_0: float) -> ExplorerView:
    """The view with another start; bounds that are the preset's follow it."""
    preset, config = get_preset(view.preset), view.config
    if config.bounds == preset.at(view.sigma_0).bounds:
        config = replace(config, bounds=preset.at(sigma_0).bounds)
    return replace(view, sigma_0=sigma_0, config=config)
