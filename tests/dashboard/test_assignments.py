"""Values that the program gives to widgets survive a run of the page that is cut short."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page that begins like the explorer; the first run is cut short, the second hears from a
    browser that had shown the widgets' own defaults."""
    import streamlit as st

    from ddrs_core.dashboard import keys
    from ddrs_core.dashboard.assignments import complete_assignments, repeat_assignments
    from ddrs_core.dashboard.controls import seed_widgets
    from ddrs_core.dashboard.explorer_query import parse_query

    state = st.session_state
    state["runs"] = state.get("runs", 0) + 1
    if state["runs"] == 1:
        view, _ = parse_query({"model": "digits-macer-0.25", "dataset": "digits", "steps": "3"})
        seed_widgets(view)
        st.stop()
    if state["runs"] == 2:
        state[keys.MODEL], state[keys.PARAMETER + "steps"] = "digits-gaussian-0.25", 100
    repeat_assignments()
    st.write(f"{state[keys.MODEL]} {state[keys.PARAMETER + 'steps']}")
    complete_assignments()
    if state["runs"] == 3:
        state[keys.MODEL] = "digits-gaussian-0.25"  # the visitor's own choice
        st.rerun()


def test_what_a_link_asks_for_outlives_an_interrupted_first_run() -> None:
    app = AppTest.from_function(page).run()
    assert app.run().markdown[0].value == "digits-macer-0.25 3"
    assert app.run().markdown[0].value == "digits-gaussian-0.25 3"  # completed: no more repeated


def quick() -> None:
    """A page whose second run follows at once, before any browser can have shown the first."""
    import streamlit as st

    from ddrs_core.dashboard.assignments import assign, complete_assignments, repeat_assignments

    state = st.session_state
    if "runs" not in state:
        assign("choice", "b")
    state["runs"] = state.get("runs", 0) + 1
    repeat_assignments()
    st.selectbox("Choice", ["a", "b", "c"], key="choice")
    complete_assignments()


def test_the_browser_is_told_again_by_a_run_that_follows_at_once() -> None:
    app = AppTest.from_function(quick).run()
    assert app.selectbox[0].proto.set_value
    app.run()
    assert app.selectbox[0].proto.set_value
    assert app.selectbox[0].value == "b"


def test_what_the_visitor_chooses_meanwhile_counts() -> None:
    app = AppTest.from_function(quick).run()
    app.selectbox[0].set_value("c").run()
    assert app.selectbox[0].value == "c"
    app.run()
    assert app.selectbox[0].value == "c"


def test_a_browser_that_hears_late_of_a_value_is_told_what_the_visitor_chose() -> None:
    app = AppTest.from_function(quick).run()
    app.selectbox[0].set_value("c").run()  # "b" is on its way to the browser, and will show there
    assert app.selectbox[0].proto.set_value
    assert app.selectbox[0].proto.raw_value == "c"
    app.run()
    assert not app.selectbox[0].proto.set_value  # it shows there by now, and counts


def test_the_browser_is_told_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(quick).run()
    late = time.monotonic() + 10
    monkeypatch.setattr(time, "monotonic", lambda: late)
    app.selectbox[0].set_value("c").run()  # a field whose arrows are clicked must not jump back
    assert not app.selectbox[0].proto.set_value
    app.run()
    assert not app.selectbox[0].proto.set_value
    assert app.selectbox[0].value == "c"
