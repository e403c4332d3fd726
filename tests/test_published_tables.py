"""Tables of certified radii in the texts name the guarantee and bound that the logs have."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "assets/results"
CONDITIONAL, UNCONDITIONAL = "conditional on sigma_x", "unconditional"


def tables(text: str) -> list[list[dict[str, str]]]:
    """The Markdown tables of a text, a dictionary a row."""
    found: list[list[dict[str, str]]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
            found.append([])
        elif set(line) - set("|-: "):
            found[-1].append(dict(zip(head, cells, strict=True)))
    return found


def promised(path: Path) -> set[tuple[str, str]]:
    """Guarantee and bound of every row of a log."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["grade"], row["bound"]) for row in csv.DictReader(file, delimiter="\t")}


def rows(path: Path, first: str) -> list[dict[str, str]]:
    return [
        row for table in tables(path.read_text(encoding="utf-8")) for row in table if first in row
    ]


def test_every_log_in_the_results_has_its_guarantee_and_bound() -> None:
    found = rows(RESULTS / "README.md", "log")
    assert len(found) > 40
    for row in found:
        logs = list(RESULTS.glob(f"*/{row['log']}.tsv"))
        assert logs, row["log"]
        for log in logs:
            assert promised(log) == {(row["guarantee"], row["bound"])}


@pytest.mark.parametrize("first", ["difference", "training"])
def test_differences_say_what_they_compare(first: str) -> None:
    found = rows(RESULTS / "README.md", first)
    assert found
    for row in found:
        names = row[first].partition(",")[0].split(" minus ")
        grades = ["conditional" if "-DS" in name else "unconditional" for name in names]
        if first == "training":
            grades = ["conditional", "unconditional"]
        same = len(set(grades)) == 1
        assert row["guarantees"] == (f"both {grades[0]}" if same else " minus ".join(grades))


def test_the_methods_in_the_readme_have_their_guarantee_and_bound() -> None:
    found = rows(ROOT / "README.md", "certified at 0")
    assert len(found) == 9
    for row in found:
        training, _, own = row["method"].lower().partition("-")
        stem = f"digits-{training}-{own}-0.50" if own == "ds2" else f"digits-{training}-0.50"
        log = RESULTS / f"study/{stem}-{'ds' if own else 'fixed'}-0.5.tsv"
        assert promised(log) == {(row["guarantee"], row["bound"])}
