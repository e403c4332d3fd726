"""What is compared: the pair A and B, further sets, and what is drawn beside them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ddrs_core.dashboard.common.result_sources import offered_sets, title_of_set
from ddrs_core.dashboard.compare.pair import chosen_pair
from ddrs_core.dashboard.compare.shown import MOST_SETS
from ddrs_core.dashboard.compare.view import VIEW
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.errors import DDRSError
from ddrs_core.runs.results.results import ResultSet


def pick_sets() -> list[str]:
    """The picker of result sets; the names that are chosen."""
    return VIEW.show(
        st.multiselect,
        "shown",
        "Compare",
        _titles(),
        max_selections=MOST_SETS,
        placeholder="Choose runs, imported logs or references",
    )


def pick_pair(sets: Sequence[ResultSet]) -> None:
    """Which of the sets are A and B."""
    chosen_pair(sets)
    left, middle, right = st.columns([5, 0.8, 5], vertical_alignment="bottom")
    titles = {s.id: s.title for s in sets}
    VIEW.show(left.selectbox, "a", "A", titles)
    middle.button("⇄", on_click=_swap, width="stretch", help="Swap A and B", key="compare_swap")
    VIEW.show(right.selectbox, "b", "B", titles)


def pick_extras() -> None:
    """What the figure shows besides: an envelope, published figures."""
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


def _swap() -> None:
    VIEW["a"], VIEW["b"] = VIEW["b"], VIEW["a"]


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
