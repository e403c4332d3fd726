"""A query: any image, moved away from where it was, certified, settled, and stored if wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import streamlit as st
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.gallery import show_gallery
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.memory.attempts import Charged, charge, find_charged, next_alpha
from ddrs_core.dashboard.memory.bank_snapshot import BankContent, read_content
from ddrs_core.dashboard.memory.jobs import (
    Tools,
    certify_request,
    certify_what,
    find_job,
    open_tools,
    outward_gradient,
    start_job,
)
from ddrs_core.dashboard.memory.settlement_board import settlement_figures, show_settlement
from ddrs_core.dashboard.memory.texts import (
    charge_text,
    claim_text,
    place_text,
    settlement_text,
)
from ddrs_core.dashboard.memory.view import (
    FIXED,
    N_CHOICES,
    STRATEGY_CHOICES,
    MemoryView,
    Way,
    current_view,
    widget,
)
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import draw_while_moving, redraw
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError
from ddrs_core.figures import Figure
from ddrs_core.figures.memory import class_title
from ddrs_core.jobs import Job
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate, get_preset
from ddrs_core.smoothing.memory.rules import Settlement
from ddrs_core.store import AlreadyStoredError

_NOISE = 0.25  # standard deviation of the noise at the end of the way
_NEAREST = 12
_TINY = 1e-12
_MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Query:
    """An image that the bank is asked about."""

    x: Tensor  # [C, H, W]
    index: int | None  # None: it has been moved, so it is not in the data set
    moved: float  # l2 distance from the image of the data set
    title: str


def show_query(context: BankContext) -> None:
    """Choose a query, see where it lies, certify it, see the settlement."""
    try:
        tools = open_tools(context, current_view())
    except DDRSError as error:
        show_error(error)
        return
    _pick_query(tools.dataset)
    pick_certification()
    view = current_view()
    tools = open_tools(context, view)
    query = make_query(tools, view)
    what = certify_what(tools, query.x, view.n, query.index)
    charged = find_charged(context.bank, what)
    job = None
    if charged is not None:
        job = find_job(certify_request(tools, query.x, view.n, query.index, charged))
    content = read_content(context.bank, context.record.fingerprint)
    _show_picture(query, tools.dataset, view)
    certificate = job.latest.certificate if job is not None and job.latest else None
    with st.container(horizontal=True, vertical_alignment="center"):
        busy = job is not None and not job.state.is_over
        if st.button("Certify", type="primary", icon=":material/how_to_vote:", disabled=busy):
            _certify(context, tools, query, view.n, what)
        if st.button("Cancel", icon=":material/stop:", disabled=not busy, key="memory_cancel"):
            if job is not None:  # else it has given way meanwhile
                job.cancel()
            redraw()
        _show_store(context, query, certificate, charged)
    st.caption(literal(charge_text(context.record.confidence, next_alpha(context.record))))
    look = cache(lambda claim: _look(context, content, query, claim))  # once, not at every tick
    draw_while_moving(lambda: _draw(look, job), [job])


def make_query(tools: Tools, view: MemoryView) -> Query:
    """The image, moved as the view says.

    Raises:
        InvalidParameterError: if there is no such image.
    """
    dataset = tools.dataset
    start = dataset[dataset.check_index(view.image)][0]
    name = f"image {view.image}"
    if view.far == 0 or (view.way is Way.IMAGE and view.target == view.image):
        return Query(start, view.image, 0.0, name)
    if view.way is Way.IMAGE:
        way = dataset[dataset.check_index(view.target)][0] - start
        title = f"{name}, {view.far} % of the way to image {view.target}"
    elif view.way is Way.GRADIENT:
        gradient = outward_gradient(tools, start)
        length = _NOISE * gradient.numel() ** 0.5
        way = gradient * (length / max(float(gradient.norm()), _TINY))
        title = f"{name}, {view.far} % of the way along the gradient"
    else:
        rng = np.random.Generator(np.random.PCG64(view.noise))
        way = torch.from_numpy(_NOISE * rng.standard_normal(start.shape).astype(np.float32))
        title = f"{name}, {view.far} % of the way along the noise of seed {view.noise}"
    x = (start + view.far / 100 * way).clamp(0.0, 1.0)
    return Query(x, None, float((x.double() - start.double()).norm()), title)


def pick_certification(n_field: str = "n") -> None:
    """How sigma is chosen, and how many votes are counted."""
    left, middle, right = st.columns(3)
    titles = {name: get_preset(name).title for name in STRATEGY_CHOICES if name != FIXED}
    titles[FIXED] = "Fixed: sigma_0 for all"
    show_widget(
        left.selectbox,
        widget("strategy"),
        "Sigma is chosen by",
        titles,
        help="The guarded presets keep sigma below 1.5 sigma_0, those of the paper do not.",
    )
    show_widget(
        middle.number_input,
        widget("sigma"),
        "sigma_0 (0: as trained)",
        0.0,
        10.0,
        step=0.05,
        format="%.2f",
        help="Where the strategy starts; 0 stands for the noise that the model was trained with.",
    )
    show_widget(
        right.selectbox,
        widget(n_field),
        "Votes N",
        {n: f"{n:,}" for n in N_CHOICES},
        help="More votes can prove a larger radius.",
    )


def pick_number(label: str, field: str, dataset: Dataset) -> None:
    """A field for the number of an image of the data set."""
    last = len(dataset) - 1
    show_widget(st.number_input, widget(field), f"{label} (0 to {last:,})", 0, last, step=1)


def _pick_query(dataset: Dataset) -> None:
    left, middle, right = st.columns([2, 3, 2])
    with left:
        pick_number("Image", "image", dataset)
        with st.popover("Thumbnails", icon=":material/grid_view:", width="stretch"):
            show_gallery(
                dataset,
                int(st.session_state[widget("image")]),
                key="memory_gallery",
                on_pick=_pick_image,
            )
    titles = {
        Way.IMAGE: "another image",
        Way.NOISE: "random noise",
        Way.GRADIENT: "along the gradient",
    }
    with middle:
        show_widget(
            st.segmented_control,
            widget("way"),
            "Move it towards",
            titles,
            required=True,
        )
    with right:
        if st.session_state[widget("way")] == Way.NOISE:
            show_widget(
                st.number_input,
                widget("noise"),
                "Seed of the direction",
                0,
                _MAX_SEED,
                step=1,
                help=f"At the end of the way, the noise has a standard deviation of {_NOISE:g}.",
            )
        elif st.session_state[widget("way")] == Way.GRADIENT:
            st.caption("In the direction in which the model's votes leave their class fastest.")
        else:
            pick_number("Other image", "target", dataset)
    show_widget(
        st.slider,
        widget("far"),
        "How far along the way",
        0,
        100,
        format="%d %%",
        help="0: the image itself. The sentence below follows at once; nothing is stored.",
    )


def _pick_image(index: int) -> None:
    st.session_state[widget("image")] = index


def _show_picture(query: Query, dataset: Dataset, view: MemoryView) -> None:
    pictures = [(query.x, f"the query: {query.title}")]
    if query.index is None:
        pictures.insert(0, (dataset[view.image][0], titled(dataset, view.image)))
        if view.way is Way.IMAGE:
            pictures.append((dataset[view.target][0], titled(dataset, view.target)))
    moved = f"{query.moved:.3f} from image {view.image}, in l2" if query.moved else "not moved"
    st.html(pictures_html(pictures) + render("note.html", text=moved))


def pictures_html(pictures: list[tuple[Tensor, str]]) -> Markup:
    """Images side by side with a caption each."""
    shown = [
        {"src": picture_uri(image), "shape": image.shape, "caption": caption}
        for image, caption in pictures
    ]
    return render("pictures.html", pictures=shown)


def titled(dataset: Dataset, index: int) -> str:
    """An image of the data set by number and class."""
    label = dataset.label(index)
    known = "" if label is None else f", {class_title(label, dataset.info.class_names)}"
    return f"image {index}{known}"


def _certify(context: BankContext, tools: Tools, query: Query, n: int, what: str) -> None:
    try:
        charged = charge(context, what)
    except DDRSError as error:
        show_error(error)
        return
    start_job(certify_request(tools, query.x, n, query.index, charged))


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
