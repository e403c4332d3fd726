"""A run on the same axes as the one that is shown: pinned as A, or the last one, as a ghost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from ddrs_core.dashboard.common.model_choice import title_of
from ddrs_core.dashboard.explorer.certify_section import (
    Jobs,
    Target,
    find_certificates,
    levels_of,
)
from ddrs_core.dashboard.explorer.examples import example_of, stored_run
from ddrs_core.dashboard.explorer.jobs import (
    CurveFrame,
    certify_request,
    curve_request,
    show_stored,
    sigma_request,
)
from ddrs_core.dashboard.explorer.link import Pin
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.figures.beside import Beside
from ddrs_core.jobs import Job, get_manager
from ddrs_core.smoothing import get_preset, provable, round_down


@dataclass(frozen=True)
class OtherRun:
    """A run beside the one that is shown."""

    name: str  # "A"
    what: str  # how it differs, in a few words
    view: ExplorerView
    job: Job
    curve: Job
    certify: Jobs

    @property
    def jobs(self) -> list[Job | None]:
        """All jobs that compute it."""
        return [self.job, self.curve, *self.certify.values()]

    @property
    def chosen(self) -> float | None:
        """The noise level that it found."""
        history = self.job.history
        return history[-1].step.chosen if history else None

    def drawn(self) -> Beside:
        """What the figures show of it, as far as it is known."""
        frame: CurveFrame | None = self.curve.latest
        curve = None
        if frame is not None:
            curve = frame.curve.sigmas, provable(frame.curve, self.view.budget).radius
        made = list(find_certificates(self.certify).values())
        return Beside(self.name, [frame.step for frame in self.job.history], curve, made)

    def label(self) -> str:
        """Its name, how it differs, and the radius at the level that it found."""
        radius = ""
        if self.chosen is not None:
            made = [c for c in find_certificates(self.certify).values() if c.sigma == self.chosen]
            found = f"= {round_down(made[0].radius)}" if made else f"≈ {self._estimate():.3f}"
            radius = f" · R {found}"
        return f"{self.name}: {self.what}{radius}"

    def _estimate(self) -> float:
        return float(self.job.history[-1].step.radius)

    def radii(self) -> dict[str, str]:
        """By name of the level: what is certified there."""
        said = {}
        name = self.name if is_pinned() else f"{self.name}, {self.what}"
        for level, made in find_certificates(self.certify).items():
            found = "abstains" if made.abstained else f"R = {round_down(made.radius)}"
            said[level.name] = f"{name}: {found} at σ = {level.sigma:.3f}"
        return said


def find_other(view: ExplorerView, job: Job | None) -> OtherRun | None:
    """The pinned run; or, before the picked image is run, the last one. None where that is the run
    that is shown."""
    state = st.session_state
    pin: Pin | None = state.get(keys.PINNED)
    if job is not None:
        state[keys.LAST_RUN] = view
    if pin is None:
        last = state.get(keys.LAST_RUN)
        if job is not None or last is None:
            return None
        name, pin = "last run", Pin(last)
    else:
        name = "A"
    what = difference(pin.view, view)
    if not what:
        return None
    try:
        return _find(name, what, pin)
    except DDRSError:  # as where its model is gone
        state[keys.PINNED] = state[keys.LAST_RUN] = None
        return None


def _find(name: str, what: str, pin: Pin) -> OtherRun:
    view, manager, me = pin.view, get_manager(), visitor()
    request, example = sigma_request(view), example_of(view)
    job = manager.find(request.key, me)
    stored = stored_run(example.name) if example is not None and job is None else None
    curve = curve_request(view)
    if stored is not None:
        job, curve_job = show_stored(request, stored.frames), show_stored(curve, [stored.curve])
    else:
        job, curve_job = manager.ensure(request, me), manager.ensure(curve, me)
    chosen = job.history[-1].step.chosen if job.history else None
    certify: dict[Target, Job | None] = {}
    for i, level in enumerate(levels_of(view, chosen)):
        wanted = certify_request(view, level.sigma, level.grade)
        known = manager.find(wanted.key, me)
        if known is None and stored is not None:
            known = show_stored(wanted, (stored.at_start, stored.at_answer)[i])
        elif known is None and pin.certified:
            known = manager.ensure(wanted, me)
        certify[level] = known
    return OtherRun(name, what, view, job, curve_job, certify)


def pin_of(other: OtherRun | None) -> Pin | None:
    """What a link says of the pinned run."""
    pin: Pin | None = st.session_state.get(keys.PINNED)
    if pin is None or other is None:
        return pin
    return replace(pin, certified=bool(find_certificates(other.certify)))


def is_pinned() -> bool:
    """Whether a run is pinned."""
    return st.session_state.get(keys.PINNED) is not None


def pin_or_clear(view: ExplorerView) -> None:
    """Pin what is shown, or clear the pin."""
    pinned = st.session_state.get(keys.PINNED) is None
    st.session_state[keys.PINNED] = Pin(replace(view, hand=None, cover="")) if pinned else None


def difference(one: ExplorerView, other: ExplorerView) -> str:
    """In what the first view differs, in a few words; nothing where they show the same run."""
    parts: list[str] = []
    if one.dataset != other.dataset:
        parts.append("your picture" if one.is_picture else one.info.title)
    if one.index != other.index:
        parts.append(f"image {one.index}")
    if one.model != other.model:
        parts.append(title_of(one.card))
    preset = get_preset(one.preset)
    if one.preset != other.preset:
        parts.append(preset.title)
    if one.sigma_0 != other.sigma_0:
        parts.append(f"σ₀ = {one.sigma_0:g}")
    changes = preset.changes(one.config, one.sigma_0)
    if one.preset == other.preset and changes != preset.changes(other.config, other.sigma_0):
        parts.append(_listed(changes) or "the preset's parameters")
    for name, title in (("n", "N"), ("n0", "N₀"), ("alpha", "α"), ("seed", "seed")):
        its = getattr(one.budget, name)
        if its != getattr(other.budget, name):
            parts.append(f"{title} = {its:,}" if isinstance(its, int) else f"{title} = {its:g}")
    if one.budget.bound is not other.budget.bound:
        parts.append(one.budget.bound.value)
    return ", ".join(parts)


def _listed(changes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in changes.items())
