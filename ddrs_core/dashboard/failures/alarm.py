"""What is most serious about results: contradictions, and claims that nothing supports."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.runs.diagnose.evidence import contradictions

_MOST_NOTES = 6


def show_alarm(findings: Findings) -> None:
    """An attack inside a certificate, with all that is needed to look into it; and what was found
    when the results were read."""
    for _, sentence in contradictions(findings.results, findings.images):
        st.error(f"**Contradiction.** {literal(sentence)}", icon=":material/crisis_alert:")
    notes = findings.results.notes[:_MOST_NOTES]
    if notes:
        st.warning("  \n".join(literal(note) for note in notes), icon=":material/rule:")
