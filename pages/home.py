"""The home page: where to begin, the uses, running jobs, and what is on this machine."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from ddrs_core.dashboard.components.render import show_html, show_lead
from ddrs_core.dashboard.components.section import show_when_open
from ddrs_core.dashboard.home.jobs import show_jobs
from ddrs_core.dashboard.home.miniature import show_miniature
from ddrs_core.dashboard.library.models import model_table
from ddrs_core.dashboard.navigation import (
    compare_page,
    explorer_page,
    failures_page,
    learn_page,
    library_page,
    memory_page,
    training_page,
)
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.polling import draw_every
from ddrs_core.data import list_datasets, list_downloads
from ddrs_core.models import list_devices, list_models
from ddrs_core.quantities import counted

_COLUMNS = ["model", "data set", "training", "sigma", "clean", "own noise"]
_USES: tuple[tuple[str, Callable[[], StreamlitPage], str], ...] = (
    ("Learn", learn_page, "What a certificate is, in nine lessons; alone or with a class."),
    ("Watch one image", explorer_page, "How far can its certified ball grow if σ is its own?"),
    ("Certify and compare", compare_page, "What does a σ per image gain on a whole data set?"),
    ("Why did it fail?", failures_page, "What keeps images from being certified, what would help."),
    ("Collide balls", memory_page, "Where two certificates contradict each other, and who wins."),
    ("Train", training_page, "Networks under noise, by three methods; watch every image's σ."),
    ("Bring your own", library_page, "Add data sets and checkpoints, and see what they bear."),
)


def main() -> None:
    """Draw the page."""
    left, right = st.columns([5, 4], vertical_alignment="center")
    with right:
        show_miniature()
    with left.container(key="ddrs_hero"):
        _show_beginning()
    with st.container(key="ddrs_uses", horizontal=True, gap="small"):
        for title, page, text in _USES:
            with st.container(border=True, height="stretch"):
                st.page_link(page(), label=f"**{title}**", icon=page().icon)
                st.markdown(text)
    for info in list_downloads():
        st.page_link(
            library_page(),
            icon=":material/download:",
            label=f"{info.title} is not on this machine yet: download it in the library",
        )
    st.subheader("Your jobs and runs", divider="gray", anchor=False)
    draw_every(1.0, show_jobs)
    left, right = st.columns([3, 2])
    with left:
        st.subheader("Models", divider="gray", anchor=False)
        _show_models()
    with right:
        st.subheader("This machine", divider="gray", anchor=False)
        for device in list_devices():
            kind = "GPU" if device.is_gpu else "CPU"
            bf16 = ", fast bf16" if device.native_bf16 else ""
            st.markdown(
                f"**{device.name}**: {device.title}, {device.memory_gib:.0f} GiB ({kind}{bf16})"
            )
        if not any(d.is_gpu for d in list_devices()):
            st.caption("No GPU is used: everything runs on the processor.")
        for info in list_datasets():
            st.markdown(
                f"**{literal(info.title)}**: {info.num_classes} classes", help=info.description
            )


def _show_models() -> None:
    cards = list_models()

    def draw() -> None:
        rows = model_table(cards)[_COLUMNS].astype(str).to_numpy().tolist()
        show_html("table.html", label="Models", head=_COLUMNS, rows=rows, bold=())

    title = f"{counted(len(cards), 'model')}: training, sigma, accuracy"
    show_when_open(title, draw, key="home_models")


def _show_beginning() -> None:
    """What this is, and the way in."""
    st.title("Data-dependent randomized smoothing", anchor=False)
    show_lead(
        "A classifier that votes over Gaussian noise provably keeps its answer within a radius. "
        "See how far a noise level of its own takes each image, and what that guarantee is worth."
    )
    with st.container(key="ddrs_begin"):
        st.page_link(explorer_page(), label="Watch a radius grow", icon=":material/play_arrow:")


main()
