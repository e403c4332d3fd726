"""Named examples: links to images that show one thing each, and their stored runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import streamlit as st

from ddrs_core.dashboard.explorer.jobs import (
    CurveFrame,
    certify_request,
    curve_request,
    sigma_request,
)
from ddrs_core.dashboard.explorer.plain import from_plain, to_plain
from ddrs_core.dashboard.explorer.view import OPENING, ExplorerView, default_view, started_at
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.errors import unknown_name
from ddrs_core.smoothing import Grade, SigmaFrame, VoteProgress, get_preset

_FOLDER = Path(__file__).resolve().parents[3] / "assets" / "results" / "examples"


@dataclass(frozen=True)
class Example:
    """An image, a model and a search that show one thing."""

    name: str  # in links
    title: str  # on its chip
    shows: str  # in a sentence
    image: int
    model: str = "digits-gaussian-0.50"
    sigma_0: float = 0.5
    preset: str = "surface"
    at_start: bool = False  # opens at σ₀, not where the search ended

    @property
    def view(self) -> ExplorerView:
        """What the explorer shows."""
        view = replace(default_view("digits", self.model), index=self.image, preset=self.preset)
        return started_at(
            replace(view, config=get_preset(self.preset).at(view.sigma_0)), self.sigma_0
        )


@dataclass(frozen=True)
class StoredRun:
    """What was once computed of an example, on some machine."""

    frames: tuple[SigmaFrame, ...]
    curve: CurveFrame
    at_start: tuple[VoteProgress, ...]  # the last one has the certificate
    at_answer: tuple[VoteProgress, ...]


_ROBUST = "digits-smoothadv-ds2-0.50"
_EXAMPLES = (
    Example(
        "gains-most",
        "gains most",
        "Less noise than in training: the certified radius grows by half.",
        OPENING[1],
    ),
    Example("easy", "easy", "A large radius at σ₀ already: the search finds little more.", 28),
    Example(
        "too-little-noise",
        "too little noise",
        "Every vote agrees, yet N votes prove at most about 3 σ₀: more noise proves more.",
        28,
        sigma_0=0.06,
    ),
    Example(
        "too-much-noise",
        "too much noise",
        "At σ₀ the digit drowns in noise: less noise proves more.",
        9,
        sigma_0=1.2,
    ),
    Example(
        "abstains",
        "abstains",
        "At σ₀ two classes share the votes, so nothing can be proved there.",
        6,
        _ROBUST,
        at_start=True,
    ),
    Example(
        "misled",
        "strategy misled",
        "Confident softmax outputs lead the ascent on, while the votes prove less there.",
        9,
        "digits-gaussian-0.25",
        0.25,
        "fast",
    ),
    Example(
        "contradiction",
        "contradiction",
        "σ₀ and σ* certify different classes for one image: a conditional radius may be worthless.",
        58,
        _ROBUST,
        0.5,
        "fast",
    ),
)
EXAMPLES = {example.name: example for example in _EXAMPLES}


def get_example(name: str) -> Example:
    """One example by name.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in EXAMPLES:
        raise unknown_name("example", name, EXAMPLES)
    return EXAMPLES[name]


def example_of(view: ExplorerView) -> Example | None:
    """The example that a view shows, wherever and at whatever pace."""
    for example in EXAMPLES.values():
        if (example.image, example.model) == (view.index, view.model):
            its = example.view
            here = replace(its, device=view.device, pace=view.pace)
            if here == replace(view, hand=None, cover=""):
                return example
    return None


@lru_cache(maxsize=len(EXAMPLES))
def stored_run(name: str) -> StoredRun:
    """The stored run of an example."""
    plain = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    made: StoredRun = from_plain(StoredRun, plain)
    return made


def find_stored(view: ExplorerView) -> StoredRun | None:
    """The stored run of the example that a view shows, unless the visitor has put it away."""
    example = example_of(view)
    if example is None or st.session_state.get(keys.EMPTIED) == example.name:
        return None
    return stored_run(example.name)


def record(name: str) -> StoredRun:
    """Compute an example, and store the run."""
    view = get_example(name).view
    frames = tuple(sigma_request(view).start())
    *_, curve = curve_request(view).start()
    chosen = frames[-1].step.chosen
    assert chosen is not None
    start = certify_request(view, view.sigma_0, Grade.UNCONDITIONAL).start()
    answer = certify_request(view, chosen, Grade.CONDITIONAL).start()
    made = StoredRun(frames, curve, tuple(start), tuple(answer))
    _FOLDER.mkdir(parents=True, exist_ok=True)
    (_FOLDER / f"{name}.json").write_text(json.dumps(to_plain(made)) + "\n", "utf-8")
    return made


if __name__ == "__main__":
    for known in EXAMPLES:
        record(known)
