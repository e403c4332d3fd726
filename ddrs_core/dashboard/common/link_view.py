"""Views of a page from the parameters of a link, which may come from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

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
