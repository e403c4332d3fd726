"""What the failures page shows, on its way between the link, the widgets and the session."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.link_view import fill_from_link, read_view
from ddrs_core.dashboard.common.result_sources import STUDY, find_set
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.smoothing.diagnosis import FailureKind

FORM = Form(keys.FAILURES)  # its fields are named like those of the view
ALL, FAILED = "all", "failed"  # values of ``kind`` beside the kinds themselves
NONE = "none"  # no second set
ANY = -2  # of the classes
RANGES = ("sigma_from", "sigma_to", "radius_from", "radius_to")
FILTERS = ("kind", "label", "answer", "lost", *RANGES)
_LONGEST = 200  # characters of a value in a link
LARGEST = 100.0  # radius and noise level


class Sort(StrEnum):
    """The order of the images."""

    INDEX = "index"
    MARGIN = "margin"
    RADIUS = "radius"
    REGRET = "regret"
    ATTACK = "attack"


class Shape(StrEnum):
    """How the images are listed."""

    PICTURES = "pictures"
    TABLE = "table"


@dataclass(frozen=True)
class FailuresView:
    """All choices of the page; it opens on a log of the shipped study."""

    results: str = STUDY + "digits-gaussian-0.50-fixed-0.5"
    against: str = NONE
    radius: float = 0.5
    kind: str = FAILED
    label: int = ANY
    answer: int = ANY  # -1: abstained
    lost: bool = False  # only what the other set certifies and this one does not
    sort: Sort = Sort.INDEX
    shape: Shape = Shape.PICTURES
    image: int = -1  # -1: the first
    sigma_from: float | None = None  # None: any
    sigma_to: float | None = None
    radius_from: float | None = None  # of the certified radius
    radius_to: float | None = None

    def to_query(self) -> dict[str, str]:
        """The view as query parameters: results, radius, and what differs from where it opens."""
        usual = FailuresView()
        return {
            field.name: _text(getattr(self, field.name))
            for field in fields(self)
            if field.name in ("results", "radius")
            or getattr(self, field.name) != getattr(usual, field.name)
        }


def parse_query(query: Mapping[str, str]) -> tuple[FailuresView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    Returns:
        A view of what is there, and a sentence for everything that could not be used.
    """
    return read_view(FailuresView(), query, _READERS, _LONGEST)


def enter_failures() -> None:
    """Fill the widgets on a first visit, and from a link."""
    fill_from_link("failures", FORM, keys.FAILURES_PROBLEMS, parse_query)


def current_view() -> FailuresView:
    """The choices as the widgets have them."""
    return FORM.view(FailuresView)


def forget_image() -> None:
    """Show the first image of what is kept now."""
    FORM["image"] = -1


def keep(**filters: Any) -> None:
    """Set filters, and take all others away."""
    usual = {name: getattr(FailuresView(), name) for name in FILTERS}
    FORM.fill(usual | filters)
    forget_image()


def write_url() -> None:
    """Let the link restore this view."""
    set_query(current_view().to_query())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def _set(text: str) -> str:
    find_set(text)
    return text


def _other_set(text: str) -> str:
    return NONE if text == NONE else _set(text)


def _amount(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and 0 <= number <= LARGEST):
        raise ValueError
    return number


def _kind(text: str) -> str:
    if text not in (ALL, FAILED, *(kind.value for kind in FailureKind)):
        raise ValueError
    return text


def _whole(text: str) -> int:
    number = int(text)
    if not ANY <= number <= 10**7:
        raise ValueError
    return number


_READERS: dict[str, Any] = {
    "results": _set,
    "against": _other_set,
    "radius": _amount,
    "kind": _kind,
    "label": _whole,
    "answer": _whole,
    "lost": lambda text: text == "1",
    "sort": Sort,
    "shape": Shape,
    "image": _whole,
    **dict.fromkeys(RANGES, _amount),
}
