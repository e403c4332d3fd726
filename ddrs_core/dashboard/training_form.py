"""The choices of a training run, and the way from widgets to a ``TrainConfig``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.arrivals import arriving
from ddrs_core.dashboard.assignments import assign
from ddrs_core.dashboard.explorer_state import own_models
from ddrs_core.dashboard.navigation import library_page
from ddrs_core.dashboard.pickers import title_of
from ddrs_core.data import DatasetInfo, get_dataset_info, list_datasets, load_dataset
from ddrs_core.errors import InvalidParameterError, MismatchError, require_count
from ddrs_core.models import (
    ModelCard,
    list_architectures,
    list_devices,
    list_models,
    list_torchvision_architectures,
    resolve_device,
)
from ddrs_core.runs.training_command import METHOD_OPTIONS, SETTINGS, SIGMA_OPTIONS
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
    "steps": "Sigma steps K", "samples": "Sigma copies n", "lr": "Sigma step size",
    "start": "Sigma start", "clamp": "Sigma clamp c", "beta": "Sigma sharpness",
}  # fmt: skip
_SIGMA_NOTE = (
    "Every training image keeps a sigma of its own. Before each step of the weights, K steps of "
    "gradient ascent move the sigmas of its images."
)
_MAX_SEED = 2**31 - 1


def pick_run() -> None:
    """Data set, architecture, method, sigma and where to start; what depends on them follows."""
    _enter()
    state = st.session_state
    infos = {info.name: info for info in list_datasets()}
    if state[keys.TRAINING_DATASET] not in infos:
        assign(keys.TRAINING_DATASET, next(iter(infos)))
        _dataset_changed()
    st.selectbox(
        "Data set", list(infos), key=keys.TRAINING_DATASET, on_change=_dataset_changed,
        format_func=lambda name: infos[name].title,
    )  # fmt: skip
    info = infos[state[keys.TRAINING_DATASET]]
    architectures = _architectures(info)
    _keep_valid(keys.TRAINING_ARCHITECTURE, list(architectures))
    st.selectbox("Architecture", list(architectures), key=keys.TRAINING_ARCHITECTURE)
    if state[keys.TRAINING_ARCHITECTURE]:
        st.caption(f"{architectures[state[keys.TRAINING_ARCHITECTURE]]}.")
    st.selectbox(
        "Method", list(METHODS), key=keys.TRAINING_METHOD, on_change=_refill,
        format_func=lambda name: _title(name)[0],
    )  # fmt: skip
    method = state[keys.TRAINING_METHOD]
    st.caption(" ".join([METHODS[method].summary, _title(method)[1]]))
    st.toggle("Data-dependent sigma", key=keys.TRAINING_DATA_DEPENDENT, on_change=_refill)
    if state[keys.TRAINING_DATA_DEPENDENT]:
        st.caption(_SIGMA_NOTE)
    left, right = st.columns(2)
    with left:
        _number(
            keys.TRAINING_SIGMA, float, "Sigma", "Training noise; where each sigma begins.",
            _sigma_changed,
        )  # fmt: skip
    with right:
        _number(keys.TRAINING_SETTING + "epochs", int, "Epochs", "Passes over the images.")
    _pick_start(info)


def pick_settings() -> None:
    """All other settings, behind a fold."""
    with st.expander("All settings", icon=":material/tune:"):
        _pick_settings()
    st.page_link(library_page(), label="Add data or models", icon=":material/library_add:")
    _remember()


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
        name: _given(keys.TRAINING_SETTING + name, name)
        for name in SETTINGS
        if keys.TRAINING_SETTING + name in state
    }
    method = {
        f.name: _given(keys.TRAINING_OPTION + f.name, f.name)
        for f in fields(base.method)  # type: ignore[arg-type]
    }
    config = replace(
        base, sigma=_given(keys.TRAINING_SIGMA, "sigma"), seed=_given(keys.TRAINING_SEED, "seed"),
        init=state[keys.TRAINING_INIT] or "",
        method=replace(base.method, **method),  # type: ignore[type-var]
        **settings,
    )  # fmt: skip
    if config.data_dependent is None:
        return config
    prefix = keys.TRAINING_SIGMA_OPTION
    sigmas = {name: _given(prefix + name, name) for name in SIGMA_OPTIONS}
    bounds = (_given(prefix + "min", "smallest sigma"), _given(prefix + "max", "largest sigma"))
    return replace(config, data_dependent=replace(config.data_dependent, bounds=bounds, **sigmas))


def _given(key: str, name: str) -> Any:
    value = st.session_state[key]
    if value is None:
        raise InvalidParameterError(f"Give a number for {name.replace('_', ' ')}.")
    return value


def _recipe() -> TrainConfig:
    state = st.session_state
    return recipe(
        state[keys.TRAINING_DATASET], state[keys.TRAINING_ARCHITECTURE] or "",
        state[keys.TRAINING_METHOD], state[keys.TRAINING_SIGMA] or 0.5,
        data_dependent=state[keys.TRAINING_DATA_DEPENDENT],
    )  # fmt: skip


def _enter() -> None:
    """Fill the widgets on a first visit with a recipe, or as they were before a page switch."""
    with arriving(keys.TRAINING_DATASET) as fresh:
        if fresh:
            _fill_widgets()


def _fill_widgets() -> None:
    state = st.session_state
    saved = state.get(keys.TRAINING_SAVED)
    if saved is not None:
        for key, value in saved.items():
            assign(key, value)
        return
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
        assign(key, value)
    _refill()


def _remember() -> None:
    state = st.session_state
    names = [key for key in state if isinstance(key, str) and key in _form_keys()]
    state[keys.TRAINING_SAVED] = {
        **state.get(keys.TRAINING_SAVED, {}),
        **{k: state[k] for k in names},
    }


def _form_keys() -> list[str]:
    prefix = keys.TRAINING_SIGMA_OPTION
    return [
        keys.TRAINING_DATASET, keys.TRAINING_ARCHITECTURE, keys.TRAINING_METHOD,
        keys.TRAINING_DATA_DEPENDENT, keys.TRAINING_SIGMA, keys.TRAINING_SEED, keys.TRAINING_INIT,
        keys.TRAINING_DEVICE, *(keys.TRAINING_SETTING + name for name in SETTINGS),
        *(keys.TRAINING_OPTION + name for name in METHOD_OPTIONS),
        *(prefix + name for name in (*SIGMA_OPTIONS, "min", "max")),
    ]  # fmt: skip


def _dataset_changed() -> None:
    info = get_dataset_info(st.session_state[keys.TRAINING_DATASET])
    assign(keys.TRAINING_ARCHITECTURE, next(iter(_architectures(info)), None))
    assign(keys.TRAINING_INIT, "")
    _refill()


def _refill() -> None:
    """Put the recipe of data set and method into the other widgets."""
    config = _recipe()
    for name in SETTINGS:
        if name != "init":
            assign(keys.TRAINING_SETTING + name, getattr(config, name))
    for field in fields(config.method):  # type: ignore[arg-type]
        assign(keys.TRAINING_OPTION + field.name, getattr(config.method, field.name))
    if config.data_dependent is not None:
        for name in SIGMA_OPTIONS:
            assign(keys.TRAINING_SIGMA_OPTION + name, getattr(config.data_dependent, name))
    _sigma_changed()


def _sigma_changed() -> None:
    """The sigmas of the images stay within bounds around the new one."""
    config = _recipe()
    if config.data_dependent is not None:
        for name, value in zip(("min", "max"), config.data_dependent.bounds, strict=True):
            assign(keys.TRAINING_SIGMA_OPTION + name, value)


def _pick_start(info: DatasetInfo) -> None:
    state = st.session_state
    cards = {card.name: card for card in _starts(info, state[keys.TRAINING_ARCHITECTURE])}
    _keep_valid(keys.TRAINING_INIT, ["", *cards])
    left, right = st.columns([2, 1])
    left.selectbox(
        "Start from", ["", *cards], key=keys.TRAINING_INIT,
        format_func=lambda name: title_of(cards[name]) if name else "random weights",
        help="A trained model of the same architecture and classes, or random weights.",
    )  # fmt: skip
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
    _keep_valid(keys.TRAINING_DEVICE, list(devices))
    st.selectbox("Device", list(devices), key=keys.TRAINING_DEVICE, format_func=devices.__getitem__)


def _field(
    key: str, kind: type, label: str, meaning: str, choices: list[str] | None = None
) -> None:
    meaning = meaning[:1].upper() + meaning[1:]
    if choices is not None:
        st.selectbox(label, choices, key=key, help=f"{meaning}.")
    else:
        _number(key, kind, label, f"{meaning}.")


def _number(
    key: str, kind: type, label: str, meaning: str, changed: Callable[[], None] | None = None
) -> None:
    """A number without limits: what makes no sense is answered in words, not cut off."""
    if kind is int:
        st.number_input(
            label, -_MAX_SEED, _MAX_SEED, key=key, step=1, format="%d", help=meaning,
            on_change=changed,
        )  # fmt: skip
    else:
        st.number_input(
            label, -1e9, 1e9, key=key, step=0.01, format="%.4g", help=meaning, on_change=changed
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


def _keep_valid(key: str, options: list[str]) -> None:
    """A choice that is not there any more gives way to the first that is."""
    if st.session_state[key] not in options:
        assign(key, options[0] if options else None)
