"""HTML from the templates in ``templates/``, in which every value is escaped.

A template that is given ``Markup``, the result of another one, inserts it as it is; any other
value is text. A value that a template needs and does not get is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ddrs_core.quantities import counted, duration, noun
from ddrs_core.smoothing import round_down


def with_symbols(text: str) -> Markup:
    """Text in which p_A is set as a symbol.

    >>> str(with_symbols("p_A < 1"))
    '<i>p</i><sub>A</sub> &lt; 1'
    """
    return escape(text).replace("p_A", Markup("<i>p</i><sub>A</sub>"))


_FOLDER = Path(__file__).parent
ENVIRONMENT = Environment(
    loader=PackageLoader("ddrs_core.dashboard.components"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(
    number=format,  # {{ 0.123456 | number(".3f") }}
    counted=counted,  # {{ 2 | counted("image") }}
    noun=noun,
    duration=duration,
    round_down=round_down,
    with_symbols=with_symbols,
)


def render(template: str, **values: Any) -> Markup:
    """Fill a template.

    Args:
        template: its path below ``templates/``.
        **values: what it shows; text is escaped, ``Markup`` is not.

    Raises:
        jinja2.UndefinedError: if it needs a value that is not given.
    """
    return Markup(ENVIRONMENT.get_template(template).render(values).strip())


def show_html(template: str, **values: Any) -> None:
    """Fill a template and put it on the page."""
    st.html(render(template, **values))


def show_lead(text: str) -> None:
    """Say below a page's title what the page is for."""
    show_html("lead.html", text=text)


def component(script: str, template: str = "", **values: Any) -> Any:
    """Register a component whose parts are files; called once, at import.

    Args:
        script: ``components/script.js``, beside it its style ``script.css``, where it has one.
        template: of its markup; default: ``script.html``. The component is named after it.
        **values: what the template needs.

    Returns:
        What draws the component on a page.
    """
    template = template or f"{script}.html"
    code, style = (_FOLDER / f"{script}{ending}" for ending in (".js", ".css"))
    return st.components.v2.component(
        f"ddrs_{template.removesuffix('.html').replace('/', '_')}",
        html=render(template, **values),
        css=style.read_text("utf-8") if style.exists() else None,
        js=code.read_text("utf-8"),
        isolate_styles=False,
    )
