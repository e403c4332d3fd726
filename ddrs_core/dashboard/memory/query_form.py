"""The widgets that choose a query, an image moved away from where it was, and its certification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from ddrs_core.dashboard.components.gallery import show_gallery
from ddrs_core.dashboard.memory.bank_certifier import BankCertifier, outward_gradient
from ddrs_core.dashboard.memory.view import (
    FIXED,
    FORM,
    N_CHOICES,
    STRATEGY_CHOICES,
    MemoryView,
    Way,
)
from ddrs_core.data import Dataset
from ddrs_core.figures.class_axis import class_title
from ddrs_core.parameters import parameters_of
from ddrs_core.smoothing import CertificationBudget, get_preset

_NOISE = 0.25  # standard deviation of the noise at the end of the way
_TINY = 1e-12
_MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Query:
    """An image that the bank is asked about."""

    x: Tensor  # [C, H, W]
    index: int | None  # None: it has been moved, so it is not in the data set
    moved: float  # l2 distance from the image of the data set
    title: str


def make_query(certifier: BankCertifier, view: MemoryView) -> Query:
    """The image, moved as the view says.

    Raises:
        InvalidParameterError: if there is no such image.
    """
    dataset = certifier.dataset
    start = dataset[dataset.check_index(view.image)][0]
    name = f"image {view.image}"
    if view.far == 0 or (view.way is Way.IMAGE and view.target == view.image):
        return Query(start, view.image, 0.0, name)
    if view.way is Way.IMAGE:
        way = dataset[dataset.check_index(view.target)][0] - start
        title = f"{name}, {view.far} % of the way to image {view.target}"
    elif view.way is Way.GRADIENT:
        gradient = outward_gradient(certifier, start)
        length = _NOISE * gradient.numel() ** 0.5
        way = gradient * (length / max(float(gradient.norm()), _TINY))
        title = f"{name}, {view.far} % of the way along the gradient"
    else:
        rng = np.random.Generator(np.random.PCG64(view.noise))
        way = torch.from_numpy(_NOISE * rng.standard_normal(start.shape).astype(np.float32))
        title = f"{name}, {view.far} % of the way along the noise of seed {view.noise}"
    x = (start + view.far / 100 * way).clamp(0.0, 1.0)
    return Query(x, None, float((x.double() - start.double()).norm()), title)


def pick_certification(n_field: str = "n") -> None:
    """How sigma is chosen, how many votes are counted, and which bounds prove the radius."""
    left, middle, right, last = st.columns(4)
    titles = {name: get_preset(name).title for name in STRATEGY_CHOICES if name != FIXED}
    titles[FIXED] = "Fixed: sigma_0 for all"
    FORM.show(
        left.selectbox,
        "strategy",
        "Sigma is chosen by",
        titles,
        help="Each image gets the noise level that this strategy finds for it.",
    )
    FORM.show(
        middle.number_input,
        "sigma",
        "sigma_0 (0: as trained)",
        0.0,
        10.0,
        step=0.05,
        format="%.2f",
        help="Where the strategy starts; 0 stands for the noise that the model was trained with.",
    )
    FORM.show(
        right.selectbox,
        n_field,
        "Votes N",
        {n: f"{n:,}" for n in N_CHOICES},
        help="More votes can prove a larger radius.",
    )
    about = parameters_of(CertificationBudget)["bound"]
    FORM.show(last.selectbox, "bound", about.label, about.choices, help=about.meaning)


def pick_number(label: str, field: str, dataset: Dataset) -> None:
    """A field for the number of an image of the data set."""
    last = len(dataset) - 1
    FORM.show(st.number_input, field, f"{label} (0 to {last:,})", 0, last, step=1)


def pick_query(dataset: Dataset) -> None:
    left, middle, right = st.columns([3, 5.5, 3])
    with left:
        pick_number("Image", "image", dataset)
        with st.popover("Thumbnails", icon=":material/grid_view:", width="stretch"):
            show_gallery(dataset, int(FORM["image"]), key="memory_gallery", on_pick=_pick_image)
    titles = {Way.IMAGE: "another image", Way.NOISE: "random noise", Way.GRADIENT: "the gradient"}
    with middle:
        FORM.show(st.segmented_control, "way", "Move it towards", titles, required=True)
    with right:
        if FORM["way"] == Way.NOISE:
            FORM.show(
                st.number_input,
                "noise",
                "Seed of the direction",
                0,
                _MAX_SEED,
                step=1,
                help=f"At the end of the way, the noise has a standard deviation of {_NOISE:g}.",
            )
        elif FORM["way"] == Way.GRADIENT:
            st.caption("In the direction in which the model's votes leave their class fastest.")
        else:
            pick_number("Other image", "target", dataset)
    FORM.show(
        st.slider,
        "far",
        "How far along the way",
        0,
        100,
        format="%d %%",
        help="0: the image itself. The sentence below follows at once; nothing is stored.",
    )


def _pick_image(index: int) -> None:
    FORM["image"] = index


def titled(dataset: Dataset, index: int) -> str:
    """An image of the data set by number and class."""
    label = dataset.label(index)
    known = "" if label is None else f", {class_title(label, dataset.info.class_names)}"
    return f"image {index}{known}"
