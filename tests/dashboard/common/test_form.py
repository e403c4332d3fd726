"""Fields of a form: values, parts, configurations, limits."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from ddrs_core.smoothing import Bound, CertificationBudget
from tests.dashboard.widgets import widget_of


def _page(limited: bool) -> None:
    import streamlit as st

    from ddrs_core.dashboard.common.form import Form
    from ddrs_core.dashboard.shell.widget_state import begin_run
    from ddrs_core.parameters import Parameter, parameters_of, values_of
    from ddrs_core.smoothing import CertificationBudget

    begin_run()
    form = Form("form_", limited=limited)
    budget = form.part("budget_")
    if "steps" not in form:
        form.fill({"steps": 3, "unused": "kept"})
        budget.fill(values_of(CertificationBudget(n=500)))
    form.show_parameter("steps", Parameter("steps", "Steps", low=1, high=10, kind=int))
    budget.show_parameters(parameters_of(CertificationBudget))
    st.session_state["read"] = CertificationBudget.of(budget.read(CertificationBudget()))
    st.session_state["values"] = form.values(("steps", "unused", "missing"))


@pytest.mark.parametrize(("limited", "shown"), [(True, 10), (False, 99)])
def test_a_number_outside_its_limits_is_cut_off_only_in_a_limited_form(
    limited: bool, shown: int
) -> None:
    app = AppTest.from_function(_page, args=(limited,)).run()
    app.session_state["form_steps"] = 99
    app.run()
    assert not app.exception
    assert widget_of(app.number_input, "form_steps").value == shown
    assert app.session_state["values"] == {"steps": shown, "unused": "kept"}


def test_a_configuration_is_filled_in_and_read_back() -> None:
    app = AppTest.from_function(_page, args=(False,)).run()
    assert app.session_state["read"] == CertificationBudget(n=500)
    widget_of(app.number_input, "form_budget_alpha").set_value(0.05)
    widget_of(app.selectbox, "form_budget_bound").select("two-sided").run()
    wanted = CertificationBudget(n=500, alpha=0.05, bound=Bound.TWO_SIDED)
    assert app.session_state["read"] == wanted
