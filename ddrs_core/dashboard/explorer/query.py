"""Links into the explorer: from query parameters, which may come from anywhere, to a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ddrs_core.dashboard.common.model_choice import PICTURES, start_sigma
from ddrs_core.dashboard.explorer.picture_picker import example_picture
from ddrs_core.dashboard.explorer.view import (
    MAX_N,
    MAX_SEED,
    PACES,
    ExplorerView,
    default_n,
    default_view,
    started_at,
    with_parameters,
)
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import DDRSError, InvalidParameterError, unknown_name
from ddrs_core.models import check_shape, get_card
from ddrs_core.parameters import values_of
from ddrs_core.smoothing import get_preset

Reader = Callable[[ExplorerView, str], ExplorerView]


def parse_query(query: Mapping[str, str]) -> tuple[ExplorerView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    What cannot be used is replaced by its default, and a sentence says so.

    Returns:
        A valid view, and the sentences.
    """
    problems: list[str] = []
    view = default_view()
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
    if text not in PACES:
        raise unknown_name("pace", text, list(PACES))
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
}
