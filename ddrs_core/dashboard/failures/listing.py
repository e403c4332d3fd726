"""The images that the filters leave, as pictures or as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ddrs_core.dashboard.components.gallery import show_gallery
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.notes import seen_images
from ddrs_core.dashboard.failures.view import FORM, FailuresView, Shape, Sort
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.smoothing import round_down

_TABLE_HEIGHT = 370  # pixels, as the gallery


def show_images(
    findings: Findings, view: FailuresView, images: Sequence[ImageDiagnosis], chosen: int
) -> None:
    """List the images; a click on one opens it."""
    titles = {Shape.PICTURES: "Pictures", Shape.TABLE: "Table"}
    shape = FORM.show(
        st.segmented_control, "shape", "Listed as", titles, label_visibility="collapsed"
    )
    dataset = findings.dataset
    seen = seen_images(findings)
    if shape is Shape.PICTURES and dataset is not None:
        captions = {
            image.index: ("✓ " if image.index in seen else "") + caption(findings, image, view.sort)
            for image in images
            if image.index is not None and image.index < len(dataset)
        }
        show_gallery(dataset, chosen, captions=captions, key="failures_gallery", on_pick=pick_image)
        return
    if shape is Shape.PICTURES:
        st.caption("The data set of these results is not available here.")
    _show_table(findings, images, seen)


def caption(findings: Findings, image: ImageDiagnosis, sort: Sort) -> str:
    """Two lines below a picture: who it is, and what it is sorted by."""
    name = "" if image.label is None else f": {findings.class_name(image.label)}"
    numbers = {
        Sort.MARGIN: ("lead", image.margin),
        Sort.REGRET: ("regret", image.regret),
        Sort.ATTACK: ("attack", image.attack_distance),
    }
    said, value = numbers.get(sort, ("proved", image.radius))
    if value is None:
        number = f"{said} ?"
    elif sort in (Sort.MARGIN, Sort.REGRET):
        number = f"{said} {value:.0%}"
    else:
        number = f"{said} {round_down(value)}"
    answer = "" if image.prediction == image.label else f" {findings.class_name(image.prediction)}"
    return f"{image.index}{name}\n{number}{answer}"


def pick_image(index: int) -> None:
    """Let the page show this image."""
    FORM["image"] = index


def _show_table(findings: Findings, images: Sequence[ImageDiagnosis], seen: set[int]) -> None:
    rows = [
        {
            "image": image.index,
            "label": "" if image.label is None else findings.class_name(image.label),
            "answer": findings.class_name(image.prediction),
            "kind": image.kind.heading,
            "proved": float(round_down(image.radius)),
            "lead": image.margin,
            "σ": image.sigma,
            "N needed": image.samples_needed,
            "best σ": image.best_sigma,
            "expected at best σ": image.best_radius,
            "regret": image.regret,
            "attack": image.attack_distance,
            "marks": ", ".join(image.marks),
            "seen": image.index in seen,
        }
        for image in images
    ]
    number = st.column_config.NumberColumn
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=_TABLE_HEIGHT,
        on_select="rerun",
        selection_mode="single-row",
        key=f"failures_table_{hash(tuple(i.index for i in images)) & 0xFFFFFF}",
        column_config={
            "proved": number(format="%.3f"),
            "lead": number(format="percent"),
            "expected at best σ": number(format="%.3f"),
            "regret": number(format="percent"),
            "attack": number(format="%.4f"),
            "σ": number(format="%.3g"),
            "best σ": number(format="%.3g"),
        },
    )
    chosen = event["selection"]["rows"] if event else []
    if chosen and chosen[0] < len(images):
        index = images[chosen[0]].index
        if index is not None and index != FORM["image"]:
            pick_image(index)
