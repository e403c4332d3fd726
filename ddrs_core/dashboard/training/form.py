"""The choices of a training run, and the way from widgets to a ``TrainConfig``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import streamlit as st

from ddrs_core.dashboard.common.model_choice import own_models, title_of
from ddrs_core.dashboard.navigation import library_page
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import fill_once, show_widget
from ddrs_core.data import DatasetInfo, get_dataset_info, list_datasets, load_dataset
from ddrs_core.errors import MismatchError, require_count
from ddrs_core.models import (
    ModelCard,
    list_architectures,
    list_devices,
    list_models,
    list_torchvision_architectures,
    resolve_device,
)
from ddrs_core.runs.training.argv import METHOD_OPTIONS, SETTINGS, SIGMA_OPTIONS
from ddrs_core.training import METHODS, TrainConfig, recipe
from ddrs_core.training.augmentation import AUGMENTATIONS
from ddrs_core.training.schedules import SCHEDULES

_CHOICES: dict[str, list[str]] = {
    "schedule": list(SCHEDULES),
    "augmentation": list(AUGMENTATIONS),
    "precision": ["auto", "fp32", "bf16"],
}
_LABELS = {
    "lr": "Learning rate",
    "ema": "Moving average",
    "warmup": "Warm-up",
    "precision": "Number format",
    "epsilon": "Attack radius epsilon",
    "attack_steps": "Attack steps T",
    "attack_warmup": "Attack warm-up",
    "robustness_weight": "Weight lambda",
    "copies": "Noisy copies",
}
_SIGMA_LABELS = {
    "steps": "Sigma steps K",
    "samples": "Sigma copies n",
    "lr": "Sigma step size",
    "start": "Sigma start",
    "clamp": "Sigma clamp c",
    "beta": "Sigma sharpness",
}
_SIGMA_NOTE = (
    "Every training image keeps a sigma of its own. Before each step of the weights, K steps of "
    "gradient ascent move the sigmas of its images."
)
_MAX_SEED = 2**31 - 1


def pick_run() -> None:
    """Data set, architecture, method, sigma and where to start; what depends on them follows."""
    fill_once("training form", _fill_widgets)
    state = st.session_state
    infos = {info.name: info for info in list_datasets()}
    if state[keys.TRAINING_DATASET] not in infos:
        st.session_state[keys.TRAINING_DATASET] = next(iter(infos))
        _dataset_changed()
    show_widget(
        st.selectbox,
        keys.TRAINING_DATASET,
        "Data set",
        list(infos),
        on_change=_dataset_changed,
        format_func=lambda name: infos[name].title,
    )
    info = infos[state[keys.TRAINING_DATASET]]
    architectures = _architectures(info)
    show_widget(st.selectbox, keys.TRAINING_ARCHITECTURE, "Architecture", list(architectures))
    if state[keys.TRAINING_ARCHITECTURE]:
        st.caption(f"{architectures[state[keys.TRAINING_ARCHITECTURE]]}.")
    show_widget(
        st.selectbox,
        keys.TRAINING_METHOD,
        "Method",
        list(METHODS),
        on_change=_refill,
        format_func=lambda name: _title(name)[0],
    )
    method = state[keys.TRAINING_METHOD]
    st.caption(" ".join([METHODS[method].summary, _title(method)[1]]))
    show_widget(st.toggle, keys.TRAINING_DATA_DEPENDENT, "Data-dependent sigma", on_change=_refill)
    if state[keys.TRAINING_DATA_DEPENDENT]:
        st.caption(_SIGMA_NOTE)
    left, right = st.columns(2)
    with left:
        _number(
            keys.TRAINING_SIGMA,
            float,
            "Sigma",
            "Training noise; where each sigma begins.",
            _sigma_changed,
        )
    with right:
        _number(keys.TRAINING_SETTING + "epochs", int, "Epochs", "Passes over the images.")
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
            "No architecture here takes images of this shape. Choose another data set."
        )
    base = _recipe()
    settings = {
        name: state[keys.TRAINING_SETTING + name]
        for name in SETTINGS
        if keys.TRAINING_SETTING + name in state
    }
    method = {
        f.name: state[keys.TRAINING_OPTION + f.name]
        for f in fields(base.method)  # type: ignore[arg-type]
    }
    config = replace(
        base,
        sigma=state[keys.TRAINING_SIGMA],
        seed=state[keys.TRAINING_SEED],
        init=state[keys.TRAINING_INIT] or "",
        method=replace(base.method, **method),  # type: ignore[type-var]
        **settings,
    )
    if config.data_dependent is None:
        return config
    prefix = keys.TRAINING_SIGMA_OPTION
    sigmas = {name: state[prefix + name] for name in SIGMA_OPTIONS}
    bounds = (state[prefix + "min"], state[prefix + "max"])
    return replace(config, data_dependent=replace(config.data_dependent, bounds=bounds, **sigmas))


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
    for name in SETTINGS:
        if name != "init":
            st.session_state[keys.TRAINING_SETTING + name] = getattr(config, name)
    for field in fields(config.method):  # type: ignore[arg-type]
        st.session_state[keys.TRAINING_OPTION + field.name] = getattr(config.method, field.name)
    if config.data_dependent is not None:
        for name in SIGMA_OPTIONS:
            st.session_state[keys.TRAINING_SIGMA_OPTION + name] = getattr(
                config.data_dependent, name
            )
    _sigma_changed()


def _sigma_changed() -> None:
    """The sigmas of the images stay within bounds around the new one."""
    config = _recipe()
    if config.data_dependent is not None:
        for name, value in zip(("min", "max"), config.data_dependent.bounds, strict=True):
            st.session_state[keys.TRAINING_SIGMA_OPTION + name] = value


def _pick_start(info: DatasetInfo) -> None:
    state = st.session_state
    cards = {card.name: card for card in _starts(info, state[keys.TRAINING_ARCHITECTURE])}
    left, right = st.columns([2, 1])
    show_widget(
        left.selectbox,
        keys.TRAINING_INIT,
        "Start from",
        ["", *cards],
        format_func=lambda name: title_of(cards[name]) if name else "random weights",
        help="A trained model of the same architecture and classes, or random weights.",
    )
    with right:
        _number(keys.TRAINING_SEED, int, "Seed", "Same seed, same machine: same model.")


def _pick_settings() -> None:
    st.caption("Filled with what suits the data set and the method.")
    for name, (kind, meaning) in SETTINGS.items():
        if name not in ("init", "epochs"):
            _field(keys.TRAINING_SETTING + name, kind, _label(name), meaning, _CHOICES.get(name))
    for field in fields(METHODS[st.session_state[keys.TRAINING_METHOD]]):  # type: ignore[arg-type]
        kind, meaning = METHOD_OPTIONS.get(field.name, (float, ""))
        _field(keys.TRAINING_OPTION + field.name, kind, _label(field.name), meaning)
    if st.session_state[keys.TRAINING_DATA_DEPENDENT]:
        for name, (kind, meaning) in SIGMA_OPTIONS.items():
            _field(keys.TRAINING_SIGMA_OPTION + name, kind, _sigma_label(name), meaning)
        for name, label in (("min", "Smallest sigma"), ("max", "Largest sigma")):
            _field(keys.TRAINING_SIGMA_OPTION + name, float, label, "Sigmas are kept within.")
    devices = {"auto": f"automatic ({resolve_device('auto')})"}
    devices |= {d.name: f"{d.name}: {d.title}" for d in list_devices()}
    show_widget(
        st.selectbox, keys.TRAINING_DEVICE, "Device", list(devices), format_func=devices.__getitem__
    )


def _field(
    key: str, kind: type, label: str, meaning: str, choices: list[str] | None = None
) -> None:
    meaning = meaning[:1].upper() + meaning[1:]
    if choices is not None:
        show_widget(st.selectbox, key, label, choices, help=f"{meaning}.")
    else:
        _number(key, kind, label, f"{meaning}.")


def _number(
    key: str, kind: type, label: str, meaning: str, changed: Callable[[], None] | None = None
) -> None:
    """A number without limits: what makes no sense is answered in words, not cut off."""
    if kind is int:
        show_widget(
            st.number_input,
            key,
            label,
            -_MAX_SEED,
            _MAX_SEED,
            step=1,
            format="%d",
            help=meaning,
            on_change=changed,
        )
    else:
        show_widget(
            st.number_input,
            key,
            label,
            -1e9,
            1e9,
            step=0.01,
            format="%.4g",
            help=meaning,
            on_change=changed,
        )


def _title(name: str) -> tuple[str, str]:
    """A method's name, and whose it is."""
    title, _, source = METHODS[name].title.partition(" (")
    return title, f"({source}" if source else ""


def _sigma_label(name: str) -> str:
    return _SIGMA_LABELS.get(name, f"Sigma {name.replace('_', ' ')}")


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").capitalize())


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
