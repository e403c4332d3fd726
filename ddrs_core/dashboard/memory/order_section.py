"""The price of a memory: its answers depend on who came first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.common.bank_content import BankContent, read_content
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.board import PROGRESS_BOARD, Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.memory.bank_section import image_name
from ddrs_core.dashboard.memory.jobs import find_job, orders_request, show_job_buttons, start_job
from ddrs_core.dashboard.memory.settlement_board import settlement_figures, show_settlement
from ddrs_core.dashboard.memory.texts import settlement_text
from ddrs_core.dashboard.memory.view import FORM, SHUFFLE_CHOICES, current_view
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.figures import bank_growth_figure, changing_images_figure, order_study_figure
from ddrs_core.jobs import Job
from ddrs_core.quantities import counted
from ddrs_core.smoothing.memory.arrival_order import OrderStudy, replay, summarise_orders
from ddrs_core.smoothing.memory.rules import Ball, Outcome, Settlement

_NEAREST = 12
_GROWTH = Board("memory/growth.html")
_STUDY = Board("memory/orders.html")


def show_order(context: BankContext) -> None:
    """Replay the bank's history; shuffle it."""
    content = read_content(context.bank, context.record.fingerprint)
    if len(content.balls) < 2:
        st.info("A replay needs two balls at least. Store some in the section Query.")
        return
    _show_replay(context, content)
    _show_shuffles(context, content)


@st.cache_resource(max_entries=16, show_spinner=False)
def replayed(fingerprint: str, _content: BankContent) -> tuple[Settlement, ...]:
    """The bank's certificates settled again, in the order in which they came; balls are called
    by their serials."""
    balls = _content.balls
    arrivals = replay(
        _content.between, [b.claimed for b in balls], [b.claimed_radius for b in balls]
    )
    serials = [b.serial for b in balls]
    return tuple(_renumbered(arrival.settlement, serials) for arrival in arrivals)


def _renumbered(settlement: Settlement, serials: Sequence[int]) -> Settlement:
    def called(ball: Ball) -> Ball:
        return replace(ball, id=serials[ball.id])

    parts = tuple(replace(part, ball=called(part.ball)) for part in settlement.parts)
    by = None if settlement.by is None else called(settlement.by)
    return replace(settlement, by=by, parts=parts)


def _show_replay(context: BankContext, content: BankContent) -> None:
    st.subheader("Replay", divider="gray", anchor=False)
    st.caption(
        "Move through the bank's history: every certificate as it met the balls that were there "
        "before it."
    )
    total = len(content.balls)
    if not 1 <= int(FORM["arrival"]) <= total:
        FORM["arrival"] = total
    with st.container(horizontal=True, vertical_alignment="bottom"):
        at = FORM.show(st.slider, "arrival", "Arrival", 1, total)
        st.button(
            "Next that changed",
            icon=":material/skip_next:",
            on_click=_skip,
            args=(context.record.fingerprint, content),
            help="The next certificate that did not stay as it was claimed.",
        )
    if context.record.stored > total:
        st.caption(f"The replay has the first {counted(total, 'arrival')}.")
    settlements = replayed(context.record.fingerprint, content)
    settlement, names = settlements[at - 1], context.class_names
    which = image_name(content.balls[at - 1].certificate)
    image = content.images[at - 1]
    figures = settlement_figures(
        settlement, image, content.image_of, content.nearest(image, _NEAREST, first=at - 1), names
    )
    show_settlement(
        settlement,
        figures,
        key="memory_replay_board",
        said=f"Arrival {at} of {total}: {which}. {settlement_text(settlement, names)}",
    )
    _GROWTH.show(
        key="memory_growth_board",
        name="replay",
        figures={"growth": bank_growth_figure([s.outcome.value for s in settlements[:at]])},
    )


def _skip(fingerprint: str, content: BankContent) -> None:
    settlements = replayed(fingerprint, content)
    changed = [i for i, s in enumerate(settlements, 1) if s.outcome is not Outcome.UNTOUCHED]
    if changed:
        at = int(FORM["arrival"])
        FORM["arrival"] = next((i for i in changed if i > at), changed[0])


def _show_shuffles(context: BankContext, content: BankContent) -> None:
    st.subheader("Shuffle the order of arrival", divider="gray", anchor=False)
    st.caption(
        "The same certificates in random orders. What depends on the order is the price of making "
        "the classifier certifiable by its memory."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        FORM.show(st.selectbox, "shuffles", "Shuffles", SHUFFLE_CHOICES, width=160)
        view = current_view()
        request = orders_request(content, context.record.fingerprint, view.shuffles)
        job = find_job(request)
        watch = Watch(job)
        show_job_buttons(
            "Shuffle", "shuffle", job, lambda: start_job(request), "memory_order_cancel"
        )
    watch.draw(lambda: _draw(job, content, context.class_names))


def _draw(job: Job | None, content: BankContent, names: Sequence[str]) -> None:
    results = list(job.history) if job is not None else []
    progress = progress_html(job, "Not shuffled yet: press Shuffle.")
    if len(results) < 2:
        PROGRESS_BOARD.show(
            key="memory_orders_progress", name="orders", texts={"progress": progress}
        )
        return
    study = summarise_orders(results)
    _STUDY.show(
        key="memory_orders_board",
        name="orders",
        figures={
            "orders": order_study_figure(study),
            "changing": changing_images_figure(study, ids_of(content)),
        },
        texts={"progress": progress, "said": study_text(study), "changing": _changing_text(study)},
    )


def _changing_text(study: OrderStudy) -> str:
    if not study.changing:
        return (
            "None in these orders: at most the radii differed. Store the pair of a counterexample, "
            "and this can change."
        )
    return (
        "How often each answer came out; all other images kept their class in these orders. "
        "Where moved images are among them, the number is that of the ball."
    )


def ids_of(content: BankContent) -> list[int]:
    """What the images of a replay are called: their numbers in the data set, where all have one,
    else the serials of their balls."""
    balls = content.balls
    known = [b.certificate.index for b in balls if b.certificate.dataset is not None]
    numbers = [n for n in known if n is not None]
    return numbers if len(numbers) == len(balls) else [b.serial for b in balls]


def study_text(study: OrderStudy) -> str:
    """What depends on the order, in a sentence."""
    m = len(study.radius_spread)
    radii, shuffled = study.mean_radius, study.changed_share[1:]
    moved = int((study.radius_spread > 0).sum())
    return (
        f"In {counted(study.orders, 'order')}, {len(study.changing)} of {counted(m, 'image')} "
        f"({study.changing_share:.1%}) got more than one class, and {moved} more than one radius."
        f" A shuffled order changes {shuffled.mean():.1%} of the classes on "
        f"average; the mean radius lies between {radii.min():.4f} and {radii.max():.4f}."
    )
