"""The library's models: what is known about each, and torchvision's published weights."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ddrs_core.dashboard.common.download_jobs import show_download, start_download
from ddrs_core.dashboard.common.model_choice import PICTURES, own_models, title_of
from ddrs_core.dashboard.navigation import link_to_explorer
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.models import (
    ModelCard,
    download_published,
    is_downloaded,
    list_models,
    list_published,
)

_RADIUS = 0.25  # the least that tables begin with
_NOISE = {None: "not told", True: "yes", False: "no"}


def show_models() -> None:
    """A row for each model; those that the visitor uploaded come last."""
    cards = [*list_models(), *own_models()]
    st.dataframe(
        model_table(cards),
        hide_index=True,
        width="stretch",
        column_config={
            "parameters": st.column_config.NumberColumn(format="localized"),
            "clean": st.column_config.TextColumn(help="accuracy without noise"),
            "own noise": st.column_config.TextColumn(
                help="accuracy under the noise that it was trained with"
            ),
            "certified": st.column_config.TextColumn(
                help="share of 100 test images that are right and certified at radius r, from "
                "1,000 votes with the noise that the model was trained with, one-sided"
            ),
        },
    )
    st.caption(
        "A model that was not trained with noise recognises few noisy copies, so that "
        "certification mostly abstains; the explorer measures it beside the model's name."
    )


def show_published() -> None:
    """torchvision's ImageNet classifiers: choose, download, explore."""
    weights = {w.name: w for w in list_published()}
    st.session_state.setdefault(keys.PUBLISHED_MODEL, _first(list(weights)))
    chosen = weights[
        show_widget(
            st.selectbox,
            keys.PUBLISHED_MODEL,
            "Network and weights",
            {name: _title(one) for name, one in weights.items()},
        )
    ]
    st.caption(
        f"{chosen.num_params / 1e6:,.1f} M parameters, {chosen.accuracy:.1%} on ImageNet, trained "
        f"without noise; accepts {' x '.join(map(str, chosen.shape))} values. Source: {chosen.url}"
    )
    key = f"download|{chosen.name}"
    if is_downloaded(chosen):
        label = f"Explore with {chosen.architecture}"
        link_to_explorer(label, dataset=PICTURES, model=chosen.name)
    elif st.button(f"Download {chosen.size_mb:,.0f} MB", icon=":material/download:"):
        start_download(key, f"download of {chosen.name}", lambda: download_published(chosen))
    show_download(key)


def _first(names: list[str]) -> str:
    return next((name for name in names if name.startswith("torchvision-resnet50-")), names[0])


def _title(weights: object) -> str:
    name = str(getattr(weights, "name", ""))
    here = " (here)" if is_downloaded(weights) else ""  # type: ignore[arg-type]
    return name.removeprefix("torchvision-") + here


def model_table(cards: list[ModelCard]) -> pd.DataFrame:
    """What is known about models, a row for each."""
    return pd.DataFrame(
        {
            "model": [title_of(c) for c in cards],
            "data set": [c.dataset for c in cards],
            "architecture": [c.architecture for c in cards],
            "training": [c.method for c in cards],
            "sigma": [c.sigma for c in cards],
            "with noise": [_NOISE[c.trained_with_noise] for c in cards],
            "clean": [_percent(_clean(c)) for c in cards],
            "own noise": [_percent(c.own_noise_accuracy) for c in cards],
            "certified": [_certified(c) for c in cards],
            "parameters": [c.parameters for c in cards],
            "digest": [c.digest for c in cards],
            "origin": [c.origin or "trained with this program" for c in cards],
        }
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _certified(card: ModelCard) -> str:
    """At the largest radius of the card that is at most the training noise."""
    found = [
        (r, share)
        for r, share in zip(
            card.certified.get("radii", ()), card.certified.get("accuracy", ()), strict=True
        )
        if r <= max(_RADIUS, card.sigma or 0.0)
    ]
    return f"{_percent(found[-1][1])} at r = {found[-1][0]:g}" if found else ""


def _clean(card: ModelCard) -> float | None:
    return next((v for k, v in card.accuracy.items() if k.startswith("clean")), None)
