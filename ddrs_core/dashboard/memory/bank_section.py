"""What is in a bank: two balls that contradict each other, figures, table, and a check."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch

from ddrs_core.dashboard.common.bank_content import MOST_SHOWN, BankContent, read_content
from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.memory.jobs import check_request, find_job, start_job
from ddrs_core.dashboard.memory.query_section import pictures_html
from ddrs_core.dashboard.memory.texts import (
    check_text,
    collision_text,
    confidence_html,
    record_html,
)
from ddrs_core.dashboard.memory.view import FORM
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.figures import (
    bank_gaps_figure,
    bank_growth_figure,
    bank_radii_figure,
    bank_sigmas_figure,
    collision_figure,
)
from ddrs_core.figures.class_axis import class_title
from ddrs_core.figures.memory.meeting import DrawnBall
from ddrs_core.jobs import Job
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate, round_down
from ddrs_core.store import BankCheck, StoredBall

_MOST_PAIRS = 5  # collisions that can be drawn
_MOST_ROWS = 300
_BOARD = Board("memory/bank.html")
_MEETING = Board("memory/meeting.html")


def show_bank(context: BankContext) -> None:
    """Everything about one bank."""
    content = read_content(context.bank, context.record.fingerprint)
    balls, names = content.balls, context.class_names
    _show_meeting(content, names)
    model = context.card.name if context.card is not None else context.record.kind.model
    _BOARD.show(
        key="memory_bank_board",
        name="memory-bank",
        figures={
            "radii": bank_radii_figure(
                [b.claimed_radius for b in balls], [b.radius for b in balls]
            ),
            "gaps": bank_gaps_figure(*(g[np.isfinite(g)] for g in content.gaps)),
            "sigmas": bank_sigmas_figure([b.sigma for b in balls]),
            "growth": bank_growth_figure([b.outcome.value for b in balls]),
        },
        texts={
            "record": record_html(context.record, len({b.prediction for b in balls}), model),
            "confidence": confidence_html(context.record.confidence),
        },
    )
    if context.record.stored > MOST_SHOWN:
        st.caption(f"The figures and the table show the first {MOST_SHOWN:,} balls.")
    _show_check(context)
    _show_table(content, names)


def _show_meeting(content: BankContent, names: tuple[str, ...]) -> None:
    """The two claimed balls that contradict each other most, and what became of them."""
    pairs = content.collisions
    if not pairs:
        gap = min((float(g) for g in content.gaps[0]), default=np.inf)
        nearest = f" The nearest are {gap:.3f} apart." if np.isfinite(gap) else ""
        st.markdown(f"**No two balls of different class overlap in this bank.**{nearest}")
        return
    most = min(len(pairs), _MOST_PAIRS)
    chosen = (
        st.pills(
            f"The deepest of {counted(len(pairs), 'collision')}",
            range(most),
            default=0,
            format_func=lambda i: f"{i + 1}",
            key="memory_pair",
        )
        if most > 1
        else 0
    )
    pair = pairs[chosen or 0]
    balls = [content.balls[pair.first], content.balls[pair.second]]
    drawn = [
        DrawnBall(b.claimed, b.claimed_radius, b.prediction, b.radius, f"ball {b.serial}")
        for b in balls
    ]
    _MEETING.show(
        key="memory_meeting_board",
        name="memory-collision",
        figures={"pair": collision_figure(drawn[0], drawn[1], pair.distance.high, names)},
        texts={
            "said": collision_text(balls[0], balls[1], pair, names),
            "pictures": pictures_html(
                [(torch.from_numpy(content.image_of(b.serial)), _claim(b, names)) for b in balls]
            ),
        },
    )


def _claim(ball: StoredBall, names: tuple[str, ...]) -> str:
    claimed = class_title(ball.claimed, names)
    return f"{image_name(ball.certificate)}: {claimed} within {round_down(ball.claimed_radius)}"


def _show_check(context: BankContext) -> None:
    request = check_request(context.bank, context.record)
    job = find_job(request)
    watch = Watch(job)
    busy = job is not None and not job.state.is_over
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Check",
            icon=":material/verified:",
            key="memory_check_button",
            disabled=busy,
            help="Reads every stored image, compares all pairs of different class, and recomputes "
            "what the votes of each certificate prove.",
        ):
            start_job(request)
        watch.draw(lambda: _draw_check(job, context.class_names))


def _draw_check(job: Job | None, names: tuple[str, ...]) -> None:
    check: BankCheck | None = None if job is None else job.latest
    if job is None:
        st.caption(
            "Proves from the stored images that no two balls of different class overlap, and "
            "recomputes every certificate from its votes."
        )
    elif job.error:
        st.error(literal(job.error), icon=":material/error:")
    elif check is None:
        st.caption("Comparing all pairs of different class ...")
    else:
        st.success(literal(check_text(check, names)), icon=":material/verified:")


def _show_table(content: BankContent, names: tuple[str, ...]) -> None:
    st.subheader("Balls", divider="gray", anchor=False)
    asked = FORM.show(
        st.text_input,
        "search",
        "Search",
        placeholder="9, trimmed, ball 12, image 45 ...",
        help="Each of these must occur: an outcome, a class, 'ball 12', 'image 45', 'by 3'.",
    )
    found = search_balls(content, asked, names)
    if not found:
        st.info("No ball is like that.")
        return
    if len(found) > _MOST_ROWS:
        st.caption(f"{counted(len(found), 'ball')}; the first {_MOST_ROWS} are listed.")
    rows = found[:_MOST_ROWS]
    images = {b.serial: content.images[i] for i, b in enumerate(content.balls)}
    st.dataframe(
        {
            "picture": [picture_uri(torch.from_numpy(images[b.serial])) for b in rows],
            "ball": [b.serial for b in rows],
            "class": [class_title(b.prediction, names) for b in rows],
            "radius": [b.radius for b in rows],
            "outcome": [b.outcome.value for b in rows],
            "decided by": ["" if b.decided_by is None else str(b.decided_by) for b in rows],
            "claimed class": [class_title(b.claimed, names) for b in rows],
            "claimed radius": [b.claimed_radius for b in rows],
            "sigma": [b.sigma for b in rows],
            "alpha": [b.alpha for b in rows],
            "bound": [b.certificate.bound.value for b in rows],
            "image": [image_name(b.certificate) for b in rows],
        },
        column_config={
            "picture": st.column_config.ImageColumn("picture", width=60),
            **{
                name: st.column_config.NumberColumn(format="%.4f")
                for name in ("radius", "claimed radius", "sigma")
            },
            "image": st.column_config.TextColumn(help="Its number in the data set."),
            "decided by": st.column_config.TextColumn(help="The ball that changed this one."),
        },
        hide_index=True,
        row_height=44,
        height=min(420, 40 + 44 * len(rows)),
    )


def image_name(certificate: Certificate) -> str:
    """What the image of a stored certificate is called; it may have been moved since."""
    known = certificate.index is not None and certificate.dataset is not None
    return f"image {certificate.index}" if known else "moved"


def search_balls(
    content: BankContent, asked: str | None, names: tuple[str, ...]
) -> list[StoredBall]:
    """The balls that have all words of a search; all of them without one."""
    words = _phrases(asked or "")
    found = []
    for ball in content.balls:
        title = class_title(ball.prediction, names).lower()
        known = {
            ball.outcome.value,
            title,
            *title.split(),
            f"class {ball.prediction}",
            f"ball {ball.serial}",
            f"by {ball.decided_by}",
            image_name(ball.certificate),
        }
        if all(word in known for word in words):
            found.append(ball)
    return found


def _phrases(asked: str) -> list[str]:
    """Words, with a noun and its number as one: ``ball 12 trimmed`` are two."""
    words = asked.lower().replace(",", " ").split()
    phrases: list[str] = []
    for word in words:
        if word.isdigit() and phrases and phrases[-1] in ("ball", "image", "class", "by"):
            phrases[-1] += f" {word}"
        else:
            phrases.append(word)
    return phrases
