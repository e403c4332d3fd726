"""Which bank is looked at, its copies, and which part of the page."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ddrs_core.dashboard.common.banks import (
    DEMO,
    DEMO_TITLE,
    SHARED,
    BankContext,
    choosable_banks,
    copy_bank,
    export_bytes,
    import_own,
    open_context,
    start_over,
)
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.memory.view import FORM, Section
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.debounce import once_per_click
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Grade
from ddrs_core.store import BankRecord, MemoryBank

_TITLES = {
    Section.BANK: "Bank",
    Section.QUERY: "Query",
    Section.COLLISIONS: "Collisions",
    Section.ORDER: "Order",
}


def pick_bank() -> BankContext:
    """The sidebar: the bank, and what can be done with it."""
    st.subheader("Memory bank", anchor=False)
    try:
        context = open_context(FORM["bank"])
    except DDRSError as error:
        show_error(error)
        context = open_context(DEMO)
    if context.token != FORM["bank"]:  # somebody else's was chosen: a copy was made
        FORM["bank"] = context.token
    FORM.show(
        st.selectbox,
        "bank",
        "Bank",
        {token: _title(token, record) for token, record in choosable_banks().items()},
        help="You work on copies of your own: what you store changes nobody else's answers. "
        "`memory add` on the command line makes banks that everybody may copy.",
    )
    st.caption(f"{counted(context.record.stored, 'ball')}. {_standing(context)}")
    _show_actions(context)
    show_html("memory/grades_aside.html", grades=Grade)
    return context


def _title(token: str, record: BankRecord) -> str:
    """Without anything that changes: the browser remembers what was chosen by its title."""
    if token == DEMO:
        return DEMO_TITLE
    return f"{record.name} (shared)" if record.owner == SHARED else record.name


def _standing(context: BankContext) -> str:
    made_of = (
        "The demo bank holds the certificates of the 500 test digits by the model "
        "digits-smoothadv-ds2-0.50, settled in their order. Of the shipped models, this one "
        "contradicts itself most."
    )
    if context.is_untouched_demo:
        return f"{made_of} Once you certify something, you work on a copy of your own."
    if context.is_demo:
        return f"Your own copy, which nobody else changes. {made_of}"
    return "Your own copy, which nobody else changes."


def pick_section() -> Section:
    """Choose the part of the page; the link records it."""
    chosen = FORM.show(
        st.segmented_control,
        "section",
        "Part of the page",
        _TITLES,
        label_visibility="collapsed",
        required=True,
    )
    return Section(chosen or Section.BANK)


def _show_actions(context: BankContext) -> None:
    if context.is_demo:
        st.button(
            "Start over",
            icon=":material/restart_alt:",
            width="stretch",
            on_click=start_over,
            disabled=context.is_untouched_demo,
            help="A fresh copy of the demo bank; what you stored in it is lost.",
        )
    else:
        st.button(
            "Delete",
            icon=":material/delete:",
            width="stretch",
            on_click=_delete,
            args=(context.bank,),
            help="Removes this copy of yours.",
        )
    with st.popover("Copy, download, open", icon=":material/content_copy:", width="stretch"):
        name = FORM.show(st.text_input, "name", "Name of the new bank", max_chars=80)
        st.button(
            "Make a copy",
            width="stretch",
            on_click=_copy,
            args=(context.bank, name),
            disabled=not name.strip(),
        )
        st.download_button(
            "Download as a file",
            lambda: export_bytes(context.bank),
            "memory-bank.zip",
            "application/zip",
            width="stretch",
            on_click="ignore",
            help="With all images; `memory import` settles it again elsewhere.",
        )
        given = st.file_uploader("Open a file of a bank", type=["zip"], key=keys.MEMORY_UPLOAD)
        st.button(
            "Open it",
            width="stretch",
            on_click=_import,
            args=(given, name),
            disabled=given is None,
            help="Every radius is recomputed from its votes; all are settled again in order.",
        )
    problem = st.session_state.pop(keys.MEMORY_ACTION_PROBLEM, None)
    if problem is not None:
        show_error(problem)


def _copy(bank: MemoryBank, name: str) -> None:
    try:
        token = once_per_click(f"copy {bank.id} as {name}", lambda: copy_bank(bank, name))
        FORM["bank"] = token
    except DDRSError as error:
        st.session_state[keys.MEMORY_ACTION_PROBLEM] = error


def _delete(bank: MemoryBank) -> None:
    try:
        bank.delete()
    except DDRSError as error:
        st.session_state[keys.MEMORY_ACTION_PROBLEM] = error
        return
    FORM["bank"] = DEMO


def _import(given: UploadedFile, name: str) -> None:
    try:
        asked = f"open {given.file_id} as {name}"
        token = once_per_click(asked, lambda: import_own(given.getvalue(), name))
        FORM["bank"] = token
    except DDRSError as error:
        st.session_state[keys.MEMORY_ACTION_PROBLEM] = error
