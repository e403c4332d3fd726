"""The case that a memory is there for: a neighbour inside a ball that gets another class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.common.bank_content import read_content
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render, show_html
from ddrs_core.dashboard.memory.attempts import Charged, find_charged, next_alpha
from ddrs_core.dashboard.memory.bank_certifier import BankCertifier
from ddrs_core.dashboard.memory.jobs import (
    SEARCH_CERTIFICATES,
    find_job,
    search_identity,
    search_request,
    show_job_buttons,
    start_charged,
)
from ddrs_core.dashboard.memory.query_form import pick_number, titled
from ddrs_core.dashboard.memory.query_section import pictures_html
from ddrs_core.dashboard.memory.settlement_board import settlement_figures, show_settlement
from ddrs_core.dashboard.memory.texts import charge_text, grades_html, settlement_text
from ddrs_core.dashboard.memory.view import current_view
from ddrs_core.dashboard.shell.debounce import once_per_click
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import Watch, redraw
from ddrs_core.errors import DDRSError, MismatchError
from ddrs_core.figures.class_axis import class_title
from ddrs_core.jobs import Job
from ddrs_core.smoothing import round_down
from ddrs_core.smoothing.memory.counterexample import Counterexample, NotFound

_PROGRESS = Board("memory/search_board.html")
_STAGES = {
    "own certificate": "certifying the image itself",
    "attack": "attacking: climbing towards other classes inside the ball",
    "sigma": "letting the best ends choose their own sigma",
    "certify": "certifying what got another class",
    "confirm": "confirming with fresh noise",
}


def show_counterexample(
    context: BankContext, certifier: BankCertifier, names: Sequence[str]
) -> None:
    """Search for a counterexample to one image's radius, and show it."""
    st.subheader("Search for a counterexample", divider="gray", anchor=False)
    st.caption(
        "A purely data-dependent radius does not protect against a neighbour that chooses another "
        "sigma. The search looks for such a neighbour x' inside the ball of x, certifies it at its "
        "own sigma, and confirms it: x and such neighbours are certified again, with fresh noise."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pick_number("Image x", "hunted", certifier.dataset)
        view = current_view()
        try:
            what = search_identity(certifier, view.hunted)
        except MismatchError as error:
            st.info(literal(str(error)))
            return
        charged = find_charged(context.bank, what)
        request = partial(search_request, certifier, view.hunted)
        job = find_job(request(charged)) if charged is not None else None
        watch = Watch(job)
        show_job_buttons(
            "Search",
            "search",
            job,
            lambda: start_charged(context, what, request, SEARCH_CERTIFICATES),
            "memory_search_cancel",
        )
        _show_store(context, job, charged)
    alpha = next_alpha(context.record, SEARCH_CERTIFICATES)
    st.caption(literal(charge_text(context.record.confidence, alpha, SEARCH_CERTIFICATES)))
    watch.draw(lambda: _draw(certifier, view.hunted, job, names))


def _show_store(context: BankContext, job: Job | None, charged: Charged | None) -> None:
    latest = job.latest if job is not None else None
    found = latest.result if latest is not None else None
    if st.button(
        "Store x and x'",
        icon=":material/save:",
        disabled=not isinstance(found, Counterexample),
        help="In this order, in your copy of the bank, as far as they are not there. The section "
        "Order then shows what another order would have made of them.",
    ):
        assert isinstance(found, Counterexample)
        assert charged is not None
        both, attempt = (found.fresh, found.other_fresh), charged.attempt.key
        try:
            stored = once_per_click(
                f"store {both} in {context.bank.id}", lambda: _store(context, found, attempt)
            )
        except DDRSError as error:
            show_error(error)
            return
        st.toast("Stored in your copy of the bank." if stored else "They are stored already.")
        if stored:
            redraw()


def _store(context: BankContext, found: Counterexample, attempt: str) -> bool:
    """Store what of x and x' is not there; whether anything was new."""
    content = read_content(context.bank, context.record.fingerprint)
    pair = [(found.x, found.fresh), (found.other, found.other_fresh)]
    new = [(x, c) for x, c in pair if not content.holds(x.numpy())]
    context.bank.settle_many([x for x, _ in new], [c for _, c in new], attempt=attempt)
    return bool(new)


def _draw(certifier: BankCertifier, index: int, job: Job | None, names: Sequence[str]) -> None:
    latest = job.latest if job is not None else None
    progress = progress_html(job, "Not searched yet: press Search. It takes some seconds.")
    if latest is None or latest.result is None:
        said = "" if latest is None else _STAGES.get(latest.stage, latest.stage)
        _show_progress(progress, said)
        return
    _show_progress(progress)
    if isinstance(latest.result, NotFound):
        st.info(latest.result.text, icon=":material/search_off:")
        return
    _show_found(certifier, index, latest.result, names)


def _show_progress(progress: Markup, said: str = "") -> None:
    texts = {"progress": progress, "stage": said}
    _PROGRESS.show(key="memory_search_progress", name="search", texts=texts)


def _show_found(
    certifier: BankCertifier, index: int, found: Counterexample, names: Sequence[str]
) -> None:
    show_html(
        "memory/counterexample.html",
        said=counterexample_text(found, names),
        pictures=pictures_html(
            [
                (found.x, f"x: {titled(certifier.dataset, index)}"),
                (found.other, "x': inside the certified ball of x"),
                ((0.5 + (found.other - found.x)).clamp(0, 1), "the difference, from grey"),
            ]
        ),
        table=_certificates_html(found, names),
    )
    settlement = found.with_memory()
    x = found.x.numpy()
    show_settlement(
        settlement,
        settlement_figures(settlement, found.other.numpy(), lambda _: x, names=names),
        key="memory_search_board",
        said="With the memory, x stored first as ball 0, x' is settled instead. "
        + settlement_text(settlement, names),
    )
    show_html("memory/grades_broken.html", grades=grades_html())


def counterexample_text(found: Counterexample, names: Sequence[str]) -> str:
    """The contradiction in a sentence or two."""
    mine, theirs = found.fresh, found.other_fresh
    return (
        f"x is certified {class_title(mine.prediction, names)} within {round_down(mine.radius)} at "
        f"sigma {mine.sigma:.3f}. x' is only {found.distance.high:.3f} away, inside that ball, but "
        f"chooses sigma {theirs.sigma:.3f} and is certified "
        f"{class_title(theirs.prediction, names)} within {round_down(theirs.radius)}. Both are "
        "right about their own smoothed classifier; the data-dependent classifier contradicts the "
        f"radius. {confidence_text(found)}"
    )


def confidence_text(found: Counterexample) -> str:
    """How sure the contradiction is, given how often it was tried."""
    tried = found.confirmations
    neighbours = "1 neighbour" if tried == 1 else f"{tried} neighbours, until one was confirmed"
    return (
        f"Fresh noise certified x and {neighbours}. All of these certificates hold with a "
        f"probability of at least {1 - found.failure:.6g} (1 - (1 + {tried}) alpha, "
        f"alpha = {found.fresh.alpha:g})."
    )


def _certificates_html(found: Counterexample, names: Sequence[str]) -> Markup:
    certificates = {
        "x, before the search": found.certificate,
        "x', as selected": found.other_certificate,
        "x, fresh noise": found.fresh,
        "x', fresh noise": found.other_fresh,
    }
    return render(
        "table.html",
        label="The four certificates",
        head=("certificate", "class", "radius", "sigma", "votes", "seed"),
        rows=[
            (
                title,
                class_title(c.prediction, names),
                round_down(c.radius),
                f"{c.sigma:.3f}",
                f"{c.counts[c.candidate]:,} of {c.n:,}",
                c.seed,
            )
            for title, c in certificates.items()
        ],
        bold=(),
    )
