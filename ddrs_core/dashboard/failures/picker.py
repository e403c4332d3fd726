"""Which results are diagnosed, at which radius, and against which others."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.common.result_sources import offered_sets, title_of_set
from ddrs_core.dashboard.failures.view import (
    ALL,
    FAILED,
    FORM,
    LARGEST,
    NONE,
    FailuresView,
    forget_image,
    keep,
)
from ddrs_core.dashboard.navigation import compare_page
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.errors import DDRSError


def pick_results() -> None:
    """The choice of results, of a second set, and of r, in one row."""
    titles = offered_sets()
    for field in ("results", "against"):
        name = FORM[field]
        if name == NONE or name in titles:
            continue
        try:
            titles[name] = title_of_set(name)  # of somebody else, from a link
        except DDRSError as error:
            FORM[field] = getattr(FailuresView(), field)
            st.session_state[keys.FAILURES_PROBLEMS] = [str(error)]
    first, second, third, fourth = st.columns([5, 5, 2, 2], vertical_alignment="bottom")
    FORM.show(first.selectbox, "results", "Results", titles, on_change=_start_over)
    FORM.show(
        second.selectbox,
        "against",
        "Against (optional)",
        {NONE: "nothing"} | titles,
        help="Marks the images that only one of the two certifies.",
    )
    FORM.show(
        third.number_input,
        "radius",
        "Radius r",
        0.0,
        LARGEST,
        step=0.05,
        format="%.3g",
        help="An image fails where its class is not certified within this ℓ₂ radius (pixels in "
        "[0, 1]).",
        on_change=forget_image,
    )
    fourth.page_link(compare_page(), label="Import a log", icon=":material/upload_file:")


def keep_kind(kind: str) -> None:
    """Show the images of one kind; the first of them opens."""
    FORM["kind"] = kind
    forget_image()


def swap_sets() -> None:
    """Diagnose the second set against the first."""
    FORM["results"], FORM["against"] = FORM["against"], FORM["results"]
    forget_image()


def _start_over() -> None:
    keep(kind=ALL if FORM["kind"] == ALL else FAILED)
