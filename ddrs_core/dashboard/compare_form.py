"""The choices of a certification run, and the way from widgets to its ``CertifyConfig``s."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.assignments import assign
from ddrs_core.dashboard.compare_defaults import default_model, default_size
from ddrs_core.dashboard.explorer_state import default_dataset, fitting_models, start_sigma
from ddrs_core.dashboard.pickers import describe_model, title_of
from ddrs_core.data import get_dataset_info, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, require_number
from ddrs_core.models import ModelCard, check_fit, get_card, list_devices, resolve_device
from ddrs_core.runs.certify_config import CertifyConfig, Method, open_plan
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    Bound,
    StrategyConfig,
    UntilPlaced,
    get_preset,
    list_presets,
)

_LARGEST = 2**31 - 1
_MOST_SIGMAS = 6
_LIMIT_SHARE = 1.5  # of sigma_0, as in the shipped results
_FIELDS = (
    "dataset", "model", "fixed", "sigmas", "ds", "sigma_0", "preset", "sigma_max", "skip", "limit",
    "split", "adaptive", "n", "n0", "alpha", "bound", "seed", "device",
)  # fmt: skip
_BUDGETS = {True: "Adaptive", False: "Exactly N"}
_BUDGET_NOTES = {
    True: "Stops voting on an image once it is settled which of the radii 0, 0.25, 0.5, ... it "
    "reaches: about an eighth of the votes. The average radius is then a floor.",
    False: "N votes for every image, as in the literature.",
}


def pick_source() -> None:
    """Data set and model."""
    _enter()
    infos = {info.name: info for info in list_datasets()}
    if _get("dataset") not in infos:
        _assign("dataset", next(iter(infos)))
        _dataset_changed()
    st.selectbox(
        "Data set", list(infos), key=_key("dataset"), on_change=_dataset_changed,
        format_func=lambda name: infos[name].title,
    )  # fmt: skip
    cards = {card.name: card for card in judged_models(_get("dataset"))}
    if _get("model") not in cards:
        _assign("model", next(iter(cards), None))
        _model_changed()
    st.selectbox(
        "Model", list(cards), key=_key("model"), on_change=_model_changed,
        format_func=lambda name: title_of(cards[name]),
    )  # fmt: skip
    if _get("model"):
        st.caption(describe_model(cards[_get("model")]))


def pick_settings() -> None:
    """Where sigma comes from, which images, how many votes; the rest behind a fold."""
    st.checkbox("Fixed sigma", key=_key("fixed"), help="The same noise for every image.")
    if _get("fixed"):
        st.text_input(
            "Sigmas", key=_key("sigmas"), max_chars=200,
            help="One noise level or several, such as 0.25, 0.5. The model's own is filled in.",
        )  # fmt: skip
    st.checkbox(
        "Data-dependent sigma", key=_key("ds"), help="Every image finds a noise level of its own."
    )
    if _get("ds"):
        presets = {preset.name: preset for preset in list_presets()}
        st.selectbox(
            "Preset", list(presets), key=_key("preset"), on_change=_preset_changed,
            format_func=lambda name: presets[name].title,
        )  # fmt: skip
        left, right = st.columns(2)
        with left:
            _number("sigma_0", float, "Start sigma_0", "Where each image's sigma begins.",
                    _start_changed)  # fmt: skip
        with right:
            _number("sigma_max", float, "Largest sigma",
                    "Under much stronger noise than in training some networks see one class "
                    "everywhere, and its radii mean nothing.")  # fmt: skip
    left, right = st.columns(2)
    with left:
        _number("skip", int, "Every K-th", "Image of the data set; 1 takes all of them, in order.")
    with right:
        _number("limit", int, "At most", "So many images; empty for all.")
    st.radio(
        "Votes", list(_BUDGETS), key=_key("adaptive"), format_func=_BUDGETS.__getitem__,
        horizontal=True,
    )  # fmt: skip
    _number("n", int, "N, at most" if _get("adaptive") else "N",
            _BUDGET_NOTES[bool(_get("adaptive"))])  # fmt: skip
    with st.expander("More settings", icon=":material/tune:"):
        _pick_more()
    _remember()


def read_form() -> list[CertifyConfig]:
    """The settings of the run that the widgets describe, data-dependent ones last.

    Raises:
        DDRSError: if they make no sense; nothing is lost.
    """
    if not _get("model"):
        title = get_dataset_info(_get("dataset")).title
        raise MismatchError(f"No model here knows the images and classes of {title}.")
    if not (_get("fixed") or _get("ds")):
        raise InvalidParameterError("Choose a fixed sigma, data-dependent ones, or both.")
    common = CertifyConfig(
        dataset=_get("dataset"), model=_get("model"), method=Method.FIXED, sigma=1.0,
        n0=_given("n0", "N0"), n=_given("n", "N"),
        until=UntilPlaced() if _get("adaptive") else None, alpha=_given("alpha", "alpha"),
        bound=Bound(_get("bound")), split=_get("split"), skip=_given("skip", "every K-th image"),
        limit=_get("limit"), device=_get("device"), seed=_given("seed", "the seed"),
    )  # fmt: skip
    configs = []
    if _get("fixed"):
        configs += [replace(common, sigma=sigma) for sigma in read_sigmas(_get("sigmas"))]
    if _get("ds"):
        start = _given("sigma_0", "sigma_0")
        configs.append(replace(common, method=Method.DS, sigma=start, strategy=_strategy()))
    for config in configs:
        config.check()
    open_plan(configs[0])
    return configs


def read_sigmas(text: str) -> list[float]:
    """Noise levels, separated by commas or spaces.

    Raises:
        InvalidParameterError: if there is none, too many, one twice, or something else.
    """
    words = [word for word in re.split(r"[\s,;]+", text or "") if word]
    sigmas = [require_number("A fixed sigma", word, above=0.0) for word in words]  # type: ignore[arg-type]
    if not sigmas:
        raise InvalidParameterError("Give a fixed sigma, or several such as 0.25, 0.5.")
    if len(sigmas) > _MOST_SIGMAS:
        raise InvalidParameterError(f"At most {_MOST_SIGMAS} fixed sigmas go into one run.")
    if len(set(sigmas)) < len(sigmas):
        raise InvalidParameterError("A fixed sigma is named twice.")
    return sigmas


def judged_models(dataset: str) -> list[ModelCard]:
    """The models that take a data set's images and know its classes."""
    info = get_dataset_info(dataset)
    found = []
    for card in fitting_models(info):
        with suppress(DDRSError):
            check_fit(card, info)
            found.append(card)
    return found


