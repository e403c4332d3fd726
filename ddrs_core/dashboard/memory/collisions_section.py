"""Balls that meet: pairs that collide in the bank, and a walk between two images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.common.bank_content import MOST_SHOWN, BankContent, read_content
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.board import PROGRESS_BOARD, Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render, show_html
from ddrs_core.dashboard.memory.bank_certifier import BankCertifier, open_certifier
from ddrs_core.dashboard.memory.counterexample_section import show_counterexample
from ddrs_core.dashboard.memory.jobs import find_job, show_job_buttons, start_job, walk_request
from ddrs_core.dashboard.memory.query_form import pick_certification, pick_number, titled
from ddrs_core.dashboard.memory.query_section import pictures_html
from ddrs_core.dashboard.memory.view import FORM, POINT_CHOICES, current_view
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.errors import DDRSError
from ddrs_core.figures import walk_figure
from ddrs_core.figures.class_axis import class_title
from ddrs_core.jobs import Job
from ddrs_core.quantities import counted
from ddrs_core.smoothing import ABSTAIN, round_down
from ddrs_core.smoothing.memory.collisions import WalkPoint
from ddrs_core.smoothing.memory.rules import Outcome

_MOST_PAIRS = 5
_BOARD = Board("memory/walk.html")


def show_collisions(context: BankContext) -> None:
    """What collides by itself, a walk that makes collisions, and the search for one."""
    content = read_content(context.bank, context.record.fingerprint)
    _show_pairs(content, context.class_names)
    try:
        open_certifier(context, current_view())
    except DDRSError as error:
        show_error(error)
        return
    st.subheader("Walk from one image to another", divider="gray", anchor=False)
    st.caption(
        "Somewhere between two images of different class the balls of both have to meet. Points on "
        "the way are certified from both ends towards the middle, each at its own sigma, and "
        "settled into one memory: see it happen. Centres lie on one line, so the picture is exact. "
        "Dashed: as claimed; solid: as settled."
    )
    pick_certification("walk_n")
    certifier = open_certifier(context, current_view())
    _show_walk(certifier, context.class_names)
    show_counterexample(context, certifier, context.class_names)


def _first(count: int) -> str:
    """How many certificates are looked at."""
    said = counted(count, "certificate")
    return f"first {said}" if count == MOST_SHOWN else said


def _show_pairs(content: BankContent, names: Sequence[str]) -> None:
    st.subheader("Collisions in this bank", divider="gray", anchor=False)
    balls = content.balls
    pairs = content.collisions
    if not pairs:
        st.caption(
            f"No two of the {_first(len(balls))} contradict each other: no claimed "
            "balls of different class overlap."
        )
        return
    st.caption(pairs_text(len(pairs), content))
    met = [(balls[p.first], balls[p.second], p) for p in pairs[:_MOST_PAIRS]]
    show_html(
        "table.html",
        label="Deepest collisions",
        head=("pair", "classes", "distance", "claimed radii", "overlap", "the later one was"),
        rows=[
            (
                f"ball {a.serial} and ball {b.serial}",
                f"{class_title(a.claimed, names)} and {class_title(b.claimed, names)}",
                f"{p.distance.high:.3f}",
                f"{round_down(a.claimed_radius)} and {round_down(b.claimed_radius)}",
                f"{p.depth:.3f}",
                b.outcome.value,
            )
            for a, b, p in met
        ],
        bold=(),
    )
    known = [
        (a.index, b.index)
        for a, b in ((balls[p.first].certificate, balls[p.second].certificate) for p in pairs)
        if a.dataset is not None and b.dataset is not None
    ]
    if known:
        first, second = known[0]
        st.button(
            f"Choose images {first} and {second} for the walk",
            icon=":material/route:",
            on_click=_take,
            args=(first, second),
        )


def pairs_text(colliding: int, content: BankContent) -> str:
    """How many claimed balls overlap, and among how many that might."""
    balls = content.balls
    of_class = np.unique([b.claimed for b in balls if b.claimed != ABSTAIN], return_counts=True)[1]
    different = (int(of_class.sum()) ** 2 - int((of_class**2).sum())) // 2
    pairs = counted(colliding, "pair")
    return (
        f"{pairs} of the {_first(len(balls))} contradict{'s' * (colliding == 1)} each "
        f"other, {100 * colliding / different:.2g} % of the {counted(different, 'pair')} of "
        "different class: the balls that they claimed overlap, which one sigma for all could not "
        "do. The deepest:"
    )


def _take(first: int | None, second: int | None) -> None:
    FORM["first"] = first
    FORM["second"] = second


def _show_walk(certifier: BankCertifier, names: Sequence[str]) -> None:
    left, middle, right = st.columns(3)
    with left:
        pick_number("From image", "first", certifier.dataset)
    with middle:
        pick_number("To image", "second", certifier.dataset)
    FORM.show(right.selectbox, "points", "Points", POINT_CHOICES)
    view = current_view()
    ends = (certifier.dataset[view.first][0], certifier.dataset[view.second][0])
    length = float((ends[0].double() - ends[1].double()).norm())
    st.html(
        pictures_html(
            [
                (ends[0], titled(certifier.dataset, view.first)),
                ((ends[0] + ends[1]) / 2, f"half-way; {length:.3f} from end to end (ℓ₂)"),
                (ends[1], titled(certifier.dataset, view.second)),
            ]
        )
    )
    request = walk_request(certifier, view.first, view.second, view.points, view.walk_n)
    job = find_job(request)
    watch = Watch(job)
    with st.container(horizontal=True):
        show_job_buttons("Walk", "route", job, lambda: start_job(request), "memory_walk_cancel")
    watch.draw(lambda: _draw(job, length, names))


def _draw(job: Job | None, length: float, names: Sequence[str]) -> None:
    points = [p.point for p in job.history if p.point is not None] if job is not None else []
    progress = progress_html(job, "Not walked yet: press Walk.")
    if not points:
        texts = {"progress": progress}
        PROGRESS_BOARD.show(key="memory_walk_progress", name="walk", texts=texts)
        return
    said = walk_text(points, names)
    _BOARD.show(
        key="memory_walk_board",
        name="walk",
        figures={"walk": walk_figure(points, length, names)},
        texts={
            "progress": progress,
            "said": said,
            "fates": _fates_text(points),
            "points": _points_html(points, names),
        },
    )


def walk_text(points: Sequence[WalkPoint], names: Sequence[str]) -> str:
    """What the balls on the way did to each other, in a sentence."""
    fates = Counter(point.settlement.outcome for point in points)
    changed = ", ".join(
        f"{fates[o]} {o.value}" for o in Outcome if fates[o] and o is not Outcome.UNTOUCHED
    )
    classes = np.unique([p.settlement.prediction for p in points if p.settlement.is_stored])
    answers = " and ".join(class_title(int(c), names) for c in classes)
    still = f"{fates[Outcome.UNTOUCHED]} of {counted(len(points), 'point')} stand as claimed"
    if not changed:
        return f"{still}: no balls of different class have met yet."
    return (
        f"{still}, {changed}: with the memory, the way belongs to {answers}, without overlap. "
        "Earlier balls win, whether they are right or not."
    )


def _fates_text(points: Sequence[WalkPoint]) -> str:
    """What each outcome means that changed a ball on the way."""
    met = {point.settlement.outcome for point in points} - {Outcome.UNTOUCHED}
    return " ".join(f"{o.value.capitalize()}: {o.meaning}." for o in Outcome if o in met)


def _answer(prediction: int, radius: float, names: Sequence[str]) -> str:
    if prediction == ABSTAIN:
        return "abstains"
    return f"{class_title(prediction, names)} within {round_down(radius)}"


def _points_html(points: Sequence[WalkPoint], names: Sequence[str]) -> Markup:
    return render(
        "table.html",
        label="Points of the walk",
        head=("point", "sigma", "claimed", "outcome", "settled"),
        rows=[
            (
                f"{p.t:.0%} of the way",
                f"{p.certificate.sigma:.3f}",
                _answer(p.settlement.claimed, p.settlement.claimed_radius, names),
                "-" if p.settlement.prediction == ABSTAIN else p.settlement.outcome.value,
                _answer(p.settlement.prediction, p.settlement.radius, names),
            )
            for p in sorted(points, key=lambda p: p.t)
        ],
        bold=(),
    )
