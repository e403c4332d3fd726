"""The noise levels that images chose: by class, by what came out, and against their radii."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ddrs_core.dashboard.compare.pair import pick_image
from ddrs_core.dashboard.compare.view import VIEW
from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import DDRSError
from ddrs_core.figures import (
    radius_against_sigma_figure,
    sigma_by_class_figure,
    sigma_by_correctness_figure,
)
from ddrs_core.runs.results.results import ResultSet


def show_sigmas(sets: Sequence[ResultSet]) -> None:
    """The noise levels of one set whose images have their own sigma."""
    st.subheader("The noise levels sigma*", divider="gray", anchor=False)
    own = {s.id: s for s in sets if has_own_sigmas(s)}
    if not own:
        st.info("None of these sets has its own sigma for every image.")
        return
    if VIEW.get("sigmas") not in own:
        VIEW["sigmas"] = next(iter(own))
    VIEW.show(st.selectbox, "sigmas", "Of", {name: s.title for name, s in own.items()})
    results = own[VIEW["sigmas"]]
    st.caption(_said(results))
    left, right = st.columns([3, 2])
    with left:
        st.markdown("**By class**: do some classes take more noise than others?")
        show_chart(
            sigma_by_class_figure(results, _class_names(results)),
            key="compare_sigma_class",
            name="sigma-by-class",
            height=330,
            alt="Noise levels by class",
        )
    with right:
        st.markdown("**By outcome**: is a large sigma a sign of trouble?")
        show_chart(
            sigma_by_correctness_figure(results),
            key="compare_sigma_outcome",
            name="sigma-by-outcome",
            height=330,
            alt="Noise levels by outcome",
        )
    st.markdown(
        "**The radius against sigma***: images near the dashed cap would need more votes to prove "
        "more. Click a point to choose its image."
    )
    show_chart(
        radius_against_sigma_figure(results),
        key="compare_sigma_points",
        name="radius-against-sigma",
        height=400,
        on_pick=pick_image,
        alt="Certified radius against the noise level, a point an image",
    )


def has_own_sigmas(results: ResultSet) -> bool:
    """Whether sigma is recorded and differs between images, or was at least chosen for each."""
    known = results.sigmas[~np.isnan(results.sigmas)]
    return len(known) > 0 and (results.method in ("ds", "ds-memory") or len(np.unique(known)) > 1)


def _said(results: ResultSet) -> str:
    low, middle, high = np.nanquantile(results.sigmas, (0.1, 0.5, 0.9))
    start = (
        "" if results.sigma is None else f" All started at sigma_0 = {results.sigma:g} (dotted)."
    )
    return (
        f"Half of the images chose a sigma below {middle:.3f}; eight of ten lie between {low:.3f} "
        f"and {high:.3f}.{start} No label was used to choose them."
    )


def _class_names(results: ResultSet) -> tuple[str, ...]:
    try:
        return get_dataset_info(results.dataset or "").class_names
    except DDRSError:
        return ()
