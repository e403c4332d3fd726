"""Links into the explorer: from the URL, whose parameters may come from anywhere, to the widgets,
and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from ddrs_core.dashboard.common.model_choice import PICTURES, start_sigma
from ddrs_core.dashboard.explorer.examples import get_example
from ddrs_core.dashboard.explorer.picture_picker import example_picture
from ddrs_core.dashboard.explorer.strategy_form import seed_widgets
from ddrs_core.dashboard.explorer.view import (
    AUTO_PACE,
    COVERS,
    MAX_N,
    MAX_SEED,
    PACES,
    ExplorerView,
    default_n,
    default_view,
    started_at,
    with_parameters,
)
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.dashboard.shell.my_uploads import remember_upload
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import DDRSError, InvalidParameterError, unknown_name
from ddrs_core.jobs import Job
from ddrs_core.models import UPLOAD_PREFIX, check_shape, get_card
from ddrs_core.parameters import values_of
from ddrs_core.smoothing import Bound, get_preset

_KEPT = (keys.JOB, keys.CERTIFY_JOBS)
_MEANT = ("dataset", "model", "image", "preset", "sigma0", "seed", "n", "n0", "alpha", "bound")
Reader = Callable[[ExplorerView, str], ExplorerView]


@dataclass(frozen=True)
class Pin:
    """A run that stays on the axes beside the others."""

    view: ExplorerView
    certified: bool = False  # whether a link has to certify it

    @property
    def query(self) -> dict[str, str]:
        """Its view as query parameters; where it runs, and how fast, is that of the page."""
        own = replace(self.view, hand=None, cover="").to_query()
        own = {name: value for name, value in own.items() if name not in ("device", "pace")}
        return {**own, "certified": "1"} if self.certified else own

    def text_beside(self, view: ExplorerView) -> str:
        """In a link to another view: in what the pinned run differs, and its image."""
        shown = view.to_query()
        same = {(name, shown[name]) for name in _MEANT if name != "image"}
        return urlencode([part for part in self.query.items() if part not in same])


def open_example(name: str) -> None:
    """Let the widgets show an example."""
    seed_widgets(get_example(name).view)
    st.session_state.update({keys.PROBLEMS: [], keys.STARTED: False, keys.EMPTIED: None})


def enter_explorer() -> None:
    """Fill the widgets on a first visit or page switch: from the URL, else as they were."""
    fill_on_arrival("explorer", _fill_widgets)


def _fill_widgets() -> None:
    state = st.session_state
    query = st.query_params.to_dict()
    state[keys.HELD] = query.get(keys.DRAGGED, "")
    if query:
        view, state[keys.PROBLEMS] = parse_query(query)
        state[keys.PINNED] = parse_pin(query, view) if keys.PIN in query else None
        state[keys.STARTED] = False  # a link whose job is gone repeats the computation
    elif keys.SAVED_VIEW in state:  # which the widgets still hold
        state[keys.PROBLEMS] = []
        st.query_params.update(state[keys.SAVED_JOBS])
        return
    else:
        view, state[keys.PROBLEMS] = default_view(), []
    if view.is_picture:
        remember_upload("picture", view.dataset)
    if view.model.startswith(UPLOAD_PREFIX):
        remember_upload("model", view.model)
    seed_widgets(view)


def write_url(view: ExplorerView, job: Job | None, pin: Pin | None = None) -> None:
    """Let the URL restore this view, and remember it for the way back from another page."""
    wanted = view.to_query()
    if pin is not None:
        wanted[keys.PIN] = pin.text_beside(view)
    if job is not None:
        if not job.request.stored:
            wanted[keys.JOB] = job.id
        if keys.CERTIFY_JOBS in st.query_params:
            wanted[keys.CERTIFY_JOBS] = st.query_params[keys.CERTIFY_JOBS]
    set_query(wanted)
    st.session_state[keys.SAVED_VIEW] = view
    st.session_state[keys.SAVED_JOBS] = {k: wanted[k] for k in _KEPT if k in wanted}


def parse_query(query: Mapping[str, str]) -> tuple[ExplorerView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    What cannot be used is replaced by its default, and a sentence says so.

    Returns:
        A valid view, and the sentences.
    """
    problems: list[str] = []
    view = default_view()
    if "example" in query:
        view = _try(view, {"example": _example}, query, problems)
    elif _READERS.keys() & query.keys():  # links without a bound are from when one-sided was usual
        query = {"bound": Bound.ONE_SIDED.value, **query}
    for name, read in _READERS.items():
        if name in query:
            view = _try(view, {name: read}, query, problems)
    known = {name: _parameter_reader(name) for name in values_of(view.config) if name in query}
    together: list[str] = []
    changed = _try(view, known, query, together)  # bounds make sense as a pair only
    if not together:
        return changed, problems
    for name, read in known.items():
        view = _try(view, {name: read}, query, problems)
    return view, problems


