"""Certification logs that visitors import."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.log_sources import LogSource, source_of, tell_source
from ddrs_core.dashboard.common.model_choice import title_of
from ddrs_core.dashboard.common.result_sources import LOG, log_results
from ddrs_core.dashboard.compare.form import judged_models
from ddrs_core.dashboard.compare.shown import MOST_SETS
from ddrs_core.dashboard.compare.view import VIEW, show_sets
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import list_datasets
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted
from ddrs_core.runs.logs.columns import LogError
from ddrs_core.runs.logs.dialect import Dialect
from ddrs_core.runs.logs.reading import parse_log
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.store import MAX_LOG_BYTES, AnnotationKind, LogRecord, open_store

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_MOST_SHOWN = 12  # notes of a file
_Read = tuple[str | None, list[str]]  # name of the set, None if it was refused; what to say


def pick_logs() -> None:
    """The import of logs, and those that this visitor has imported."""
    _pick_uploads()
    _show_kept_logs()


def _pick_uploads() -> None:
    """An uploader; its files are stored and compared, and a message answers each."""
    files = st.file_uploader(
        "Import certification logs",
        accept_multiple_files=True,
        key=keys.COMPARE_UPLOAD,
        help="Tables separated by tabs: this program's, those of Cohen et al.'s certify.py, and "
        f"all known relatives. At most {MAX_LOG_BYTES // 1_000_000} MB each.",
    )
    read: dict[str, _Read] = st.session_state.setdefault(keys.COMPARE_READ, {})
    new = [file for file in files or [] if file.file_id not in read]
    for file in new:
        with st.spinner(f"Reading {literal(file.name)}"):
            read[file.file_id] = _import(file)
    if new:
        redraw()  # with what is compared now
    for file in files or []:
        name, sentences = read[file.file_id]
        text = "  \n".join(literal(sentence) for sentence in [*sentences, *_use_of(name)])
        (st.success if name else st.error)(
            text, icon=":material/check:" if name else ":material/error:"
        )


def _use_of(name: str | None) -> list[str]:
    """What became of a log by now."""
    if name is None:
        return []
    if name in VIEW["shown"]:
        return ["It is stored, and compared above."]
    if name not in {LOG + log.id for log in open_store().logs(visitor())}:
        return ["It has been removed."]
    return [f"It is stored. To compare it, choose it under Sets; at most {MOST_SETS} sets fit."]


def _import(file: UploadedFile) -> _Read:
    """Store a log, and compare it if there is room."""
    try:
        if file.size > MAX_LOG_BYTES:
            raise LogError(
                f"{file.name} has {file.size / 1e6:,.0f} MB; at most "
                f"{MAX_LOG_BYTES // 1_000_000} MB are accepted. A log of 10,000 images has 1 to 10."
            )
        content = file.getvalue()
        results = parse_log(content, file.name)
        if not results.rows:
            raise LogError(f"{file.name} has a header but no row yet.")
        log = open_store().add_log(content, title=results.title, owner=visitor())
    except DDRSError as error:
        return None, [str(error)]
    name = LOG + log.id
    shown = list(VIEW["shown"])
    if name not in shown:
        show_sets([*shown, name])
    dialect = Dialect(results.dialect).meaning
    said = [f"{file.name}: {dialect}; {counted(len(results.rows), 'image')}."]
    if log.title != results.title:
        said.append(f"You have this log already, as {log.title}.")
    return name, [*said, *results.notes[:_MOST_SHOWN]]


def _show_kept_logs() -> None:
    """The visitor's imported logs, where each comes from, and a button to remove it."""
    logs = open_store().logs(visitor())
    if not logs:
        return
    st.caption(
        "Your imported logs. Where a log does not name its data set and model, choose them: its "
        "images then open in the explorer and on the failures page."
    )
    for log in logs:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.markdown(f"{literal(log.title)} ({log.size / 1000:,.0f} kB)")
            try:
                _pick_source(log)
            except DDRSError as error:  # of a log that cannot be read any longer
                show_error(error)
            st.button(
                "Remove",
                key=f"compare_remove_{log.id}",
                icon=":material/delete:",
                on_click=_remove,
                args=(log.id,),
            )


def _pick_source(log: LogRecord) -> None:
    """Data set and model of a log, as far as it does not record them."""
    results, told = log_results(log), source_of(log)
    form = Form(f"{keys.COMPARE}log_{log.id}_")
    form.fill(told._asdict())
    changed = partial(_tell, log, form, results)
    known = results.dataset or told.dataset
    if results.dataset is None:
        titles = {"": "not told"} | {info.name: info.title for info in list_datasets()}
        form.show(st.selectbox, "dataset", "Data set", titles, on_change=changed, width=220)
    if results.model is None and known:
        models = {"": "not told"} | {c.name: title_of(c) for c in judged_models(known)}
        form.show(st.selectbox, "model", "Model", models, on_change=changed, width=260)


def _tell(log: LogRecord, form: Form, results: ResultSet) -> None:
    told = LogSource(form["dataset"], form["model"])
    if told.dataset != source_of(log).dataset:
        told = LogSource(told.dataset)  # another model would have to fit it
    try:
        tell_source(log.id, log.owner, told, results)
        st.session_state[keys.COMPARE_PROBLEMS] = []
    except DDRSError as error:
        st.session_state[keys.COMPARE_PROBLEMS] = [str(error)]


def _remove(log_id: str) -> None:
    try:
        open_store().delete_log(log_id, visitor())
        open_store().annotate(visitor(), AnnotationKind.LOG_SOURCE, log_id, "")
    except DDRSError as error:
        st.session_state[keys.COMPARE_PROBLEMS] = [str(error)]
    name = LOG + log_id
    if name in VIEW["shown"]:
        show_sets([n for n in VIEW["shown"] if n != name])
