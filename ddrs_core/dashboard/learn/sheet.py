"""The teacher's sheet, ``docs/teaching.md``, as one page to print."""

from __future__ import annotations

import re
from pathlib import Path

from markdown import markdown
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from ddrs_core.dashboard.components.render import render

SHEET = Path(__file__).resolve().parents[3] / "docs" / "teaching.md"
SHEET_ROUTE = "/ddrs/learn/sheet.html"
_GUIDE = re.compile(r"\[([^]]*)\]\([\w-]+\.md[^)]*\)")  # a link that leads nowhere from there


def _sheet(_: Request) -> HTMLResponse:
    text = _GUIDE.sub(r"\1", SHEET.read_text("utf-8"))
    body = Markup(markdown(text, extensions=["tables", "fenced_code", "sane_lists"]))
    return HTMLResponse(render("learn/sheet.html", body=body))


ROUTES = [Route(SHEET_ROUTE, _sheet)]
