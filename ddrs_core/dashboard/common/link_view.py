"""Views of a page, frozen dataclasses, on their way between links and widgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st

from ddrs_core.dashboard.common.form import Form
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival
from ddrs_core.errors import DDRSError

V = TypeVar("V")


def read_view(
    view: V,
    query: Mapping[str, str],
    readers: Mapping[str, Callable[[str], Any]],
    longest: int,
) -> tuple[V, list[str]]:
    """Read the fields of a view, a frozen dataclass, from query parameters.

    Args:
        view: what holds for fields that the link does not name, or that cannot be used.
        query: the parameters.
        readers: of the fields, by name; they raise ValueError or DDRSError.
        longest: characters of a value that are read.

    Returns:
        A view of what is there, and a sentence for everything that could not be used.
    """
    problems = []
    for name, read in readers.items():
        if name not in query:
            continue
        try:
            view = replace(view, **{name: read(query[name][:longest])})  # type: ignore[type-var]
        except ValueError:
            problems.append(
                f"The link's {name} could not be used: {query[name][:40]!r} is none of its values."
            )
        except DDRSError as error:
            problems.append(f"The link's {name} could not be used: {error}")
    return view, problems


def fill_from_link(
    part: str,
    form: Form,
    problems: str,
    parse: Callable[[Mapping[str, str]], tuple[Any, list[str]]],
) -> None:
    """Fill the widgets of a part of a page on a first visit, and from a link.

    Args:
        part: its name.
        form: whose fields are named like those of the view.
        problems: name in the session of the sentences about the link.
        parse: reads the view from query parameters.
    """

    def fill() -> None:
        query = st.query_params.to_dict()
        if query or problems not in st.session_state:
            view, found = parse(query)
            form.fill(vars(view))
            st.session_state[problems] = found  # last: the widgets are filled then

    fill_on_arrival(part, fill)
