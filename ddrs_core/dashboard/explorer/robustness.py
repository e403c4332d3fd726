"""Beside the model picker: what noise does to the model, measured once and remembered."""

from __future__ import annotations

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import Dataset, get_dataset_info, list_datasets
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.models import (
    NOISE_LEVELS,
    Robustness,
    find_robustness,
    measure_robustness,
    open_for_model,
)


def robustness_job(view: ExplorerView) -> Job | None:
    """The measurement of the view's model, where it is not known yet and can be made."""
    data = judged_by(view)
    if data is None or _known(view, data.info.name) is not None:
        return None
    forward = get_forward(view.model, view.device)
    request = JobRequest(
        f"robustness|{forward.digest}|{view.card.normalization}|{forward.precision}"
        f"|{data.info.name}",
        f"{view.model} under noise",
        "robustness",
        str(forward.device),
        lambda: measure_robustness(forward, data, view.card),
        len(NOISE_LEVELS),
        "noise level",
    )
    return get_manager().ensure(request, visitor())


def show_robustness(view: ExplorerView, job: Job | None) -> None:
    """Accuracy clean and under noise as bars, and what it means for certification."""
    data = judged_by(view)
    if data is None:
        text = "There are no labelled images of this model's classes to measure it under noise."
        show_html("note.html", text=text)
        return
    found = _known(view, data.info.name) or (job.latest if job is not None else None)
    if found is None and job is not None and job.error:
        show_html("note.html", text=job.error)
        return
    accuracy = found.accuracy if found is not None else {}
    show_html(
        "explorer/robustness.html",
        title=data.info.title,
        images=found.images if found is not None else None,
        bars={f"{s:g}" if s else "clean": accuracy.get(s) for s in NOISE_LEVELS},
        warning=found.explain(view.card.num_classes) if found is not None else "",
    )


def judged_by(view: ExplorerView) -> Dataset | None:
    """Labelled images whose classes the model knows: the view's own data set, else the one that
    the model was trained on; None where there is none."""
    names = [info.name for info in list_datasets()]
    for name in (view.dataset, view.card.dataset):
        if name in names and get_dataset_info(name).num_classes == view.card.num_classes:
            try:
                data = open_for_model(name, view.card)
            except DDRSError:
                continue
            if (data.labels >= 0).any():
                return data
    return None


def _known(view: ExplorerView, dataset: str) -> Robustness | None:
    return find_robustness(view.card, dataset)
