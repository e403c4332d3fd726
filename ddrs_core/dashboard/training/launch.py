"""The cost of the chosen training run, and the button that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import streamlit as st

from ddrs_core.dashboard.common.speed_jobs import Measurement, measure
from ddrs_core.dashboard.common.start_panel import PlannedRun, show_start_panel
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.dashboard.training.form import FORM, read_form
from ddrs_core.dashboard.training.selected_run import show_run
from ddrs_core.data import get_dataset_info, load_dataset
from ddrs_core.jobs.runs import start_training
from ddrs_core.models import resolve_device
from ddrs_core.quantities import counted, duration, two_digits
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.cost import passes_per_image, training_rates
from ddrs_core.training import TrainConfig


def show_start() -> None:
    """The cost of the chosen run, the button that starts it, and its command line."""
    show_start_panel("Train", ":material/play_arrow:", _plan)


def _plan() -> PlannedRun:
    config, device = read_form(), FORM["device"]
    command = command_lines([config], "--out", "my-models")
    return PlannedRun(
        f"train {config} on {device}",
        partial(_measurement, config, device),
        partial(training_cost, config),
        partial(start_training, config, visitor(), device=device),
        show_run,
        partial(st.code, command, language="bash", wrap_lines=True),
    )


def _measurement(config: TrainConfig, device: str) -> Measurement:
    """Passes of the architecture in a second, timed for all visitors."""
    device = str(resolve_device(device))
    info = get_dataset_info(config.dataset)
    key = f"passes|{config.architecture}|{info.shape}|{info.num_classes}|{device}"

    def start() -> Iterator[float]:
        return training_rates(config.architecture, info, resolve_device(device))

    return measure(key, f"speed of {config.architecture}", "passes", device, start)


def training_cost(config: TrainConfig, found: Measurement) -> str:
    """What a training run will cost, in a few sentences."""
    passes = passes_per_image(config)
    images = len(load_dataset(config.dataset, "train"))
    each = counted(passes, "forward and backward pass")
    said = f"An epoch needs {each} for each of {counted(images, 'image')}."
    if found.speed is None:
        return said
    seconds = passes * images * config.epochs / found.speed.value
    whole = duration(two_digits(max(seconds, 1.0)))
    return f"{said} All {config.epochs:,}: about {whole} ({found.how}). {found.busy}"
