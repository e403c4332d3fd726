"""Two sets image by image: every difference with its interval, and a point an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ddrs_core.dashboard.compare.image import show_image
from ddrs_core.dashboard.compare.texts import table_html, table_radii, version_of
from ddrs_core.dashboard.compare.view import VIEW, pick_image
from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.errors import MismatchError
from ddrs_core.figures import Figure, radius_against_radius_figure
from ddrs_core.figures.palette import CHOSEN_COLOUR
from ddrs_core.quantities import counted
from ddrs_core.runs.results.paired import PairedComparison, Pairs, compare, pair
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.tables import Table, paired_table

_EXPLAINED = (
    "Each image is its own control, so smaller differences can be told from chance than between "
    "two rows of the table above. gained: images that A certifies at r and B does not; lost: the "
    "reverse. interval: 95 %, over the choice of images (Tango 1998; for ACR a bootstrap, where at "
    "least ten images differ and neither average is a lower bound, since such a bound is looser "
    "for larger sigma). McNemar p: how likely such gains and losses are if both are equally good. "
    "A certifies more, or less, only where interval and p agree."
)
_POINTS = (
    "Above the dotted line A proves more. Dashed: the most that N votes can prove. Wrong answers "
    "and abstentions count as 0."
)
_FLOORS = (
    " Hollow: adaptive sampling stopped once it was settled which of a few radii an image reaches, "
    "so a radius is a lower bound, and points gather at these radii."
)
_LAST = 10**7  # no image has a larger number


def show_differences(sets: Sequence[ResultSet]) -> None:
    """A minus B at each radius."""
    if (pair_of := _pair_or_why_not(sets)) is None:
        return
    a, b = pair_of
    found = compared(version_of(a, b), a, b)
    for text in found.warnings[len(found.warnings) if found.shared else 0 :]:
        st.warning(literal(text), icon=":material/warning:")
    if found.shared:
        st.html(table_html(_short(paired_table([(a, found)], b)), "Paired differences"))
        show_html(
            "hinted.html",
            text=f"A minus B on {counted(found.shared, 'shared image')}",
            hint_text=_EXPLAINED,
        )


def show_images(sets: Sequence[ResultSet]) -> None:
    """A point for each image of the pair, and the image that is chosen."""
    if (pair_of := _pair_or_why_not(sets)) is None:
        return
    a, b = pair_of
    pairs = pair(a, b)
    if len(pairs.indices):
        _show_points(pairs, a, b)
    elif VIEW.get("image") is not None:
        show_image(VIEW["image"], a, b)
    else:
        st.info("The sets share no labelled image.")


def _pair_or_why_not(sets: Sequence[ResultSet]) -> tuple[ResultSet, ResultSet] | None:
    if len(sets) < 2:
        st.info("Choose two sets of results that have certificates to compare them in pairs.")
        return None
    a, b = chosen_pair(sets)
    if a is b:
        st.info("A and B are the same. Choose two different sets.")
        return None
    try:
        pair(a, b)
    except MismatchError as error:
        show_error(error)
        return None
    return a, b


@st.cache_data(max_entries=64, show_spinner=False)
def compared(key: tuple[object, ...], _a: ResultSet, _b: ResultSet) -> PairedComparison:
    """All differences at the radii of the table; ``key`` is :func:`version_of` the two."""
    return compare(_a, _b, table_radii((_a, _b)))


def default_pair(sets: Sequence[ResultSet]) -> tuple[str, str]:
    """The first two; a data-dependent one is A, so that what it gains is a gain."""
    a, b = sets[0], sets[1]
    if a.has_one_sigma and b.method in ("ds", "ds-memory"):
        a, b = b, a
    return a.id, b.id


def chosen_pair(sets: Sequence[ResultSet]) -> tuple[ResultSet, ResultSet]:
    """A and B of two or more sets, as chosen, otherwise :func:`default_pair`."""
    by_id = {s.id: s for s in sets}
    if VIEW.get("a") not in by_id or VIEW.get("b") not in by_id:
        VIEW["a"], VIEW["b"] = default_pair(sets)
    return by_id[VIEW["a"]], by_id[VIEW["b"]]


def _short(table: Table) -> Table:
    """The paired table without the columns that say the same in every row."""
    kept = [j for j in range(len(table.head)) if j not in (0, 2)]
    names = {"this": "A", "that": "B", "certifies": "A certifies"}
    head = ["A minus B", *(names.get(table.head[j], table.head[j]) for j in kept[1:])]
    return Table(tuple(head), tuple(tuple(row[j] for j in kept) for row in table.rows))


def _show_points(pairs: Pairs, a: ResultSet, b: ResultSet) -> None:
    floors = a.acr_is_floor or b.acr_is_floor
    show_html(
        "hinted.html",
        text="Every image: its radius in A against its radius in B"
        + (" (at least). " if floors else ". ")
        + "Click a point to see it.",
        hint_text=_POINTS + (_FLOORS if floors else ""),
    )
    chart, chosen = st.columns([3, 2])
    image = VIEW.get("image")
    with chart:
        show_chart(
            _marked(radius_against_radius_figure(pairs, a, b), pairs, image),
            key="compare_points",
            name="radius-against-radius",
            height=440,
            on_pick=pick_image,
            alt="Radius in A against radius in B, a point an image",
        )
    with chosen:
        _pick_by_number(pairs)
        show_image(VIEW.get("image"), a, b)


def _pick_by_number(pairs: Pairs) -> None:
    gains = pairs.radii_a - pairs.radii_b
    with st.container(horizontal=True, vertical_alignment="bottom"):
        VIEW.show(
            st.number_input,
            "image",
            "Image",
            0,
            _LAST,
            step=1,
            width=120,
            placeholder="none",
            help="Its number in the data set.",
        )
        for label, place in (("Largest gain", np.argmax(gains)), ("Largest loss", gains.argmin())):
            st.button(label, on_click=pick_image, args=(int(pairs.indices[place]),))


def _marked(figure: Figure, pairs: Pairs, image: int | None) -> Figure:
    """The figure with a ring around the chosen image."""
    at = np.flatnonzero(pairs.indices == image)  # of None there is none
    if not len(at):
        return figure
    ring = {
        "type": "scatter",
        "mode": "markers",
        "name": f"image {image}",
        "x": pairs.radii_b[at],
        "y": pairs.radii_a[at],
        "customdata": pairs.indices[at],
        "marker": {
            "symbol": "circle-open",
            "size": 16,
            "color": CHOSEN_COLOUR,
            "line": {"width": 3},
        },
        "hoverinfo": "skip",
    }
    return {**figure, "data": [*figure["data"], ring]}
