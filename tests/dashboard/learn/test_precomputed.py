"""What the lessons show is what their code computes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import pytest

from ddrs_core.dashboard.learn import course  # noqa: F401, the lessons add what they compute
from ddrs_core.dashboard.learn.precomputed import COMPUTE, FOLDER, read_file

_PACKED = {"z": "<i2", "freshZ": "<f4", "window": "<f8", "weight": "<f8", "bias": "<f8"}


def assert_near(found: Any, expected: Any, name: str) -> None:
    """Equal text and structure, and numbers that differ by no more than the rounding of machines
    moves a few of some thousand votes."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), name
        for key in expected:
            assert_near(found[key], expected[key], key)
    elif isinstance(expected, list):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other, name)
    elif name in _PACKED and isinstance(expected, str):
        arrays = [
            np.frombuffer(base64.b64decode(text), _PACKED[name]) for text in (found, expected)
        ]
        if name == "z":  # whole numbers; a cell at a border may fall to either class
            apart = np.abs(arrays[0].astype(int) - arrays[1])
            assert apart.max() <= 60
            assert (apart > 2).mean() < 1e-3
        else:
            np.testing.assert_allclose(*arrays, rtol=1e-3, atol=1e-3, err_msg=name)
    elif isinstance(expected, bool | str | None):
        assert found == expected, name
    else:
        assert found == pytest.approx(expected, rel=0.02, abs=0.01), name


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_the_files_are_what_would_be_computed_now(name: str) -> None:
    found, expected = (gzip.decompress(data) for data in (COMPUTE[name](), read_file(name)))
    assert_near(json.loads(found), json.loads(expected), name)


def test_every_file_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(COMPUTE)
