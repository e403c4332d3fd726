"""The command lines that do the same as a certification run."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.certify.config import CertifyConfig


def show_commands(configs: Sequence[CertifyConfig]) -> None:
    """The command lines, to be copied."""
    st.code(command_lines(configs, "--record"), language="bash", wrap_lines=True)
    if any(config.bank for config in configs):
        st.caption(
            "The command line has its own memory banks: it creates the one of that name there, "
            "or continues it. `memory import` adds one that you download from the memory page."
        )
