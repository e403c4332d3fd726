"""What a certificate covers: the image moved by up to 1.5 R, and the votes there."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ddrs_core.dashboard.components.board import MOVED_ROUTE, Board
from ddrs_core.dashboard.components.data_uri import encode_array
from ddrs_core.dashboard.components.noise import thinning
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.explorer.certify_section import Jobs, Target, certify_missing
from ddrs_core.dashboard.explorer.jobs import moved_request
from ddrs_core.dashboard.explorer.live import noise_name
from ddrs_core.dashboard.explorer.texts import moved_texts
from ddrs_core.dashboard.explorer.view import FORM, ExplorerView
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.figures import moved_figure
from ddrs_core.jobs import Job, JobState, get_manager
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.moved_votes import STEPS_IN_R, MovedVotes

_BOARD = Board("explorer/moved.html", MOVED_ROUTE)
_NAMES = {"start": "σ₀", "answer": "σ*", "hand": "yours"}  # of the levels of a certification


def show_cover(view: ExplorerView, jobs: Jobs) -> None:
    """Choose a certificate, and move the image inside and out of its ball."""
    levels = {level.name: level for level in jobs}
    titles = {"": "hide"} | {
        cover: "your σ" if name == "yours" else name
        for cover, name in _NAMES.items()
        if name in levels or cover == view.cover
    }
    with st.container(horizontal=True, vertical_alignment="center", key="explorer_cover"):
        st.markdown(
            "**What a certificate covers**",
            help="Move the image by up to 1.5 R, and see the votes there, at the same noise level.",
            width="content",
        )
        FORM.show(
            st.segmented_control,
            "cover",
            "Move the image of the certificate at",
            titles,
            label_visibility="collapsed",
            width="content",
        )
    level = levels.get(_NAMES.get(view.cover, ""))
    if level is None:
        return
    job = jobs[level]
    made = job.latest.certificate if job is not None and job.latest is not None else None
    if job is None:
        certify_missing(view, level, jobs)
    elif made is not None and not made.radius > 0:
        st.caption(f"Nothing is certified at {titles[view.cover]}, so there is no ball to move in.")
    elif made is not None:
        moved = get_manager().ensure(moved_request(view, made), visitor())
        Watch(moved).draw(lambda: _show_board(view, level, made, moved))


def _show_board(view: ExplorerView, level: Target, made: Certificate, job: Job) -> None:
    votes: MovedVotes | None = job.latest
    names = view.info.class_names
    _BOARD.show(
        key="moved_board",
        name=f"{view.dataset}-{view.index}-moved",
        figures={"moved": moved_figure(made, votes, names)},
        texts={} if job.state is JobState.DONE else {"progress": progress_html(job)},
        live={
            "id": f"{job.request.key}",
            "noise": noise_name(view),
            "inside": STEPS_IN_R,
            "votes": None if votes is None else _live(votes, made, names),
        },
    )


def _live(votes: MovedVotes, made: Certificate, names: tuple[str, ...]) -> dict[str, Any]:
    step = thinning(votes.directions.shape)  # as the image is sent
    ways = votes.directions[:, :, ::step, ::step].numpy()
    largest = np.abs(ways).max(axis=(1, 2, 3)).clip(1e-12)
    sent = np.rint(ways / largest[:, None, None, None] * 127).astype(np.int8)
    return {
        "ways": [encode_array(way) for way in sent],
        "scales": (votes.scales * largest[:, None] / 127).tolist(),
        "distances": np.round(votes.distances, 6).tolist(),
        "shares": np.round(votes.counts[:, :, made.prediction] / votes.n, 4).tolist(),
        "said": moved_texts(votes, made, names),
    }
