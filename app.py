"""The entry of the dashboard: ``streamlit run app.py``.

The script itself is ``ddrs_core/dashboard/main.py``; a folder ``pages/`` beside the main script
would otherwise put Streamlit into its legacy multipage mode.
"""

import os

# A server shares its processor with the pages it draws (and often with a browser): threads that
# spin while they wait would slow everything down several times. Must be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import streamlit as st
from starlette.middleware import Middleware

from ddrs_core.dashboard.components.board import ROUTES as SCRIPT_ROUTES
from ddrs_core.dashboard.components.thumbnail_routes import ROUTES as THUMBNAIL_ROUTES
from ddrs_core.dashboard.learn.picture import ROUTES as LESSON_ROUTES
from ddrs_core.dashboard.learn.sheet import ROUTES as SHEET_ROUTES
from ddrs_core.dashboard.learn.worlds import ROUTES as WORLD_ROUTES
from ddrs_core.dashboard.shell.errors import show_unexpected_error
from ddrs_core.dashboard.shell.http_security import KnownHosts, SecurityHeaders
from ddrs_core.dashboard.shell.streamlit_patches import QuietDisconnects, patch_streamlit
from ddrs_core.dashboard.shell.visitor import VisitorCookie

MIDDLEWARE = [
    Middleware(SecurityHeaders),
    Middleware(KnownHosts),
    Middleware(VisitorCookie),
    Middleware(QuietDisconnects),
]


patch_streamlit()
app = st.App(
    "ddrs_core/dashboard/main.py",
    routes=[*SCRIPT_ROUTES, *THUMBNAIL_ROUTES, *LESSON_ROUTES, *WORLD_ROUTES, *SHEET_ROUTES],
    middleware=MIDDLEWARE,
    on_script_error=show_unexpected_error,
)
