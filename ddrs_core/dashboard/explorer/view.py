"""All choices of the explorer as one value, and its way into the URL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.shell.my_uploads import my_uploads
from ddrs_core.data import (
    Dataset,
    DatasetInfo,
    get_dataset_info,
    is_picture_name,
    list_datasets,
)
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import (
    ModelCard,
    affordable,
    check_shape,
    get_card,
    list_models,
    open_for_model,
    resolve_device,
    takes,
)
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    Bound,
    StrategyConfig,
    get_preset,
)
from ddrs_core.smoothing.confidence import check_budget, check_sigma

DEFAULT_INDEX = 0
DEFAULT_N, DEFAULT_N_SLOW = 10_000, 1_000  # the latter where a network takes long on this device
_PATIENCE = 120.0  # seconds for a certificate
PACES: dict[str, float] = {"max": math.inf, "30": 30.0, "10": 10.0, "3": 3.0, "1": 1.0}
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
    seed: int = 0
    n: int = 10_000
    n0: int = 100
    alpha: float = 0.001
    bound: Bound = Bound.ONE_SIDED
    label: int | None = None  # of a visitor's own picture, where they told; a class of the model
    pace: str = "30"  # of PACES, steps a second at which a run is shown

    @property
    def data(self) -> Dataset:
        """The images as the model takes them, with the model's classes."""
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
        self.config.check()
        check_budget(self.n0, self.n, self.alpha, parts=self.bound.parts)
        return self

    def to_query(self) -> dict[str, str]:
        """The view as query parameters; strategy parameters only where they leave the preset."""
        query = {
            "dataset": self.dataset,
            "model": self.model,
            "device": self.device,
            "image": str(self.index),
            "preset": self.preset,
            "sigma0": repr(self.sigma_0),
            "seed": str(self.seed),
            "n": str(self.n),
            "n0": str(self.n0),
            "alpha": repr(self.alpha),
            "bound": self.bound.value,
            "pace": self.pace,
        }
        if self.is_picture and self.label is not None:
            query["label"] = str(self.label)
        changes = config_changes(self.preset, self.config, self.sigma_0)
        return query | {k: repr(v) for k, v in changes.items()}


def fitting_models(dataset: DatasetInfo) -> list[ModelCard]:
    """The models that take the images of a data set, the visitor's own last; those that know its
    classes come first."""
    cards = [*list_models(), *own_models()]
    fitting = [card for card in cards if takes(card, dataset)]
    return sorted(fitting, key=lambda card: card.num_classes != dataset.num_classes)


def own_models() -> list[ModelCard]:
    """The models that this visitor uploaded or opened by a link."""
    cards = []
    for name in my_uploads("model"):
        with suppress(DDRSError):  # an upload that has given way to newer ones
            cards.append(get_card(name))
    return cards


def default_model(dataset: DatasetInfo) -> ModelCard:
    """The model that a data set is first shown with: of those that were trained on it with one
    noise level, by Gaussian augmentation if there are such, the last; for photographs of any
    kind, one that sees most of them.

    Raises:
        InvalidParameterError: if no model takes its images.
    """
    cards = fitting_models(dataset)
    if not cards:
        size = " x ".join(str(v) for v in dataset.shape)
        raise InvalidParameterError(
            f"No model here takes the images of {dataset.title} ({size} values) yet. Add one in "
            "the library: a checkpoint of your own, or one of torchvision's."
        )
    trained = [c for c in cards if c.dataset == dataset.name and "-ds" not in c.name]
    noisy = [c for c in trained or cards if c.trained_with_noise]
    noisy = [c for c in noisy if c.method == "gaussian"] or noisy
    if not trained and dataset.resizable:
        return max(noisy or cards, key=lambda card: math.prod(card.shape))
    return (noisy or trained or cards)[-1]


def default_dataset() -> DatasetInfo:
    """What pages open on: CIFAR-10 where it is at hand, the digits otherwise."""
    at_hand = {info.name: info for info in list_datasets()}
    return at_hand.get("cifar10", next(iter(at_hand.values())))


def default_view(dataset: str | None = None, model: str | None = None) -> ExplorerView:
    """Where the explorer opens: the default model of the default data set, or as told.

    Raises:
        DDRSError: if there is no such data set or model, or no model for the data set.
    """
    info = get_dataset_info(dataset) if dataset else default_dataset()
    card = get_card(model) if model else default_model(info)
    preset = get_preset(DEFAULT_PRESET)
    sigma_0 = start_sigma(card, preset.name)
    return ExplorerView(
        dataset=info.name,
        model=card.name,
        device="auto",
        index=DEFAULT_INDEX,
        preset=preset.name,
        config=preset.at(sigma_0),
        sigma_0=sigma_0,
        n=default_n(card.name, "auto"),
    )


def default_n(model: str, device: str) -> int:
    """Samples for a certificate that take seconds rather than minutes on this device."""
    forward = get_forward(model, device)
    assert forward.shape is not None
    fits = affordable(forward, forward.shape, DEFAULT_N, _PATIENCE, DEFAULT_N_SLOW)
    return DEFAULT_N if fits == DEFAULT_N else DEFAULT_N_SLOW


def start_sigma(card: ModelCard, preset: str) -> float:
    """The preset's own sigma_0, else the model's training sigma, else 0.25."""
    return get_preset(preset).sigma_0 or card.sigma or 0.25


def parameters(config: StrategyConfig) -> dict[str, float]:
    """The configuration as flat numbers, the bounds as ``sigma_min`` and ``sigma_max``."""
    flat: dict[str, float] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name == "bounds":
            flat["sigma_min"], flat["sigma_max"] = value
        else:
            flat[item.name] = value
    return flat


def with_parameters(config: StrategyConfig, changes: Mapping[str, float]) -> StrategyConfig:
    """Change flat numbers of a configuration; whole numbers stay whole."""
    flat = parameters(config)
    for name, value in changes.items():
        if name in flat:
            whole = isinstance(flat[name], int) and float(value).is_integer()
            flat[name] = int(value) if whole else float(value)
    bounds = (flat.pop("sigma_min"), flat.pop("sigma_max"))
    known: dict[str, Any] = {**flat, "bounds": bounds}
    return replace(config, **known)


def config_changes(preset: str, config: StrategyConfig, sigma_0: float) -> dict[str, float]:
    """The numbers in which a configuration differs from its preset for that start."""
    usual = parameters(get_preset(preset).at(sigma_0))
    return {k: v for k, v in parameters(config).items() if v != usual.get(k)}


def started_at(view: ExplorerView, sigma_0: float) -> ExplorerView:
    """The view with another start; bounds that are the preset's follow it."""
    preset, config = get_preset(view.preset), view.config
    if config.bounds == preset.at(view.sigma_0).bounds:
        config = replace(config, bounds=preset.at(sigma_0).bounds)
    return replace(view, sigma_0=sigma_0, config=config)
