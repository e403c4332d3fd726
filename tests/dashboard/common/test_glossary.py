"""The glossary of the pages and that of the guide are the same."""

from __future__ import annotations

from pathlib import Path

from ddrs_core.dashboard.common.glossary import TERMS

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "glossary.md"


def test_the_guide_says_the_same() -> None:
    said = " ".join(GUIDE.read_text("utf-8").split())
    assert said.count("- **") == len(TERMS)
    for term, text in TERMS.items():
        assert f"- **{term}**: {text}" in said
