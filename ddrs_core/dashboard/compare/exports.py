"""Exports of a comparison: rows, tables, and command lines of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from ddrs_core.dashboard.compare.texts import cached_table, version_of
from ddrs_core.dashboard.components.exports import Download, show_exports
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.rows import RowFormat, rows_bytes
from ddrs_core.runs.results.tables import TableFormat, render

_ROWS = {
    RowFormat.TSV: ("TSV", "tsv", "text/tab-separated-values"),
    RowFormat.CSV: ("CSV", "csv", "text/csv"),
    RowFormat.PARQUET: ("Parquet", "parquet", "application/vnd.apache.parquet"),
}
_TABLES = {
    TableFormat.MARKDOWN: ("Markdown", "md", "text/markdown"),
    TableFormat.LATEX: ("LaTeX", "tex", "application/x-tex"),
    TableFormat.CSV: ("CSV", "csv", "text/csv"),
}


def show_compare_exports(sets: Sequence[ResultSet]) -> None:
    """All rows and the comparison table in each format; a file is made when it is asked for."""
    rows = [
        Download(
            f"{said} of all rows", f"comparison-rows.{end}", mime, partial(rows_bytes, sets, kind)
        )
        for kind, (said, end, mime) in _ROWS.items()
    ]
    tables = [
        Download(f"Table as {said}", f"comparison.{end}", mime, partial(_table_bytes, sets, kind))
        for kind, (said, end, mime) in _TABLES.items()
    ]
    show_exports(
        {"All rows at full precision": rows, "The comparison table": tables},
        "To import results elsewhere, download the log of a run, under More beside it, or the rows "
        "of one set alone. The address of this page opens the same comparison; runs and imported "
        "logs stay on this server.",
    )


def _table_bytes(sets: Sequence[ResultSet], kind: TableFormat) -> bytes:
    return (render(cached_table(version_of(*sets), sets), kind) + "\n").encode()


def show_commands(configs: Sequence[CertifyConfig]) -> None:
    """The command lines, to be copied."""
    st.code(command_lines(configs, "--record"), language="bash", wrap_lines=True)
    if any(config.bank for config in configs):
        st.caption(
            "The command line has its own memory banks: it creates the one of that name there, "
            "or continues it. `memory import` adds one that you download from the memory page."
        )
