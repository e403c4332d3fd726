"""The noise levels that images chose: by class, by what came out, against their radii, and beside
what one level for all images certifies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ddrs_core.dashboard.compare.view import VIEW, pick_image
from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.data import get_dataset_info
from ddrs_core.errors import DDRSError
from ddrs_core.figures import (
    radius_against_sigma_figure,
    sigma_by_class_figure,
    sigma_by_correctness_figure,
    tuning_figure,
)
from ddrs_core.models import get_card
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.tuning_files import Tuning
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.tuning import tuning_of


def show_sigmas(sets: Sequence[ResultSet]) -> None:
    """The noise levels of one set whose images have their own sigma."""
    if not sets:
        st.info("No set has a certificate yet.")
        return
    own = {s.id: s for s in sets if has_own_sigmas(s)}
    if not own:
        st.info("None of these sets has its own sigma for every image.")
        show_tuning(sets[0])
        return
    if VIEW.get("sigmas") not in own:
        VIEW["sigmas"] = next(iter(own))
    results = own[VIEW["sigmas"]]
    if len(own) > 1:
        VIEW.show(st.selectbox, "sigmas", "Of", {name: s.title for name, s in own.items()})
        results = own[VIEW["sigmas"]]
    st.caption(_said(results))
    left, right = st.columns(2)
    with left:
        show_chart(
            sigma_by_class_figure(results, _class_names(results)),
            key="compare_sigma_class",
            name="sigma-by-class",
            height=250,
            alt="Noise levels by class",
        )
    with right:
        show_chart(
            sigma_by_correctness_figure(results),
            key="compare_sigma_outcome",
            name="sigma-by-outcome",
            height=250,
            alt="Noise levels by outcome",
        )
    with st.container(key="compare_levels"):  # below each other where it is narrow
        left, right = st.columns(2)
        with left:
            _show_points(results)
        with right:
            show_tuning(results)


def _show_points(results: ResultSet) -> None:
    at_least = " (at least)" if results.acr_is_floor else ""
    show_html(
        "hinted.html",
        text=f"The radius{at_least} against sigma*. Click a point to see its image.",
        hint_text="Images near the dashed cap would need more votes to prove more. Hollow: the "
        "radius is a lower bound, since adaptive sampling stopped.",
    )
    show_chart(
        radius_against_sigma_figure(results),
        key="compare_sigma_points",
        name="radius-against-sigma",
        height=430,
        on_pick=pick_image,
        alt="Certified radius against the noise level, a point an image",
    )


def show_tuning(results: ResultSet) -> None:
    """What one sigma for all images certifies, as far as it is known for this network."""
    tuning = tuning_of(results)
    if tuning is None:
        st.info(
            "It is not known what single levels certify with this network. Certify with Tuned "
            "sigma (certify --method tuned): that measures 12 levels on training images."
        )
        return
    said = _tuning_said(tuning)
    sigmas = results.sigmas if has_own_sigmas(results) else None
    show_html(
        "hinted.html",
        text="One σ for all images: what each level certifies on training images.",
        hint_text=said if sigmas is None else said + _images_said(results),
    )
    show_chart(
        tuning_figure(tuning, _training_sigma(results), sigmas),
        key="compare_tuning",
        name="acr-against-sigma",
        height=430,
        alt="Average certified radius and certified accuracy of training images against one noise "
        "level for all, and the levels that images chose",
    )


def _tuning_said(tuning: Tuning) -> str:
    n = {score.n for score in tuning.scores}
    rounds = f"N = {max(n):,}"
    if len(n) > 1:
        rounds = f"N = {min(n):,} (hollow), the best levels again with N = {max(n):,} (filled)"
    stopped = ", at most: the radii are lower bounds" if tuning.adaptive else ""
    chosen = "The tuning was interrupted." if tuning.tuned is None else ""
    return (
        f"Counted on {counted(tuning.images, 'training image')}: {tuning.bound} bound, "
        f"α = {tuning.alpha:g}, {rounds}{stopped}. ACR: average certified radius, pixels in "
        f"[0, 1], wrong = 0. {chosen}"
    )


def _images_said(results: ResultSet) -> str:
    known = int((~np.isnan(results.sigmas)).sum())
    return (
        f" Below: the σ* that {counted(known, 'image')} of {results.title} chose, "
        "which are other images."
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


def _training_sigma(results: ResultSet) -> float | None:
    try:
        return get_card(results.model or "").sigma or None
    except DDRSError:
        return None


def _class_names(results: ResultSet) -> tuple[str, ...]:
    try:
        return get_dataset_info(results.dataset or "").class_names
    except DDRSError:
        return ()
