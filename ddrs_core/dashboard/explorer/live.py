"""What the browser needs to know to let a visitor move sigma without asking the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from scipy.special import ndtri

from ddrs_core.dashboard.components.badge import grade_badge
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.explorer.examples import example_of
from ddrs_core.dashboard.explorer.jobs import CurveFrame, curve_range
from ddrs_core.dashboard.explorer.texts import proof_text
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.errors import DDRSError
from ddrs_core.figures.palette import GREEN, ORANGE, SIGMA_COLOUR
from ddrs_core.figures.votes import shown_classes
from ddrs_core.smoothing import Bound, Certificate, Probe, Provable, SigmaStep, other_bound
from ddrs_core.smoothing.confidence import check_sigma

_CLOSE_TO_CERTAIN = 1e-12


def live_data(
    view: ExplorerView,
    now: float,
    *,
    step: SigmaStep | None,
    seen: Probe | None,
    chosen: float | None,
    frame: CurveFrame | None,
    proved: Provable | None,
    certificates: Sequence[Certificate],
) -> dict[str, Any]:
    """The state of the board: where the run is, and what is known at every noise level.

    Args:
        view: what is looked at.
        now: the noise level of the step that is shown.
        step: that step.
        seen: a look at the votes there.
        chosen: the strategy's answer.
        frame: the radius curve so far.
        proved: what a certification is expected to prove along it.
        certificates: of this image, with whatever noise level.
    """
    names, label = view.info.class_names, view.true_label
    return {
        "id": f"{noise_name(view)}|{view.model}",
        "noise": noise_name(view),
        "range": curve_range(view),
        "two": view.budget.bound is Bound.TWO_SIDED,
        "n": view.budget.n,
        "sigma0": view.sigma_0,
        "star": chosen,
        "hand": view.hand,
        "held": _held(),
        "opens": view.sigma_0 if (shown := example_of(view)) and shown.at_start else None,
        "now": now,
        "label": None if label is None else names[label],
        "colours": {"right": GREEN, "wrong": ORANGE, "other": SIGMA_COLOUR},
        "estimate": str(render("estimate.html")),
        "step": None if step is None else {"radius": step.radius, "name": names[step.prediction]},
        "seen": None
        if seen is None
        else {
            "classes": [names[c] for c in seen.copies],
            "confidence": np.round(seen.confidence, 3).tolist(),
        },
        "curve": None if frame is None or proved is None else _curve(view, frame, proved),
        "certificates": [_certificate(made, names) for made in certificates],
    }


def _held() -> float | None:
    """The noise level that a link says its sender held, without having certified it."""
    try:
        return check_sigma(float(st.session_state.get(keys.HELD) or "nan"))
    except (ValueError, DDRSError):
        return None


def noise_name(view: ExplorerView) -> str:
    """The name of the view's image with its noise in the browser."""
    return f"{view.dataset}|{view.index}|{view.budget.seed}|{view.info.shape}"


def _curve(view: ExplorerView, frame: CurveFrame, proved: Provable) -> dict[str, Any]:
    curve, names = frame.curve, view.info.class_names
    classes = shown_classes(curve.counts.sum(axis=0), view.true_label)
    shares = curve.counts[:, classes] / curve.counts.sum(axis=1, keepdims=True)
    said = frame.copies
    return {
        "sigmas": curve.sigmas.tolist(),
        "radius": np.round(proved.radius, 6).tolist(),
        "pa": np.round(proved.p_a, 6).tolist(),
        "zb": np.round(ndtri(proved.p_b.clip(_CLOSE_TO_CERTAIN)), 6).tolist(),
        "names": [names[c] for c in curve.prediction],
        "classes": [names[c] for c in classes],
        "shares": np.round(shares.T, 4).tolist(),
        "said": None if said is None else [[names[c] for c in row] for row in said.classes],
        "confidence": None if said is None else np.round(said.confidence, 3).tolist(),
    }


def _certificate(made: Certificate, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "sigma": made.sigma,
        "radius": made.radius,
        "pa": made.p_lower,
        "pb": other_bound(made),
        "grade": made.grade.name,
        "badge": str(grade_badge(made.grade)),
        "said": proof_text(made, names),
    }
