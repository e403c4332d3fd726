"""Somebody's checkpoint, step by step: read it, see what it is, try normalisations, use it."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ddrs_core.cache import LRU
from ddrs_core.dashboard.common.model_choice import PICTURES
from ddrs_core.dashboard.navigation import link_to_explorer
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.my_uploads import remember_upload
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.data import list_datasets
from ddrs_core.errors import CheckpointError, DDRSError
from ddrs_core.models import (
    Proposal,
    accept,
    describe,
    keep_upload,
    list_architectures,
    list_torchvision_architectures,
    propose,
    read_state,
)
from ddrs_core.paths import ALLOWED_VARIABLE, allowed_dirs, check_allowed

_Choice = tuple[str | None, str | None]  # architecture and data set, where they were told

_LONGEST_NAME = 120  # bytes
_READING = threading.BoundedSemaphore(2)  # a class that uploads at once must not fill the memory
_MOST_BYTES = 1 << 30  # of weights that have been read and are looked at
_READ: LRU[Proposal] = LRU(
    _MOST_BYTES, lambda p: sum(weights.nbytes for weights in p.raw.state.values())
)
_RECOGNISED = "as recognised"
_ANY = "whatever has its classes"
_SAFE_TO_READ = (
    "Checkpoints of Cohen et al., SmoothAdv, MACER, the paper's authors, plain state dicts and "
    "safetensors, up to 200 MB. Only numbers are read; nothing in a file is ever executed."
)


def show_import() -> None:
    """The whole way from a file to a model that pages offer."""
    left, right = st.columns(2)
    given = left.file_uploader("Upload a file", key="model_upload", help=_SAFE_TO_READ)
    roots = allowed_dirs()
    path = right.text_input(
        "or a path on the server",
        key="model_path",
        disabled=not roots,
        placeholder=str(roots[0]) if roots else f"closed; opened by {ALLOWED_VARIABLE}",
    )
    if given is None and not path.strip():
        st.caption(_SAFE_TO_READ)
        return
    names = [a.name for a in (*list_architectures(), *list_torchvision_architectures())]
    left, right = st.columns(2)
    architecture = show_widget(
        left.selectbox, keys.MODEL_ARCHITECTURE, "Architecture", [_RECOGNISED, *names]
    )
    titles = {_ANY: _ANY} | {info.name: info.title for info in list_datasets()}
    dataset = show_widget(right.selectbox, keys.MODEL_TRIED_ON, "Tried on", titles)
    choice = (
        None if architecture == _RECOGNISED else architecture,
        None if dataset == _ANY else dataset,
    )
    try:
        with st.spinner("Reading the file in its own process, and trying normalisations"):
            proposal = _read_upload(given, choice) if given is not None else _read(path, choice)
    except DDRSError as error:
        show_error(error)
        return
    _show_proposal(proposal)


def _read_upload(given: UploadedFile, choice: _Choice) -> Proposal:
    """Read an upload; one that was refused is not read again at every run of the page."""
    state = st.session_state
    asked = (given.file_id, choice)
    refused = state.get("model_refused")
    if refused is not None and refused[0] == asked:
        raise CheckpointError(refused[1])
    known = state.get("model_digest")
    if known is None or known[0] != given.file_id:
        digest = hashlib.sha256(given.getbuffer()).hexdigest()
        known = state["model_digest"] = (given.file_id, digest)

    def read() -> Proposal:
        with _as_file(given.getbuffer(), given.name) as file:
            return _propose(file, choice)

    try:
        return _READ.get((known[1], given.name, choice), read)
    except DDRSError as error:
        state["model_refused"] = (asked, str(error))
        raise


def _read(text: str, choice: _Choice) -> Proposal:
    """Read a file that lies on the server."""
    path = check_allowed(text)
    try:
        status = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None
    version = (status.st_mtime_ns, status.st_size, status.st_ino)  # not when it was read last
    return _READ.get((version, str(path), choice), lambda: _propose(path, choice))


def _show_proposal(proposal: Proposal) -> None:
    st.code(
        "\n".join(describe(proposal.raw, proposal.recognitions, proposal.digest)),
        language=None,
        wrap_lines=True,
    )
    if proposal.near_chance or proposal.noise:
        st.warning(literal(proposal.advice), icon=":material/warning:")
    elif proposal.trials:
        st.success(proposal.advice, icon=":material/check:")
    else:
        st.info(proposal.advice, icon=":material/info:")
    robustness = None if proposal.near_chance else proposal.robustness
    if robustness and (warning := robustness.explain(proposal.num_classes)):
        st.warning(warning, icon=":material/warning:")
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
        )
    with st.form("use_model", border=False):
        left, middle, right = st.columns(3)
        normalization = left.selectbox(
            "Normalisation", list(proposal.normalizations), help="The proposed one comes first."
        )
        sigma = middle.number_input(
            "Trained with noise sigma",
            0.0,
            10.0,
            proposal.sigma,
            step=0.05,
            placeholder="not known",
            help="0: without noise. Where the optimiser starts.",
        )
        method = right.text_input("Training method", placeholder="not known", max_chars=40)
        pressed = st.form_submit_button("Use this model", type="primary", icon=":material/check:")
    if not pressed:
        return
    try:
        classifier = accept(
            proposal,
            "upload",
            normalization=normalization,
            sigma=sigma,
            method=method.strip() or None,
        )
        card = keep_upload(classifier)
    except DDRSError as error:
        show_error(error)
        return
    remember_upload("model", card.name)
    st.success(
        "Your pages offer the model now. Only you and those who have your link can use it.",
        icon=":material/check:",
    )
    link_to_explorer("**Explore with it**", model=card.name, dataset=proposal.dataset or PICTURES)


def _propose(file: Path, choice: _Choice) -> Proposal:
    architecture, dataset = choice
    with _READING:
        return propose(read_state(file), architecture=architecture, dataset=dataset)


@contextmanager
def _as_file(data: memoryview, name: str) -> Iterator[Path]:
    """The upload as a file under its own name, while it is read."""
    with tempfile.TemporaryDirectory(prefix="ddrs-") as folder:
        path = Path(folder) / file_name(name)
        try:
            path.write_bytes(data)
        except OSError as error:
            raise CheckpointError(
                f"The upload could not be written to this server's disk: {error.strerror or error}."
            ) from None
        yield path


def file_name(name: str) -> str:
    """The last part of a name that a browser sent, as a name that a file can have."""
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(c if c.isprintable() else "_" for c in last)
    return clean.encode()[-_LONGEST_NAME:].decode(errors="ignore").lstrip(". ") or "upload"
