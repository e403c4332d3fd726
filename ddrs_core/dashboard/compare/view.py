"""What the comparison page shows, on its way between the link, the widgets and the session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import streamlit as st

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.common.result_sources import find_set, run_titles
from ddrs_core.dashboard.compare.shown import MOST_SETS, default_shown
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted
from ddrs_core.store import open_store

VIEW = Form(keys.COMPARE)  # its fields are named like those of the view
_LONGEST_NAME = 200
DIFFERENCES, IMAGES, SIGMAS, RUNS, FILES = "differences", "images", "sigmas", "runs", "files"
TABS = {
    DIFFERENCES: "Differences",
    IMAGES: "Images",
    SIGMAS: "Noise levels",
    RUNS: "Runs",
    FILES: "Import & export",
}


@dataclass(frozen=True)
class CompareView:
    """The sets that are compared, by name, and what is looked at closely."""

    shown: Sequence[str]
    a: str | None = None  # of the pair; None: the page chooses
    b: str | None = None
    sigmas: str | None = None  # whose noise levels are shown
    image: int | None = None
    envelope: bool = False
    published: bool = False
    tab: str | None = None  # a key of TABS; None: the image if there is one, else the differences

    @property
    def opened(self) -> str:
        """The tab that is open."""
        return self.tab or (IMAGES if self.image is not None else DIFFERENCES)

    def to_query(self) -> dict[str, str]:
        """The view as query parameters; pair and sigmas as places among the sets, from 1."""
        if not self.shown:
            return {}
        query = {keys.SHOW: ",".join(self.shown)}
        if self.a in self.shown and self.b in self.shown:
            query[keys.PAIR] = f"{self._place(self.a)}-{self._place(self.b)}"
        if self.sigmas in self.shown:
            query[keys.SIGMAS] = str(self._place(self.sigmas))
        if self.image is not None:
            query[keys.IMAGE] = str(self.image)
        if self.opened != replace(self, tab=None).opened:
            query[keys.TAB] = self.opened
        switches = ((keys.ENVELOPE, self.envelope), (keys.PUBLISHED, self.published))
        return query | {name: "1" for name, on in switches if on}

    def _place(self, name: str | None) -> int:
        return 1 + self.shown.index(name or "")


def parse_query(query: Mapping[str, str]) -> tuple[CompareView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    Returns:
        A view of what is there, and a sentence for everything that could not be used.
    """
    problems: list[str] = []
    names: list[str] = []
    if keys.RUN in query:
        try:
            names += run_titles(open_store().run(query[keys.RUN][:_LONGEST_NAME]))
        except DDRSError as error:
            problems.append(f"The link's run could not be used: {error}")
    asked = [name[:_LONGEST_NAME] for name in query.get(keys.SHOW, "").split(",") if name]
    if len(asked) > MOST_SETS:
        problems.append(
            f"The link names {counted(len(asked), 'set')} of results; {MOST_SETS} are shown."
        )
    for name in asked[:MOST_SETS]:
        try:
            find_set(name)
            names.append(name)
        except DDRSError as error:
            problems.append(f"Results in the link could not be used: {error}")
    shown = tuple(dict.fromkeys(names)) or default_shown()
    a, b = (_at(shown, place) for place in (query.get(keys.PAIR, "") + "-").split("-")[:2])
    image = query.get(keys.IMAGE, "")
    view = CompareView(
        shown,
        a,
        b,
        _at(shown, query.get(keys.SIGMAS, "")),
        int(image) if _is_count(image) else None,
        query.get(keys.ENVELOPE) == "1",
        query.get(keys.PUBLISHED) == "1",
        tab if (tab := query.get(keys.TAB)) in TABS else None,
    )
    return view, list(dict.fromkeys(problems))


def enter_compare() -> None:
    """Fill the widgets on a first visit or page switch: from the link, else as they were."""
    fill_on_arrival("compare", _fill_widgets)


def _fill_widgets() -> None:
    state = st.session_state
    query = st.query_params.to_dict()
    if {keys.SHOW, keys.RUN, keys.TAB} & query.keys():
        view, state[keys.COMPARE_PROBLEMS] = parse_query(query)
    else:
        state[keys.COMPARE_PROBLEMS] = []
        if "tab" in VIEW:  # the last; the widgets still hold all
            return
        view = CompareView(default_shown())
    VIEW.fill({**vars(view), "tab": view.opened})


def show_sets(names: list[str]) -> None:
    """Let the page compare these sets, from now on."""
    VIEW["shown"] = names[:MOST_SETS]
    st.session_state[keys.COMPARE_PROBLEMS] = []


def pick_image(image: int) -> None:
    """Choose an image, and show it."""
    VIEW.fill({"image": image, "tab": IMAGES})


def write_url() -> None:
    """Let the link restore this view."""
    view = CompareView(**VIEW.values(field.name for field in fields(CompareView)))
    set_query(view.to_query())


def _at(shown: tuple[str, ...], place: str) -> str | None:
    """The name at a place from 1; None where there is none."""
    return shown[int(place) - 1] if _is_count(place) and 1 <= int(place) <= len(shown) else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
