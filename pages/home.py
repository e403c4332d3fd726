"""The home page: four uses, the machine, the models and data sets, and running jobs."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.home_jobs import show_jobs
from ddrs_core.dashboard.library.models import model_table
from ddrs_core.dashboard.navigation import compare_page, explorer_page, library_page, training_page
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.polling import draw_every
from ddrs_core.data import list_datasets, list_downloads
from ddrs_core.models import list_devices, list_models

_COLUMNS = ["model", "data set", "training", "sigma", "clean", "own noise"]
_USES = (
    (
        "Watch",
        ":material/explore:",
        "Pick an image and a model. See the noise level sigma climb the radius curve step by "
        "step, and what the network sees on the way.",
    ),
    (
        "Teach",
        ":material/school:",
        "Slow the optimiser down, pause it, step it. A link restores the whole view, so a class "
        "can follow and then go its own way.",
    ),
    (
        "Certify",
        ":material/verified:",
        "Count votes at sigma_0 and at sigma*, side by side: class, radius, and what the "
        "guarantee is worth. An abstention says why.",
    ),
    (
        "Train",
        ":material/model_training:",
        "Train a network under noise by one of three methods, let every image find a sigma of its "
        "own, and use the result at once.",
    ),
)


def main() -> None:
    """Draw the page."""
    st.title("Data-dependent randomized smoothing", anchor=False)
    show_lead(
        "A classifier that votes over Gaussian noise keeps its answer within a radius that can "
        "be certified. Choosing the noise for each image can make that radius larger, but weakens "
        "its guarantee, unless a memory of certified balls is used. Watch how this works."
    )
    for column, (title, icon, text) in zip(st.columns(len(_USES)), _USES, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{icon} {title}**")
            st.markdown(text)
    st.page_link(explorer_page(), label="**Open the explorer**", icon=":material/arrow_forward:")
    st.page_link(
        compare_page(), label="**Certify a data set and compare**", icon=":material/arrow_forward:"
    )
    st.page_link(training_page(), label="**Train a model**", icon=":material/arrow_forward:")
    for info in list_downloads():
        st.page_link(
            library_page(),
            icon=":material/download:",
            label=f"{info.title} is not on this machine yet: download it in the library",
        )
    left, right = st.columns(2)
    with left:
        st.subheader("Models", divider="gray", anchor=False)
        st.dataframe(model_table(list_models())[_COLUMNS], hide_index=True, width="stretch")
        st.page_link(
            library_page(), label="All about them, and adding more", icon=":material/library_books:"
        )
        st.subheader("Data sets", divider="gray", anchor=False)
        for info in list_datasets():
            st.markdown(f"**{literal(info.title)}**. {literal(info.description)}")
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
        st.subheader("Jobs", divider="gray", anchor=False)
        draw_every(1.0, show_jobs)


main()
