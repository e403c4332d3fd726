"""The choices of a certification run, and the way from widgets to its ``CertifyConfig``s."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.banks import banks_of_model, new_bank_name
from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.model_choice import default_dataset, fitting_models, start_sigma
from ddrs_core.dashboard.compare.defaults import default_model, default_size
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import fill_once
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import (
    DDRSError,
    InvalidParameterError,
    MismatchError,
    require_count,
    require_number,
)
from ddrs_core.models import ModelCard, check_fit, get_card
from ddrs_core.parameters import Parameter, parameters_of, values_of
from ddrs_core.runs.certify.config import CertifyConfig, Method, open_plan
from ddrs_core.runs.certify.tuning import check_tuning
from ddrs_core.smoothing import (
    DEFAULT_PRESET,
    CertificationBudget,
    StopAtRadii,
    StrategyConfig,
    get_preset,
)

FORM = Form(keys.CERTIFY_FORM)
_FIELDS = parameters_of(CertifyConfig)
_MOST_SIGMAS = 6
_UNKNOWN_SIGMA = 0.25  # of a model that does not tell its noise level
_SIGMA_0 = Parameter("where each image's sigma begins", "Start sigma_0", kind=float)
_SIGMA_MAX = Parameter(
    "under much stronger noise than in training some networks see one class everywhere, and its "
    "radii mean nothing",
    "Largest sigma",
    kind=float,
)
_NEW_BANK = "A new one for this run"
_BUDGETS = {True: "Adaptive", False: "Exactly N"}
_BUDGET_NOTES = {
    True: "stops voting on an image once it is settled which of the radii 0, 0.25, 0.5, ... it "
    "reaches: usually about an eighth of the votes. The average radius is then a floor",
    False: "N votes for every image, as in the literature",
}


def pick_source() -> None:
    """Data set and model."""
    fill_once("certification form", _fill_widgets)
    dataset = FORM.pick_dataset(_dataset_changed)
    FORM.pick_model(judged_models(dataset), _model_changed)


def pick_settings() -> None:
    """Where sigma comes from, which images, how many votes; the rest behind a fold."""
    if FORM.show(st.checkbox, "fixed", "Fixed sigma", help="The same noise for every image."):
        FORM.show(
            st.text_input,
            "sigmas",
            "Sigmas",
            max_chars=200,
            help="One noise level or several, such as 0.25, 0.5. The model's own is filled in.",
        )
    FORM.show(
        st.checkbox,
        "tuned",
        "Tuned sigma",
        help="The same noise for every image, at the level of .3 to 2 times the model's that has "
        "the largest average certified radius on 200 training images. The first run tunes it, "
        "later ones remember it.",
    )
    FORM.show(
        st.checkbox, "ds", "Data-dependent sigma", help="The noise level is chosen for each image."
    )
    if FORM.show(
        st.checkbox,
        "memory",
        "Data-dependent, with a memory",
        help="Each of these certificates is also settled against a memory of certified balls, in "
        "the order of the images. Together with data-dependent sigma this needs no further votes.",
    ):
        _pick_bank()
    if FORM["ds"] or FORM["memory"]:
        FORM.pick_preset(_preset_changed)
        left, right = st.columns(2)
        with left:
            FORM.show_parameter("sigma_0", _SIGMA_0, _start_changed)
        with right:
            FORM.show_parameter("sigma_max", _SIGMA_MAX)
    left, right = st.columns(2)
    with left:
        FORM.show_parameter("skip", replace(_FIELDS["skip"], label="Every K-th"))
    with right:
        FORM.show_parameter("limit", replace(_FIELDS["limit"], label="At most (0: all)"))
    adaptive = FORM.show(st.radio, "adaptive", "Votes", _BUDGETS, horizontal=True)
    label = "N, at most" if adaptive else "N"
    FORM.show_parameter("n", replace(_FIELDS["n"], label=label, meaning=_BUDGET_NOTES[adaptive]))
    with st.expander("More settings", icon=":material/tune:"):
        FORM.show_parameters({name: _FIELDS[name] for name in ("alpha", "n0", "bound", "seed")})
        splits = list(get_dataset_info(FORM["dataset"]).splits)
        if FORM["split"] not in splits and "test" in splits:
            FORM["split"] = "test"
        FORM.show(st.selectbox, "split", "Images of", splits)
        FORM.pick_device()


def read_form() -> list[CertifyConfig]:
    """The settings of the run that the widgets describe, data-dependent ones last.

    Raises:
        DDRSError: if they make no sense; nothing is lost.
    """
    if not FORM["model"]:
        title = get_dataset_info(FORM["dataset"]).title
        raise MismatchError(f"No model here knows the images and classes of {title}.")
    if not any(FORM[box] for box in ("fixed", "tuned", "ds", "memory")):
        raise InvalidParameterError("Choose where sigma comes from: one of the boxes, or several.")
    common = CertifyConfig(
        dataset=FORM["dataset"],
        model=FORM["model"],
        method=Method.FIXED,
        sigma=1.0,
        budget=CertificationBudget.of(
            FORM.read(CertificationBudget()), stop=StopAtRadii() if FORM["adaptive"] else None
        ),
        split=FORM["split"],
        skip=require_count("Every K-th", FORM["skip"]),
        limit=require_count("At most", FORM["limit"]) if FORM["limit"] else None,
        device=FORM["device"],
    )
    configs = []
    if FORM["fixed"]:
        configs += [replace(common, sigma=sigma) for sigma in read_sigmas(FORM["sigmas"])]
    if FORM["tuned"]:
        sigma = get_card(common.model).sigma or _UNKNOWN_SIGMA
        configs.append(replace(common, method=Method.TUNED, sigma=sigma))
    if FORM["ds"] or FORM["memory"]:
        start = require_number("Start sigma_0", FORM["sigma_0"], above=0.0)
        own = replace(common, method=Method.DS, sigma=start, strategy=_strategy(start))
        configs += [own] if FORM["ds"] else []
        if FORM["memory"]:
            bank = FORM["bank"] or new_bank_name(get_card(common.model))
            configs.append(replace(own, method=Method.DS_MEMORY, bank=bank))
    for config in configs:
        config.check()
    open_plan(configs[0])
    check_tuning(configs)
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
    own = banks_of_model(get_card(FORM["model"])) if FORM["model"] else []
    FORM.show(
        st.selectbox,
        "bank",
        "Memory bank",
        {"": _NEW_BANK} | {name: name for name in own},
        help="Its stored balls take part. The memory page shows and copies banks.",
    )


def _strategy(start: float) -> StrategyConfig:
    largest = FORM["sigma_max"]
    if largest < start:
        raise InvalidParameterError(
            f"The largest sigma, {largest:g}, is below the start sigma_0, {start:g}."
        )
    config = get_preset(FORM["preset"]).at(start)
    return replace(config, bounds=(config.bounds[0], largest))


def _fill_widgets() -> None:
    FORM.fill(values_of(CertificationBudget()))
    FORM.fill({"fixed": True, "tuned": False, "ds": True, "memory": False, "bank": ""})
    FORM["preset"] = DEFAULT_PRESET
    FORM.fill({"adaptive": True, "split": "test", "device": "auto"})
    FORM["dataset"] = default_dataset().name
    _dataset_changed()


def _dataset_changed() -> None:
    card = default_model(FORM["dataset"], judged_models(FORM["dataset"]))
    FORM["model"] = card.name if card is not None else None
    _model_changed()


def _model_changed() -> None:
    if not FORM["model"]:
        return
    card = get_card(FORM["model"])
    FORM["sigmas"] = f"{card.sigma or _UNKNOWN_SIGMA:g}"
    size = default_size(FORM["dataset"], card.name, FORM["device"], FORM["split"])
    FORM.fill({"n": size.n, "skip": size.skip, "limit": size.limit or 0})
    _preset_changed()


def _preset_changed() -> None:
    FORM["sigma_0"] = start_sigma(get_card(FORM["model"]), FORM["preset"])
    _start_changed()


def _start_changed() -> None:
    start = FORM["sigma_0"]
    if start:
        FORM["sigma_max"] = get_preset(FORM["preset"]).at(start).bounds[1]