def parse_pin(query: Mapping[str, str], view: ExplorerView) -> Pin | None:
    """The pinned run of a link to a view; None where it cannot be used."""
    its = dict(parse_qsl(query[keys.PIN][:2000]))
    base = {name: text for name, text in view.to_query().items() if name in _MEANT}
    pinned, problems = parse_query({**base, **its})
    shown = replace(pinned, device=view.device, hand=None, cover="")
    return None if problems else Pin(shown, its.get("certified") == "1")


def _try(
    view: ExplorerView, readers: Mapping[str, Reader], query: Mapping[str, str], problems: list[str]
) -> ExplorerView:
    """The view with these parts of the query, or as it was and one problem more."""
    changed, name = view, ""
    try:
        for name, read in readers.items():
            changed = read(changed, query[name][:200])
        return changed.check()
    except DDRSError as error:
        problems.append(f"The link's {name} could not be used: {error}")
        return view


def _example(view: ExplorerView, text: str) -> ExplorerView:
    return get_example(text).view


def _dataset(view: ExplorerView, text: str) -> ExplorerView:
    if text == view.dataset:
        return view
    name = example_picture() if text == PICTURES else text
    return default_view(get_dataset_info(name).name)


def _model(view: ExplorerView, text: str) -> ExplorerView:
    card = get_card(text)
    check_shape(card, get_dataset_info(view.dataset))
    of_model = replace(view, model=card.name).with_budget(n=default_n(card.name, view.device))
    return started_at(of_model, start_sigma(card, view.preset))


def _preset(view: ExplorerView, text: str) -> ExplorerView:
    preset = get_preset(text)
    sigma_0 = start_sigma(view.card, preset.name)
    return replace(view, preset=preset.name, config=preset.at(sigma_0), sigma_0=sigma_0)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidParameterError(f"{text[:40]!r} is not a number.") from None


def _whole(text: str, largest: int) -> int:
    number = _number(text)
    if not number.is_integer() or not 0 <= number <= largest:
        raise InvalidParameterError(f"{text[:40]!r} is not a whole number from 0 to {largest:,}.")
    return int(number)


def _pace(text: str) -> str:
    if text not in (AUTO_PACE, *PACES):
        raise unknown_name("pace", text, [AUTO_PACE, *PACES])
    return text


def _cover(text: str) -> str:
    if text not in COVERS:
        raise unknown_name("certificate to look into", text, COVERS[1:])
    return text


def _parameter_reader(name: str) -> Reader:
    def read(view: ExplorerView, text: str) -> ExplorerView:
        return replace(view, config=with_parameters(view.config, {name: _number(text)}))

    return read


_READERS: dict[str, Reader] = {
    "dataset": _dataset,
    "model": _model,
    "device": lambda view, text: replace(view, device=text),
    "label": lambda view, text: replace(view, label=_whole(text, 10**6)),
    "image": lambda view, text: replace(view, index=_whole(text, 10**9)),
    "preset": _preset,
    "sigma0": lambda view, text: started_at(view, _number(text)),
    "seed": lambda view, text: view.with_budget(seed=_whole(text, MAX_SEED)),
    "alpha": lambda view, text: view.with_budget(alpha=_number(text)),
    "n": lambda view, text: view.with_budget(n=_whole(text, MAX_N)),
    "n0": lambda view, text: view.with_budget(n0=_whole(text, MAX_N)),
    "bound": lambda view, text: view.with_budget(bound=text),
    "pace": lambda view, text: replace(view, pace=_pace(text)),
    "hand": lambda view, text: replace(view, hand=_number(text)),
    "cover": lambda view, text: replace(view, cover=_cover(text)),
}
