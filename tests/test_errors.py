"""Messages name what was expected and what came."""

from __future__ import annotations

import math

import pytest

from ddrs_core.errors import (
    DDRSError,
    InvalidParameterError,
    require_count,
    require_number,
    unknown_name,
)


def test_a_near_name_is_proposed() -> None:
    message = str(unknown_name("data set", "digist", ["digits", "cifar10"]))
    assert "'digist'" in message
    assert "'digits'" in message
    assert "cifar10" not in message


def test_without_a_near_name_all_are_listed() -> None:
    message = str(unknown_name("model", "zzz", ["first", "second"]))
    assert "first" in message
    assert "second" in message


def test_of_many_names_the_first_are_listed() -> None:
    message = str(unknown_name("model", "zzz", [f"{n}-{n}-{n}" for n in range(100)]))
    assert "0-0-0" in message
    assert "and 92 more" in message


def test_a_hostile_name_is_cut() -> None:
    assert len(str(unknown_name("model", "x" * 100_000, []))) < 200


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 1.0, -3, "one", None, [2]])
def test_numbers_outside_the_open_interval_are_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError, match="alpha"):
        require_number("alpha", value, above=0.0, below=1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_numbers_too_large_for_a_float_are_refused(value: int) -> None:
    with pytest.raises(InvalidParameterError):
        require_number("sigma", value)
    with pytest.raises(InvalidParameterError):
        require_count("n", value)


@pytest.mark.parametrize("value", [0, -1, 2.5, math.nan, math.inf, True, "many", None, 11])
def test_counts_must_be_whole_and_in_range(value: object) -> None:
    with pytest.raises(InvalidParameterError, match="steps"):
        require_count("steps", value, at_most=10)  # type: ignore[arg-type]


def test_good_values_pass() -> None:
    assert require_number("sigma", "0.25") == 0.25  # type: ignore[arg-type]
    assert require_count("n", 1e3) == 1000  # type: ignore[arg-type]


def test_one_family() -> None:
    assert issubclass(InvalidParameterError, DDRSError)
