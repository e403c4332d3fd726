"""Strategy, preset and parameters, and the way from widgets to an ``ExplorerView`` and back."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.model_choice import PICTURES, start_sigma
from ddrs_core.dashboard.common.parameter_input import show_parameter
from ddrs_core.dashboard.common.source_form import pick_preset
from ddrs_core.dashboard.explorer.picture_picker import picture_of
from ddrs_core.dashboard.explorer.view import (
    MAX_N,
    MAX_SEED,
    ExplorerView,
    started_at,
    with_parameters,
)
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.models import get_card
from ddrs_core.parameters import parameters_of, values_of
from ddrs_core.smoothing import STRATEGIES, Bound, CertificationBudget, get_preset, list_presets


def seed_widgets(view: ExplorerView) -> None:
    """Let the widgets show a view."""
    values = {
        keys.DATASET: PICTURES if view.is_picture else view.dataset,
        keys.MODEL: view.model,
        keys.DEVICE: view.device,
        keys.INDEX: view.index,
        keys.STRATEGY: get_preset(view.preset).strategy,
        keys.PRESET: view.preset,
        keys.SIGMA_0: view.sigma_0,
        keys.SEED: view.budget.seed,
        keys.N: view.budget.n,
        keys.N0: view.budget.n0,
        keys.ALPHA: view.budget.alpha,
        keys.BOUND: view.budget.bound.value,
        keys.PICTURE: view.dataset if view.is_picture else None,
        keys.LABEL: view.label,
        keys.PACE: view.pace,
    }
    values |= {keys.PARAMETER + k: v for k, v in values_of(view.config).items()}
    for key, value in values.items():
        st.session_state[key] = value


def read_widgets() -> ExplorerView:
    """The view that the widgets show."""
    state = st.session_state
    preset, sigma_0 = get_preset(state[keys.PRESET]), float(state[keys.SIGMA_0])
    numbers = {
        name: state[keys.PARAMETER + name]
        for name in values_of(preset.config)
        if keys.PARAMETER + name in state
    }
    own = state[keys.DATASET] == PICTURES
    return ExplorerView(
        dataset=picture_of() if own else state[keys.DATASET],
        label=state.get(keys.LABEL) if own else None,
        model=state[keys.MODEL],
        device=state[keys.DEVICE],
        index=int(state[keys.INDEX]),
        preset=preset.name,
        config=with_parameters(preset.at(sigma_0), numbers),
        sigma_0=sigma_0,
        budget=CertificationBudget(
            n0=int(state[keys.N0]),
            n=int(state[keys.N]),
            alpha=float(state[keys.ALPHA]),
            bound=Bound(state[keys.BOUND]),
            seed=int(state[keys.SEED]),
        ),
        pace=state[keys.PACE],
    )


def pick_strategy() -> None:
    """Strategy, preset and sigma_0; every parameter, and the certification's, behind folds."""
    state = st.session_state
    first, second, third, fourth, fifth = st.columns([5, 5, 4, 5, 5.5], vertical_alignment="bottom")
    show_widget(
        first.selectbox,
        keys.STRATEGY,
        "Strategy",
        {name: strategy.title for name, strategy in STRATEGIES.items()},
        on_change=_strategy_changed,
    )
    pick_preset(keys.PRESET, _preset_changed, state[keys.STRATEGY], second)
    show_widget(
        third.number_input,
        keys.SIGMA_0,
        "Start sigma_0",
        0.001,
        50.0,
        step=0.05,
        format="%.4g",
        on_change=bounds_follow_start,
        help="Noise level where the search starts, in units of pixels from 0 to 1. The noise that "
        "the model was trained with is a good start.",
    )
    with fourth.popover("Parameters", icon=":material/tune:", width="stretch"):
        _parameter_form()
    with fifth.popover("Certification", icon=":material/verified:", width="stretch"):
        _budget_form()
    preset = get_preset(state[keys.PRESET])
    view = state[keys.DRAWN_START] = read_widgets()
    labels = {name: field.label for name, field in parameters_of(preset.config).items()}
    changed = preset.changes(view.config, view.sigma_0)
    note = ", ".join(f"{labels[name]} = {value:g}" for name, value in changed.items())
    st.caption(preset.description + (f" Changed: {note}." if note else ""))


def _budget_form() -> None:
    largest = {"n": MAX_N, "n0": MAX_N, "seed": MAX_SEED}
    for name, described in parameters_of(CertificationBudget).items():
        limited = replace(described, low=0, high=largest[name]) if name in largest else described
        show_parameter(keys.EXPLORER + name, limited)


def _parameter_form() -> None:
    for name, described in parameters_of(get_preset(st.session_state[keys.PRESET]).config).items():
        show_parameter(keys.PARAMETER + name, described)
    st.button("Back to the preset", on_click=_preset_changed, width="stretch")


def _strategy_changed() -> None:
    st.session_state[keys.PRESET] = list_presets(st.session_state[keys.STRATEGY])[0].name
    _preset_changed()


def _preset_changed() -> None:
    state = st.session_state
    preset = get_preset(state[keys.PRESET])
    sigma_0 = start_sigma(get_card(state[keys.MODEL]), preset.name)
    state[keys.SIGMA_0] = sigma_0
    for name, value in values_of(preset.at(sigma_0)).items():
        state[keys.PARAMETER + name] = value


def bounds_follow_start() -> None:
    """After another sigma_0 was given: its bounds, unless the visitor has chosen others."""
    state = st.session_state
    before: ExplorerView | None = state.get(keys.DRAWN_START)
    names = [keys.PARAMETER + name for name in ("sigma_min", "sigma_max")]
    if before is None or before.preset != state[keys.PRESET] or not state.keys() >= set(names):
        return
    low, high = (float(state[name]) for name in names)
    shown = replace(before, config=replace(before.config, bounds=(low, high)))
    bounds = started_at(shown, float(state[keys.SIGMA_0])).config.bounds
    for name, value in zip(names, bounds, strict=True):
        state[name] = value
