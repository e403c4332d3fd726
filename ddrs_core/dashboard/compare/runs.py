"""Certification runs: where they stand, and the buttons that steer them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self

import streamlit as st

from ddrs_core.dashboard.common.result_sources import run_titles
from ddrs_core.dashboard.common.run_progress import run_progress_html, runs_of
from ddrs_core.dashboard.compare.exports import show_commands
from ddrs_core.dashboard.compare.shown import MOST_SETS
from ddrs_core.dashboard.compare.view import VIEW, show_sets
from ddrs_core.dashboard.components.board import PROGRESS_BOARD
from ddrs_core.dashboard.components.exports import Download, show_download_buttons
from ddrs_core.dashboard.navigation import memory_page
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import draw_each_second
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.jobs.runs import cancel_run, delete_run, pause_run, resume_run
from ddrs_core.runs.certify.config import setting_title
from ddrs_core.runs.from_database import recorded_log
from ddrs_core.runs.worker import recorded_configs
from ddrs_core.store import CERTIFY, MemoryBank, RunRecord, RunState, Wanted, open_store

_MOST_EARLIER = 20


@dataclass(frozen=True)
class ListedRuns:
    """What the database says once for the whole page: a run may end while it is drawn."""

    unfinished: list[RunRecord]  # this visitor's, or compared
    compared: list[RunRecord]  # finished
    earlier: list[RunRecord]  # the visitor's others

    @classmethod
    def now(cls) -> Self:
        mine = open_store().runs(visitor(), kind=CERTIFY)
        compared = runs_of(VIEW["shown"])
        shown = [run for run in mine if run.id in compared or _is_unfinished(run)]
        shown += [run for name, run in compared.items() if name not in {r.id for r in mine}]
        return cls(
            [run for run in shown if run.state is not RunState.FINISHED],
            [run for run in shown if run.state is RunState.FINISHED],
            [run for run in mine if run not in shown],
        )


def show_unfinished_runs(runs: ListedRuns) -> None:
    """Runs that go on, or could, as far as they are this visitor's or compared; with buttons."""
    for run in runs.unfinished:
        _show_run(run, is_mine=run.owner == visitor())


def show_runs(runs: ListedRuns) -> None:
    """Finished runs that are compared, and below them the others."""
    for run in runs.compared:
        _show_run(run, is_mine=run.owner == visitor())
    if runs.earlier and runs.compared:
        st.markdown("**Earlier runs**")
    for run in runs.earlier[:_MOST_EARLIER]:
        _show_run(run, is_mine=True)
    if not runs.compared and not runs.earlier:
        st.caption("No run is finished.")


def _is_unfinished(run: RunRecord) -> bool:
    return run.state not in (RunState.FINISHED, RunState.CANCELLED)


def _show_run(run: RunRecord, *, is_mine: bool) -> None:
    with st.container(border=True, key=f"certify_run_{run.id}"):
        _watch(run)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if is_mine:
                _steer(run)
            st.button(
                "Compare",
                key=f"certify_show_{run.id}",
                icon=":material/monitoring:",
                on_click=_show,
                args=(run,),
                help="Add its settings to the comparison below.",
            )
            with st.popover("More", icon=":material/more_horiz:"):
                _show_more(run, is_mine=is_mine)
        if not is_mine:
            st.caption("Somebody else started this run: you may watch it, and they may steer it.")


def _watch(run: RunRecord) -> None:
    """Progress, drawn again while the run moves; no widgets in here."""

    def draw() -> bool:
        try:
            now = open_store().run(run.id)
        except DDRSError:  # deleted, in another tab
            return True
        texts = {"progress": run_progress_html(now)}
        PROGRESS_BOARD.show(key=f"certify_progress_{run.id}", name=run.id, texts=texts)
        return (now.state, now.wanted) != (run.state, run.wanted)  # buttons depend on it

    draw_each_second(draw, moving=run.state.is_moving, may_move=run.state.can_resume)


def _steer(run: RunRecord) -> None:
    moving = run.state.is_moving
    if moving:
        st.button(
            "Pause",
            key=f"certify_pause_{run.id}",
            icon=":material/pause:",
            disabled=run.wanted is not None,
            on_click=_ask,
            args=(pause_run, run.id),
            help="Its process ends within about a second; Resume continues where it was.",
        )
    elif run.state.can_resume:
        st.button(
            "Resume",
            key=f"certify_resume_{run.id}",
            icon=":material/play_circle:",
            on_click=_ask,
            args=(resume_run, run.id),
            help="Go on with what is missing.",
        )
    if moving or run.state in (RunState.PAUSED, RunState.INTERRUPTED):
        st.button(
            "Cancel",
            key=f"certify_cancel_{run.id}",
            icon=":material/stop:",
            disabled=run.wanted is Wanted.CANCEL,
            on_click=_ask,
            args=(cancel_run, run.id),
            help="End it. What it has certified stays.",
        )


def _show_more(run: RunRecord, *, is_mine: bool) -> None:
    try:
        configs = recorded_configs(run)
    except DDRSError as error:
        show_error(error)
    else:
        _offer_logs(run, [setting_title(config) for config in configs])
        st.markdown("The same from the command line:")
        show_commands(configs)
    for name in {setting["bank"] for setting in run.settings if setting.get("bank")}:
        with suppress(DDRSError):  # it makes its bank when it begins
            bank = MemoryBank.find(None, name, owner=run.owner)
            st.page_link(
                memory_page(),
                label=f"Memory bank {literal(name)}",
                icon=":material/bubble_chart:",
                query_params={"bank": bank.id},
            )
    st.caption(f"Made by version {run.code_version} on {run.device}. Id: {run.id}")
    if is_mine and not run.state.is_moving:
        st.markdown("Deleting a run removes its certificates for good.")
        st.button(
            "Delete it for good",
            key=f"certify_delete_{run.id}",
            type="primary",
            icon=":material/delete:",
            on_click=_delete,
            args=(run,),
        )


def _offer_logs(run: RunRecord, settings: Sequence[str]) -> None:
    """A download for each setting; the file is made when it is asked for."""
    logs = [
        Download(
            f"Log of {setting}",
            f"{run.title}-{setting.replace(' ', '-')}.tsv",
            "text/tab-separated-values",
            partial(_log, run.id, number),
        )
        for number, setting in enumerate(settings if run.stored else ())
    ]
    show_download_buttons(logs, run.id)


def _log(run_id: str, setting: int) -> bytes:
    store = open_store()
    return recorded_log(store, store.run(run_id), setting).encode()


def _show(run: RunRecord) -> None:
    own = list(run_titles(run))
    others = [name for name in VIEW["shown"] if name not in own]
    show_sets([*others[: max(0, MOST_SETS - len(own))], *own])


def _ask(what: Callable[[str], RunRecord], run_id: str) -> None:
    try:
        what(run_id)
    except DDRSError as error:
        st.session_state[keys.COMPARE_PROBLEMS] = [str(error)]


def _delete(run: RunRecord) -> None:
    try:
        delete_run(run.id)
    except DDRSError as error:
        st.session_state[keys.COMPARE_PROBLEMS] = [str(error)]
    gone = set(run_titles(run))
    left = [name for name in VIEW["shown"] if name not in gone]
    show_sets(left)
