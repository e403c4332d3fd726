"""Addresses under which the browser finds the thumbnails of a data set.

``/ddrs/gallery/<data set>/index.json`` holds the class names and labels (int32, base64, -1 where
unknown), ``/ddrs/gallery/<data set>/<index>.png`` one small picture of the test split, and
``/ddrs/gallery/<data set>/<split>/<index>.png`` one of another split.
"""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ddrs_core.dashboard.components.data_uri import encode_array
from ddrs_core.data import Dataset, load_dataset, thumbnail
from ddrs_core.errors import DDRSError

_ROOT = "/ddrs/gallery"
_KEEP = {"Cache-Control": "private, max-age=86400"}  # the version in the address changes


def gallery_url(dataset: Dataset) -> tuple[str, str]:
    """Where the browser finds a data set's index and thumbnails: the address up to the file's
    name, and the query that goes behind it."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    root = f"/{base}{_ROOT}" if base else _ROOT
    return f"{root}/{quote(dataset.info.name, safe='')}/", f"?v={quote(dataset.version)}"


def thumbnail_url(dataset: Dataset, index: int) -> str:
    """Where the browser finds one thumbnail, of whatever split."""
    root, version = gallery_url(dataset)
    return f"{root}{quote(dataset.split, safe='')}/{index}.png{version}"


def _index(request: Request) -> Response:
    try:
        dataset = load_dataset(request.path_params["name"][:200])
    except DDRSError as error:
        return JSONResponse({"error": str(error)}, 404)
    labels = encode_array(dataset.labels.astype(np.int32))
    names = list(dataset.info.class_names)
    return JSONResponse({"names": names, "labels": labels}, headers=_KEEP)


def _thumbnail(request: Request) -> Response:
    try:
        split = request.path_params.get("split", "test")
        dataset = load_dataset(request.path_params["name"][:200], split[:200])
        index = dataset.check_index(request.path_params["index"])
    except DDRSError as error:
        return JSONResponse({"error": str(error)}, 404)
    return Response(thumbnail(dataset, index), media_type="image/png", headers=_KEEP)


def _nothing(request: Request) -> Response:
    return JSONResponse({"error": "There is no picture at this address."}, 404)


# Plain functions: they run in a thread pool, so that decoding holds nobody up.
ROUTES = [
    Route(f"{_ROOT}/{{name}}/index.json", _index),
    Route(f"{_ROOT}/{{name}}/{{index:int}}.png", _thumbnail),
    Route(f"{_ROOT}/{{name}}/{{split}}/{{index:int}}.png", _thumbnail),
    Route(f"{_ROOT}/{{rest:path}}", _nothing),  # else Streamlit would answer with its own page
]
