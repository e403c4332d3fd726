"""The choices of a certification run, and the way from widgets to its ``CertifyConfig``s."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import streamlit as st

from ddrs_core.dashboard.common.banks import banks_of_model, new_bank_name
from ddrs_core.dashboard.common.model_choice import (
    default_dataset,
    fitting_models,
    start_sigma,
)
from ddrs_core.dashboard.common.parameter_input import show_number, show_parameter
from ddrs_core.dashboard.common.source_form import (
    pick_dataset,
    pick_device,
    pick_model,
    pick_preset,
)
from ddrs_core.dashboard.compare.defaults import default_model, default_size
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import fill_once, show_widget
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import (
    DDRSError,
    InvalidParameterError,
    MismatchError,
    require_count,
    require_number,
)
from ddrs_core.models import ModelCard, check_fit, get_card
from ddrs_core.parameters import parameters_of
from ddrs_core.runs.certify.config import CertifyConfig, Method, open_plan
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    Bound,
    CertificationBudget,
    StopAtRadii,
    StrategyConfig,
    get_preset,
)

_MOST_SIGMAS = 6
_NEW_BANK = "A new one for this run"
_BUDGETS = {True: "Adaptive", False: "Exactly N"}
_BUDGET_NOTES = {
    True: "Stops voting on an image once it is settled which of the radii 0, 0.25, 0.5, ... it "
    "reaches: usually about an eighth of the votes. The average radius is then a floor.",
    False: "N votes for every image, as in the literature.",
}


def key(name: str) -> str:
    """The name in the session of a field's value."""
    return keys.CERTIFY_FORM + name


def get(name: str) -> Any:
    """The value of a field, also of one that is not drawn now."""
    return st.session_state.get(key(name))


def put(name: str, value: Any) -> None:
    """Give a field a value."""
    st.session_state[key(name)] = value


def pick_source() -> None:
    """Data set and model."""
    fill_once("certification form", _fill_widgets)
    info = pick_dataset(key("dataset"), _dataset_changed)
    pick_model(key("model"), judged_models(info.name), _model_changed)


def pick_settings() -> None:
    """Where sigma comes from, which images, how many votes; the rest behind a fold."""
    show_widget(st.checkbox, key("fixed"), "Fixed sigma", help="The same noise for every image.")
    if get("fixed"):
        show_widget(
            st.text_input,
            key("sigmas"),
            "Sigmas",
            max_chars=200,
            help="One noise level or several, such as 0.25, 0.5. The model's own is filled in.",
        )
    show_widget(
        st.checkbox,
        key("ds"),
        "Data-dependent sigma",
        help="The noise level is chosen for each image.",
    )
    show_widget(
        st.checkbox,
        key("memory"),
        "Data-dependent, with a memory",
        help="Each of these certificates is also settled against a memory of certified balls, in "
        "the order of the images. Together with data-dependent sigma this needs no further votes.",
    )
    if get("memory"):
        _pick_bank()
    if get("ds") or get("memory"):
        pick_preset(key("preset"), _preset_changed)
        left, right = st.columns(2)
        with left:
            show_number(
                key("sigma_0"),
                float,
                "Start sigma_0",
                "Where each image's sigma begins.",
                _start_changed,
            )
        with right:
            show_number(
                key("sigma_max"),
                float,
                "Largest sigma",
                "Under much stronger noise than in training some networks see one class "
                "everywhere, and its radii mean nothing.",
            )
    left, right = st.columns(2)
    with left:
        show_number(
            key("skip"), int, "Every K-th", "Image of the data set; 1 means all of them, in order."
        )
    with right:
        show_number(key("limit"), int, "At most (0: all)", "So many images.")
    show_widget(
        st.radio,
        key("adaptive"),
        "Votes",
        _BUDGETS,
        horizontal=True,
    )
    show_number(
        key("n"),
        int,
        "N, at most" if get("adaptive") else "N",
        _BUDGET_NOTES[bool(get("adaptive"))],
    )
    with st.expander("More settings", icon=":material/tune:"):
        _pick_more()


