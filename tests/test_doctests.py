"""The examples in the docstrings of ``ddrs_core`` below the dashboard run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "ddrs_core").rglob("*.py"))
    if "dashboard" not in path.parts and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, one_thread: None) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_public_ways_in_have_an_example() -> None:
    expected = {
        "ddrs_core.models.registry",
        "ddrs_core.smoothing.certificate",
        "ddrs_core.smoothing.classifier",
        "ddrs_core.smoothing.memory.rules",
        "ddrs_core.smoothing.sigma.ascent",
        "ddrs_core.smoothing.sigma.search",
        "ddrs_core.store.bank.bank",
    }
    assert expected - set(MODULES) == set()
