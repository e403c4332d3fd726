"""The library: the available data sets and models, and how to add more."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.library.datasets import show_add_dataset, show_datasets, show_downloads
from ddrs_core.dashboard.library.import_checkpoint import show_import
from ddrs_core.dashboard.library.models import show_models, show_published


def main() -> None:
    """Draw the page."""
    st.title("Library", anchor=False)
    show_lead(
        "The available data sets and models. Add your own: checkpoints of Cohen et al., "
        "SmoothAdv, MACER, the paper's authors or plain ones, folders of images, parquet "
        "files."
    )
    added = st.session_state.pop("library_added", "")
    if added:
        st.success(added, icon=":material/check:")
    st.header("Data sets", divider="gray", anchor=False)
    show_datasets()
    show_downloads()
    with st.expander(
        "Add a data set that lies on this server", icon=":material/create_new_folder:"
    ):
        show_add_dataset()
    st.header("Models", divider="gray", anchor=False)
    show_models()
    st.subheader("Add a model", anchor=False)
    upload, published = st.tabs(["A checkpoint file", "Published weights (torchvision)"])
    with upload:
        show_import()
    with published:
        show_published()


main()
