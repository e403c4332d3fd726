"""What the memory page shows, on its way between the link, the widgets and the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ddrs_core.dashboard.common.banks import DEMO, open_context
from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.link_view import fill_from_link, read_view
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.smoothing import DEFAULT_PRESET, Bound, list_presets

FORM = Form(keys.MEMORY)  # its fields are named like those of the view
_LONGEST = 100  # characters of a value in a link


class Section(StrEnum):
    """The parts of the page."""

    BANK = "bank"
    QUERY = "query"
    COLLISIONS = "collisions"
    ORDER = "order"


class Way(StrEnum):
    """How a query moves away from its image."""

    IMAGE = "image"
    NOISE = "noise"
    GRADIENT = "gradient"


N_CHOICES = (100, 1_000, 10_000, 100_000)
POINT_CHOICES = (5, 9, 13, 21, 41)
SHUFFLE_CHOICES = (5, 20, 50, 100, 200)
FIXED = "fixed"  # no strategy: sigma_0 for all
STRATEGY_CHOICES = (*(preset.name for preset in list_presets()), FIXED)
_LAST = 10**7  # no number in a link is larger


@dataclass(frozen=True)
class MemoryView:
    """All choices of the page. The images open on a collision of the demo bank."""

    bank: str = DEMO
    section: Section = Section.BANK
    image: int = 364  # of the query
    way: Way = Way.IMAGE
    target: int = 45
    far: int = 30  # per cent of the way
    noise: int = 0  # seed of the direction
    strategy: str = DEFAULT_PRESET
    sigma: float = 0.0  # sigma_0; 0: the model's own
    bound: str = Bound.TWO_SIDED.value
    n: int = 10_000
    first: int = 45  # of the walk
    second: int = 364
    points: int = 13
    walk_n: int = 1_000
    hunted: int = 45
    arrival: int = 0  # replayed up to here; 0: to the end
    shuffles: int = 20

    def to_query(self) -> dict[str, str]:
        """The view as query parameters: the bank, the section, strategy and bound, and what differs
        there."""
        usual = MemoryView()
        shown = [
            name
            for name in _OF_SECTION[self.section]
            if name in ("strategy", "bound") or getattr(self, name) != getattr(usual, name)
        ]
        return {name: str(getattr(self, name)) for name in ("bank", "section", *shown)}


_CERTIFICATION = ("strategy", "sigma", "bound")
_OF_SECTION = {
    Section.BANK: (),
    Section.QUERY: ("image", "way", "target", "far", "noise", *_CERTIFICATION, "n"),
    Section.COLLISIONS: ("first", "second", "points", "walk_n", "hunted", *_CERTIFICATION),
    Section.ORDER: ("arrival", "shuffles"),
}


def parse_query(query: Mapping[str, str]) -> tuple[MemoryView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    Returns:
        A view of what is there, and a sentence for everything that could not be used.
    """
    if query.get("section") in (Section.QUERY, Section.COLLISIONS):
        # links without a bound are from when one-sided was usual
        query = {"bound": Bound.ONE_SIDED.value, **query}
    return read_view(MemoryView(), query, _READERS, _LONGEST)


def enter_memory() -> None:
    """Fill the widgets of all sections on a first visit, and from a link."""
    fill_from_link("memory", FORM, keys.MEMORY_PROBLEMS, parse_query)


def current_view() -> MemoryView:
    """The choices as the widgets have them."""
    return FORM.view(MemoryView)


def write_url() -> None:
    """Let the link restore this view."""
    set_query(current_view().to_query())


def _bank(text: str) -> str:
    return open_context(text).token


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not 0 <= number <= _LAST:
        raise ValueError
    return number


def _percent(text: str) -> int:
    if _count(text) > 100:
        raise ValueError
    return _count(text)


def _sigma(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 10:
        raise ValueError
    return number


def _one_of(choices: tuple[Any, ...]) -> Callable[[str], Any]:
    return lambda text: {str(choice): choice for choice in choices}.get(text) or _refuse()


def _refuse() -> Any:
    raise ValueError


_READERS: dict[str, Callable[[str], Any]] = {
    "bank": _bank,
    "section": _one_of(tuple(Section)),
    "way": _one_of(tuple(Way)),
    "strategy": _one_of(STRATEGY_CHOICES),
    "sigma": _sigma,
    "bound": _one_of(tuple(bound.value for bound in Bound)),
    "far": _percent,
    "n": _one_of(N_CHOICES),
    "walk_n": _one_of(N_CHOICES),
    "points": _one_of(POINT_CHOICES),
    "shuffles": _one_of(SHUFFLE_CHOICES),
    **dict.fromkeys(("image", "target", "noise", "first", "second", "hunted", "arrival"), _count),
}