def _strategy() -> StrategyConfig:
    config = get_preset(_get("preset")).config
    return replace(config, bounds=(config.bounds[0], _given("sigma_max", "the largest sigma")))


def _pick_more() -> None:
    _number("alpha", float, "Failure probability alpha", "Of each certificate.")
    _number("n0", int, "N0", "Votes that choose the class; they are not used again.")
    st.selectbox("Bound", [b.value for b in Bound], key=_key("bound"))
    splits = list(get_dataset_info(_get("dataset")).splits)
    if _get("split") not in splits:
        _assign("split", "test" if "test" in splits else splits[0])
    st.selectbox("Images of", splits, key=_key("split"))
    _number("seed", int, "Seed", "Same seed, same machine: same votes.")
    devices = {"auto": f"automatic ({resolve_device('auto')})"}
    devices |= {d.name: f"{d.name}: {d.title}" for d in list_devices()}
    if _get("device") not in devices:
        _assign("device", "auto")
    st.selectbox("Device", list(devices), key=_key("device"), format_func=devices.__getitem__)


def _enter() -> None:
    """Fill the widgets on a first visit, or as they were before a page switch."""
    if _key("dataset") in st.session_state:
        return
    saved = st.session_state.get(keys.CERTIFY_SAVED)
    if saved is not None:
        for name, value in saved.items():
            _assign(name, value)
        return
    for name, value in {
        "dataset": default_dataset().name, "fixed": True, "ds": True, "preset": DEFAULT_PRESET,
        "adaptive": True, "n0": 100, "alpha": 0.001, "bound": Bound.ONE_SIDED.value,
        "split": "test", "seed": 0, "device": "auto",
    }.items():  # fmt: skip
        _assign(name, value)
    _dataset_changed()


def _remember() -> None:
    state = st.session_state
    now = {name: state[_key(name)] for name in _FIELDS if _key(name) in state}
    state[keys.CERTIFY_SAVED] = {**state.get(keys.CERTIFY_SAVED, {}), **now}


def _dataset_changed() -> None:
    card = default_model(_get("dataset"), judged_models(_get("dataset")))
    _assign("model", card.name if card is not None else None)
    _model_changed()


def _model_changed() -> None:
    if not _get("model"):
        return
    card = get_card(_get("model"))
    _assign("sigmas", f"{card.sigma or 0.25:g}")
    size = default_size(_get("dataset"), card.name, _get("device"), _get("split"))
    for name, value in (("n", size.n), ("skip", size.skip), ("limit", size.limit)):
        _assign(name, value)
    _preset_changed()


def _preset_changed() -> None:
    _assign("sigma_0", start_sigma(get_card(_get("model")), _get("preset")))
    _start_changed()


def _start_changed() -> None:
    start = _get("sigma_0")
    if start:
        _assign("sigma_max", round(_LIMIT_SHARE * start, 6))


def _number(
    name: str, kind: type, label: str, meaning: str, changed: Callable[[], None] | None = None
) -> None:
    """A number without limits: what makes no sense is answered in words, not cut off."""
    least, most, step, form = (-_LARGEST, _LARGEST, 1, "%d")
    if kind is float:
        least, most, step, form = (-1e9, 1e9, 0.01, "%.4g")  # type: ignore[assignment]
    st.number_input(
        label, least, most, None, step, form, _key(name), help=meaning, on_change=changed
    )


def _given(name: str, said: str) -> Any:
    value = _get(name)
    if value is None:
        raise InvalidParameterError(f"Give a number for {said}.")
    return value


def _get(name: str) -> Any:
    """A choice, also of a widget that is not drawn at the moment."""
    state = st.session_state
    if _key(name) in state:
        return state[_key(name)]
    return state.get(keys.CERTIFY_SAVED, {}).get(name)


def _assign(name: str, value: Any) -> None:
    assign(_key(name), value)


def _key(name: str) -> str:
    return keys.CERTIFY_FORM + name
