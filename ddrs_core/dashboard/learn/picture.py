"""Pictures of lessons: the server sends the facts once, the browser moves what a hand moves.

A picture is a board whose template is ``components/templates/learn/NAME.html`` and whose script is
``scripts/NAME.js``. The script exports ``mount(Picture)`` of ``scripts/stage.js``.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ddrs_core.dashboard.components.board import Board

_SCRIPTS = {path.name: path for path in sorted(Path(__file__).with_name("scripts").glob("*.js"))}
_VERSION = sha256(b"".join(path.read_bytes() for path in _SCRIPTS.values())).hexdigest()[:12]
_ROOT = f"/ddrs/learn/{_VERSION}"
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}


class Picture:
    """The picture of one lesson; made once, at import."""

    def __init__(self, name: str, **values: Any) -> None:
        self._name = name
        self._board = Board(f"learn/{name}.html", f"{_ROOT}/{name}.js", **values)

    def show(self, scene: Mapping[str, Any], on: tuple[str, ...] = (), **facts: Any) -> Any:
        """Draw it, or update the one that stands.

        Args:
            scene: what it shows at first; applied again when it changes.
            on: names of what the script reports.
            **facts: what the script knows, as JSON.

        Returns:
            What the script has reported.
        """
        live = {"scene": dict(scene), **facts}
        reports = dict.fromkeys(on, _redraw)
        return self._board.show(
            key=f"learn_{self._name}", name=f"lesson-{self._name}", live=live, on=reports
        )


def _redraw() -> None:
    """Streamlit tells only those that ask; the page is drawn again in any case."""


def _script(request: Request) -> Response:
    path = _SCRIPTS.get(request.path_params["name"])
    if path is None:
        return Response("There is no script at this address.", 404)
    return FileResponse(path, media_type="text/javascript", headers=_KEEP)


ROUTES = [Route(f"{_ROOT}/{{name}}", _script)]
