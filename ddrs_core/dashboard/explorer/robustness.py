"""Beside the model picker: what noise does to the model, measured once and remembered."""

from __future__ import annotations

import html

import streamlit as st

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import Dataset, get_dataset_info, list_datasets
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.models import (
    NOISE_LEVELS,
    ModelCard,
    Robustness,
    find_robustness,
    measure_robustness,
    open_for_model,
)
from ddrs_core.quantities import counted


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
        st.html(
            '<p class="ddrs-note">No labelled images of this model\'s classes are at hand, so it '
            "was not measured under noise.</p>"
        )
        return
    found = _known(view, data.info.name) or (job.latest if job is not None else None)
    if found is None and job is not None and job.error:
        st.html(f'<p class="ddrs-note">{html.escape(job.error)}</p>')
        return
    st.html(robustness_html(found, view.card, data.info.title))


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


def robustness_html(found: Robustness | None, card: ModelCard, title: str) -> str:
    """Bars for each noise level and, where it matters, a warning."""
    bars = ""
    for sigma in NOISE_LEVELS:
        share = found.accuracy.get(sigma) if found else None
        name = f"{sigma:g}" if sigma else "clean"
        text = "…" if share is None else f"{share:.0%}"
        bars += (
            f"<div><span>{name}</span><i><b style='width:{100 * (share or 0):.0f}%'></b></i>"
            f"<span>{text}</span></div>"
        )
    warning = found.explain(card.num_classes) if found else ""
    count = f", {counted(found.images, 'image')}" if found and found.images else ""
    note = ""
    if warning:
        note = f'<div class="ddrs-warning" role="alert">{html.escape(warning)}</div>'
    return (
        '<div class="ddrs-robust" role="group" aria-label="Accuracy under noise">'
        f"<p>Right under noise sigma ({html.escape(title)}{count})</p>{bars}</div>{note}"
    )


def _known(view: ExplorerView, dataset: str) -> Robustness | None:
    return find_robustness(view.card, dataset)
