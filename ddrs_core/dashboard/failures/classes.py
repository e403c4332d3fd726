"""All images by label and answer; a click keeps those of a cell or of a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.view import ALL, FailuresView, keep
from ddrs_core.figures.failure_kinds import confusion_figure, failure_rates_figure
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.by_class import (
    classes_to_show,
    confusion,
    failures_by_class,
    failures_by_confidence,
    failures_by_sigma,
)

_MOST = 20  # classes of each axis
_GROUPS = 8  # of noise levels
_ROW, _AXES = 34, 110  # pixels


def show_classes(findings: Findings, view: FailuresView) -> None:
    """The confusion matrix and the failure rate of each class."""
    st.subheader("How often images fail", divider="gray", anchor=False)
    labels, answers = classes_to_show(findings.images, _MOST)
    if not labels:
        st.caption("These results have no labels.")
        return
    names = {k: findings.class_name(k) for k in (*labels, *answers)}
    classes = 1 + max(*labels, *answers)
    height = _ROW * len(labels) + _AXES

    def pick_cell(cell: int) -> None:
        label, answer = divmod(cell, classes + 1)
        keep(kind=ALL, label=label, answer=answer - 1)

    left, right = st.columns(2)
    with left:
        st.markdown("**Answers for each label.** Click a square to see its images.")
        show_chart(
            confusion_figure(confusion(findings.images), labels, answers, names, classes),
            key="failures_confusion",
            name="confusion",
            alt="Images by label and answer of the smoothed classifier",
            height=height,
            on_pick=pick_cell,
        )
    with right:
        st.markdown("**Failures of each label.** Click a bar to see its images.")
        rates = failures_by_class(findings.images)
        show_chart(
            failure_rates_figure({k: rates[k] for k in labels}, names, view.radius),
            key="failures_rates",
            name="failure-rates",
            alt="Share of images that are not certified, by label",
            height=height,
            on_pick=lambda label: keep(label=label),
        )
    if len(rates) > len(labels):
        st.caption(f"The {len(labels)} of {counted(len(rates), 'label')} with the most failures.")
    _show_groups(findings, view)


def _show_groups(findings: Findings, view: FailuresView) -> None:
    """Whether images fail at small or at large noise levels, where they have their own, and
    whether the network was sure of them without noise."""
    levels = failures_by_sigma(findings.images, _GROUPS)
    sure = failures_by_confidence(findings.images)

    def pick(place: int) -> None:
        low, high, *_ = levels[place]
        keep(sigma_from=low, sigma_to=high)

    left, right = st.columns(2)
    if levels:
        with left:
            st.markdown("**Failures by noise level.** Click a bar to see its images.")
            names = [f"{low:.3g} to {high:.3g}" for low, high, *_ in levels]
            _show_rates(levels, names, view, "noise level σ", pick)
    if sure:
        with right if levels else left:
            st.markdown("**Failures by the network's confidence without noise.**")
            names = [f"{100 * low:g} to {100 * high:g} %" for low, high, *_ in sure]
            _show_rates(sure, names, view, "confidence without noise")


def _show_rates(
    groups: Sequence[tuple[float, float, int, int]],
    names: Sequence[str],
    view: FailuresView,
    title: str,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    rates = {k: (failed, total) for k, (_, _, failed, total) in enumerate(groups)}
    show_chart(
        failure_rates_figure(rates, dict(enumerate(names)), view.radius, title),
        key=f"failures_by_{title.split()[0]}",
        name=f"failure-rates-by-{title.split()[0]}",
        alt=f"Share of images that are not certified, by {title}",
        height=_ROW * len(groups) + _AXES,
        on_pick=on_pick,
    )
