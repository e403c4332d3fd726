"""Widgets show what the session holds, whatever the browser has heard and whenever it opens them.

AppTest plays the browser here: requests that were sent before an answer came are made by hand.
"""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from tests.dashboard.widgets import send, widget_of


def page() -> None:
    """A choice, a number and a button that assigns both."""
    import streamlit as st

    from ddrs_core.dashboard.shell.widget_state import begin_run, show_widget

    state = st.session_state
    for name, value in (("choice", "b"), ("number", 60), ("followed", []), ("runs", 0)):
        state.setdefault(name, value)
    state["runs"] += 1
    begin_run()

    def assign() -> None:
        state["choice"], state["number"] = "c", 70

    st.button("assign", on_click=assign)
    if not state.get("hidden"):
        with st.popover("more"):
            show_widget(st.number_input, "number", "Number", 1, 100)
    show_widget(
        st.selectbox,
        "choice",
        "Choice",
        {option: f"title of {option}" for option in state.get("options", ["a", "b", "c"])},
        on_change=lambda: state["followed"].append(state["choice"]),
    )


def values(app: AppTest) -> tuple[Any, Any]:
    """What the browser would show if it mounted the widgets only now."""
    choice = widget_of(app.selectbox, "choice").proto
    return choice.options[choice.default], widget_of(app.number_input, "number").proto.default


def test_the_message_of_every_run_carries_the_value() -> None:
    app = AppTest.from_function(page).run()
    for _ in range(3):  # a popover that is opened after any of them starts from the value
        assert values(app) == ("title of b", 60)
        app.run()
    app.button[0].click().run()
    for _ in range(3):
        assert values(app) == ("title of c", 70)
        app.run()
    widget_of(app.number_input, "number").set_value(42).run()
    assert values(app) == ("title of c", 42)
    assert app.run().session_state["number"] == 42


def test_streamlit_alone_tells_the_browser_a_value_once() -> None:
    """Why the values are not left to ``persist_state``: what it tells is gone with the next run."""

    def alone() -> None:
        import streamlit as st

        st.session_state.setdefault("number", 60)
        with st.popover("more"):
            st.number_input("Number", 1, 100, key="number", persist_state="session")

    app = AppTest.from_function(alone).run()
    assert (app.number_input[0].proto.set_value, app.number_input[0].proto.value) == (True, 60)
    later = app.run().number_input[0]
    assert later.value == 60
    assert not later.proto.set_value
    assert later.proto.default == 1  # which a popover that is opened now shows, and sends back


def test_what_the_browser_sent_before_it_heard_of_a_value_changes_nothing() -> None:
    app = AppTest.from_function(page).run()
    old = widget_of(app.selectbox, "choice"), widget_of(app.number_input, "number")
    app.button[0].click().run()
    late = send(app, (old[0], "title of b"), (old[1], 60.0))
    assert values(late) == ("title of c", 70)
    assert late.session_state["followed"] == []


def test_what_a_visitor_chose_meanwhile_counts_and_has_its_consequences() -> None:
    app = AppTest.from_function(page).run()
    old = widget_of(app.selectbox, "choice"), widget_of(app.number_input, "number")
    app.button[0].click().run()
    late = send(app, (old[0], "title of a"), (old[1], 60.0))
    assert values(late) == ("title of a", 70)
    assert late.session_state["followed"] == ["a"]
    shown = widget_of(late.selectbox, "choice")
    later = send(late, (old[0], "title of a"), (shown, "title of a"), (old[1], 60.0))
    assert values(later) == ("title of a", 70)
    assert later.session_state["followed"] == ["a"]  # once


def test_a_field_that_is_changed_quickly_stays_one_element() -> None:
    """Else it would lose the focus, and jump back to what it was told."""
    app = AppTest.from_function(page).run()
    field = widget_of(app.number_input, "number")
    for value in (61, 62, 63):
        app = send(app, (field, value))
        shown = widget_of(app.number_input, "number")
        assert (shown.proto.id, shown.proto.set_value) == (field.proto.id, False)
    assert app.session_state["number"] == 63


def test_a_value_outlives_the_widget() -> None:
    app = AppTest.from_function(page).run()
    widget_of(app.number_input, "number").set_value(42).run()
    app.session_state["hidden"] = True
    assert not app.run().number_input
    app.session_state["hidden"] = False
    app.run()
    assert values(app.run()) == ("title of b", 42)


def test_a_label_never_takes_the_place_of_a_name() -> None:
    """As after a change of the options: the browser still names one that is gone by its label."""
    app = AppTest.from_function(page).run()
    old = widget_of(app.selectbox, "choice")
    app.session_state["options"] = ["x", "y"]
    app.run()
    new = widget_of(app.selectbox, "choice")
    assert new.value == app.session_state["choice"] == "x"
    for element in (old, new):
        for label in ("title of c", "title of z", "anything"):
            late = send(app, (element, label))
            assert late.session_state["choice"] == "x"
            assert values(late)[0] == "title of x"


def twins() -> None:
    """Two options that look alike."""
    import streamlit as st

    from ddrs_core.dashboard.shell.widget_state import begin_run, show_widget

    begin_run()
    show_widget(st.selectbox, "twin", "Twin", {1: "your lenet", 2: "your lenet"})


def test_options_that_look_alike_are_told_apart() -> None:
    app = AppTest.from_function(twins).run()
    shown = app.selectbox[0]
    assert shown.options == ["your lenet", "your lenet (2)"]
    assert send(app, (shown, "your lenet (2)")).session_state["twin"] == 2


def bounded() -> None:
    """A number whose limits follow something else."""
    import streamlit as st

    from ddrs_core.dashboard.shell.widget_state import begin_run, show_widget

    begin_run()
    show_widget(st.number_input, "index", "Image", 0, st.session_state.get("last", 499))


def test_a_number_stays_within_limits_that_have_changed() -> None:
    app = AppTest.from_function(bounded)
    app.session_state["index"] = 400
    app.run()
    app.session_state["last"] = 9
    app.run()
    assert not app.exception
    assert app.number_input[0].value == app.session_state["index"] == 9
