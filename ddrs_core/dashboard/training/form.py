"""The choices of a training run, and the way from widgets to a ``TrainConfig``."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.model_choice import own_models, title_of
from ddrs_core.dashboard.navigation import link_to_library
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import fill_once
from ddrs_core.data import DatasetInfo, get_dataset_info, list_datasets, load_dataset
from ddrs_core.errors import MismatchError, require_count
from ddrs_core.models import (
    ModelCard,
    list_architectures,
    list_models,
    list_torchvision_architectures,
)
from ddrs_core.parameters import parameters_of, values_of
from ddrs_core.training import METHODS, SigmaTraining, TrainConfig, recipe

FORM = Form(keys.TRAINING)
_SETTING, _METHOD, _SIGMAS = (FORM.part(name) for name in ("setting_", "option_", "sigma_option_"))
_APART = {"dataset", "architecture", "sigma", "init", "compile", "seed", "name"}  # no settings
_SIGMA_NOTE = (
    "Every training image has its own sigma. Before each step of the weights, K steps of "
    "gradient ascent move the sigmas of its images."
)
_FIELDS = parameters_of(TrainConfig)
_SETTINGS = {name: about for name, about in _FIELDS.items() if name not in _APART}


def pick_run() -> None:
    """Data set, architecture, method, sigma and where to start; what depends on them follows."""
    fill_once("training form", _fill_widgets)
    info = get_dataset_info(FORM.pick_dataset(_dataset_changed))
    architectures = _architectures(info)
    FORM.show(st.selectbox, "architecture", "Architecture", list(architectures))
    if FORM["architecture"]:
        st.caption(f"{architectures[FORM['architecture']]}.")
    titles = {name: _title(name)[0] for name in METHODS}
    method = FORM.show(st.selectbox, "method", "Method", titles, on_change=_refill)
    st.caption(" ".join([METHODS[method].summary, _title(method)[1]]))
    if FORM.show(st.toggle, "data_dependent", "Data-dependent sigma", on_change=_refill):
        st.caption(_SIGMA_NOTE)
    left, right = st.columns(2)
    with left:
        FORM.show_parameter("sigma", _FIELDS["sigma"], _sigma_changed)
    with right:
        _SETTING.show_parameter("epochs", _FIELDS["epochs"])
    _pick_start(info)


def pick_settings() -> None:
    """All other settings, behind a fold."""
    with st.expander("All settings", icon=":material/tune:"):
        st.caption("Filled with what suits the data set and the method.")
        _SETTING.show_parameters({n: about for n, about in _SETTINGS.items() if n != "epochs"})
        _METHOD.show_parameters(parameters_of(METHODS[FORM["method"]]))
        if FORM["data_dependent"]:
            _SIGMAS.show_parameters(parameters_of(SigmaTraining))
        FORM.pick_device()
    link_to_library()


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
    if not FORM["architecture"]:
        raise MismatchError(
            "No architecture here accepts images of this shape. Choose another data set."
        )
    base = _recipe()
    sigmas = base.data_dependent
    return replace(
        base,
        sigma=FORM["sigma"],
        seed=FORM["seed"],
        init=FORM["init"] or "",
        method=_METHOD.read(base.method),
        data_dependent=None if sigmas is None else _SIGMAS.read(sigmas),
        **_SETTING.values(_SETTINGS),
    )


def _recipe() -> TrainConfig:
    return recipe(
        FORM["dataset"],
        FORM["architecture"] or "",
        FORM["method"],
        FORM["sigma"] or 0.5,
        data_dependent=FORM["data_dependent"],
    )


def _fill_widgets() -> None:
    values = {"method": next(iter(METHODS)), "data_dependent": True, "sigma": 0.5, "seed": 0}
    FORM.fill({"dataset": list_datasets()[0].name, "device": "auto", **values})
    _dataset_changed()


def _dataset_changed() -> None:
    info = get_dataset_info(FORM["dataset"])
    FORM.fill({"architecture": next(iter(_architectures(info)), None), "init": ""})
    _refill()


def _refill() -> None:
    """Put the recipe of data set and method into the other widgets."""
    config = _recipe()
    values = values_of(config)
    _SETTING.fill({name: values[name] for name in _SETTINGS})
    _METHOD.fill(values_of(config.method))
    if config.data_dependent is not None:
        _SIGMAS.fill(values_of(config.data_dependent))


def _sigma_changed() -> None:
    """The sigmas of the images stay within bounds around the new one."""
    config = _recipe()
    if config.data_dependent is not None:
        low, high = config.data_dependent.bounds
        _SIGMAS.fill({"sigma_min": low, "sigma_max": high})


def _pick_start(info: DatasetInfo) -> None:
    cards = _starts(info, FORM["architecture"])
    left, right = st.columns([2, 1])
    FORM.show(
        left.selectbox,
        "init",
        "Start from",
        {"": "random weights"} | {card.name: title_of(card) for card in cards},
        help="A trained model of the same architecture and classes, or random weights.",
    )
    with right:
        FORM.show_parameter("seed", _FIELDS["seed"])


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
