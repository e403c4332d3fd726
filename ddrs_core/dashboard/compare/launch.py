"""The cost of the chosen certification, and the button that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.common.result_sources import run_titles
from ddrs_core.dashboard.common.speed_jobs import Measurement, measure
from ddrs_core.dashboard.common.start_panel import PlannedRun, show_start_panel
from ddrs_core.dashboard.compare.exports import show_commands
from ddrs_core.dashboard.compare.form import read_form
from ddrs_core.dashboard.compare.view import show_sets
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs.runs import start_certification
from ddrs_core.models import get_card, resolve_device
from ddrs_core.runs.certify.config import CertifyConfig, open_plan
from ddrs_core.runs.cost import CertificationCost, certification_cost, time_text, vote_rate


def show_start() -> None:
    """The cost of the chosen certification, the button that starts it, and its command lines."""
    show_start_panel("Certify", ":material/verified:", _plan)


def _plan() -> PlannedRun:
    configs = read_form()
    images = len(open_plan(configs[0])[1])
    cost = certification_cost(configs, images, get_card(configs[0].model).num_classes)
    return PlannedRun(
        f"certify {configs}",
        partial(_measurement, configs[0]),
        partial(cost_text, cost),
        partial(start_certification, configs, visitor(), title=configs[0].model),
        lambda run: show_sets(list(run_titles(run))),
        partial(show_commands, configs),
    )


def _measurement(config: CertifyConfig) -> Measurement:
    """Votes a second, measured for all visitors."""
    device = str(resolve_device(config.device))
    key = f"votes|{config.model}|{device}"

    def start() -> Iterator[float]:
        forward = get_forward(config.model, device)
        assert forward.shape is not None
        yield vote_rate(forward, forward.shape)

    return measure(key, f"speed of {config.model}", "votes", device, start)


def cost_text(cost: CertificationCost, found: Measurement) -> str:
    """What a certification will cost, in a few sentences."""
    if found.speed is not None:
        return f"{cost} {time_text(cost, found.speed.value, '**')} ({found.how}). {found.busy}"
    return f"{cost} Measuring how fast this machine is." if found.moving else str(cost)
