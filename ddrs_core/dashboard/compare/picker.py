"""What is compared: runs, imported logs and shipped references; and what is drawn beside them."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.common.result_sources import offered_sets, title_of_set
from ddrs_core.dashboard.compare.shown import MOST_SETS
from ddrs_core.dashboard.compare.uploads import pick_uploads, show_kept_logs
from ddrs_core.dashboard.compare.view import VIEW
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.errors import DDRSError


def pick_sets() -> list[str]:
    """The picker of result sets, and the import of logs; the names that are chosen."""
    with st.expander("Import logs", icon=":material/upload_file:", key="compare_import"):
        pick_uploads()
        show_kept_logs()
    titles = _titles()
    return VIEW.show(
        st.multiselect,
        "shown",
        "Compare",
        titles,
        max_selections=MOST_SETS,
        placeholder="Choose runs, imported logs or references",
    )


def pick_extras() -> None:
    """What the figure shows besides: an envelope, published figures."""
    with st.container(horizontal=True):
        VIEW.show(
            st.toggle,
            "envelope",
            "Envelope",
            help="The best of the sets at each radius. It is not a classifier: whoever uses it "
            "would have to know the radius before choosing.",
        )
        VIEW.show(
            st.toggle,
            "published",
            "Published figures",
            help="Figures from papers for the same data set, as thin lines with dots.",
        )


def _titles() -> dict[str, str]:
    """What is offered, and what a link has added; what is gone is left out, with a sentence."""
    titles = offered_sets()
    chosen, left = list(VIEW["shown"]), []
    for name in chosen:
        try:
            titles.setdefault(name, title_of_set(name))
            left.append(name)
        except DDRSError as error:
            st.session_state[keys.COMPARE_PROBLEMS] = [str(error)]
    if left != chosen:
        VIEW["shown"] = left
    return titles
