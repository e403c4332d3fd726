"""The explorer's view on its way between URL, widgets and the session."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.explorer.query import parse_query
from ddrs_core.dashboard.explorer.strategy_form import seed_widgets
from ddrs_core.dashboard.explorer.view import ExplorerView, default_view
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.dashboard.shell.my_uploads import remember_upload
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival
from ddrs_core.jobs import Job
from ddrs_core.models import UPLOAD_PREFIX

_KEPT = (keys.JOB, keys.CERTIFY_JOBS)


def enter_explorer() -> None:
    """Fill the widgets on a first visit or page switch: from the URL, else as they were."""
    fill_on_arrival("explorer", _fill_widgets)


def _fill_widgets() -> None:
    state = st.session_state
    query = st.query_params.to_dict()
    if query:
        view, state[keys.PROBLEMS] = parse_query(query)
        state[keys.STARTED] = False  # a link whose job is gone repeats the computation
    elif keys.SAVED_VIEW in state:  # which the widgets still hold
        state[keys.PROBLEMS] = []
        st.query_params.update(state[keys.SAVED_JOBS])
        return
    else:
        view, state[keys.PROBLEMS] = default_view(), []
    if view.is_picture:
        remember_upload("picture", view.dataset)
    if view.model.startswith(UPLOAD_PREFIX):
        remember_upload("model", view.model)
    seed_widgets(view)


def write_url(view: ExplorerView, job: Job | None) -> None:
    """Let the URL restore this view, and remember it for the way back from another page."""
    wanted = view.to_query()
    if job is not None:
        wanted[keys.JOB] = job.id
        if keys.CERTIFY_JOBS in st.query_params:
            wanted[keys.CERTIFY_JOBS] = st.query_params[keys.CERTIFY_JOBS]
    set_query(wanted)
    st.session_state[keys.SAVED_VIEW] = view
    st.session_state[keys.SAVED_JOBS] = {k: wanted[k] for k in _KEPT if k in wanted}
