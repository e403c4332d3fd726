"""The choices of a training run, and the way from widgets to a ``TrainConfig``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.model_choice import own_models, title_of
from ddrs_core.dashboard.common.parameter_input import show_number, show_parameter
from ddrs_core.dashboard.common.source_form import pick_dataset, pick_device
from ddrs_core.dashboard.navigation import library_page
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import fill_once, show_widget
from ddrs_core.data import DatasetInfo, get_dataset_info, list_datasets, load_dataset
from ddrs_core.errors import MismatchError, require_count
from ddrs_core.models import (
    ModelCard,
    list_architectures,
    list_models,
    list_torchvision_architectures,
)
from ddrs_core.parameters import Config, Parameter, parameters_of, values_of, with_values
from ddrs_core.training import METHODS, SigmaTraining, TrainConfig, recipe

_APART = {  # fields that have their own widgets, or none
    "dataset",
    "architecture",
    "sigma",
    "epochs",
    "init",
    "compile",
    "seed",
    "name",
}
_SIGMA_NOTE = (
    "Every training image has its own sigma. Before each step of the weights, K steps of "
    "gradient ascent move the sigmas of its images."
)
_SETTINGS = {n: field for n, field in parameters_of(TrainConfig).items() if n not in _APART}


def pick_run() -> None:
    """Data set, architecture, method, sigma and where to start; what depends on them follows."""
    fill_once("training form", _fill_widgets)
    state = st.session_state
    info = pick_dataset(keys.TRAINING_DATASET, _dataset_changed)
    architectures = _architectures(info)
    show_widget(st.selectbox, keys.TRAINING_ARCHITECTURE, "Architecture", list(architectures))
    if state[keys.TRAINING_ARCHITECTURE]:
        st.caption(f"{architectures[state[keys.TRAINING_ARCHITECTURE]]}.")
    show_widget(
        st.selectbox,
        keys.TRAINING_METHOD,
        "Method",
        {name: _title(name)[0] for name in METHODS},
        on_change=_refill,
    )
    method = state[keys.TRAINING_METHOD]
    st.caption(" ".join([METHODS[method].summary, _title(method)[1]]))
    show_widget(st.toggle, keys.TRAINING_DATA_DEPENDENT, "Data-dependent sigma", on_change=_refill)
    if state[keys.TRAINING_DATA_DEPENDENT]:
        st.caption(_SIGMA_NOTE)
    left, right = st.columns(2)
    with left:
        show_number(
            keys.TRAINING_SIGMA,
            float,
            "Sigma",
            "Training noise; where each sigma begins.",
            _sigma_changed,
        )
    with right:
        show_number(keys.TRAINING_SETTING + "epochs", int, "Epochs", "Passes over the images.")
    _pick_start(info)


def pick_settings() -> None:
    """All other settings, behind a fold."""
    with st.expander("All settings", icon=":material/tune:"):
        _pick_settings()
    st.page_link(library_page(), label="Add data or models", icon=":material/library_add:")


def read_form() -> TrainConfig:
    """The run that the widgets describe; nothing is lost when it makes no sense.

    Raises:
        DDRSError: if it cannot be started: what its own process would say minutes later.
    """
    config = _config()
    info = get_dataset_info(config.dataset)
    if "train" not in info.splits:
        raise MismatchError(f"{info.title} has no training images, only test images.")
    config.check()
    images = len(load_dataset(info.name, "train"))
    require_count("batch size", config.batch_size, at_least=2, at_most=images)
    return config


def _config() -> TrainConfig:
    state = st.session_state
    if not state[keys.TRAINING_ARCHITECTURE]:
        raise MismatchError(
            "No architecture here accepts images of this shape. Choose another data set."
        )
    base = _recipe()
    settings = {
        name: state[keys.TRAINING_SETTING + name]
        for name in ("epochs", *_SETTINGS)
        if keys.TRAINING_SETTING + name in state
    }
    config = replace(
        base,
        sigma=state[keys.TRAINING_SIGMA],
        seed=state[keys.TRAINING_SEED],
        init=state[keys.TRAINING_INIT] or "",
        method=_with_widgets(base.method, keys.TRAINING_OPTION),
        **settings,
    )
    if config.data_dependent is None:
        return config
    sigmas = _with_widgets(config.data_dependent, keys.TRAINING_SIGMA_OPTION)
    return replace(config, data_dependent=sigmas)


def _with_widgets(config: Config, prefix: str) -> Config:
    """The configuration with the values of its widgets."""
    return with_values(config, {n: st.session_state[prefix + n] for n in values_of(config)})


def _fill(prefix: str, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        st.session_state[prefix + name] = value


def _recipe() -> TrainConfig:
    state = st.session_state
    return recipe(
        state[keys.TRAINING_DATASET],
        state[keys.TRAINING_ARCHITECTURE] or "",
        state[keys.TRAINING_METHOD],
        state[keys.TRAINING_SIGMA] or 0.5,
        data_dependent=state[keys.TRAINING_DATA_DEPENDENT],
    )


def _fill_widgets() -> None:
    info = list_datasets()[0]
    for key, value in {
        keys.TRAINING_DATASET: info.name,
        keys.TRAINING_ARCHITECTURE: next(iter(_architectures(info)), None),
        keys.TRAINING_METHOD: next(iter(METHODS)),
        keys.TRAINING_DATA_DEPENDENT: True,
        keys.TRAINING_SIGMA: 0.5,
        keys.TRAINING_SEED: 0,
        keys.TRAINING_INIT: "",
        keys.TRAINING_DEVICE: "auto",
    }.items():
        st.session_state[key] = value
    _refill()


def _dataset_changed() -> None:
    info = get_dataset_info(st.session_state[keys.TRAINING_DATASET])
    st.session_state[keys.TRAINING_ARCHITECTURE] = next(iter(_architectures(info)), None)
    st.session_state[keys.TRAINING_INIT] = ""
    _refill()


def _refill() -> None:
    """Put the recipe of data set and method into the other widgets."""
    config = _recipe()
    values = values_of(config)
    _fill(keys.TRAINING_SETTING, {name: values[name] for name in ("epochs", *_SETTINGS)})
    _fill(keys.TRAINING_OPTION, values_of(config.method))
    if config.data_dependent is not None:
        _fill(keys.TRAINING_SIGMA_OPTION, values_of(config.data_dependent))


def _sigma_changed() -> None:
    """The sigmas of the images stay within bounds around the new one."""
    config = _recipe()
    if config.data_dependent is not None:
        low, high = config.data_dependent.bounds
        _fill(keys.TRAINING_SIGMA_OPTION, {"sigma_min": low, "sigma_max": high})


def _pick_start(info: DatasetInfo) -> None:
    state = st.session_state
    cards = _starts(info, state[keys.TRAINING_ARCHITECTURE])
    left, right = st.columns([2, 1])
    show_widget(
        left.selectbox,
        keys.TRAINING_INIT,
        "Start from",
        {"": "random weights"} | {card.name: title_of(card) for card in cards},
        help="A trained model of the same architecture and classes, or random weights.",
    )
    with right:
        show_number(keys.TRAINING_SEED, int, "Seed", "Same seed, same machine: same model.")


def _pick_settings() -> None:
    st.caption("Filled with what suits the data set and the method.")
    _show(_SETTINGS, keys.TRAINING_SETTING)
    method = METHODS[st.session_state[keys.TRAINING_METHOD]]
    _show(parameters_of(method), keys.TRAINING_OPTION)
    if st.session_state[keys.TRAINING_DATA_DEPENDENT]:
        _show(parameters_of(SigmaTraining), keys.TRAINING_SIGMA_OPTION)
    pick_device(keys.TRAINING_DEVICE)


def _show(described: Mapping[str, Parameter], prefix: str) -> None:
    for name, field in described.items():
        unlimited = replace(field, low=None, high=None, above=None, below=None)
        show_parameter(prefix + name, unlimited)


def _title(name: str) -> tuple[str, str]:
    """A method's name, and whose it is."""
    title, _, source = METHODS[name].title.partition(" (")
    return title, f"({source}" if source else ""


def _architectures(info: DatasetInfo) -> dict[str, str]:
    """Descriptions of the architectures that were made for images of a data set's shape."""
    known = list_architectures()
    if info.resizable:
        known = [*known, *list_torchvision_architectures()]
    return {a.name: a.description for a in known if a.shape == info.shape}


def _starts(info: DatasetInfo, architecture: str | None) -> list[ModelCard]:
    """The models whose weights a run may begin with."""
    wanted = (architecture, info.num_classes, info.shape)
    cards = [*list_models(), *own_models()]
    return [c for c in cards if (c.architecture, c.num_classes, c.shape) == wanted]
