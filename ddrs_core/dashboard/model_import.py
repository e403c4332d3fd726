"""Somebody's checkpoint, step by step: read it, see what it is, try normalisations, use it."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pandas as pd
import streamlit as st

from ddrs_core.dashboard.belongings import add_belonging
from ddrs_core.dashboard.messages import show_error
from ddrs_core.dashboard.navigation import explorer_page
from ddrs_core.dashboard.picture_picker import PICTURES
from ddrs_core.data import list_datasets
from ddrs_core.errors import DDRSError
from ddrs_core.models import (
    Proposal,
    accept,
    describe,
    keep_upload,
    list_architectures,
    list_normalizations,
    list_torchvision_architectures,
    propose,
    read_isolated,
)
from ddrs_core.places import ALLOWED_VARIABLE, allowed_dirs, check_allowed

_RECOGNISED = "as recognised"
_ANY = "whatever has its classes"
_SAFE_TO_READ = (
    "Checkpoints of Cohen et al., SmoothAdv, MACER, the paper's authors, plain state dicts and "
    "safetensors, up to 200 MB. Only numbers are read; nothing in a file is ever executed."
)


def show_import() -> None:
    """The whole way from a file to a model in the pickers."""
    left, right = st.columns(2)
    given = left.file_uploader("Upload a file", key="model_upload", help=_SAFE_TO_READ)
    roots = allowed_dirs()
    path = right.text_input(
        "or a path on the server", key="model_path", disabled=not roots,
        placeholder=str(roots[0]) if roots else f"closed; opened by {ALLOWED_VARIABLE}",
    )  # fmt: skip
    if given is None and not path.strip():
        st.caption(_SAFE_TO_READ)
        return
    names = [a.name for a in (*list_architectures(), *list_torchvision_architectures())]
    left, right = st.columns(2)
    architecture = left.selectbox("Architecture", [_RECOGNISED, *names], key="model_architecture")
    titles = {info.name: info.title for info in list_datasets()}
    dataset = right.selectbox(
        "Tried on", [_ANY, *titles], key="model_dataset",
        format_func=lambda name: titles.get(name, name),
    )  # fmt: skip
    choice = (
        None if architecture == _RECOGNISED else architecture,
        None if dataset == _ANY else dataset,
    )
    try:
        with st.spinner("Reading the file in a process of its own, and trying normalisations"):
            if given is not None:
                digest = hashlib.sha256(given.getbuffer()).hexdigest()
                with _as_file(given.getbuffer(), given.name) as file:
                    proposal = _remembered(digest, *choice, _Source(file, given.name))
            else:
                allowed = check_allowed(path)
                version = f"{allowed}|{allowed.stat().st_mtime_ns}"
                proposal = _remembered(version, *choice, _Source(allowed, str(allowed)))
    except DDRSError as error:
        show_error(error)
        return
    _show_proposal(proposal)


def _show_proposal(proposal: Proposal) -> None:
    st.code(
        "\n".join(describe(proposal.raw, list(proposal.recognitions))),
        language=None,
        wrap_lines=True,
    )
    if proposal.near_chance:
        st.warning(proposal.advice, icon=":material/warning:")
    elif proposal.trials:
        st.success(proposal.advice, icon=":material/check:")
    else:
        st.info(proposal.advice, icon=":material/info:")
    if len(proposal.trials) > 1:
        st.dataframe(
            pd.DataFrame(
                {
                    "normalisation": [t.name for t in proposal.trials],
                    "right": [t.accuracy for t in proposal.trials],
                    "cross-entropy": [t.loss for t in proposal.trials],
                }
            ),
            hide_index=True,
            column_config={
                "right": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
            },
        )  # fmt: skip
    shape = proposal.shape
    known = [proposal.normalization]
    known += [name for name in list_normalizations(shape[0]) if name not in known]
    with st.form("use_model", border=False):
        left, middle, right = st.columns(3)
        normalization = left.selectbox("Normalisation", known, help="The proposed one comes first.")
        sigma = middle.number_input(
            "Trained with noise sigma", 0.0, 10.0, proposal.sigma, step=0.05,
            placeholder="not known", help="0: without noise. Where the optimiser starts.",
        )  # fmt: skip
        method = right.text_input("Training method", placeholder="unknown", max_chars=40)
        pressed = st.form_submit_button("Use this model", type="primary", icon=":material/check:")
    if not pressed:
        return
    try:
        classifier = accept(
            proposal, "upload", normalization=normalization, sigma=sigma,
            method=method.strip() or "unknown",
        )  # fmt: skip
        card = keep_upload(classifier)
    except DDRSError as error:
        show_error(error)
        return
    add_belonging("model", card.name)
    st.success(
        "The model is in your pickers. Only you and those who have your link can use it.",
        icon=":material/check:",
    )
    query = {"model": card.name, "dataset": proposal.dataset or PICTURES}
    st.page_link(
        explorer_page(), label="**Explore with it**", icon=":material/explore:", query_params=query
    )


class _Source:
    """Where a file lies and what it is called; no part of a cache's key."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4)
def _remembered(
    _version: str, architecture: str | None, dataset: str | None, source: _Source
) -> Proposal:
    with tempfile.TemporaryDirectory(prefix="ddrs-") as folder:
        raw = read_isolated(source.path, Path(folder))
        return propose(raw, architecture=architecture, dataset=dataset, path=source.title)


@contextmanager
def _as_file(data: memoryview, name: str) -> Iterator[Path]:
    """The upload as a file of its own name, for as long as it is read."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:].lstrip(".") or "upload"
    with tempfile.TemporaryDirectory(prefix="ddrs-") as folder:
        path = Path(folder) / safe
        path.write_bytes(data)
        yield path
