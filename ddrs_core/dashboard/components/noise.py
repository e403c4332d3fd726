"""An image and its noise, sent to the browser once, which then draws copies at any noise level."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from torch import Tensor

from ddrs_core.dashboard.components.data_uri import encode_array
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
    step = thinning(x.shape)
    pixels = (x[:, ::step, ::step].clamp(0, 1) * 255).round().byte().numpy()
    scaled = (noise[:, :, ::step, ::step] / _SCALE).round().clamp(-127, 127).char().numpy()
    sent = {"x": encode_array(pixels), "eps": encode_array(scaled)}
    data = {"id": name, "shape": pixels.shape, **sent, "scale": _SCALE}
    with st.container(key="ddrs_hidden_noise"):  # by assets/style.css
        _mount(key=key, data=data)


def thinning(shape: Sequence[int]) -> int:
    """Every how many-th pixel of images [..., H, W] is sent."""
    return -(-max(shape[-2:]) // _LARGEST)
