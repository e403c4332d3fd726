"""One image of a comparison: its picture, the answers of A and B, and links to the explorer."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddrs_core.dashboard.common.result_images import dataset_of, explorer_query
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.navigation import link_to_explorer, link_to_failures
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.data import Dataset
from ddrs_core.runs.results.results import ResultRow, ResultSet


def show_image(image: int | None, a: ResultSet, b: ResultSet) -> None:
    """The chosen image; a hint while there is none."""
    if image is None:
        st.caption("No image is chosen. Click a point, or press Largest gain.")
        return
    rows = [(name, s, row_of_image(s, image)) for name, s in (("A", a), ("B", b))]
    dataset = dataset_of(a, b)
    names = dataset.info.class_names if dataset is not None else ()
    show_html(
        "compare/image.html",
        **_picture(dataset, image, rows[0][2] or rows[1][2]),
        answers=[
            {
                "name": name,
                "row": row,
                "said": answer_text(row, names) if row else "",
                "grade": results.grade,
                "is_bound": results.acr_is_floor,
            }
            for name, results, row in rows
        ],
    )
    if all(row is not None for _, _, row in rows):
        st.caption(
            "Each answer holds by itself, but for its own alpha; to rely on the better one, count "
            "both."
        )
    links = []
    for name, results, row in rows:
        query = explorer_query(results, image, dataset)
        if row is not None and query is not None and query not in links:
            links.append(query)
            label = f"**Open image {image} in the explorer** with {name}'s model"
            link_to_explorer(label, **query)
    _link_to_reasons(image, a, b)
    if dataset is not None and not 0 <= image < len(dataset):
        st.caption(
            f"{literal(dataset.info.title)} has no image {image:,}: they are numbered from 0 to "
            f"{len(dataset) - 1:,}."
        )
    elif not links:
        st.caption(
            "The explorer cannot open it: the model of these results is not available, "
            "or the log does not name it: choose it under Import & export."
        )


def _link_to_reasons(image: int, a: ResultSet, b: ResultSet) -> None:
    """Why each of the two certifies no more."""
    with st.container(horizontal=True):
        for name, results, other in (("A", a, b), ("B", b, a)):
            if row_of_image(results, image) is not None:
                link_to_failures(
                    f"Why no more in {name}?",
                    results=results.id,
                    against=other.id,
                    image=str(image),
                )


def row_of_image(results: ResultSet, image: int) -> ResultRow | None:
    """The answer to an image; None where the set does not have it."""
    return next((row for row in results.rows if row.index == image), None)


def _picture(dataset: Dataset | None, image: int, row: ResultRow | None) -> dict[str, Any]:
    title = f"image {image}"
    if row is not None and row.label is not None:
        title += f", class {_class(row.label, dataset.info.class_names if dataset else ())}"
    if dataset is None or not 0 <= image < len(dataset):
        return {"title": title, "src": "", "shape": ()}
    return {"title": title, "src": thumbnail_url(dataset, image), "shape": dataset.info.shape}


def answer_text(row: ResultRow, classes: tuple[str, ...]) -> str:
    """The answer of a set to an image."""
    if row.failure:
        return f"could not be read, and counts as not certified: {row.failure}"
    if row.abstained:
        return "abstains: no class has a clear majority of the votes"
    right = {True: "right", False: "wrong", None: "label unknown"}[row.correct]
    return f"{_class(row.prediction, classes)}, {right}"


def _class(number: int, names: tuple[str, ...]) -> str:
    return names[number] if 0 <= number < len(names) else str(number)
