"""What can be taken along from a comparison: rows, tables, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from ddrs_core.dashboard.compare.texts import cached_table, version_of
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


def show_exports(sets: Sequence[ResultSet]) -> None:
    """Downloads behind a fold; each file is made when it is asked for."""
    with st.expander("Take it along", icon=":material/download:", key="compare_exports"):
        _show_downloads(
            "All rows at full precision",
            "rows",
            {
                kind: (f"{said} of all rows", f"comparison-rows.{end}", mime, _rows(sets, kind))
                for kind, (said, end, mime) in _ROWS.items()
            },
        )
        _show_downloads(
            "The comparison table",
            "table",
            {
                kind: (f"Table as {said}", f"comparison.{end}", mime, _table(sets, kind))
                for kind, (said, end, mime) in _TABLES.items()
            },
        )
        st.caption(
            "To import results elsewhere, take the log of a run, under More beside it, or the rows "
            "of one set alone. Every figure has a camera in its corner that saves it as SVG. The "
            "address of this page opens the same comparison; runs and imported logs stay on this "
            "server."
        )


def _show_downloads(
    title: str, key: str, files: dict[str, tuple[str, str, str, Callable[[], bytes]]]
) -> None:
    st.markdown(f"**{title}**")
    with st.container(horizontal=True):
        for kind, (label, name, mime, make) in files.items():
            st.download_button(
                label,
                make,
                name,
                mime,
                key=f"compare_{key}_{kind}",
                on_click="ignore",
                icon=":material/download:",
            )


def _rows(sets: Sequence[ResultSet], kind: RowFormat) -> Callable[[], bytes]:
    return lambda: rows_bytes(sets, kind)


def _table(sets: Sequence[ResultSet], kind: TableFormat) -> Callable[[], bytes]:
    return lambda: (render(cached_table(version_of(*sets), sets), kind) + "\n").encode()
