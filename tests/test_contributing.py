"""What CONTRIBUTING.md shows is what stands in the project."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "ddrs_core/data/builtin/digits.py",
        "ddrs_core/models/architectures/lenet.py",
        "ddrs_core/training/methods/gaussian.py",
    ],
)
def test_a_file_is_shown_as_it_is(path: str) -> None:
    assert path in TEXT
    assert f"```python\n{(ROOT / path).read_text(encoding='utf-8')}```" in TEXT


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("ddrs_core/data/registry.py", '    "digits": '),
        ("ddrs_core/models/architectures/__init__.py", '        Architecture("lenet"'),
        ("ddrs_core/training/methods/registry.py", '    "gaussian": '),
    ],
)
def test_the_registration_is_the_real_one(path: str, start: str) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(start)]
    assert f"```python\n{line}\n```" in TEXT
