"""The cost of the chosen certification, and the button that starts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import streamlit as st

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.common.speed_jobs import Measurement, measure
from ddrs_core.dashboard.compare.command import show_commands
from ddrs_core.dashboard.compare.sources import run_titles
from ddrs_core.dashboard.compare.view import show_sets
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.once import once_per_click
from ddrs_core.dashboard.shell.polling import draw_each_second, redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.jobs.runs import start_certification
from ddrs_core.models import resolve_device
from ddrs_core.quantities import counted, duration
from ddrs_core.runs.certify.config import CertifyConfig, open_plan
from ddrs_core.runs.cost import expected_votes_of_all, vote_rate

_CERTIFY, _ICON = "Certify", ":material/verified:"


def show_no_start(error: DDRSError) -> None:
    """Why the chosen run cannot be started."""
    st.button(_CERTIFY, type="primary", icon=_ICON, width="stretch", disabled=True)
    show_error(error)


def show_start(configs: Sequence[CertifyConfig]) -> None:
    """What the run will cost, the button that starts it, and its command line."""
    images = len(open_plan(configs[0])[1])
    moving = _measurement(configs[0]).moving

    def draw() -> bool:
        found = _measurement(configs[0])
        _show_cost(configs, images, found)
        return moving and not found.moving

    draw_each_second(draw, moving=moving, may_move=True)
    if st.button(_CERTIFY, type="primary", icon=_ICON, width="stretch"):
        try:
            start = partial(start_certification, configs, visitor(), title=configs[0].model)
            run = once_per_click(f"certify {configs}", start)
        except DDRSError as error:
            show_error(error)
        else:
            show_sets(list(run_titles(run)))
            redraw()
    with st.expander("Command line", icon=":material/terminal:"):
        show_commands(configs)


def _measurement(config: CertifyConfig) -> Measurement:
    """Votes a second, measured for all visitors."""
    device = str(resolve_device(config.device))
    key = f"votes|{config.model}|{device}"

    def start() -> Iterator[float]:
        forward = get_forward(config.model, device)
        assert forward.shape is not None
        yield vote_rate(forward, forward.shape)

    return measure(key, f"speed of {config.model}", "votes", device, start)


def _show_cost(configs: Sequence[CertifyConfig], images: int, found: Measurement) -> None:
    votes = expected_votes_of_all(configs, images)
    said = (
        f"{counted(images, 'image')} in {counted(len(configs), 'setting')}: about "
        f"{counted(int(_rounded(votes)), 'forward pass')}."
    )
    if found.speed is not None:
        rate = found.speed.value
        seconds = duration(_rounded(max(1.0, votes / rate)))
        said += (
            f" At {_rounded(rate):,.0f} a second, that is **about {seconds}** ({found.how})."
            f" {found.busy}"
        )
    elif found.moving:
        said += " Measuring how fast this machine is."
    st.caption(said.rstrip())


def _rounded(number: float) -> float:
    """Two digits; the rest would be a false promise."""
    return float(f"{number:.1e}")
