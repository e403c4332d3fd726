"""What the training page says about a run, as HTML for its board."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from ddrs_core.dashboard.components.progress import progress_bar
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.training.selected_run import Shown, is_measured
from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.figures import quantiles
from ddrs_core.models import ModelCard, get_card, read_card
from ddrs_core.quantities import counted, duration
from ddrs_core.runs.training.recorded import run_files
from ddrs_core.store import RunRecord, RunState
from ddrs_core.training import EpochSummary


def progress_html(shown: Shown) -> Markup:
    """How far the run is."""
    run = shown.run
    if run is None:
        example = f"Example: the training log of the shipped model {shown.name}"
        seconds = sum(e.seconds for e in shown.epochs)
        return progress_bar([example, counted(len(shown.epochs), "epoch"), duration(seconds)])
    done = shown.progress.done if shown.progress else 0.0
    return progress_bar(
        _state_of(shown, run),
        1.0 if run.state is RunState.FINISHED else done,
        label=f"Training of {shown.name}",
        failed=run.state in (RunState.FAILED, RunState.INTERRUPTED),
    )


def _state_of(shown: Shown, run: RunRecord) -> list[str]:
    """Where a run stands, in the parts of a line."""
    progress = shown.progress
    place = f"epoch {progress.epoch} of {progress.epochs}" if progress and progress.epoch else ""
    match run.state:
        case RunState.WAITING if progress and progress.ahead:
            return ["waiting", f"{counted(progress.ahead, 'run')} before it on this device"]
        case RunState.RUNNING if is_measured(shown):
            return ["trained, measuring its accuracy on test images", place]
        case RunState.RUNNING if progress is not None:
            speed, left = progress.images_per_second, progress.seconds_left
            doing = run.standing if run.gives_way else "training"
            return [
                "stopping, its state is being saved" if run.wanted else doing,
                place,
                f"batch {progress.batch:,} of {progress.batches:,}",
                f"{counted(round(speed), 'image')}/s" if speed else "",
                f"{duration(left)} left" if left is not None else "",
            ]
        case RunState.WAITING | RunState.RUNNING:
            return ["starting: its process loads torch and the images", place]
        case RunState.PAUSED | RunState.CANCELLED:
            return ["stopped", place, "Resume continues where it was"]
        case RunState.INTERRUPTED:
            return [
                "interrupted",
                place,
                "its process ended unexpectedly, as when a machine restarts",
                "Resume continues from the last saved state",
            ]
        case RunState.FAILED:
            return ["failed", run.error]
    return ["finished", counted(run.config["epochs"], "epoch")]


def outcome_html(shown: Shown) -> Markup:
    """What came out, or a warning that nothing will."""
    last = shown.epochs[-1] if shown.epochs else None
    card = _card(shown)
    return render(
        "training/outcome.html",
        broken=next((e.epoch for e in shown.epochs if not math.isfinite(e.loss)), None)
        if last is not None and not math.isfinite(last.loss)
        else None,
        accuracy=card.accuracy if card is not None else {},
        smoothed=next((e.smoothed for e in reversed(shown.epochs) if e.smoothed), None),
        sigma=shown.sigma,
        excluded=last.excluded if last is not None else "",
    )


def _card(shown: Shown) -> ModelCard | None:
    """The card of the model that the run made; None while there is none."""
    try:
        if shown.run is None:
            return get_card(shown.name)
        return (
            read_card(run_files(shown.run).model) if shown.run.state is RunState.FINISHED else None
        )
    except DDRSError:
        return None


def sigma_texts(shown: Shown, at: EpochSummary | None) -> dict[str, str]:
    """What is said about the sigmas after one epoch, and the images that moved most."""
    if at is None or at.sigma is None:
        return {
            "sigma-title": "Noise levels of the training images",
            "moved-title": "Images whose σ moved most",
            "moved-note": "They appear after the first epoch.",
        }
    low, middle, high = quantiles(at.sigma, (0.1, 0.5, 0.9))
    found = f"Median {middle:.3f}; eight of ten images lie between {low:.3f} and {high:.3f}."
    return {
        "sigma-title": f"Noise levels after epoch {at.epoch}",
        "sigma-note": found,
        "moved-title": f"Images whose σ moved most by epoch {at.epoch}",
        "moved": _moved(shown, at),
    }


def _moved(shown: Shown, at: EpochSummary) -> str:
    """Two rows of thumbnails: the smallest sigmas and the largest ones."""
    assert at.sigma is not None
    below = sorted((s, i) for i, s in at.sigma.moved if s < shown.sigma)
    above = sorted(((s, i) for i, s in at.sigma.moved if s > shown.sigma), reverse=True)
    if not below and not above:
        start = shown.config["data_dependent"].get("start", 0)
        wait = f" They begin to move after {counted(int(start), 'epoch')}." if start else ""
        return f"No sigma has moved yet.{wait}"
    rows = [
        (title, [_image(shown.config["dataset"], i, s) for s, i in found])
        for title, found in (("Less noise than at the start", below), ("More noise", above))
        if found
    ]
    return render("training/moved.html", rows=rows)


def _image(name: str, index: int, sigma: float) -> dict[str, Any]:
    """A training image with its sigma; without its picture where the data set is not available."""
    known: dict[str, Any] = {"index": index, "sigma": sigma, "src": ""}
    try:
        dataset = load_dataset(name, "train")
        label = dataset.label(index)
    except DDRSError:
        return known
    return known | {
        "src": thumbnail_url(dataset, index),
        "label": "no label" if label is None else dataset.info.class_names[label],
        "shape": dataset.info.shape,
    }
