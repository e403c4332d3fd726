"""The memory: what is in a bank, queries that are settled, balls that meet, and the order."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.memory.bank_section import show_bank
from ddrs_core.dashboard.memory.collisions_section import show_collisions
from ddrs_core.dashboard.memory.order_section import show_order
from ddrs_core.dashboard.memory.picker import pick_bank, pick_section
from ddrs_core.dashboard.memory.query_section import show_query
from ddrs_core.dashboard.memory.view import Section, enter_memory, write_url
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.errors import DDRSError


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    st.title("Memory", anchor=False)
    show_lead(
        "The paper's classifier is sound because it remembers: stored balls never overlap a "
        "ball of another class."
    )
    try:
        enter_memory()
        show_memory()
    except DDRSError as error:
        show_error(error)
        return
    write_url()


def show_memory() -> None:
    """The bank and the section that were chosen."""
    with st.sidebar:
        context = pick_bank()
    show_problems(st.session_state.get(keys.MEMORY_PROBLEMS, []))
    show = {
        Section.BANK: show_bank,
        Section.QUERY: show_query,
        Section.COLLISIONS: show_collisions,
        Section.ORDER: show_order,
    }
    show[pick_section()](context)


main()
