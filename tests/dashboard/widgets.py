"""Opening a page, finding widgets and boards, and playing a browser that is late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

_PAGES = Path(__file__).resolve().parents[2] / "pages"


def open_page(app: AppTest, page: str, **query: str) -> AppTest:
    """Follow a link to a page, as from another page."""
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(str(_PAGES / f"{page}.py")).run()


def widget_of(kind: Any, name: str) -> Any:
    """The widget of a kind, such as ``app.selectbox``, that shows ``st.session_state[name]``.

    Its key has a part of its own for each version.
    """
    (found,) = [one for one in kind if one.key and one.key.rpartition("|")[0] == name]
    return found


def send(app: AppTest, *sent: tuple[Any, Any]) -> AppTest:
    """A request that names these widgets with these values, new or old."""
    states = WidgetStates()
    for element, value in sent:
        one = states.widgets.add()
        one.id = element.proto.id
        kind = "double_value" if isinstance(value, int | float) else "string_value"
        setattr(one, kind, value)
    return app._tree._runner._run(states)


def code_in(app: AppTest, section: str) -> list[str]:
    """The code in a section of the page, which is there once that is open."""
    app.session_state[section] = True
    app.run()
    return [code.value for code in app.code]


def drawn(app: AppTest, *keys: str) -> list[str]:
    """Which of these boards the page has."""
    return [key for key in keys if any(key in e.proto.id for e in app.get("bidi_component"))]


def board(app: AppTest, key: str) -> dict[str, Any]:
    """The figures and texts of a board."""
    found = [e for e in app.get("bidi_component") if key in e.proto.id]
    assert found, f"no board {key}"
    data = json.loads(found[0].proto.json)
    return {
        "texts": data["texts"],
        "figures": {k: json.loads(v) for k, v in data["figures"].items()},
    }
