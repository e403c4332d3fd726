"""All images by label and answer; a click keeps those of a cell or of a label."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.view import ALL, ANY, FAILED, FORM, FailuresView
from ddrs_core.figures.failure_kinds import confusion_figure, failure_rates_figure
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.by_class import (
    classes_to_show,
    confusion,
    failures_by_class,
    failures_by_sigma,
)

_MOST = 20  # classes of each axis
_GROUPS = 8  # of noise levels
_ROW, _AXES = 34, 110  # pixels


def show_classes(findings: Findings, view: FailuresView) -> None:
    """The confusion matrix and the failure rate of each class."""
    st.subheader("By class", divider="gray", anchor=False)
    labels, answers = classes_to_show(findings.images, _MOST)
    if not labels:
        st.caption("These results have no labels.")
        return
    names = {k: findings.class_name(k) for k in (*labels, *answers)}
    classes = 1 + max(*labels, *answers)
    height = _ROW * len(labels) + _AXES
    key = f"{view.results}_{view.label}_{view.answer}_{view.kind}"  # new with a choice

    def pick_cell(cell: int) -> None:
        label, answer = divmod(cell, classes + 1)
        _keep(ALL, label, answer - 1)

    left, right = st.columns(2)
    with left:
        st.markdown("**Answers for each label.** Click a square to see its images.")
        show_chart(
            confusion_figure(confusion(findings.images), labels, answers, names, classes),
            key=f"failures_confusion_{key}",
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
            key=f"failures_rates_{key}",
            name="failure-rates",
            alt="Share of images that are not certified, by label",
            height=height,
            on_pick=lambda label: _keep(FAILED, label, ANY),
        )
    if len(rates) > len(labels):
        st.caption(f"The {len(labels)} of {counted(len(rates), 'label')} with the most failures.")
    _show_sigmas(findings, view)


def _show_sigmas(findings: Findings, view: FailuresView) -> None:
    """Whether images fail at small or at large noise levels, where they have their own."""
    groups = failures_by_sigma(findings.images, _GROUPS)
    if not groups:
        return
    st.markdown(f"**Failures by noise level**, {len(groups)} groups of about the same size.")
    names = {k: f"{low:.3g} to {high:.3g}" for k, (low, high, _, _) in enumerate(groups)}
    rates = {k: (failed, total) for k, (_, _, failed, total) in enumerate(groups)}
    show_chart(
        failure_rates_figure(rates, names, view.radius, "noise level σ"),
        key="failures_by_sigma",
        name="failure-rates-by-sigma",
        alt="Share of images that are not certified, by noise level",
        height=_ROW * len(groups) + _AXES,
    )


def _keep(kind: str, label: int, answer: int) -> None:
    FORM.fill({"kind": kind, "label": label, "answer": answer, "lost": False, "image": -1})
