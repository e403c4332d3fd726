"""What the training page says about a run, as HTML for its board."""

from __future__ import annotations

import html
import math

from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.training.selected_run import Shown
from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.figures import quantiles
from ddrs_core.jobs.training_runs import RunState, TrainingRun
from ddrs_core.models import ModelCard, get_card, read_card
from ddrs_core.quantities import counted, duration
from ddrs_core.training import EpochSummary

_WHY = (
    "Images near a boundary of the classifier want little noise, since more would drown them; "
    "images far from any can take more, which certifies a larger radius. No label is used, so an "
    "image may also climb to where all noise looks like one class to the network."
)


def progress_html(shown: Shown) -> str:
    """How far the run is, as HTML."""
    if shown.run is None:
        seconds = sum(e.seconds for e in shown.epochs)
        words = [
            f"Example: the training log of the model {shown.name}, which comes with the program",
            counted(len(shown.epochs), "epoch"),
            duration(seconds),
        ]
        return f'<div class="ddrs-progress"><span>{html.escape(" · ".join(words))}</span></div>'
    run = shown.run
    failed = "ddrs-failed" if run.state in (RunState.FAILED, RunState.INTERRUPTED) else ""
    done = 1.0 if run.state is RunState.FINISHED else run.progress.done if run.progress else 0.0
    percent = 100 * done
    return (
        f'<div class="ddrs-progress {failed}"><span>{html.escape(_words(run))}</span>'
        f'<div role="progressbar" aria-label="Training of {html.escape(run.name)}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent:.0f}">'
        f'<i style="width:{percent:.1f}%"></i></div></div>'
    )


def _words(run: TrainingRun) -> str:
    """Where a run stands, in one line."""
    progress = run.progress
    place = f"epoch {progress.epoch} of {progress.epochs}" if progress and progress.epoch else ""
    if run.state is RunState.WAITING:
        ahead = progress.ahead if progress else 0
        runs = counted(ahead, "run")
        words = ["waiting", f"{runs} before it on this device"] if ahead else ["starting", place]
    elif run.state is RunState.RUNNING:
        assert progress is not None
        batch = f"batch {progress.batch:,} of {progress.batches:,}"
        words = ["stopping, its state is being saved" if run.stopping else "training", place, batch]
        if progress.images_per_second:
            words.append(f"{counted(round(progress.images_per_second), 'image')}/s")
        if progress.seconds_left is not None:
            words.append(f"{duration(progress.seconds_left)} left")
    elif run.state is RunState.MEASURING:
        words = ["trained, measuring its accuracy on test images", place]
    elif run.state is RunState.STOPPED:
        words = ["stopped", place, "Resume goes on where it was"]
    elif run.state is RunState.INTERRUPTED:
        words = [
            "interrupted",
            place,
            "its process ended unasked, as when a machine restarts",
            "Resume goes on from the last saved state",
        ]
    elif run.state is RunState.FAILED:
        words = ["failed", run.error]
    else:
        words = ["finished", counted(run.config["epochs"], "epoch")]
    return " · ".join(word for word in words if word)


def outcome_html(shown: Shown) -> str:
    """What came out, or a warning that nothing will."""
    last = shown.epochs[-1] if shown.epochs else None
    if last is not None and not math.isfinite(last.loss):
        return (
            f"<b>The loss is no longer a number</b> since epoch {_first_broken(shown)}: training "
            "has diverged. Start again with a smaller learning rate."
        )
    excluded = html.escape(last.excluded) if last is not None else ""
    card = _card(shown)
    if card is None or not card.accuracy:
        return excluded
    said = ", ".join(
        f"<b>{share:.1%}</b> {html.escape(name.replace('noise', 'under noise'))}"
        for name, share in card.accuracy.items()
    )
    return (
        f"On test images, every noisy copy judged alone, without a vote: {said} right. {excluded}"
    ).rstrip()


def _card(shown: Shown) -> ModelCard | None:
    """The card of the model that the run made; None while there is none."""
    try:
        if shown.run is None:
            return get_card(shown.name)
        return read_card(shown.run.files.model) if shown.run.state is RunState.FINISHED else None
    except DDRSError:
        return None


def _first_broken(shown: Shown) -> int:
    return next(e.epoch for e in shown.epochs if not math.isfinite(e.loss))


def sigma_texts(shown: Shown, at: EpochSummary | None) -> dict[str, str]:
    """What is said about the sigmas after one epoch, and the images that moved most."""
    note = (
        "Each training image has a noise level of its own, which starts at sigma_0 (dotted). Above "
        "the histogram, below all epochs as rows: the fuller the colour, the more images; the line "
        "is the median."
    )
    if at is None or at.sigma is None:
        return {
            "sigma-title": "The noise levels of the training images",
            "sigma-note": note,
            "moved-title": "Images whose sigma moved most",
            "moved-note": "They appear after the first epoch.",
        }
    low, middle, high = quantiles(at.sigma, (0.1, 0.5, 0.9))
    found = (
        f" Now the mean is {at.sigma.mean:.3f}, the median {middle:.3f}, and eight of ten images "
        f"lie between {low:.3f} and {high:.3f}."
    )
    return {
        "sigma-title": f"The noise levels of the training images after epoch {at.epoch}",
        "sigma-note": note + found,
        "moved-title": f"Images whose sigma moved most by epoch {at.epoch}",
        "moved-note": f"{_WHY} These are training images; the explorer shows test images.",
        "moved": _moved(shown, at),
    }


def _moved(shown: Shown, at: EpochSummary) -> str:
    """Two rows of thumbnails: the smallest sigmas and the largest ones."""
    assert at.sigma is not None
    below = sorted((s, i) for i, s in at.sigma.moved if s < shown.sigma)
    above = sorted(((s, i) for i, s in at.sigma.moved if s > shown.sigma), reverse=True)
    rows = []
    for title, found in (("Less noise than at the start", below), ("More noise", above)):
        if found:
            pictures = "".join(_picture(shown.config["dataset"], i, s) for s, i in found)
            heading = f'<p class="ddrs-note">{title}</p>'
            rows.append(f'<div>{heading}<div class="ddrs-copies">{pictures}</div></div>')
    if not rows:
        start = shown.config["data_dependent"].get("start", 0)
        wait = f" They begin to move after {counted(int(start), 'epoch')}." if start else ""
        return f"No sigma has moved yet.{wait}"
    return f'<div class="ddrs-stack">{"".join(rows)}</div>'


def _picture(name: str, index: int, sigma: float) -> str:
    """A training image with its label and sigma; words alone where the data set is not here."""
    try:
        dataset = load_dataset(name, "train")
        label = dataset.label(index)
    except DDRSError:
        return f"<figure><figcaption>image {index}<br><b>{sigma:.3f}</b></figcaption></figure>"
    said = "no label" if label is None else html.escape(dataset.info.class_names[label])
    small = "ddrs-pixelated" if max(dataset.info.shape[1:]) <= 64 else ""
    return (
        f'<figure><img class="{small}" src="{html.escape(thumbnail_url(dataset, index))}" '
        f'alt="training image {index}, class {said}" title="training image {index}">'
        f"<figcaption>{said}<br><b>{sigma:.3f}</b></figcaption></figure>"
    )
