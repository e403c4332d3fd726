"""A visitor's own pictures: upload, choose, and see what the network is given."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.explorer.view import FORM
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.my_uploads import my_uploads, remember_upload
from ddrs_core.data import EXTENSIONS, get_dataset_info, keep_picture, load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.models import ModelCard, class_names

_TYPES = [ending.removeprefix(".") for ending in EXTENSIONS]
_UNKNOWN = "not known"
_EXAMPLE = "flower.jpg"  # a photograph that scikit-learn ships


def picture_of() -> str:
    """Name of the picture that is looked at: the last one chosen, at first an example."""
    if not FORM.get("picture"):
        own = my_uploads("picture")
        FORM["picture"] = own[0] if own else example_picture()
    return str(FORM["picture"])


def pick_picture(card: ModelCard) -> None:
    """Upload a picture or choose an earlier one, tell its class, see it at the model's size."""
    state = st.session_state
    given = st.file_uploader(
        "Your picture",
        type=_TYPES,
        key="picture_upload",
        help="Any mode and size. It stays on this server, where only those who have your link "
        "can open it.",
    )
    if given is not None and state.get("picture_seen") != given.file_id:
        try:
            kept = keep_picture(given.getvalue(), given.name)
        except DDRSError as error:
            show_error(error)
        else:
            state["picture_seen"] = given.file_id
            remember_upload("picture", kept.name)
            FORM["picture"] = kept.name
            FORM["label"] = None
    own = list(dict.fromkeys([picture_of(), *my_uploads("picture")]))
    if len(own) > 1:
        FORM.show(
            st.selectbox,
            "picture",
            "Earlier pictures",
            {name: _title(name) for name in own},
            on_change=_forget_label,
        )
    names = class_names(card)
    FORM.show(
        st.selectbox,
        "label",
        "Its class (optional)",
        {None: _UNKNOWN} | dict(enumerate(names)),
        help="Only needed to tell whether the answer is right.",
    )
    _show_result(picture_of(), card)


def _show_result(name: str, card: ModelCard) -> None:
    try:
        info = get_dataset_info(name)
        image, _ = load_dataset(name, shape=card.shape)[0]
    except DDRSError as error:
        show_error(error)
        return
    show_html("explorer/picture.html", src=picture_uri(image), shape=card.shape)
    st.caption(info.description)


def _title(name: str) -> str:
    try:
        return get_dataset_info(name).title
    except DDRSError:
        return f"{name} (no longer here)"


def _forget_label() -> None:
    FORM["label"] = None


def example_picture() -> str:
    """Name of a photograph to begin with; scikit-learn ships it."""
    import sklearn.datasets

    path = Path(sklearn.datasets.__file__).parent / "images" / _EXAMPLE
    return keep_picture(path.read_bytes(), _EXAMPLE).name
