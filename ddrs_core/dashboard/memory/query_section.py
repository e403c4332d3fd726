"""A query: any image, moved away from where it was, certified, settled, and stored if wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import streamlit as st
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.dashboard.common.bank_content import BankContent, read_content
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.memory.attempts import Charged, find_charged, next_alpha
from ddrs_core.dashboard.memory.bank_certifier import open_certifier
from ddrs_core.dashboard.memory.jobs import (
    certify_request,
    certify_what,
    find_job,
    show_job_buttons,
    start_charged,
)
from ddrs_core.dashboard.memory.query_form import (
    Query,
    make_query,
    pick_certification,
    pick_query,
    titled,
)
from ddrs_core.dashboard.memory.settlement_board import settlement_figures, show_settlement
from ddrs_core.dashboard.memory.texts import charge_text, claim_text, place_text, settlement_text
from ddrs_core.dashboard.memory.view import MemoryView, Way, current_view
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import Watch, redraw
from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError
from ddrs_core.figures import Figure
from ddrs_core.jobs import Job, JobRequest
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.memory.rules import Settlement
from ddrs_core.store import AlreadyStoredError

_NEAREST = 12


def show_query(context: BankContext) -> None:
    """Choose a query, see where it lies, certify it, see the settlement."""
    try:
        certifier = open_certifier(context, current_view())
    except DDRSError as error:
        show_error(error)
        return
    pick_query(certifier.dataset)
    pick_certification()
    view = current_view()
    certifier = open_certifier(context, view)
    query = make_query(certifier, view)
    what = certify_what(certifier, query.x, view.n, query.index)
    charged = find_charged(context.bank, what)

    def request(charged: Charged) -> JobRequest:
        return certify_request(certifier, query.x, view.n, query.index, charged)

    job = find_job(request(charged)) if charged is not None else None
    watch = Watch(job)
    content = read_content(context.bank, context.record.fingerprint)
    _show_picture(query, certifier.dataset, view)
    certificate = job.latest.certificate if job is not None and job.latest else None
    with st.container(horizontal=True, vertical_alignment="center"):
        show_job_buttons(
            "Certify",
            "how_to_vote",
            job,
            lambda: start_charged(context, what, request),
            "memory_cancel",
        )
        _show_store(context, query, certificate, charged)
    st.caption(literal(charge_text(context.record.confidence, next_alpha(context.record))))
    look = cache(lambda claim: _look(context, content, query, claim))  # once, not at every tick
    watch.draw(lambda: _draw(look, job))


def _show_picture(query: Query, dataset: Dataset, view: MemoryView) -> None:
    pictures = [(query.x, f"the query: {query.title}")]
    if query.index is None:
        pictures.insert(0, (dataset[view.image][0], titled(dataset, view.image)))
        if view.way is Way.IMAGE:
            pictures.append((dataset[view.target][0], titled(dataset, view.target)))
    moved = f"{query.moved:.3f} from image {view.image}, in ℓ₂" if query.moved else "not moved"
    st.html(pictures_html(pictures) + render("note.html", text=moved))


def pictures_html(pictures: list[tuple[Tensor, str]]) -> Markup:
    """Images side by side with a caption each."""
    shown = [
        {"src": picture_uri(image), "shape": image.shape, "caption": caption}
        for image, caption in pictures
    ]
    return render("pictures.html", pictures=shown)


def _show_store(
    context: BankContext, query: Query, certificate: Certificate | None, charged: Charged | None
) -> None:
    done = charged is not None and charged.attempt.settled > 0
    if st.button(
        "Store it in my copy",
        icon=":material/save:",
        disabled=certificate is None or done,
        help="Until then it changes no answer. Stored, it decides later settlements.",
    ):
        assert certificate is not None
        assert charged is not None
        try:
            context.bank.settle_many([query.x], [certificate], attempt=charged.attempt.key)
        except AlreadyStoredError:
            pass  # by another tab, or the first press of a double click
        except DDRSError as error:
            show_error(error)
            return
        redraw()
    if done:
        st.caption(f"Stored: your copy has {counted(context.record.stored, 'ball')} now.")
    elif context.record.confidence.next_alpha == 0:
        st.caption("The budget of this bank is used up.")


@dataclass(frozen=True)
class _Look:
    """What the bank makes of a query."""

    settlement: Settlement
    figures: dict[str, Figure]
    said: str


def _look(
    context: BankContext, content: BankContent, query: Query, certificate: Certificate | None
) -> _Look:
    names, x = context.class_names, query.x.numpy()
    found = context.bank.lookup(x, certificate)
    nearest = content.nearest(x, _NEAREST)

    def image_of(serial: int) -> NDArray[np.float32]:
        return content.image_of(serial) if serial in content else context.bank.image(serial)

    if certificate is None:
        said = place_text(found.containing, nearest, names)
    else:
        claim = claim_text(certificate, names)
        said = f"The certificate: {claim}. {settlement_text(found.settlement, names)}"
    figures = settlement_figures(
        found.settlement,
        x,
        image_of,
        nearest,
        names,
        answered="" if certificate is not None else "the memory answers",
    )
    return _Look(found.settlement, figures, said)


def _draw(look: Callable[[Certificate | None], _Look], job: Job | None) -> None:
    latest = job.latest if job is not None else None
    try:
        found = look(None if latest is None else latest.certificate)
    except DDRSError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    show_settlement(
        found.settlement,
        found.figures,
        key="memory_query_board",
        said=found.said,
        progress=progress_html(job, "Not certified yet: press Certify."),
    )
