"""An image and its noise, sent to the browser once, which then draws copies at any noise level."""

from __future__ import annotations

import base64

import numpy as np
import streamlit as st
from torch import Tensor

from ddrs_core.dashboard.components.render import component

_LARGEST = 64  # pixels of a side; of a larger picture every k-th pixel is shown
_SCALE = 1 / 32  # of the noise, which is sent in steps of that size; clipped at 4

_mount = component("noise_store")


def send_noise(name: str, x: Tensor, noise: Tensor, *, key: str) -> None:
    """Let the browser know an image [C, H, W] and its noise vectors [copies, C, H, W].

    Large images are thinned out and not averaged, which would make noise look weaker than it is.

    Args:
        name: under which the script of a board finds them.
        key: identity of the (hidden) place on the page.
    """
    step = -(-max(x.shape[1:]) // _LARGEST)
    pixels = (x[:, ::step, ::step].clamp(0, 1) * 255).round().byte().numpy()
    scaled = (noise[:, :, ::step, ::step] / _SCALE).round().clamp(-127, 127).char().numpy()
    data = {"id": name, "shape": pixels.shape, "x": _encoded(pixels), "eps": _encoded(scaled)}
    with st.container(key="ddrs_hidden_noise"):  # by assets/style.css
        _mount(key=key, data={**data, "scale": _SCALE})


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