def read_form() -> list[CertifyConfig]:
    """The settings of the run that the widgets describe, data-dependent ones last.

    Raises:
        DDRSError: if they make no sense; nothing is lost.
    """
    if not get("model"):
        title = get_dataset_info(get("dataset")).title
        raise MismatchError(f"No model here knows the images and classes of {title}.")
    if not (get("fixed") or get("ds") or get("memory")):
        raise InvalidParameterError("Choose where sigma comes from: one of the boxes, or several.")
    common = CertifyConfig(
        dataset=get("dataset"),
        model=get("model"),
        method=Method.FIXED,
        sigma=1.0,
        budget=CertificationBudget(
            n0=get("n0"),
            n=get("n"),
            alpha=get("alpha"),
            bound=Bound(get("bound")),
            stop=StopAtRadii() if get("adaptive") else None,
            seed=get("seed"),
        ),
        split=get("split"),
        skip=require_count("Every K-th", get("skip")),
        limit=require_count("At most", get("limit")) if get("limit") else None,
        device=get("device"),
    )
    configs = []
    if get("fixed"):
        configs += [replace(common, sigma=sigma) for sigma in read_sigmas(get("sigmas"))]
    if get("ds") or get("memory"):
        start = require_number("Start sigma_0", get("sigma_0"), above=0.0)
        own = replace(common, method=Method.DS, sigma=start, strategy=_strategy(start))
        configs += [own] if get("ds") else []
        if get("memory"):
            bank = get("bank") or new_bank_name(get_card(common.model))
            configs.append(replace(own, method=Method.DS_MEMORY, bank=bank))
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
    if re.search(r"\b0+,\d", text or ""):
        raise InvalidParameterError(
            "Write sigmas with a point, as 0.25: a comma stands between two of them."
        )
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


def _pick_bank() -> None:
    own = banks_of_model(get_card(get("model"))) if get("model") else []
    show_widget(
        st.selectbox,
        key("bank"),
        "Memory bank",
        {"": _NEW_BANK} | {name: name for name in own},
        help="Its stored balls take part. The memory page shows and copies banks.",
    )


def _strategy(start: float) -> StrategyConfig:
    largest = get("sigma_max")
    if largest < start:
        raise InvalidParameterError(
            f"The largest sigma, {largest:g}, is below the start sigma_0, {start:g}."
        )
    config = get_preset(get("preset")).at(start)
    return replace(config, bounds=(config.bounds[0], largest))


def _pick_more() -> None:
    budget = parameters_of(CertificationBudget)
    for name in ("alpha", "n0", "bound", "seed"):
        show_parameter(key(name), budget[name])
    splits = list(get_dataset_info(get("dataset")).splits)
    if get("split") not in splits and "test" in splits:
        put("split", "test")
    show_widget(st.selectbox, key("split"), "Images of", splits)
    pick_device(key("device"))


def _fill_widgets() -> None:
    for name, value in {
        "dataset": default_dataset().name,
        "fixed": True,
        "ds": True,
        "memory": False,
        "bank": "",
        "preset": DEFAULT_PRESET,
        "adaptive": True,
        "n0": 100,
        "alpha": 0.001,
        "bound": Bound.ONE_SIDED.value,
        "split": "test",
        "seed": 0,
        "device": "auto",
    }.items():
        put(name, value)
    _dataset_changed()


def _dataset_changed() -> None:
    card = default_model(get("dataset"), judged_models(get("dataset")))
    put("model", card.name if card is not None else None)
    _model_changed()


def _model_changed() -> None:
    if not get("model"):
        return
    card = get_card(get("model"))
    put("sigmas", f"{card.sigma or 0.25:g}")
    size = default_size(get("dataset"), card.name, get("device"), get("split"))
    for name, value in (("n", size.n), ("skip", size.skip), ("limit", size.limit or 0)):
        put(name, value)
    _preset_changed()


def _preset_changed() -> None:
    put("sigma_0", start_sigma(get_card(get("model")), get("preset")))
    _start_changed()


def _start_changed() -> None:
    start = get("sigma_0")
    if start:
        put("sigma_max", get_preset(get("preset")).at(start).bounds[1])
