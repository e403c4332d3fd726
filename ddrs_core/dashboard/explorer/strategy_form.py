"""Strategy, preset and parameters, and the way from widgets to an ``ExplorerView`` and back."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.model_choice import PICTURES, start_sigma
from ddrs_core.dashboard.explorer.picture_picker import picture_of
from ddrs_core.dashboard.explorer.view import (
    FORM,
    MAX_N,
    MAX_SEED,
    PARAMETERS,
    ExplorerView,
    started_at,
    with_parameters,
)
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.models import get_card
from ddrs_core.parameters import Parameter, parameters_of, values_of
from ddrs_core.smoothing import STRATEGIES, CertificationBudget, get_preset, list_presets

_SIGMA_0 = Parameter(
    "noise level where the search starts, in units of pixels from 0 to 1; the noise that the model "
    "was trained with is a good start",
    "Start σ₀",
    low=0.001,
    high=50.0,
    step=0.05,
    kind=float,
)
_LARGEST = {"n": MAX_N, "n0": MAX_N, "seed": MAX_SEED}
_BUDGET = {
    name: replace(about, low=0, high=_LARGEST[name]) if name in _LARGEST else about
    for name, about in parameters_of(CertificationBudget).items()
}


def seed_widgets(view: ExplorerView) -> None:
    """Let the widgets show a view."""
    FORM.fill(values_of(view.budget))
    PARAMETERS.fill(values_of(view.config))
    FORM.fill(
        {
            "dataset": PICTURES if view.is_picture else view.dataset,
            "model": view.model,
            "device": view.device,
            "index": view.index,
            "strategy": get_preset(view.preset).strategy,
            "preset": view.preset,
            "sigma_0": view.sigma_0,
            "picture": view.dataset if view.is_picture else None,
            "label": view.label,
            "pace": view.pace,
            "hand": view.hand,
            "cover": view.cover,
        }
    )


def read_widgets() -> ExplorerView:
    """The view that the widgets show."""
    preset, sigma_0 = get_preset(FORM["preset"]), float(FORM["sigma_0"])
    numbers = PARAMETERS.values(values_of(preset.config))
    own = FORM["dataset"] == PICTURES
    return ExplorerView(
        dataset=picture_of() if own else FORM["dataset"],
        label=FORM.get("label") if own else None,
        model=FORM["model"],
        device=FORM["device"],
        index=int(FORM["index"]),
        preset=preset.name,
        config=with_parameters(preset.at(sigma_0), numbers),
        sigma_0=sigma_0,
        budget=CertificationBudget.of(FORM.read(CertificationBudget())),
        pace=FORM["pace"],
        hand=FORM.get("hand"),
        cover=FORM.get("cover") or "",
    )


def pick_strategy() -> None:
    """Behind two folds, each of which says what is chosen: the search, and the certification."""
    preset = get_preset(FORM["preset"])
    with st.popover(
        f"{preset.title}, σ₀ = {FORM['sigma_0']:.4g}", icon=":material/tune:", key="explorer_search"
    ):
        titles = {name: strategy.title for name, strategy in STRATEGIES.items()}
        FORM.show(st.selectbox, "strategy", "Strategy", titles, on_change=_strategy_changed)
        FORM.pick_preset(_preset_changed, FORM["strategy"])
        preset = get_preset(FORM["preset"])
        st.caption(preset.description)
        FORM.show_parameter("sigma_0", _SIGMA_0, bounds_follow_start)
        fields = parameters_of(preset.config)
        PARAMETERS.show_parameters(fields)
        view = read_widgets()
        changed = preset.changes(view.config, view.sigma_0)
        if changed:
            differs = ", ".join(f"{fields[name].label} = {v:g}" for name, v in changed.items())
            st.caption(f"Changed: {differs}.")
        st.button("Back to the preset", on_click=_preset_changed, width="stretch")
    votes = f"N = {FORM['n']:,}"
    with st.popover(votes, icon=":material/how_to_vote:", key="explorer_budget"):
        FORM.show_parameters(_BUDGET)
    st.session_state[keys.DRAWN_START] = read_widgets()


def _strategy_changed() -> None:
    FORM["preset"] = list_presets(FORM["strategy"])[0].name
    _preset_changed()


def _preset_changed() -> None:
    preset = get_preset(FORM["preset"])
    FORM["sigma_0"] = start_sigma(get_card(FORM["model"]), preset.name)
    PARAMETERS.fill(values_of(preset.at(FORM["sigma_0"])))


def bounds_follow_start() -> None:
    """After another sigma_0 was given: its bounds, unless the visitor has chosen others."""
    before: ExplorerView | None = st.session_state.get(keys.DRAWN_START)
    shown = PARAMETERS.values(("sigma_min", "sigma_max"))
    if before is None or before.preset != FORM["preset"] or len(shown) < 2:
        return
    low, high = map(float, shown.values())
    before = replace(before, config=replace(before.config, bounds=(low, high)))
    bounds = started_at(before, float(FORM["sigma_0"])).config.bounds
    PARAMETERS.fill(dict(zip(shown, bounds, strict=True)))
