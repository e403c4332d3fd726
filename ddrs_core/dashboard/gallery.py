"""A page of thumbnails to click on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import streamlit as st

from ddrs_core.dashboard.images import png_uri
from ddrs_core.data import load_dataset

PAGE_SIZE = 24

_CSS = """
.ddrs-gallery { display: grid; grid-template-columns: repeat(6, 1fr); gap: 5px; }
.ddrs-gallery button { padding: 0; border: 2px solid transparent; border-radius: 6px;
  background: none; cursor: pointer; line-height: 0; }
.ddrs-gallery button:hover { border-color: var(--st-text-color); }
.ddrs-gallery button:focus-visible { outline: 2px solid var(--st-primary-color); }
.ddrs-gallery button[aria-pressed=true] { border-color: var(--st-primary-color); }
.ddrs-gallery img { width: 100%; aspect-ratio: 1; border-radius: 4px; image-rendering: pixelated; }
"""
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('.ddrs-gallery');
  box.replaceChildren(...data.items.map(({ index, source, title }) => {
    const button = document.createElement('button');
    button.type = 'button'; button.title = title; button.setAttribute('aria-label', title);
    button.dataset.index = index;
    button.setAttribute('aria-pressed', String(index === data.selected));
    const image = document.createElement('img'); image.src = source; image.alt = '';
    button.append(image); button.onclick = () => setTriggerValue('picked', index);
    return button;
  }));
}
"""

_component = st.components.v2.component(
    "ddrs_gallery",
    html='<div class="ddrs-gallery" role="group" aria-label="Images"></div>',
    css=_CSS,
    js=_JS,
    isolate_styles=False,
)


def show_gallery(
    dataset: str,
    indices: Sequence[int],
    selected: int,
    *,
    key: str,
    on_pick: Callable[[int], None],
) -> None:
    """Show thumbnails of the given images; ``on_pick`` is called with the one that is clicked."""
    data = load_dataset(dataset)
    items = [
        {
            "index": int(i),
            "source": _thumbnail(dataset, int(i)),
            "title": f"image {i}, class {data.info.class_names[int(data.labels[i])]}",
        }
        for i in indices
    ]

    def picked() -> None:
        on_pick(data.check_index(int(st.session_state[key]["picked"])))

    _component(
        key=key, data={"items": items, "selected": selected}, on_picked_change=picked
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _thumbnail(dataset: str, index: int) -> str:
    return png_uri(load_dataset(dataset)[index][0])
